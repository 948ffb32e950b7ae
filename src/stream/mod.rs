//! From the source's binlog to whole transactions in our words.
//!
//! What arrives: framed events. What leaves: [`StreamItem`]s on a bounded channel, rows of selected tables in the order of the
//! binlog, each transaction closed by its commit. Reading never waits for the target longer than the channel is full, and the
//! channel is bounded by bytes, so memory is, too; TCP then holds the source back, which costs it nothing.
//!
//! An XA transaction is prepared in one place and decided in another: [`hold`] keeps its rows in between.
//!
//! A GTID, like a file position, counts only with the event that ends its transaction (XID, COMMIT, or the statement that commits
//! itself): [`assemble`] sees to it. A connection that breaks inside a transaction leaves an unfinished run of rows behind; the
//! applier never commits one.

pub mod assemble;
pub mod hold;
mod pump;

pub use pump::{BUDGET_KIB, LOADS, Lane, pump};
