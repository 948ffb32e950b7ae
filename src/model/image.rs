//! The binlog's row image, which is also our row: a row stays in the bytes it arrived in until the moment its values are written
//! into a statement. Nothing is allocated per cell, and nothing is converted that will not be written.
//!
//! [`Layout`] is what a TABLE_MAP event says about the columns: their wire types and sizes. It knows no names and, from a 5.7
//! source, not even signs; those come from the [`Table`] that the layout is checked against once ([`Layout::fits`]).
//!
//! Invariants:
//! 1. [`Layout::measure`] walks an image to its end before a [`RowImage`] exists, so reading a cell later never runs out of bytes
//!    that the event promised; what does not fit is an [`ImageError`], and the stream stops there.
//! 2. Images are FULL: [`Layout::measure`] is only called on events whose column bitmap is all ones.
//!
//! Formats: MySQL's `sql/rpl_record.cc`, `Field_*::pack`, `sql-common/my_time.cc` and `strings/decimal.cc`.

mod cells;
mod reading;
mod wire;

use std::sync::Arc;

use super::json::diff::DiffError;
use super::table::{Column, Table};
use super::value::Value;
pub use wire::Wire;

/// Why bytes are not a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("the row image ends in the middle of column {0}")]
    Short(usize),
    #[error("column {0} holds a value that its type cannot have")]
    Value(usize),
    #[error("column {0}: {1}")]
    Partial(usize, DiffError),
    #[error("the event has the row value options {0}, which this version does not know")]
    UnknownOptions(u64),
    #[error("the event has columns of type {0}, which this version does not know")]
    UnknownType(u8),
    #[error("the event describes a column of type {0} with a size that the type cannot have")]
    Metadata(u8),
    #[error("the event describes {event} columns, the table has {table}")]
    ColumnCount { event: usize, table: usize },
    #[error("column {column} is {table} in the table, but {event} in the event")]
    ColumnType { column: String, table: String, event: String },
}

/// The columns of a TABLE_MAP event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    columns: Vec<Wire>,
}

impl Layout {
    pub fn new(columns: Vec<Wire>) -> Self {
        Self { columns }
    }

    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The layout of only the first `count` columns.
    pub fn first(&self, count: usize) -> Self {
        Self { columns: self.columns.iter().take(count).copied().collect() }
    }

    /// Checks that rows of this layout are rows of `table`.
    pub fn fits(&self, table: &Table) -> Result<(), ImageError> {
        let (event, known) = (self.columns.len(), table.columns.len());
        if event != known && event != known + table.hidden {
            return Err(ImageError::ColumnCount { event, table: known });
        }
        for (wire, column) in self.columns.iter().zip(&table.columns) {
            if !wire.carries(column.kind) {
                return Err(ImageError::ColumnType {
                    column: column.name.clone(),
                    table: column.type_text.clone(),
                    event: format!("{wire:?}"),
                });
            }
        }
        Ok(())
    }

    pub(super) fn wires(&self) -> &[Wire] {
        &self.columns
    }

    /// The length of the image that `bytes` begins with.
    pub fn measure(&self, bytes: &[u8]) -> Result<usize, ImageError> {
        let mut at = self.columns.len().div_ceil(8);
        let nulls = bytes.get(..at).ok_or(ImageError::Short(0))?;
        for (index, wire) in self.columns.iter().enumerate() {
            if !is_null(nulls, index) {
                at += wire.size(bytes.get(at..).unwrap_or(&[])).ok_or(ImageError::Short(index))?;
                if at > bytes.len() {
                    return Err(ImageError::Short(index));
                }
            }
        }
        Ok(at)
    }
}

fn is_null(nulls: &[u8], index: usize) -> bool {
    nulls.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// One row, as it stood before or after a change.
#[derive(Debug, Clone)]
pub struct RowImage {
    event: Arc<[u8]>,
    start: usize,
    end: usize,
    layout: Arc<Layout>,
}

impl RowImage {
    /// The image at `start..end` of an event's rows; `end` comes from [`Layout::measure`].
    pub fn new(event: Arc<[u8]>, start: usize, end: usize, layout: Arc<Layout>) -> Self {
        Self { event, start, end, layout }
    }

    pub fn bytes(&self) -> &[u8] {
        self.event.get(self.start..self.end).unwrap_or(&[])
    }

    /// Calls `visit` with each column's value, in order.
    pub fn walk<'a>(&'a self, columns: &[Column], mut visit: impl FnMut(usize, Value<'a>)) -> Result<(), ImageError> {
        let bytes = self.bytes();
        let mut at = self.layout.columns.len().div_ceil(8);
        let nulls = bytes.get(..at).ok_or(ImageError::Short(0))?;
        for (index, (wire, column)) in self.layout.columns.iter().zip(columns).enumerate() {
            if is_null(nulls, index) {
                visit(index, Value::Null);
                continue;
            }
            let rest = bytes.get(at..).unwrap_or(&[]);
            let size = wire.size(rest).ok_or(ImageError::Short(index))?;
            let cell = rest.get(..size).ok_or(ImageError::Short(index))?;
            visit(index, wire.read(cell, column.kind).ok_or(ImageError::Value(index))?);
            at += size;
        }
        Ok(())
    }
}

impl PartialEq for RowImage {
    /// Equal when every byte is: two images of one layout with equal values.
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{column, table};
    use super::*;
    use crate::model::table::ColumnKind;

    #[test]
    fn an_image_is_measured_to_its_end_or_refused() {
        let layout = Layout::new(vec![Wire::Integer { bytes: 4 }, Wire::String { length_bytes: 1 }]);
        let image = [0b0, 7, 0, 0, 0, 3, b'a', b'b', b'c', 0xee];
        assert_eq!(layout.measure(&image), Ok(9));
        assert_eq!(layout.measure(&image[..8]), Err(ImageError::Short(1)));
        assert_eq!(layout.measure(&[0b11]), Ok(1));
    }

    #[test]
    fn a_layout_that_does_not_fit_names_the_column() {
        let table = table("t", vec![column("id", ColumnKind::Integer { unsigned: false })], &[0]);
        assert_eq!(Layout::new(vec![Wire::Integer { bytes: 4 }]).fits(&table), Ok(()));
        let error = Layout::new(vec![Wire::Double]).fits(&table).expect_err("a double is no integer");
        assert!(error.to_string().contains("column id"));
    }
}
