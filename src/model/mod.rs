//! Our words. Everything that travels between rooms is spelled here, and nothing here waits, connects or knows a driver.
//!
//! In reading order: a [`table`] has columns and keys; a [`image::RowImage`] is one row as the binlog carries it, read cell by
//! cell as a [`value::Value`]; a [`change`] is what one event does to one row; a [`position`] says where in the source's
//! history we are; a [`phase`] is where the task is.

mod bytes;
pub mod change;
pub mod drift;
pub mod event;
pub mod family;
pub mod gtid;
pub mod image;
pub mod json;
pub mod partial;
pub mod phase;
pub mod position;
pub mod selection;
pub mod table;
pub mod task;
pub mod types;
pub mod value;
pub mod xid;

pub use bytes::Bytes;
pub use phase::Phase;
pub use selection::Selection;
pub use task::{Migrate, Task};
