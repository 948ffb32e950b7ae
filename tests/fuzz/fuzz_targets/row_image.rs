//! The way of a row from the bytes of an event to the text of a statement, with bytes that nobody promised anything about:
//! TABLE_MAP → `Layout` → `measure` → `RowImage::walk` → literals, keys, whole statements; JSON documents on the way. What follows the
//! image is taken for the partial image after it.
//!
//! Never a panic, and nothing that grows faster than the input: what is written stays within a multiple of what was read. What is
//! measured can be walked to its end (invariant 1 of `model::image`).

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use polarferry::model::image::{ImageError, RowImage};
use polarferry::model::partial;
use polarferry::model::table::Table;
use polarferry::sql::dml::{self, RowError, Shapes};
use polarferry::sql::{keyless, literal};

#[path = "../shape.rs"]
mod shape;

/// A byte of an image gives at most so many of a statement: a small DOUBLE in a JSON document has three bytes with its entry and
/// prints 24 digits, a control character in a string six, escaped as a literal seven.
const GROWTH: usize = 40;
/// The text around values: names of columns, casts, digits of types with fixed sizes, the zero bytes of a BINARY column.
const PER_COLUMN: usize = 200 + 2 * shape::LONGEST_BINARY as usize;

fuzz_target!(|input: &[u8]| {
    let Some((table, layout, bytes)) = shape::read(input) else { return };
    let Ok(end) = layout.measure(bytes) else { return };
    assert!(end <= bytes.len(), "measured {end} of {}", bytes.len());
    let event: Arc<[u8]> = Arc::from(bytes);
    let row = RowImage::new(Arc::clone(&event), 0, end, Arc::clone(&layout));
    let bound = GROWTH * bytes.len() + PER_COLUMN * (table.columns.len() + 1);
    look(&table, &row, bound);
    if let Ok((after, end)) = partial::complete(&layout, &row, &event, end) {
        assert!(end <= bytes.len(), "completed to {end} of {}", bytes.len());
        assert!(after.bytes().len() <= 2 * bytes.len() + PER_COLUMN, "{} bytes from {}", after.bytes().len(), bytes.len());
        look(&table, &after, 2 * bound);
    }
});

/// All that is ever done with a row.
fn look(table: &Table, row: &RowImage, bound: usize) {
    let mut seen = 0;
    let walked = row.walk(&table.columns, |index, value| {
        assert_eq!(index, seen, "columns come in their order");
        seen += 1;
        let mut text = Vec::new();
        if literal::write(&mut text, value).is_ok() {
            assert!(text.len() <= bound, "{} bytes for one value of {}", text.len(), row.bytes().len());
        }
    });
    match walked {
        Ok(()) => assert_eq!(seen, table.columns.len()),
        Err(ImageError::Short(column)) => panic!("measured, and short in column {column}"),
        Err(_) => {}
    }

    let mut text = Vec::new();
    let written = dml::write_row(&mut text, table, row);
    assert!(text.len() <= bound, "{} bytes for a row of {}", text.len(), row.bytes().len());
    let key = dml::key_of(table, table.key_columns().unwrap_or(&[]), row);
    let unique = table.secondary_uniques.iter().map(|key| dml::unique_of(table, key, row)).collect::<Result<Vec<_>, _>>();
    let one = keyless::delete_some(&Shapes::new(table, None), table, row, 1);
    if let Ok(one) = &one {
        let bound = bound + PER_COLUMN * (table.columns.len() + 1);
        assert!(one.text.len() <= bound, "{} bytes to delete a row of {}", one.text.len(), row.bytes().len());
    }
    for error in [written.err(), key.err(), unique.err(), one.err()].into_iter().flatten() {
        assert!(!matches!(error, RowError::Image(ImageError::Short(_))), "{error}");
    }
}
