//! TABLE_MAP events: which table the rows behind them are of, and how these are laid out.
//!
//! Every transaction names its tables anew, in the same bytes as the one before it. What they say is read once: for a table of 60 columns
//! that was a third of what polarferry did in all.

use std::collections::HashMap;
use std::sync::Arc;

use mysql_async::binlog::events::TableMapEvent;

use crate::model::event::Event;
use crate::model::image::{ImageError, Layout, Wire};
use crate::model::table::TableName;

/// The number by which the rows name the table has 6 bytes; it comes first, and differs after each time the table was opened.
const NUMBER: usize = 6;

/// Descriptions that are remembered at the same time, and how long each may be.
const MOST: usize = 16_384;
const LONGEST: usize = 16 * 1024;

/// What is known by the bytes behind the number.
#[derive(Debug, Default)]
pub struct Maps(HashMap<Box<[u8]>, (TableName, Arc<Layout>)>);

impl Maps {
    /// An event whose bytes were read before.
    pub fn known(&self, bytes: &[u8]) -> Option<Event> {
        let (number, rest) = bytes.split_at_checked(NUMBER)?;
        let (name, layout) = self.0.get(rest)?;
        let id = number.iter().rev().fold(0, |id, byte| id << 8 | u64::from(*byte));
        Some(Event::TableMap { id, name: name.clone(), layout: Ok(Arc::clone(layout)) })
    }

    pub fn read(&mut self, bytes: &[u8], map: &TableMapEvent<'_>) -> Event {
        let name = TableName::new(map.database_name(), map.table_name());
        let layout = layout(map).map(Arc::new);
        if let (Ok(layout), Some(rest)) = (&layout, bytes.get(NUMBER..).filter(|rest| rest.len() <= LONGEST)) {
            if self.0.len() >= MOST {
                self.0.clear();
            }
            self.0.insert(rest.into(), (name.clone(), Arc::clone(layout)));
        }
        Event::TableMap { id: map.table_id(), name, layout }
    }
}

fn layout(map: &TableMapEvent<'_>) -> Result<Layout, ImageError> {
    let count = usize::try_from(map.columns_count()).unwrap_or(usize::MAX).min(4096);
    let mut columns = Vec::with_capacity(count);
    for index in 0..count {
        // The raw byte: the client's own reading of it folds string types.
        let kind = match map.get_raw_column_type(index) {
            Ok(Some(kind)) => kind as u8,
            Ok(None) => return Err(ImageError::Short(index)),
            Err(unknown) => return Err(ImageError::UnknownType(unknown.0)),
        };
        columns.push(Wire::parse(kind, map.get_column_metadata(index).unwrap_or(&[]))?);
    }
    Ok(Layout::new(columns))
}
