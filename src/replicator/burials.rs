//! Burials on a source without GTIDs: proof that deletes are visible there, so that they may be forgotten and memory does not grow
//! with every delete of a long copy. (With GTIDs the watch asks for the executed set.)
//!
//! # Why it is right
//!
//! A *witness* is a key that was buried after everything else was noted as settled. Batches are written one after the other, and
//! buried before they are written; so the witness's delete stands behind all that was noted in the binlog, whatever its table. Its
//! row stays locked until its transaction has committed in the engine, and without GTIDs commits become visible in the order of the
//! binlog (the precheck demands it). So when a locking read of this one key returns, all that was noted is visible: see
//! [`crate::source::fence`], whose pause for XA follows here, too.
//!
//! Two notes are needed, settled clocks first and buried clocks second: one batch settles its tables one after the other, and a key
//! of the same batch would prove nothing about its earlier neighbours.
//!
//! The read waits on a connection of its own, since what it waits for may be a long transaction of the application.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::watch::every;
use crate::conn::{self, Endpoint, Purpose};
use crate::fault::{Class, Fault};
use crate::model::change::KeyBytes;
use crate::model::table::{Table, TableName};
use crate::overlap::Overlaps;
use crate::source;
use crate::source::facts::Facts;
use crate::source::fence::{self, SETTLE};

const PERIOD: Duration = Duration::from_secs(1);
/// A megabyte or two of keys: fewer are not worth a question.
const MANY: usize = 10_000;

/// Whose burials are proven.
pub struct Burials {
    pub source: Endpoint,
    pub facts: Arc<Facts>,
    pub tables: Arc<HashMap<TableName, Arc<Table>>>,
    pub overlaps: Arc<Overlaps>,
}

/// A key that was buried after `noted`.
fn witness(overlaps: &Overlaps, noted: &HashMap<&TableName, u64>) -> Option<(TableName, KeyBytes)> {
    overlaps.iter().find_map(|(name, overlap)| {
        let key = overlap.buried_after(noted.get(name).copied().unwrap_or(u64::MAX))?;
        Some((name.clone(), key))
    })
}

/// Proves and forgets until the source cannot be asked any more.
pub async fn prove(burials: Burials) -> Result<(), Fault> {
    let Burials { source, facts, tables, overlaps } = burials;
    let mut tick = every(PERIOD);
    let mut conn = None;
    loop {
        tick.tick().await;
        if overlaps.values().map(|overlap| overlap.burial_count()).sum::<usize>() < MANY {
            continue;
        }
        // In this order: see the header.
        let settled: Vec<_> = overlaps.values().map(|overlap| (overlap, overlap.settled())).collect();
        let noted: HashMap<&TableName, u64> = overlaps.iter().map(|(name, overlap)| (name, overlap.buried())).collect();
        loop {
            tick.tick().await;
            let Some((name, key)) = witness(&overlaps, &noted) else { continue };
            let Some(table) = tables.get(&name) else { continue };
            let conn = match &mut conn {
                Some(conn) => conn,
                None => conn.insert(source::connect_to(&source, Purpose::Rows, &facts.uuid).await?),
            };
            match fence::wait_for_row(conn, table, &key).await {
                Ok(()) => break,
                // A lock that lasts longer than the server lets us wait: the next look may have another witness.
                Err(fault) if fault.code.class() == Some(Class::Other) => {
                    source::run(conn, "ROLLBACK").await?;
                    source::run(conn, conn::IDLE).await?;
                }
                Err(fault) => return Err(fault),
            }
        }
        tokio::time::sleep(SETTLE).await;
        for (overlap, clock) in settled {
            overlap.forget(clock);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlap::{Overlap, Stage};

    #[test]
    fn a_witness_was_buried_after_all_that_it_speaks_for() {
        let name = TableName::new("shop", "t");
        let overlaps = Overlaps::from([(name.clone(), Arc::new(Overlap::new(Stage::Copying)))]);
        let overlap = &overlaps[&name];
        let bury = |key: &[u8]| overlap.bury([key].into_iter(), std::iter::empty());
        bury(b"1");
        overlap.settle();
        bury(b"2");
        let noted = HashMap::from([(&name, overlap.buried())]);
        assert_eq!(overlap.settled(), 1);
        assert_eq!(witness(&overlaps, &noted), None, "the second may be of the batch that is being settled");
        bury(b"3");
        assert_eq!(witness(&overlaps, &noted), Some((name.clone(), Box::from(&b"3"[..]))));
        assert_eq!(witness(&overlaps, &HashMap::new()), None, "a table that was not noted has no witness");
    }
}
