//! One voyage: from the checkpoint until something ends it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch as channel};
use tokio::task::JoinSet;

use super::lines::{self, Sequel};
use super::tide::Tide;
use super::{Charter, Replicator, burials, families, history, recall, watch};
use crate::apply::{self, Merger, Writing};
use crate::checkpoint::Checkpoint;
use crate::conn::Purpose;
use crate::copy::{self, Copying, Pending};
use crate::fault::{Code, Fault, Side};
use crate::model::change::StreamItem;
use crate::model::event::Framed;
use crate::model::family::Families;
use crate::model::phase::Phase;
use crate::model::position::{Applied, FilePosition, Mark, Position};
use crate::model::table::{Table, TableName};
use crate::model::xid::Prepared;
use crate::observe::snapshot::{Position as ShownPosition, TableProgress, TableState};
use crate::overlap::{Overlaps, Reach};
use crate::schema;
use crate::source::binlog::{self, Start};
use crate::source::facts::{self, Facts};
use crate::source::fence::{self, Assemble};
use crate::source::{
    self,
    catalog::{self, Listed},
};
use crate::stream::assemble::Assembler;
use crate::stream::{self, Lane};
use crate::target::state::{CopyState, Ledger, TableLine};
use crate::target::{self, writer};

/// Batches that wait rendered: one, so that the writer never waits for rendering, and memory stays bounded.
const PARTS: usize = 1;

/// How long the batches before a fault of the stream may take.
const DRAIN: Duration = Duration::from_secs(10);

/// What a voyage finds out before it sets off.
pub(super) struct Chart {
    pub(super) facts: Arc<Facts>,
    tables: Arc<HashMap<TableName, Arc<Table>>>,
    overlaps: Arc<Overlaps>,
    families: Arc<Families>,
    pending: Vec<Pending>,
    /// The source's XA transactions that were not decided at the checkpoint.
    pub(super) prepared: Vec<Prepared>,
    /// See [`writer::Writer::loads`].
    loads: Option<usize>,
}

impl Assemble for Assembler {
    fn feed(&mut self, framed: Framed) -> Result<Option<StreamItem>, Fault> {
        Assembler::feed(self, framed)
    }
}

/// A voyage that is ready to set off.
pub struct Voyage {
    chart: Chart,
    checkpoint: Checkpoint,
    writer: writer::Writer,
    epoch: u64,
}

/// Reads where we are and passes the fence.
pub async fn prepare(replicator: &Replicator, epoch: u64) -> Result<Voyage, Fault> {
    let charter = &replicator.charter;
    let (writer, source, target) = tokio::try_join!(
        writer::open(&charter.target, &charter.task, epoch),
        source::connect(&charter.source, Purpose::Catalog),
        target::connect(&charter.target, Purpose::Catalog),
    )?;
    let mut checkpoint = writer.checkpoint().clone();
    let chart = survey(replicator, &checkpoint, (source, target), writer.loads()).await?;
    if chart.facts.uuid != checkpoint.source_uuid {
        // A place in the old server's files means nothing in the new one's: from nowhere, no mark counts as passed.
        checkpoint.position.file = FilePosition::default();
    }
    if charter.migrate.stream() && !chart.pending.is_empty() {
        let mut assembler = chart.assembler(replicator, checkpoint.position.clone());
        let silences = &replicator.silences;
        fence::pass(&charter.source, charter.server_id, &chart.facts, &checkpoint.position, silences, &mut assembler).await?;
    }
    Ok(Voyage { chart, checkpoint, writer, epoch })
}

impl Chart {
    pub(super) fn assembler(&self, replicator: &Replicator, position: Position) -> Assembler {
        Assembler::new(Arc::clone(&replicator.charter.selection), Arc::clone(&self.tables), position)
            .with_names(self.facts.lower_case_table_names)
    }
}

impl Voyage {
    /// Goes on until stopped; `Ok` also when there was nothing but a copy to do and it is done.
    pub async fn sail(self, replicator: &Replicator) -> Result<(), Fault> {
        let charter = &replicator.charter;
        let Self { chart, checkpoint, writer, epoch } = self;
        let position = &checkpoint.position;
        let complete = chart.overlaps.values().all(|overlap| watch::is_complete(overlap, &chart.facts.uuid, position));
        replicator.enter(if complete { Phase::Stream } else { Phase::Copy });
        let mut crew = JoinSet::new();
        let reach = match charter.migrate.stream() {
            true => Some(set_up_lane(replicator, &chart, &checkpoint, writer, &mut crew).await?),
            false => None,
        };
        if charter.migrate.copy() && !chart.pending.is_empty() {
            // With GTIDs the watch does it.
            if reach.is_some() && !chart.facts.follows_gtids(position) {
                let proving = burials::prove(burials_of(replicator, &chart));
                crew.spawn(async move { (Hand::Watch, proving.await) });
            }
            if reach.is_none() {
                keep_watch(replicator, &chart, epoch, &mut crew);
            }
            let work = copy::copy(copying_of(replicator, &chart, epoch, reach), chart.pending.clone());
            crew.spawn(async move { (Hand::Copy, work.await) });
        } else if reach.is_none() {
            return Ok(());
        }
        replicator.observer.update(|snapshot| snapshot.retries.last = None);
        let mut writing = true;
        loop {
            let ended = tokio::select! {
                ended = crew.join_next() => ended,
                () = replicator.stop.cancelled(), if !charter.migrate.stream() => return Ok(()),
            };
            let Some(ended) = ended else {
                return Err(Fault::new(Code::Internal, "every task of the lane ended, and none said why"));
            };
            let (hand, outcome) = ended.map_err(|error| Fault::new(Code::Internal, format!("a task ended: {error}")))?;
            tracing::debug!(?hand, ?outcome, "a task of the lane has ended");
            writing &= !matches!(hand, Hand::Writer);
            if let (Hand::Pump | Hand::Merger, Err(fault)) = (hand, &outcome) {
                // Those that ended may be told of in any order: the writer, which ends after the pump, before it.
                if writing {
                    let (code, cause) = (fault.code.as_str(), &fault.detail);
                    tracing::warn!(code, cause, "the stream has ended; what it has brought is written first");
                    drain(crew).await;
                }
                return Err(blame(charter, epoch, fault.clone()).await);
            }
            outcome?;
            match hand {
                Hand::Copy if charter.migrate.stream() => tracing::info!("the copy is complete"),
                Hand::Copy => return Ok(()),
                Hand::Writer if replicator.stop.is_cancelled() => return Ok(()),
                // The pump and the merger end in silence when the next of the lane has failed; its fault follows.
                Hand::Pump | Hand::Merger | Hand::Writer | Hand::Watch | Hand::Guard => {}
            }
        }
    }
}

/// A copy without a stream has no watch: somebody else asks both ends whether they are there.
fn keep_watch(replicator: &Replicator, chart: &Chart, epoch: u64, crew: &mut JoinSet<(Hand, Result<(), Fault>)>) {
    let charter = &replicator.charter;
    let guarding = watch::guard(charter.target.clone(), charter.task.clone(), epoch);
    let (source, facts) = (charter.source.clone(), Arc::clone(&chart.facts));
    let pulse = watch::pulse(source, facts, replicator.observer.clone(), tide_of(replicator));
    crew.spawn(async move { (Hand::Guard, guarding.await) });
    crew.spawn(async move { (Hand::Watch, pulse.await) });
}

fn tide_of(replicator: &Replicator) -> Tide {
    Tide {
        limits: replicator.knobs.limits.subscribe(),
        opening: replicator.knobs.opening.clone(),
        ours: replicator.charter.copy.connections as u64 + 2,
    }
}

/// Two instances of one task share a `server_id`: the source ends the stream of the former one when the other begins its own, which is
/// after it has taken the task over. That is no mistake in a configuration.
async fn blame(charter: &Charter, epoch: u64, fault: Fault) -> Fault {
    if fault.code != Code::ServerIdInUse {
        return fault;
    }
    let asked = async {
        let mut conn = target::connect(&charter.target, Purpose::Rows).await?;
        target::state::still_ours(&mut conn, &charter.task, epoch).await
    };
    match asked.await {
        Err(fenced) if fenced.code == Code::Fenced => fenced,
        Ok(()) | Err(_) => fault,
    }
}

/// The stream cannot go on; what it has brought before is still written. A writer that fails or hangs changes nothing about the
/// stream's own fault.
async fn drain(mut crew: JoinSet<(Hand, Result<(), Fault>)>) {
    let writer = async {
        while let Some(ended) = crew.join_next().await {
            tracing::debug!(?ended, "and after it");
            if matches!(ended, Ok((Hand::Writer, _)) | Ok((_, Err(_))) | Err(_)) {
                return;
            }
        }
    };
    if tokio::time::timeout(DRAIN, writer).await.is_err() {
        tracing::warn!("what was read before the fault could not be written in time; it will be read again");
    }
}

/// Who ended.
#[derive(Debug, Clone, Copy)]
enum Hand {
    Pump,
    Merger,
    Writer,
    Copy,
    Watch,
    Guard,
}

fn burials_of(replicator: &Replicator, chart: &Chart) -> burials::Burials {
    burials::Burials {
        source: replicator.charter.source.clone(),
        facts: Arc::clone(&chart.facts),
        tables: Arc::clone(&chart.tables),
        overlaps: Arc::clone(&chart.overlaps),
    }
}

fn copying_of(replicator: &Replicator, chart: &Chart, epoch: u64, reach: Option<Reach>) -> Copying {
    let charter = &replicator.charter;
    Copying {
        source: charter.source.clone(),
        target: charter.target.clone(),
        facts: Arc::clone(&chart.facts),
        task: charter.task.clone(),
        epoch,
        settings: charter.copy.clone(),
        limits: replicator.knobs.limits.subscribe(),
        opening: replicator.knobs.opening.subscribe(),
        paused: replicator.knobs.paused.subscribe(),
        observer: replicator.observer.clone(),
        progress: Arc::clone(&replicator.progress),
        families: Arc::clone(&chart.families),
        reach,
        loads: chart.loads,
    }
}

fn writing_of(
    replicator: &Replicator,
    source_uuid: &str,
    writer: writer::Writer,
    applied: channel::Sender<Applied>,
    cold: Arc<apply::Cold>,
) -> Writing {
    let charter = &replicator.charter;
    Writing {
        writer: writer.with_prefetch(&charter.target, charter.apply.prefetch),
        source_uuid: source_uuid.to_owned(),
        phase: replicator.knobs.phase.subscribe(),
        limits: replicator.knobs.limits.subscribe(),
        paused: replicator.knobs.paused.subscribe(),
        applied,
        observer: replicator.observer.clone(),
        cold,
        stop: replicator.stop.clone(),
    }
}

fn watch_of(replicator: &Replicator, chart: &Chart, reach: Reach, phases: mpsc::Sender<Phase>) -> watch::Watch {
    let charter = &replicator.charter;
    watch::Watch {
        source: charter.source.clone(),
        facts: Arc::clone(&chart.facts),
        overlaps: Arc::clone(&chart.overlaps),
        reach,
        observer: replicator.observer.clone(),
        phases,
        tide: tide_of(replicator),
        heartbeat: charter.heartbeat.then(|| charter.task.clone()),
    }
}

async fn set_up_lane(
    replicator: &Replicator,
    chart: &Chart,
    checkpoint: &Checkpoint,
    writer: writer::Writer,
    crew: &mut JoinSet<(Hand, Result<(), Fault>)>,
) -> Result<Reach, Fault> {
    let charter = &replicator.charter;
    let start = if chart.facts.follows_gtids(&checkpoint.position) {
        Start::Gtids(checkpoint.position.gtids.clone())
    } else {
        Start::File(checkpoint.position.file.clone())
    };
    let hold = recall::recall(replicator, chart, &checkpoint.position).await?;
    let reader = binlog::open(&charter.source, &chart.facts.uuid, charter.server_id, &start, &replicator.silences).await?;
    let assembler = chart.assembler(replicator, checkpoint.position.clone()).with_hold(hold);
    let (applied, _) = channel::channel(Applied { position: checkpoint.position.clone(), ..Applied::default() });
    let (loads, received_loads) = mpsc::channel(stream::LOADS);
    let (parts, received_parts) = mpsc::channel(PARTS);
    let received = Arc::new(AtomicU64::new(0));
    let (read, read_position) = channel::channel(FilePosition::default());
    let reach = Reach { read: read_position, received: Arc::clone(&received), applied: applied.subscribe() };
    let lane = Lane { loads, budget: Arc::new(Semaphore::new(stream::BUDGET_KIB)), received, read };
    let observer = replicator.observer.clone();
    let pump = stream::pump(reader, assembler, lane, observer.clone());
    let uuid = chart.facts.uuid.clone();
    let cold = Arc::new(apply::Cold::default());
    let places = apply::family::places(&chart.families, &chart.tables)?;
    let merger = Merger::new(charter.apply.clone(), Arc::clone(&chart.overlaps), uuid.clone(), checkpoint.position.clone())
        .with_places(places)
        .with_loads(chart.loads)
        .with_cold(Arc::clone(&cold));
    let merging = apply::merge(merger, received_loads, parts, observer.clone());
    let writing = apply::write(writing_of(replicator, &uuid, writer, applied, cold), received_parts);
    let (phases, mut wished) = mpsc::channel(4);
    let watching = watch::watch(watch_of(replicator, chart, reach.clone(), phases));
    let guarding = watch::guard(charter.target.clone(), charter.task.clone(), checkpoint.epoch);
    crew.spawn(async move { (Hand::Pump, pump.await) });
    crew.spawn(async move { (Hand::Guard, guarding.await) });
    crew.spawn_blocking(move || (Hand::Merger, Handle::current().block_on(merging)));
    crew.spawn(async move { (Hand::Writer, writing.await) });
    crew.spawn(async move { (Hand::Watch, watching.await) });
    let phase = replicator.knobs.phase.clone();
    let observer = replicator.observer.clone();
    crew.spawn(async move {
        while let Some(next) = wished.recv().await {
            super::enter(&phase, &observer, next);
        }
        (Hand::Watch, Ok(()))
    });
    Ok(reach)
}

/// Reads both ends: what server this is, what the ledger says, what the tables are.
async fn survey(
    replicator: &Replicator,
    checkpoint: &Checkpoint,
    (mut source, mut target): (source::Conn, target::Conn),
    loads: Option<usize>,
) -> Result<Chart, Fault> {
    let charter = &replicator.charter;
    let facts = facts::read(Side::Source, &mut source).await?;
    let target_facts = facts::read(Side::Target, &mut target).await?;
    if charter.migrate.stream() && !facts.is_writer(&checkpoint.source_uuid) {
        let detail = "the address leads to a server that is no writer: it is read-only, or has no binary log";
        return Err(Fault::new(Code::ConnectionLost(Side::Source), detail));
    }
    if charter.migrate.stream() && !facts.follows_gtids(&checkpoint.position) && checkpoint.position.file.file.is_empty() {
        let detail = "the task was begun without a stream, and without GTIDs nothing says where one would go on";
        return Err(Fault::new(Code::SelectionChanged, detail));
    }
    history::same(&facts, checkpoint, &mut source).await?;
    let listed = catalog::list(Side::Source, &mut source, &charter.selection).await?;
    let Ledger { tables: lines, prepared, drift } = target::state::ledger(&mut target, &charter.task).await?;
    replicator.observer.update(|snapshot| snapshot.drift = drift);
    let keys = match charter.migrate.stream() {
        true => Some(families::keys(&mut source, &mut target).await?),
        false => None,
    };
    if let Some(keys) = &keys {
        keys.spare_others(&lines, &charter.selection)?;
    }
    let lines = settle(lines, replicator, checkpoint, (&facts, &mut source), (&listed, &mut target)).await?;
    let names: Vec<TableName> = lines.iter().map(|line| line.name.clone()).collect();
    let tables = Arc::new(schema::describe(Side::Target, &mut target, &names).await?);
    if let Some(keys) = &keys {
        keys.compare(&mut source, &names).await?;
    }
    let families = keys.map_or_else(|| Ok(Families::default()), |keys| keys.families(&lines, &tables))?;
    let estimate = |name: &TableName| listed.iter().find(|table| table.name == *name).map_or(0, |table| table.rows_estimated);
    let (overlaps, pending) = lines::stages(&lines, &tables, &estimate);
    show(replicator, &facts, &target_facts, checkpoint, &lines, &estimate);
    Ok(Chart {
        facts: Arc::new(facts),
        tables,
        overlaps: Arc::new(overlaps),
        families: Arc::new(families),
        pending,
        prepared,
        loads,
    })
}

/// Makes the ledger's lines fit the present selection and the server that answers: see [`lines`].
async fn settle(
    mut lines: Vec<TableLine>,
    replicator: &Replicator,
    checkpoint: &Checkpoint,
    (facts, source): (&Facts, &mut source::Conn),
    (listed, target): (&[Listed], &mut target::Conn),
) -> Result<Vec<TableLine>, Fault> {
    let charter = &replicator.charter;
    let listed: Vec<TableName> = listed.iter().map(|table| table.name.clone()).collect();
    let left: HashSet<TableName> = lines::left(&lines, &listed, &charter.selection)?.into_iter().collect();
    let mut now = None;
    for line in &mut lines {
        let mut ledger = target::chunk::Ledger { conn: target, task: &charter.task, epoch: checkpoint.epoch, table: &line.name };
        if left.contains(&line.name) {
            tracing::warn!(table = %line.name, "no longer selected: its changes are passed over from here on");
            ledger.excluded().await?;
            line.state = CopyState::Excluded;
        }
        match lines::sequel(&line.state, checkpoint, &facts.uuid) {
            // Without a stream nothing has to be passed.
            _ if !charter.migrate.stream() => {}
            Sequel::Stays => {}
            Sequel::Strict => {
                ledger.strict().await?;
                line.state = CopyState::Strict;
            }
            Sequel::Moves => {
                if now.is_none() {
                    now = Some(facts::position(facts, source).await?.file);
                }
                let mark = Mark { server_uuid: facts.uuid.clone(), file: now.clone().unwrap_or_default() };
                ledger.copied(&mark).await?;
                line.state = CopyState::Copied { mark };
            }
            Sequel::Again => {
                tracing::warn!(table = %line.name, "the source moved before the stream had passed its snapshot: it is copied again");
                line.state = CopyState::Pending;
            }
        }
    }
    lines.retain(|line| line.state != CopyState::Excluded);
    Ok(lines)
}

fn show(
    replicator: &Replicator,
    facts: &Facts,
    target: &Facts,
    checkpoint: &Checkpoint,
    lines: &[TableLine],
    estimate: &dyn Fn(&TableName) -> u64,
) {
    let mut tables: Vec<TableProgress> = lines
        .iter()
        .map(|line| TableProgress {
            name: line.name.to_string(),
            state: match line.state {
                CopyState::Pending => TableState::Pending,
                CopyState::Copying { .. } => TableState::Copying,
                CopyState::Copied { .. } => TableState::Copied,
                CopyState::Snapshot { .. } | CopyState::Strict | CopyState::Excluded => TableState::Streaming,
            },
            rows_copied: line.rows,
            rows_estimated: estimate(&line.name),
            bytes_copied: line.bytes,
        })
        .collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    replicator.observer.update(|snapshot| {
        snapshot.source.server_version.clone_from(&facts.version);
        snapshot.target.server_version.clone_from(&target.version);
        snapshot.applied = shown(&checkpoint.position);
        snapshot.copy.rows = tables.iter().map(|table| table.rows_copied).sum();
        snapshot.copy.bytes = tables.iter().map(|table| table.bytes_copied).sum();
        snapshot.tables = tables;
    });
}

/// A position as `/status` has it.
pub fn shown(position: &Position) -> ShownPosition {
    ShownPosition { gtid_set: position.gtids.to_string(), file: position.file.file.clone(), pos: position.file.offset }
}
