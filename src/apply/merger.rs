//! The merger's loop: takes items, closes batches, renders them ahead of the writer.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::cold::Cold;
use super::family::{Places, Windows, follow};
use super::mend::Kept;
use super::merge::{MergeError, Mode, TableRun};
use super::{Counts, Fates, Output, Part, Settings, Undecided, render};
use crate::fault::{Code, Fault};
use crate::model::change::{Commit, Rows, StreamItem};
use crate::model::position::Position;
use crate::model::table::{Table, TableName};
use crate::observe::Observer;
use crate::observe::metrics::ApplyStage;
use crate::overlap::{self, Overlap, Overlaps, Stage};
use crate::sql::dml::{RowError, Shapes};

/// A position without rows of ours is written at most this often: it only saves reading again after a restart.
const IDLE_CHECKPOINT: Duration = Duration::from_millis(500);

/// What the merger works with.
#[derive(Debug)]
pub struct Merger {
    settings: Settings,
    overlaps: Arc<Overlaps>,
    /// The server whose files the stream's positions name.
    source_uuid: String,
    /// Where the open batch begins: what decides whether a table is still in overlap.
    batch_start: Position,
    open: Open,
    shapes: HashMap<TableName, Arc<Shapes>>,
    loads: Option<usize>,
    cold: Arc<Cold>,
    /// Tables on whose rows foreign keys act unseen, and those that are asked then.
    places: Places,
}

/// The batch in the making.
#[derive(Debug, Default)]
struct Open {
    /// Sorted, so that gates are always taken in the same order.
    runs: BTreeMap<TableName, TableRun>,
    windows: Windows,
    end: Option<Commit>,
    undecided: Undecided,
    /// Rows after `end`: a transaction that is not complete.
    unfinished: bool,
    transactions: usize,
    size: Size,
    /// Of the rows after `end`.
    unfinished_size: Size,
    /// Changes of each table.
    heat: HashMap<TableName, u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    changes: usize,
    /// Of the events, for throttles.
    bytes: usize,
    /// In memory.
    weight: usize,
}

impl Size {
    fn add(&mut self, rows: &Rows) {
        self.changes += rows.changes.len();
        self.bytes += rows.bytes;
        self.weight += rows.weight();
    }
}

/// Time that is spent merging, and not waiting.
#[derive(Debug)]
struct Watch {
    began: Instant,
    spent: Duration,
}

/// Where a table meets its copy.
fn meeting(overlaps: &Overlaps, name: &TableName) -> Result<Arc<Overlap>, Fault> {
    let known = overlaps.get(name).map(Arc::clone);
    known.ok_or_else(|| Fault::new(Code::Internal, format!("{name} has no overlap")))
}

impl Merger {
    /// `start` is the checkpoint's position: everything up to it is on the target.
    pub fn new(settings: Settings, overlaps: Arc<Overlaps>, source_uuid: String, start: Position) -> Self {
        let (shapes, places) = (HashMap::new(), Places::new());
        Self {
            settings,
            overlaps,
            source_uuid,
            batch_start: start,
            open: Open::default(),
            shapes,
            loads: None,
            cold: Arc::default(),
            places,
        }
    }

    /// See [`Shapes::new`].
    pub fn with_loads(self, loads: Option<usize>) -> Self {
        Self { loads, ..self }
    }

    /// Shares with the writer's loop what that finds out about the target.
    pub fn with_cold(self, cold: Arc<Cold>) -> Self {
        Self { cold, ..self }
    }

    /// Tells it which tables belong to families.
    pub fn with_places(self, places: Places) -> Self {
        Self { places, ..self }
    }

    /// How a table stands to the stream at the start of the open batch; `None`: these rows are in its snapshot already.
    fn mode(&self, overlap: &Overlap, rows: &Rows) -> Option<Mode> {
        match overlap.stage() {
            Stage::Copying => Some(Mode::Idempotent),
            Stage::Until(mark) if overlap::passed(&mark, &self.source_uuid, &self.batch_start) => Some(Mode::Strict),
            Stage::Until(_) => Some(Mode::Idempotent),
            Stage::Snapshot(mark) if mark.server_uuid == self.source_uuid && mark.file.reaches(&rows.at) => None,
            Stage::Snapshot(_) | Stage::Strict => Some(Mode::Strict),
        }
    }

    fn push(&mut self, rows: Rows) -> Result<(), Fault> {
        let overlap = meeting(&self.overlaps, &rows.table.name)?;
        let Some(mode) = self.mode(&overlap, &rows) else { return Ok(()) };
        self.open.unfinished = true;
        if let Some(changes) = self.open.heat.get_mut(&rows.table.name) {
            *changes += rows.changes.len() as u64;
        } else {
            self.open.heat.insert(rows.table.name.clone(), rows.changes.len() as u64);
        }
        self.open.size.add(&rows);
        self.open.unfinished_size.add(&rows);
        let (table, at) = (&rows.table, &rows.at);
        let fault = |error: MergeError| {
            let code = match &error {
                MergeError::Contradiction | MergeError::Row(RowError::Image(_)) => Code::EventDamaged,
                MergeError::Row(RowError::Literal(_)) => Code::ValueUnsupported,
            };
            Fault::new(code, format!("{}: {error}", table.name)).at(at)
        };
        if let Some(place) = self.places.get(&table.name) {
            if mode != Mode::Strict {
                return Err(Fault::new(Code::Internal, format!("{} belongs to a family and is in overlap", table.name)));
            }
            let mut changes = rows.changes.into_iter();
            return changes.try_for_each(|change| self.open.windows.push(place, table, change, rows.keys_act)).map_err(fault);
        }
        let fresh = || TableRun::new(Arc::clone(table), mode);
        let run = self.open.runs.entry(table.name.clone()).or_insert_with(fresh);
        rows.changes.into_iter().try_for_each(|change| run.push(change)).map_err(fault)
    }

    fn end(&mut self, commit: Commit) {
        self.open.end = Some(commit);
        self.open.unfinished = false;
        self.open.unfinished_size = Size::default();
        self.open.transactions += 1;
    }

    /// A batch that has reached a bound waits for the end of the transaction that is in it by half, unless that one is larger than the
    /// bounds itself: cut there, a batch could not end, and the next one, cut again, would follow in the same target transaction.
    fn full(&self) -> bool {
        let open = &self.open;
        let size = if open.unfinished { open.unfinished_size } else { open.size };
        size.changes >= self.settings.batch_rows
            || size.weight >= self.settings.batch_bytes.in_memory()
            || !open.unfinished && open.transactions >= self.settings.batch_transactions
    }

    /// Whole transactions, and nothing after the last of them.
    fn is_complete(&self) -> bool {
        self.open.end.is_some() && !self.open.unfinished
    }

    /// Rows that the target should have as soon as it can take them.
    fn wants_writer(&self) -> bool {
        let open = &self.open;
        self.is_complete() && !(open.runs.is_empty() && open.windows.is_empty() && open.undecided.is_empty())
    }

    /// Takes items until there are none, the batch is full, or the writer could take what is whole: what comes after it may be a fault.
    /// Returns the time that was spent, without waits.
    async fn take(&mut self, items: &mut VecDeque<StreamItem>, parts: &mpsc::Sender<Part>) -> Result<Duration, Fault> {
        let mut watch = Watch { began: Instant::now(), spent: Duration::ZERO };
        while !(self.full() || self.wants_writer() && parts.capacity() > 0)
            && let Some(item) = items.pop_front()
        {
            match item {
                StreamItem::Commit(commit) => self.end(commit),
                StreamItem::Rows(rows) => self.take_rows(rows, &mut watch).await?,
                StreamItem::Prepared(prepared, commit) => {
                    self.open.undecided.prepare(prepared);
                    self.end(commit);
                }
                StreamItem::Decided { prepared, rows, commit } => {
                    for rows in rows {
                        self.take_rows(rows, &mut watch).await?;
                    }
                    if let Some(xid) = prepared {
                        self.open.undecided.decide(xid);
                    }
                    self.end(commit);
                }
            }
        }
        Ok(watch.spent + watch.began.elapsed())
    }

    async fn take_rows(&mut self, rows: Rows, watch: &mut Watch) -> Result<(), Fault> {
        // Its events wait until the snapshot stands.
        if rows.table.is_copied_whole() || self.places.contains_key(&rows.table.name) {
            watch.spent += watch.began.elapsed();
            meeting(&self.overlaps, &rows.table.name)?.copied().await;
            watch.began = Instant::now();
        }
        self.push(rows)
    }

    /// Closes the open batch, or the piece of it that memory should hold, and renders it.
    fn close(&mut self) -> Result<Part, Fault> {
        let open = std::mem::take(&mut self.open);
        let changes = open.size.changes as u64;
        let ahead = self.settings.prefetch > 0 && self.cold.wants_reads(changes);
        let end = open.end.filter(|_| !open.unfinished);
        let mut part = Part {
            writes: vec![Output::default()],
            fates: Vec::new(),
            end,
            transactions: open.transactions as u64,
            undecided: open.undecided,
            counts: Counts::default(),
            kept: None,
            changes,
            bytes: open.size.bytes as u64,
            heat: open.heat,
            ahead,
        };
        let fault = |name: &TableName, error: RowError| {
            let code = match &error {
                RowError::Image(_) => Code::EventDamaged,
                RowError::Literal(_) => Code::ValueUnsupported,
            };
            Fault::new(code, format!("{name}: {error}")).at(format!("a batch that begins at {}", self.batch_start))
        };
        let (known, loads) = (&mut self.shapes, self.loads);
        let mut shapes_of = |table: &Arc<Table>| {
            if let Some(shapes) = known.get(&table.name) {
                return Arc::clone(shapes);
            }
            Arc::clone(known.entry(table.name.clone()).or_insert_with(|| Arc::new(Shapes::new(table, loads))))
        };
        open.windows.render(&mut shapes_of, &mut part.writes, &mut part.counts).map_err(|(name, error)| fault(&name, error))?;
        let (families, by_families, mut others) = (part.writes.len(), part.counts, Output::default());
        for (name, run) in &open.runs {
            let shapes = shapes_of(run.table());
            render::render(run, &shapes, ahead, &mut others, &mut part.counts).map_err(|error| fault(name, error))?;
            if let TableRun::Keyed { mode: Mode::Idempotent, slots, .. } = run {
                let keys = |present: bool| {
                    slots.iter().filter(|slot| slot.after.is_some() == present).map(|slot| slot.key.clone()).collect()
                };
                part.fates.push(Fates { overlap: meeting(&self.overlaps, name)?, absent: keys(false), present: keys(true) });
            }
        }
        if let Some(cure) = self.settings.on_drift.cure() {
            // Apart from the families, so that it can be written anew.
            part.writes.push(others);
            let runs = open.runs.into_values().map(|run| (shapes_of(run.table()), run)).collect();
            part.kept = Some(Kept { cure, families, by_families, runs });
        } else {
            follow(&mut part.writes, others);
        }
        if let Some(end) = &part.end {
            self.batch_start = end.position.clone();
        }
        Ok(part)
    }
}

/// Merges until the pump's channel or the writer ends. Dropping it loses nothing that was committed. It computes for many milliseconds
/// without a pause: it wants a thread of its own, or the writer's connection waits for it.
pub async fn merge(
    merger: Merger,
    loads: mpsc::Receiver<(Vec<StreamItem>, Option<OwnedSemaphorePermit>)>,
    parts: mpsc::Sender<Part>,
    observer: Observer,
) -> Result<(), Fault> {
    let writer = parts.clone();
    tokio::select! {
        biased;
        done = run(merger, loads, parts, observer) => done,
        // It says why. Nobody else ends a thread.
        () = writer.closed() => Ok(()),
    }
}

async fn run(
    mut merger: Merger,
    mut loads: mpsc::Receiver<(Vec<StreamItem>, Option<OwnedSemaphorePermit>)>,
    parts: mpsc::Sender<Part>,
    observer: Observer,
) -> Result<(), Fault> {
    let mut last_sent = Instant::now();
    let seconds = observer.metrics().apply_seconds.of(ApplyStage::Merge);
    // What is left of the last load, which keeps its permit until it is merged.
    let (mut items, mut held) = (VecDeque::new(), None::<OwnedSemaphorePermit>);
    loop {
        seconds.inc_by(merger.take(&mut items, &parts).await?.as_secs_f64());
        let full = merger.full();
        if items.is_empty() {
            drop(held.take());
        }
        let idle_for = if merger.wants_writer() { Duration::ZERO } else { IDLE_CHECKPOINT.saturating_sub(last_sent.elapsed()) };
        let due = full || merger.is_complete() && idle_for.is_zero();
        tokio::select! {
            biased;
            // The writer has room: it is free to take what there is.
            permit = parts.reserve(), if due => {
                // The writer has ended and says why.
                let Ok(permit) = permit else { return Ok(()) };
                let began = Instant::now();
                permit.send(merger.close()?);
                seconds.inc_by(began.elapsed().as_secs_f64());
                last_sent = Instant::now();
            }
            load = loads.recv(), if !full && items.is_empty() => {
                let Some((load, permit)) = load else { break };
                (items, held) = (load.into(), permit);
            }
            () = tokio::time::sleep(idle_for), if merger.is_complete() && !due => {}
        }
    }
    // The stream has ended, perhaps at something that it may not pass: what came whole before it is still written.
    if merger.is_complete() {
        let part = merger.close()?;
        // Fails only when the writer has ended, and then it says why.
        let _ = parts.send(part).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::change::Change;
    use crate::model::image::{Layout, RowImage, Wire};
    use crate::model::position::{FilePosition, Mark};
    use crate::model::table::ColumnKind;
    use crate::model::table::tests::{column, table};

    fn at(offset: u64) -> FilePosition {
        FilePosition { file: "b.000001".into(), offset }
    }

    fn rows(table: &Arc<Table>, offset: u64) -> Rows {
        let layout = Arc::new(Layout::new(vec![Wire::Integer { bytes: 1 }]));
        let image = RowImage::new(Arc::from([0, offset as u8]), 0, 2, layout);
        Rows {
            table: Arc::clone(table),
            changes: vec![Change::Insert { after: image }],
            bytes: 10,
            keys_act: true,
            at: at(offset),
        }
    }

    fn commit(offset: u64) -> Commit {
        Commit { position: Position { file: at(offset), ..Position::default() }, at_micros: 1 }
    }

    fn merger(stage: Stage, key: &[usize]) -> (Merger, Arc<Table>) {
        let table = Arc::new(table("t", vec![column("id", ColumnKind::Integer { unsigned: false })], key));
        let overlaps = Overlaps::from([(table.name.clone(), Arc::new(Overlap::new(stage)))]);
        let start = Position { file: at(4), ..Position::default() };
        (Merger::new(Settings::default(), Arc::new(overlaps), "u".into(), start), table)
    }

    fn mark(offset: u64) -> Mark {
        Mark { server_uuid: "u".into(), file: at(offset) }
    }

    #[test]
    fn a_part_in_the_middle_of_a_transaction_has_no_end() {
        let (mut merger, table) = merger(Stage::Strict, &[0]);
        merger.push(rows(&table, 10)).expect("rows");
        merger.end(commit(20));
        merger.push(rows(&table, 30)).expect("rows");
        let part = merger.close().expect("a part");
        assert_eq!((part.end, part.transactions, part.counts.inserts), (None, 1, 2));
        merger.end(commit(40));
        assert_eq!(merger.close().expect("a part").end, Some(commit(40)));
    }

    #[test]
    fn a_full_batch_ends_with_the_transaction_that_is_in_it_unless_that_is_larger_than_a_batch() {
        let (mut merger, table) = merger(Stage::Strict, &[0]);
        merger.settings.batch_rows = 2;
        for offset in [10, 20] {
            merger.push(rows(&table, offset)).expect("rows");
        }
        assert!(merger.full(), "two rows of a transaction whose end is not in sight");
        assert_eq!(merger.close().expect("a part").end, None);
        merger.push(rows(&table, 30)).expect("rows");
        merger.end(commit(40));
        merger.push(rows(&table, 50)).expect("rows");
        assert!(!merger.full(), "one row of it");
        merger.end(commit(60));
        assert!(merger.full());
        assert_eq!(merger.close().expect("a part").end, Some(commit(60)));
    }

    #[test]
    fn a_table_leaves_the_overlap_only_at_the_start_of_a_batch() {
        let (mut merger, table) = merger(Stage::Until(mark(20)), &[0]);
        for offset in [10, 30] {
            merger.push(rows(&table, offset)).expect("rows");
            merger.end(commit(offset));
        }
        assert_eq!(merger.close().expect("a part").fates.len(), 1, "the batch began inside the overlap");
        merger.push(rows(&table, 40)).expect("rows");
        merger.end(commit(40));
        let part = merger.close().expect("a part");
        assert!(part.fates.is_empty());
        assert!(
            String::from_utf8_lossy(&part.writes[0].statements[0].text).starts_with("INSERT INTO `shop`.`t` (`id`) VALUES (40)")
        );
    }

    #[tokio::test]
    async fn a_batch_goes_out_as_soon_as_the_writer_has_room_without_another_item() {
        let (merger, table) = merger(Stage::Strict, &[0]);
        let (items, received) = mpsc::channel(8);
        let (parts, mut taken) = mpsc::channel(1);
        let work = tokio::spawn(merge(merger, received, parts, Observer::new("t", "0")));
        for offset in [10, 30] {
            for item in [StreamItem::Rows(rows(&table, offset)), StreamItem::Commit(commit(offset))] {
                items.send((vec![item], None)).await.expect("the merger lives");
            }
        }
        let mut ends = Vec::new();
        while ends.last() != Some(&30) {
            ends.extend(taken.recv().await.and_then(|part| part.end).map(|end| end.position.file.offset));
        }
        drop(items);
        assert_eq!(work.await.expect("no panic"), Ok(()));
    }

    #[test]
    fn what_is_in_a_snapshot_already_is_left_out() {
        let (mut merger, table) = merger(Stage::Snapshot(mark(20)), &[]);
        for offset in [10, 20, 30] {
            merger.push(rows(&table, offset)).expect("rows");
            merger.end(commit(offset));
        }
        assert_eq!(merger.close().expect("a part").counts.inserts, 1);
    }
}
