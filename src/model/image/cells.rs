//! The cells of a row image as bytes: all of them, or only those that a key is made of.
//!
//! The same bytes in the same layout are the same value. The reverse does not hold, so whoever must know more compares values.

use std::sync::Arc;

use super::{ImageError, Layout, RowImage, is_null};
use crate::model::table::Column;
use crate::model::value::Value;

impl Layout {
    /// The bytes of each column's cell, its length prefix included; none for NULL.
    pub(in crate::model) fn cells<'i>(&self, image: &'i [u8]) -> Result<Vec<Option<&'i [u8]>>, ImageError> {
        let mut at = self.columns.len().div_ceil(8);
        let nulls = image.get(..at).ok_or(ImageError::Short(0))?;
        let mut cells = Vec::with_capacity(self.columns.len());
        for (index, wire) in self.columns.iter().enumerate() {
            if is_null(nulls, index) {
                cells.push(None);
                continue;
            }
            let rest = image.get(at..).unwrap_or(&[]);
            let size = wire.size(rest).ok_or(ImageError::Short(index))?;
            cells.push(Some(rest.get(..size).ok_or(ImageError::Short(index))?));
            at += size;
        }
        Ok(cells)
    }
}

impl RowImage {
    /// The bytes of some cells, `None` for NULL, in the order of `wanted`. What lies behind the last of them is not looked at.
    pub fn cells<'a>(&'a self, wanted: &[usize]) -> Result<Cells<'a>, ImageError> {
        let bytes = self.bytes();
        let mut cells: Cells<'a> = [None; MOST_KEY_PARTS];
        let mut at = self.layout.columns.len().div_ceil(8);
        let nulls = bytes.get(..at).ok_or(ImageError::Short(0))?;
        let mut missing = wanted.len();
        for (index, wire) in self.layout.columns.iter().enumerate() {
            if missing == 0 {
                break;
            }
            let null = is_null(nulls, index);
            let rest = bytes.get(at..).unwrap_or(&[]);
            let size = if null { 0 } else { wire.size(rest).ok_or(ImageError::Short(index))? };
            for (slot, _) in cells.iter_mut().zip(wanted).filter(|(_, column)| **column == index) {
                *slot = if null { None } else { Some(rest.get(..size).ok_or(ImageError::Short(index))?) };
                missing -= 1;
            }
            at += size;
        }
        Ok(cells)
    }

    /// The values of some columns, in the order of `wanted`; only they are read.
    pub fn pick<'a>(&'a self, columns: &[Column], wanted: &[usize]) -> Result<[Value<'a>; MOST_KEY_PARTS], ImageError> {
        let mut values = [Value::Null; MOST_KEY_PARTS];
        for ((slot, cell), index) in values.iter_mut().zip(self.cells(wanted)?).zip(wanted) {
            if let (Some(cell), Some(wire), Some(column)) = (cell, self.layout.columns.get(*index), columns.get(*index)) {
                *slot = wire.read(cell, column.kind).ok_or(ImageError::Value(*index))?;
            }
        }
        Ok(values)
    }

    /// Whether both images hold the same bytes in these columns. Images of different layouts do not compare: unknown is not yes.
    pub fn same_in(&self, other: &Self, columns: &[usize]) -> Result<bool, ImageError> {
        let alike = Arc::ptr_eq(&self.layout, &other.layout) || self.layout == other.layout;
        Ok(alike && self.cells(columns)? == other.cells(columns)?)
    }
}

/// MySQL's limit of the parts of one key: more cannot come from a server.
pub const MOST_KEY_PARTS: usize = 16;

/// Some cells of an image.
pub type Cells<'a> = [Option<&'a [u8]>; MOST_KEY_PARTS];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image::Wire;
    use crate::model::table::ColumnKind;
    use crate::model::table::tests::{column, table};

    #[test]
    fn picked_columns_are_those_of_a_walk() {
        let integer = ColumnKind::Integer { unsigned: false };
        let table = table("t", vec![column("a", integer), column("s", ColumnKind::Text), column("b", integer)], &[0]);
        let layout =
            Arc::new(Layout::new(vec![Wire::Integer { bytes: 1 }, Wire::String { length_bytes: 1 }, Wire::Integer { bytes: 1 }]));
        let image = |bytes: &[u8]| RowImage::new(Arc::from(bytes), 0, bytes.len(), Arc::clone(&layout));
        let (one, other) = (image(&[0, 7, 2, b'x', b'y', 9]), image(&[0b10, 7, 8]));
        let values = one.pick(&table.columns, &[2, 0]).expect("values");
        assert_eq!((values[0], values[1]), (Value::Int(9), Value::Int(7)));
        assert_eq!(other.pick(&table.columns, &[1]).map(|values| values[0]), Ok(Value::Null));
        assert_eq!(one.same_in(&other, &[0]), Ok(true));
        assert_eq!((one.same_in(&other, &[0, 1]), one.same_in(&other, &[2])), (Ok(false), Ok(false)));
        assert_eq!(image(&[0, 7, 9]).pick(&table.columns, &[1]), Err(ImageError::Short(1)));
    }
}
