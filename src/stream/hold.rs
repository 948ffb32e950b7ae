//! XA transactions between their PREPARE and their decision; pure.
//!
//! A server logs the rows of an XA transaction when it is *prepared*, in a group of their own, and its end (COMMIT or ROLLBACK) in
//! another one: later, perhaps in another file, perhaps never, always after the first. Until then nobody at the source sees the
//! rows. So they are held back here under their name and given out as one transaction at the place of the COMMIT, which is where
//! the source shows them. For all that counts changes by their place (marks, snapshots, the fence) they stand at that place.
//!
//! # Why nothing is lost in a crash
//!
//! The checkpoint passes the prepared group, so a restart is not sent it again. In the same target transaction the task writes down
//! the name of the prepared transaction and *where its group is* (GTID, file and offset), not its rows: the source has those. A
//! restart reads each such group again before it goes on ([`crate::source::binlog::Start::GtidsOnce`], or by file), and the decision
//! deletes the line in the transaction that carries its rows. A group that the source has purged meanwhile stops the task.
//!
//! # What is not held
//!
//! A COMMIT of a transaction that was prepared before the task began stops it: its rows are nowhere. A ROLLBACK of one changes
//! nothing. A transaction that is prepared under a name that is still held replaces the older one: a server refuses a name that is in
//! use, so the older one is gone without having been committed (before 8.0.30 a crash at the wrong moment does that).

use std::collections::HashMap;

use crate::fault::{Code, Fault};
use crate::model::change::Rows;
use crate::model::position::FilePosition;
use crate::model::xid::Xid;

/// What all held rows together may take. As much as two batches are given: who prepares more at once holds its locks on all of it,
/// and a task that ran out of memory would be worse off than one that stops with a remedy.
pub const LIMIT: usize = 64 << 20;

/// Prepared transactions, by name; those without rows of ours, too, so that their decision is known to be of no concern.
#[derive(Debug, Default)]
pub struct Hold {
    prepared: HashMap<Xid, Vec<Rows>>,
    bytes: usize,
}

impl Hold {
    /// Adds rows to a group that is being read.
    pub fn add(&mut self, group: &mut Vec<Rows>, rows: Rows) -> Result<(), Fault> {
        self.bytes += rows.weight();
        group.push(rows);
        if self.bytes > LIMIT {
            let detail = format!("XA transactions that are not yet committed hold more than {} MiB of rows", LIMIT >> 20);
            return Err(Fault::new(Code::TransactionUnsupported, detail));
        }
        Ok(())
    }

    /// True when it takes the place of another one.
    pub fn prepare(&mut self, xid: Xid, group: Vec<Rows>) -> bool {
        let older = self.prepared.insert(xid, group);
        if let Some(older) = &older {
            self.release(older);
        }
        older.is_some()
    }

    /// Takes out what was prepared under this name; `None` when nothing was.
    pub fn decide(&mut self, xid: &Xid) -> Option<Vec<Rows>> {
        let group = self.prepared.remove(xid)?;
        self.release(&group);
        Some(group)
    }

    /// No longer held.
    pub fn release(&mut self, group: &[Rows]) {
        self.bytes = self.bytes.saturating_sub(group.iter().map(Rows::weight).sum());
    }

    /// The rows as changes of the moment at which they are committed.
    pub fn moved(mut group: Vec<Rows>, at: &FilePosition) -> Vec<Rows> {
        for rows in &mut group {
            rows.at.clone_from(at);
        }
        group
    }

    pub fn has(&self, xid: &Xid) -> bool {
        self.prepared.contains_key(xid)
    }
}
