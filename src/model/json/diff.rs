//! Partial updates (`binlog_row_value_options=PARTIAL_JSON`): what the source changed in a document, carried out on the document that
//! it had before.
//!
//! A cell of such an update holds, instead of the document, a run of diffs: an operation, a path and, but for a removal, a value
//! (`sql-common/json_diff.cc`). A path leads to exactly one place. What does not apply to the document (a member that is not there, an
//! insert where one is) is an error: the diffs were made for another document, and the stream must not guess.

use super::text::unescape;
use super::tree::Tree;
use super::{BadJson, parse};

/// Why diffs cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    #[error(transparent)]
    Json(#[from] BadJson),
    #[error("a partial update is cut short or of a form that this version does not know")]
    Damaged,
    #[error("a partial update does not fit the document before it")]
    Misfit,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Leg {
    Member(Vec<u8>),
    Cell(usize),
}

/// The document after `diffs`, as a JSON column stores it.
pub fn apply(document: &[u8], diffs: &[u8]) -> Result<Vec<u8>, DiffError> {
    if diffs.is_empty() {
        return Ok(document.to_vec());
    }
    let mut tree = Tree::of(parse(document)?)?;
    let mut rest = diffs;
    while let Some((operation, after)) = rest.split_first() {
        let path = counted(after).ok_or(DiffError::Damaged)?;
        rest = path.1;
        let legs = legs(path.0).ok_or(DiffError::Damaged)?;
        let mut value = || {
            let (value, after) = counted(rest).ok_or(DiffError::Damaged)?;
            rest = after;
            Ok::<Tree, DiffError>(Tree::of(parse(value)?)?)
        };
        match operation {
            0 => *find(&mut tree, &legs).ok_or(DiffError::Misfit)? = value()?,
            1 => insert(&mut tree, &legs, value()?).ok_or(DiffError::Misfit)?,
            2 => remove(&mut tree, &legs).ok_or(DiffError::Misfit)?,
            _ => return Err(DiffError::Damaged),
        }
    }
    Ok(tree.encode()?)
}

/// A number in the protocol's length encoding, and what follows it.
pub(in crate::model) fn lenenc(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let width = match first {
        0..=250 => return Some((u64::from(*first), rest)),
        252 => 2,
        253 => 3,
        254 => 8,
        _ => return None,
    };
    let (number, rest) = rest.split_at_checked(width)?;
    Some((super::little(number), rest))
}

/// Bytes behind their length, and what follows them.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = lenenc(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// `$.key."another key"[3]`
fn legs(path: &[u8]) -> Option<Vec<Leg>> {
    let mut rest = path.strip_prefix(b"$")?;
    let mut legs = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        match (first, after.first()) {
            (b'.', Some(b'"')) => {
                let quoted = after.get(1..)?;
                let mut end = 0;
                while *quoted.get(end)? != b'"' {
                    end += if quoted.get(end) == Some(&b'\\') { 2 } else { 1 };
                }
                legs.push(Leg::Member(unescape(quoted.get(..end)?).ok()?));
                rest = quoted.get(end + 1..)?;
            }
            (b'.', _) => {
                let end = after.iter().position(|byte| matches!(byte, b'.' | b'[')).unwrap_or(after.len());
                let (key, next) = after.split_at_checked(end).filter(|(key, _)| !key.is_empty())?;
                legs.push(Leg::Member(key.to_vec()));
                rest = next;
            }
            (b'[', _) => {
                let end = after.iter().position(|byte| *byte == b']')?;
                let (index, next) = after.split_at_checked(end)?;
                legs.push(Leg::Cell(std::str::from_utf8(index).ok()?.parse().ok()?));
                rest = next.get(1..)?;
            }
            _ => return None,
        }
    }
    Some(legs)
}

/// Where a key is among members in the server's order, or where it would be.
fn place(members: &[(Vec<u8>, Tree)], key: &[u8]) -> Result<usize, usize> {
    members.binary_search_by(|(known, _)| (known.len(), known.as_slice()).cmp(&(key.len(), key)))
}

fn find<'t>(tree: &'t mut Tree, legs: &[Leg]) -> Option<&'t mut Tree> {
    let mut here = tree;
    for leg in legs {
        here = match (here, leg) {
            (Tree::Object(members), Leg::Member(key)) => {
                let at = place(members, key).ok()?;
                &mut members.get_mut(at)?.1
            }
            (Tree::Array(members), Leg::Cell(at)) => members.get_mut(*at)?,
            _ => return None,
        };
    }
    Some(here)
}

fn insert(tree: &mut Tree, legs: &[Leg], value: Tree) -> Option<()> {
    let (last, parents) = legs.split_last()?;
    match (find(tree, parents)?, last) {
        (Tree::Object(members), Leg::Member(key)) => {
            let at = place(members, key).err()?;
            members.insert(at, (key.clone(), value));
        }
        // A place beyond the end is the end.
        (Tree::Array(members), Leg::Cell(at)) => members.insert((*at).min(members.len()), value),
        _ => return None,
    }
    Some(())
}

fn remove(tree: &mut Tree, legs: &[Leg]) -> Option<()> {
    let (last, parents) = legs.split_last()?;
    match (find(tree, parents)?, last) {
        (Tree::Object(members), Leg::Member(key)) => {
            let at = place(members, key).ok()?;
            members.remove(at);
        }
        (Tree::Array(members), Leg::Cell(at)) if *at < members.len() => {
            members.remove(*at);
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn diff(operation: u8, path: &str, value: Option<Tree>) -> Vec<u8> {
        let mut out = vec![operation, path.len() as u8];
        out.extend_from_slice(path.as_bytes());
        if let Some(value) = value {
            let value = value.encode().expect("bytes");
            out.push(value.len() as u8);
            out.extend_from_slice(&value);
        }
        out
    }

    /// {"a": [1, 2], "b c": {"": true}}
    fn document() -> Vec<u8> {
        let inner = Tree::Object(vec![(Vec::new(), Tree::Bool(true))]);
        let array = Tree::Array(vec![Tree::Int(1), Tree::Int(2)]);
        Tree::Object(vec![(b"a".to_vec(), array), (b"b c".to_vec(), inner)]).encode().expect("bytes")
    }

    fn applied(diffs: &[Vec<u8>]) -> Result<Tree, DiffError> {
        let bytes = apply(&document(), &diffs.concat())?;
        Ok(Tree::of(parse(&bytes)?)?)
    }

    #[test]
    fn diffs_replace_insert_and_remove_in_order() {
        let after = applied(&[
            diff(0, "$.a[1]", Some(Tree::Double(1.5))),
            diff(1, "$.a[0]", Some(Tree::Null)),
            diff(1, "$.a[99]", Some(Tree::UInt(7))),
            diff(2, r#"$."b c"."""#, None),
            diff(1, r#"$."b c"."d\"\\""#, Some(Tree::Text(b"x".to_vec()))),
            diff(1, "$.Z", Some(Tree::Bool(false))),
        ]);
        let array = Tree::Array(vec![Tree::Null, Tree::Int(1), Tree::Double(1.5), Tree::UInt(7)]);
        let inner = Tree::Object(vec![(b"d\"\\".to_vec(), Tree::Text(b"x".to_vec()))]);
        let members = vec![(b"Z".to_vec(), Tree::Bool(false)), (b"a".to_vec(), array), (b"b c".to_vec(), inner)];
        assert_eq!(after, Ok(Tree::Object(members)));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for diff in [
            diff(0, "$.x", Some(Tree::Null)),
            diff(1, "$.a", Some(Tree::Null)),
            diff(2, "$.a[2]", None),
            diff(2, "$", None),
            diff(0, "$.a.b", Some(Tree::Null)),
            diff(1, "$.a[0][0]", Some(Tree::Null)),
        ] {
            assert_eq!(applied(&[diff]), Err(DiffError::Misfit));
        }
        for damaged in [diff(9, "$.a", None), diff(2, "a", None), diff(2, "$.", None), diff(2, "$[x]", None), vec![0, 200]] {
            assert_eq!(applied(&[damaged]), Err(DiffError::Damaged));
        }
    }

    #[test]
    fn an_empty_run_leaves_the_document_as_it_is() {
        assert_eq!(apply(b"\x0c\x01a", b""), Ok(b"\x0c\x01a".to_vec()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(diffs in proptest::collection::vec(any::<u8>(), 0..64), path in "[$.\"a\\[\\]0-9\\\\]{0,16}") {
            let _ = apply(&document(), &diffs);
            let _ = apply(&document(), &diff(1, &path, Some(Tree::Null)));
        }
    }
}
