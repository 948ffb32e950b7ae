//! What copy and stream know of each other while both write one table.
//!
//! # The rule
//!
//! The stream starts before the first chunk is read and never pauses. Whatever it has written or removed on the target is the
//! truth as of the applied position; a chunk only fills in rows that the stream has not touched. So a chunk
//! * never overwrites: a row whose key, or a secondary unique value, stands on the target already is left as it is;
//! * never resurrects: a row whose key is *buried* here is left out.
//!
//! # Why it is right
//!
//! Take any key `k` and the moment its chunk is written; let `p` be the applied position then.
//!
//! 1. The stream has no event on `k` at or before `p`. Then nothing on the target has this key, the chunk's row is written, and
//!    every event on `k` after `p` will be applied to it in order, each with a complete image. Whatever version the chunk read,
//!    the last event wins; and if there is none, the chunk read the only version there is, *because all that was committed
//!    before the stream's start is visible to the chunk* (the fence, see `source::fence`).
//! 2. The last event on `k` left a row. It stands on the target; the chunk leaves it.
//! 3. The last event on `k` removed it. The binlog delivers a transaction *before* the engine commits it, so the chunk may have
//!    read `k` although its end is already applied, and no further event will come to remove it. Therefore the applier buries the
//!    key *before* it executes the delete, and the chunk leaves buried keys out.
//!
//! Secondary unique values: a chunk's row `b` that collides with a row `a` on the target through a unique value is left out, too.
//! At most one of them holds the value at the source at any time, so either `b` gained it after `a` lost it, or the other way
//! round; the target has `a` with the value, so `a`'s loss is not applied yet or `b`'s loss is. In the first case `b`'s gain
//! comes later still and writes `b` whole; in the second `b` was written by the stream and its key stands on the target.
//!
//! That holds as long as both ends agree about what a unique value is, and nobody else writes to the target. It is not taken on
//! trust, for a wrong guess would lose a row in silence: a row that a chunk left out for such a collision is *owed* by the stream.
//! Let `q` be the source's position, read after the collision. Whatever a chunk or the stream has written so far is of a moment
//! at or before `q`, and at `q` only one of `a` and `b` holds the value; so the events that tell them apart lie at or before `q`.
//! When the stream has reached `q`, `b` has either been written by it or been buried. The chunk waits for that before it counts
//! as copied, and a row that is neither stops the task.
//!
//! The gate makes "the moment its chunk is written" a moment: a chunk holds the gate shared from its look at the buried keys to
//! its commit, a batch holds it exclusively from burying to its commit. It is fair, so neither side starves.
//!
//! A burial may be forgotten once the delete is *proven visible* on the source and no read that began before the proof is still
//! unwritten: reads that begin later cannot return the row. Proofs are numbered, and a read remembers the last one before it: so
//! burials go even when there is never a moment without an open read. The proof is the executed GTID set, or, without GTIDs, a
//! locking read of a key that was buried later (`replicator::burials`).
//!
//! # Crash
//!
//! Nothing here is durable, and nothing needs to be: after a restart the fence is passed before the first chunk read, so every
//! delete applied before the crash is visible to every read after it. Copied ranges may be read again at any time: by the rule
//! above that changes nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{RwLock, watch};

use crate::model::change::KeyBytes;
use crate::model::position::{Applied, FilePosition, Mark, Position};
use crate::model::table::TableName;

/// How a table's events are to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Being copied: events are idempotent, deletes are buried.
    Copying,
    /// Copied by chunks that were read at or before the mark: events are idempotent until the stream has passed it.
    Until(Mark),
    /// Copied whole, at exactly this position: events up to it are in the copy already, events after it are strict.
    Snapshot(Mark),
    /// Copy and stream no longer overlap: every event must find what it implies.
    Strict,
}

#[derive(Debug, Default)]
struct Burials {
    /// Each buried key with the clock at which it was buried.
    keys: HashMap<KeyBytes, u64>,
    /// Rises with each batch that buries; stands for "buried at".
    clock: u64,
    /// The clock of the last batch whose burials are committed and reported as applied.
    settled: u64,
    /// How many proofs of visibility there were.
    proofs: u64,
    /// Proofs that an open read may have missed: the number of each, and the clock up to which it holds.
    pending: VecDeque<(u64, u64)>,
    /// The unwritten reads, counted by the last proof before each.
    reads: BTreeMap<u64, usize>,
}

impl Burials {
    /// Forgets what is proven to every open read.
    fn settle_proofs(&mut self) {
        let oldest = self.reads.keys().next().copied().unwrap_or(u64::MAX);
        let mut visible = None;
        while let Some((_, clock)) = self.pending.front().filter(|(proof, _)| *proof <= oldest) {
            visible = Some(*clock);
            self.pending.pop_front();
        }
        if let Some(visible) = visible {
            self.keys.retain(|_, buried| *buried > visible);
        }
    }
}

/// One table's meeting place.
#[derive(Debug)]
pub struct Overlap {
    /// Shared by chunks while they write, exclusive for a batch.
    pub gate: Arc<RwLock<()>>,
    burials: Mutex<Burials>,
    stage: watch::Sender<Stage>,
}

/// A read that has begun and whose rows are not yet written.
#[derive(Debug)]
pub struct OpenRead<'a> {
    overlap: &'a Overlap,
    proof: u64,
}

impl Overlap {
    pub fn new(stage: Stage) -> Self {
        Self { gate: Arc::new(RwLock::new(())), burials: Mutex::new(Burials::default()), stage: watch::Sender::new(stage) }
    }

    fn burials(&self) -> std::sync::MutexGuard<'_, Burials> {
        // Nothing panics while it holds this lock; a poisoned one still holds a complete map.
        self.burials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    pub fn enter(&self, stage: Stage) {
        let over = !matches!(stage, Stage::Copying);
        self.stage.send_replace(stage);
        if over {
            // After the stage: `bury` looks at it under this lock.
            let mut burials = self.burials();
            burials.keys = HashMap::new();
            burials.pending.clear();
        }
    }

    /// Waits until the table is no longer being copied.
    pub async fn copied(&self) {
        let mut stage = self.stage.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = stage.wait_for(|stage| *stage != Stage::Copying).await;
    }

    /// The applier, holding the gate: these keys end absent, those end present, when the batch commits.
    pub fn bury<'k>(&self, absent: impl Iterator<Item = &'k [u8]>, present: impl Iterator<Item = &'k [u8]>) {
        let mut burials = self.burials();
        if !matches!(*self.stage.borrow(), Stage::Copying) {
            // No chunk will be read any more that could bring a row back.
            return;
        }
        burials.clock += 1;
        let now = burials.clock;
        for key in present {
            burials.keys.remove(key);
        }
        for key in absent {
            burials.keys.insert(key.into(), now);
        }
    }

    /// A chunk's read begins.
    pub fn open_read(&self) -> OpenRead<'_> {
        let mut burials = self.burials();
        let proof = burials.proofs;
        *burials.reads.entry(proof).or_default() += 1;
        OpenRead { overlap: self, proof }
    }

    pub fn is_buried(&self, key: &[u8]) -> bool {
        self.burials().keys.contains_key(key)
    }

    pub fn burial_count(&self) -> usize {
        self.burials().keys.len()
    }

    /// The clock of the last batch that has buried anything here, settled or not.
    pub fn buried(&self) -> u64 {
        self.burials().clock
    }

    /// A key that was buried after this clock.
    pub fn buried_after(&self, clock: u64) -> Option<KeyBytes> {
        let burials = self.burials();
        // Most looks find that nothing is new; only then is the map gone through.
        if burials.clock <= clock {
            return None;
        }
        burials.keys.iter().find(|(_, buried)| **buried > clock).map(|(key, _)| key.clone())
    }

    pub fn has_burials(&self) -> bool {
        !self.burials().keys.is_empty()
    }

    /// The applier, still holding the gate, after it has reported the batch as applied.
    pub fn settle(&self) {
        let mut burials = self.burials();
        burials.settled = burials.clock;
    }

    /// Everything buried up to this clock belongs to batches that are applied, as whoever asks for the applied position
    /// *afterwards* sees it.
    pub fn settled(&self) -> u64 {
        self.burials().settled
    }

    /// Everything buried at or before `visible` has been proven visible to reads that begin from now on.
    pub fn forget(&self, visible: u64) {
        let mut burials = self.burials();
        burials.proofs += 1;
        let proof = (burials.proofs, visible);
        burials.pending.push_back(proof);
        burials.settle_proofs();
    }
}

impl Drop for OpenRead<'_> {
    fn drop(&mut self) {
        let mut burials = self.overlap.burials();
        if let Some(count) = burials.reads.get_mut(&self.proof) {
            *count -= 1;
            if *count == 0 {
                burials.reads.remove(&self.proof);
                burials.settle_proofs();
            }
        }
    }
}

/// The overlap of every selected table; the set is fixed when copy and stream start.
pub type Overlaps = HashMap<TableName, Arc<Overlap>>;

/// How far the stream has come.
#[derive(Debug, Clone)]
pub struct Reach {
    /// The end of the last event read.
    pub read: watch::Receiver<FilePosition>,
    /// Transactions handed on to the applier.
    pub received: Arc<AtomicU64>,
    pub applied: watch::Receiver<Applied>,
}

/// One look at it.
#[derive(Debug, Clone)]
pub struct Reached {
    pub read: FilePosition,
    /// Transactions that are read and not applied.
    pub backlog: u64,
    /// When none waits, everything that was read is applied, also what follows the last transaction: the end of a file, or
    /// changes that are not ours.
    pub applied: Applied,
}

impl Reach {
    pub fn look(&self) -> Reached {
        // In this order: the pump counts a transaction before it shows the position behind it.
        let read = self.read.borrow().clone();
        let received = self.received.load(Ordering::Acquire);
        let mut applied = self.applied.borrow().clone();
        let backlog = received.saturating_sub(applied.transactions);
        if backlog == 0 && (applied.position.file.file.is_empty() || read.reaches(&applied.position.file)) {
            applied.position.file.clone_from(&read);
        }
        Reached { read, backlog, applied }
    }
}

/// True when a stream that has reached `position` on server `server_uuid` has passed `mark`.
pub fn passed(mark: &Mark, server_uuid: &str, position: &Position) -> bool {
    mark.server_uuid == server_uuid && position.file.reaches(&mark.file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burial_outlives_every_read_that_began_before_its_proof() {
        let overlap = Overlap::new(Stage::Copying);
        let read = overlap.open_read();
        overlap.bury([&b"1"[..]].into_iter(), std::iter::empty());
        overlap.settle();
        let visible = overlap.settled();
        overlap.forget(visible);
        assert!(overlap.is_buried(b"1"), "the open read may still carry the row");
        let later = overlap.open_read();
        drop(read);
        assert!(!overlap.is_buried(b"1"), "the read that is open now began after the proof");
        drop(later);
    }

    #[test]
    fn a_row_that_comes_back_is_no_longer_buried() {
        let overlap = Overlap::new(Stage::Copying);
        overlap.bury([&b"1"[..], &b"2"[..]].into_iter(), std::iter::empty());
        overlap.bury(std::iter::empty(), [&b"1"[..]].into_iter());
        assert!(!overlap.is_buried(b"1"));
        assert!(overlap.is_buried(b"2"));
    }

    #[test]
    fn a_mark_of_another_server_is_never_passed() {
        let mark = Mark { server_uuid: "a".into(), file: FilePosition { file: "b.000001".into(), offset: 4 } };
        let far = Position { file: FilePosition { file: "b.000009".into(), offset: 4 }, ..Position::default() };
        assert!(passed(&mark, "a", &far));
        assert!(!passed(&mark, "b", &far));
        assert!(!passed(&mark, "a", &Position::default()), "from nowhere, nothing is passed");
    }

    #[test]
    fn what_is_read_counts_as_applied_when_nothing_waits() {
        let at = |offset| FilePosition { file: "b.000001".into(), offset };
        let (read, received) = (watch::Sender::new(at(90)), Arc::new(AtomicU64::new(3)));
        let applied = watch::Sender::new(Applied { transactions: 2, ..Applied::default() });
        let reach = Reach { read: read.subscribe(), received, applied: applied.subscribe() };
        assert_eq!(reach.look().applied.position.file, FilePosition::default(), "one transaction waits");
        applied.send_modify(|applied| applied.transactions = 3);
        assert_eq!(reach.look().applied.position.file, at(90));
    }
}
