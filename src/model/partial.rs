//! Updates of which the source sent, of some documents, only what changed in them (PARTIAL_UPDATE_ROWS, from 8.0 on). The image after
//! such an update is made whole here, from the complete image before it, so that nothing behind this file knows of partial updates.
//!
//! The image after begins with options (a length-encoded number) and, when they say so, a bit for each JSON column of the table; a
//! cell whose bit is set holds diffs instead of a document, in the same frame (`sql/rpl_record.cc`). So it measures like any other
//! image, and only then are the diffs carried out ([`super::json::diff`]).

use std::sync::Arc;

use super::image::{ImageError, Layout, RowImage, Wire};
use super::json::diff;

/// The only option there is: documents may be partial.
const PARTIAL_JSON: u64 = 1;

/// The whole image after an update, and where in the event it ended. `start` is the end of the image before.
pub fn complete(
    layout: &Arc<Layout>,
    before: &RowImage,
    event: &Arc<[u8]>,
    start: usize,
) -> Result<(RowImage, usize), ImageError> {
    let short = ImageError::Short(0);
    let rest = event.get(start..).unwrap_or(&[]);
    let (options, rest) = diff::lenenc(rest).ok_or(short.clone())?;
    let documents = layout.wires().iter().filter(|wire| matches!(wire, Wire::Json { .. })).count();
    let (bits, rest) = match options {
        0 => (&[][..], rest),
        PARTIAL_JSON => rest.split_at_checked(documents.div_ceil(8)).ok_or(short)?,
        other => return Err(ImageError::UnknownOptions(other)),
    };
    let size = layout.measure(rest)?;
    let from = event.len() - rest.len();
    let image = RowImage::new(Arc::clone(event), from, from + size, Arc::clone(layout));
    if bits.iter().all(|byte| *byte == 0) {
        return Ok((image, from + size));
    }
    let whole = merge(layout, before.bytes(), image.bytes(), bits)?;
    let end = whole.len();
    Ok((RowImage::new(whole.into(), 0, end, Arc::clone(layout)), from + size))
}

fn merge(layout: &Layout, before: &[u8], after: &[u8], bits: &[u8]) -> Result<Vec<u8>, ImageError> {
    let olds = layout.cells(before)?;
    let news = layout.cells(after)?;
    let mut out = after.get(..layout.wires().len().div_ceil(8)).unwrap_or(&[]).to_vec();
    let mut document = 0;
    for (index, ((wire, old), new)) in layout.wires().iter().zip(olds).zip(news).enumerate() {
        let mut prefix = None;
        if let Wire::Json { length_bytes } = wire {
            if bits.get(document / 8).is_some_and(|byte| byte >> (document % 8) & 1 == 1) {
                prefix = Some(usize::from(*length_bytes));
            }
            document += 1;
        }
        match (new, prefix) {
            (None, _) => {}
            (Some(new), None) => out.extend_from_slice(new),
            (Some(new), Some(prefix)) => {
                // Diffs of a document that was not there.
                let old = old.and_then(|old| old.get(prefix..)).ok_or(ImageError::Value(index))?;
                let diffs = new.get(prefix..).ok_or(ImageError::Short(index))?;
                let whole = diff::apply(old, diffs).map_err(|error| ImageError::Partial(index, error))?;
                let length = u32::try_from(whole.len()).map_err(|_| ImageError::Value(index))?.to_le_bytes();
                out.extend(length.iter().take(prefix));
                out.extend_from_slice(&whole);
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::json::tree::Tree;

    fn json(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat()
    }

    fn document(number: i64) -> Vec<u8> {
        Tree::Object(vec![(b"a".to_vec(), Tree::Int(number))]).encode().expect("bytes")
    }

    /// id, two documents; the image before is `{"a": 1}` twice.
    fn event(after: &[u8]) -> (Arc<Layout>, RowImage, Arc<[u8]>, usize) {
        let document_wire = Wire::Json { length_bytes: 4 };
        let layout = Arc::new(Layout::new(vec![Wire::Integer { bytes: 1 }, document_wire, document_wire]));
        let before = [&[0, 7][..], &json(&document(1)), &json(&document(1))].concat();
        let event: Arc<[u8]> = [&before[..], after].concat().into();
        let image = RowImage::new(Arc::clone(&event), 0, before.len(), Arc::clone(&layout));
        (layout, image, event, before.len())
    }

    #[test]
    fn diffs_and_whole_documents_make_one_image() {
        // Replace $.a by 2 in the first document; the second one comes whole.
        let value = Tree::Int(2).encode().expect("bytes");
        let diffs = [&[0, 3][..], b"$.a", &[value.len() as u8], &value].concat();
        let (layout, before, event, start) =
            event(&[&[1, 0b01][..], &[0, 7], &json(&diffs), &json(&document(3)), b"next"].concat());
        let (after, end) = complete(&layout, &before, &event, start).expect("an image");
        assert_eq!(end, event.len() - 4);
        assert_eq!(after.bytes(), [&[0, 7][..], &json(&document(2)), &json(&document(3))].concat());
    }

    #[test]
    fn without_options_the_image_is_whole_already() {
        let plain = [&[0b100, 8][..], &json(&document(9))].concat();
        let (layout, before, event, start) = event(&[&[0][..], &plain].concat());
        let (after, end) = complete(&layout, &before, &event, start).expect("an image");
        assert_eq!((after.bytes(), end), (&plain[..], event.len()));
    }

    #[test]
    fn what_does_not_apply_or_is_not_known_stops() {
        let misfit = [&[2, 3][..], b"$.b"].concat();
        for after in [
            [&[1, 0b10][..], &[0, 7], &json(&document(1)), &json(&misfit)].concat(),
            [&[2][..], &[0, 7]].concat(),
            vec![1],
            vec![],
        ] {
            let (layout, before, event, start) = event(&after);
            assert!(complete(&layout, &before, &event, start).is_err(), "{after:?}");
        }
    }
}
