//! One worker: cut, read, write, until the plan is over. Thin: [`super::plan`] decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use super::plan::{Plan, Range, Turn, encode};
use super::{Copying, Pending};
use crate::conn::Purpose;
use crate::fault::{Class, Code, Fault};
use crate::model::change::KeyBytes;
use crate::model::table::{Key, RowKey, TableName};
use crate::observe::snapshot::TableState;
use crate::overlap::Stage;
use crate::source::documents::Documents;
use crate::source::rows::{self, Piece, SpelledRow};
use crate::source::{self, facts};
use crate::sql::dml::Shapes;
use crate::sql::inserts::{Collision, Inserts};
use crate::sql::probe;
use crate::sql::statement::Statement;
use crate::target::chunk::{Fill, Ledger, Line, Whole};
use crate::target::{self, session};

/// A transaction that another one forced back is tried again at once; more often than this, something else is wrong.
const ATTEMPTS: u32 = 10;

/// How often a worker that waits for the stream looks where it is.
const LOOK: Duration = Duration::from_millis(20);

/// A worker's two sessions, and what it knows of each table's documents.
struct Sessions {
    source: source::Conn,
    target: target::Conn,
    documents: HashMap<TableName, Documents>,
}

/// Copies chunks until every table is finished; `number` tells the workers apart.
pub async fn work(number: usize, copying: Copying, plan: Arc<Plan>, turn: Arc<Notify>) -> Result<(), Fault> {
    let mut sessions = Sessions {
        source: source::connect_to(&copying.source, Purpose::Rows, &copying.facts.uuid).await?,
        target: target::connect(&copying.target, Purpose::Rows).await?,
        documents: HashMap::new(),
    };
    session::mark(&mut sessions.target, &copying.task, number).await?;
    loop {
        let changed = turn.notified();
        let index = match plan.turn() {
            Turn::Over => {
                turn.notify_waiters();
                return Ok(());
            }
            Turn::Wait => {
                // What the others do is announced after each step, so nothing is missed between the look and the wait.
                tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
                continue;
            }
            Turn::Begin(index) => {
                begin(&copying, &plan, index, &mut sessions).await?;
                index
            }
            Turn::Cut { index, after, upto, rows } => {
                let Some(pending) = plan.pending(index) else { continue };
                let RowKey::Key(key) = &pending.table.row_key else { continue };
                let range = cut(&copying, &pending, key, after, upto, rows, &mut sessions).await?;
                plan.cut(index, range.as_ref());
                turn.notify_waiters();
                if let Some(range) = range {
                    let began = Instant::now();
                    let (rows, bytes) = chunk(&copying, &pending, Some(&range), &mut sessions).await?;
                    copying.progress.make();
                    plan.took(index, rows, bytes, began.elapsed());
                    copying.make_way(began.elapsed()).await;
                }
                index
            }
        };
        if plan.ended(index)
            && let Some(pending) = plan.pending(index)
        {
            finish(&copying, &pending, &mut sessions).await?;
        }
        turn.notify_waiters();
    }
}

/// Finds where the copy ends and writes it down; an empty table is complete at once, an unrangeable one is read in one go.
async fn begin(copying: &Copying, plan: &Plan, index: usize, sessions: &mut Sessions) -> Result<(), Fault> {
    let Some(pending) = plan.pending(index) else { return Ok(()) };
    let table = &pending.table;
    copying.entered(&table.name, TableState::Copying);
    let RowKey::Key(key) = &table.row_key else { return Ok(()) };
    if !probe::can_range(table, key) {
        plan.begun(index, None);
        chunk(copying, &pending, None, sessions).await?;
        return Ok(());
    }
    copying.pace(1, 0, 0).await;
    let upto = rows::bound(&mut sessions.source, table, key, probe::last_key(table, key)).await?;
    if let Some(upto) = &upto {
        ledger(copying, &pending, &mut sessions.target).started(&encode(upto)).await?;
    }
    plan.begun(index, upto);
    Ok(())
}

/// The next range behind `after`, or `None` when nothing is left.
async fn cut(
    copying: &Copying,
    pending: &Pending,
    key: &Key,
    after: Option<probe::Bound>,
    upto: probe::Bound,
    rows: u64,
    sessions: &mut Sessions,
) -> Result<Option<Range>, Fault> {
    if after.as_ref() == Some(&upto) {
        return Ok(None);
    }
    copying.pace(1, 0, 0).await;
    let query = probe::next_bound(&pending.table, key, after.as_ref(), &upto, rows);
    let end = rows::bound(&mut sessions.source, &pending.table, key, query).await?;
    Ok(Some(Range { after, upto: end.unwrap_or(upto) }))
}

fn ledger<'a>(copying: &'a Copying, pending: &'a Pending, conn: &'a mut target::Conn) -> Ledger<'a> {
    Ledger { conn, task: &copying.task, epoch: copying.epoch, table: &pending.table.name }
}

/// Reads a range and writes it, piece by piece. Returns rows and bytes read.
async fn chunk(
    copying: &Copying,
    pending: &Pending,
    range: Option<&Range>,
    sessions: &mut Sessions,
) -> Result<(u64, u64), Fault> {
    copying.pace(1, 0, 0).await;
    let table = &pending.table;
    let key = match &table.row_key {
        RowKey::Key(key) => Some(key),
        RowKey::None => None,
    };
    let after = range.and_then(|range| range.after.as_ref());
    let asked = probe::Range { table, key, after, upto: range.map(|range| &range.upto) };
    // From before the read begins until its rows are written: see `overlap`.
    let open_read = pending.overlap.open_read();
    let (sender, mut pieces) = mpsc::channel(1);
    let (source, target) = (&mut sessions.source, &mut sessions.target);
    let documents = sessions.documents.entry(table.name.clone()).or_insert_with(|| Documents::new(table));
    let shapes = Shapes::new(table, copying.loads);
    let reading = async {
        let sender = sender;
        rows::read(source, &asked, documents, copying.settings.form(&shapes), &sender).await
    };
    let line = range.map(|range| (range.after.as_ref().map(encode), encode(&range.upto)));
    let line = line.as_ref().map(|(after, upto)| Line { after: after.as_deref(), upto });
    let writing = async {
        let (mut whole, mut owed) = (Whole { line, rows: 0, bytes: 0 }, Vec::new());
        while let Some(piece) = pieces.recv().await {
            whole.rows += piece.count() as u64;
            whole.bytes += piece.lines.len() as u64;
            let noted = Some(&whole).filter(|_| piece.last && owed.is_empty());
            owed.extend(write(copying, pending, &shapes, &piece, noted, target).await?);
            copying.pace(0, piece.count() as u64, piece.lines.len() as u64).await;
        }
        Ok((whole, owed))
    };
    let ((), (whole, owed)) = tokio::try_join!(reading, writing)?;
    if !owed.is_empty() {
        settle(copying, pending, &shapes, &owed, sessions).await?;
        ledger(copying, pending, &mut sessions.target).settled(&whole).await?;
    }
    drop(open_read);
    Ok((whole.rows, whole.bytes))
}

/// Writes one piece: all of it that the stream has not decided about. Returns the keys that the stream owes.
async fn write(
    copying: &Copying,
    pending: &Pending,
    shapes: &Shapes,
    piece: &Piece,
    whole: Option<&Whole<'_>>,
    conn: &mut target::Conn,
) -> Result<Vec<KeyBytes>, Fault> {
    for attempt in 1.. {
        let _gate = pending.overlap.gate.read().await;
        let (statements, keys) = statements(pending, shapes, piece);
        let fill = Fill { shapes, statements: &statements, keys };
        match ledger(copying, pending, conn).write(&fill, whole).await {
            Ok(owed) => {
                copying.wrote(&pending.table.name, piece.count() as u64, piece.lines.len() as u64);
                return Ok(owed);
            }
            Err(fault) if attempt < ATTEMPTS && fault.code.class() == Some(Class::Other) => {
                tracing::debug!(table = %pending.table.name, %fault, "chunk is written again");
                target::run(conn, "ROLLBACK").await?;
            }
            Err(fault) => return Err(fault),
        }
    }
    Err(Fault::new(Code::Internal, "attempts never end"))
}

/// What writes a piece, without the rows whose keys are buried; and the keys of its rows.
fn statements<'p>(pending: &Pending, shapes: &Shapes, piece: &'p Piece) -> (Vec<Statement>, Vec<&'p [u8]>) {
    let overlap = &pending.overlap;
    if !overlap.has_burials() {
        return (inserts(shapes, Collision::Keep, None, piece), piece.rows().map(|row| row.key).collect());
    }
    let rows: Vec<SpelledRow<'_>> = piece.rows().filter(|row| !overlap.is_buried(row.key)).collect();
    let inserts = Inserts::of_read(shapes, Collision::Keep, None, piece.count());
    (fill(inserts, rows.iter().copied()), rows.iter().map(|row| row.key).collect())
}

/// What writes a whole piece.
pub(super) fn inserts(shapes: &Shapes, collision: Collision, per_row: Option<u64>, piece: &Piece) -> Vec<Statement> {
    let inserts = Inserts::of_read(shapes, collision, per_row, piece.count());
    match inserts.whole(&piece.lines, piece.count()).filter(|_| piece.all_lines) {
        Some(whole) => vec![whole],
        None => fill(inserts, piece.rows()),
    }
}

fn fill<'p>(mut inserts: Inserts<'_>, rows: impl Iterator<Item = SpelledRow<'p>>) -> Vec<Statement> {
    rows.for_each(|row| inserts.push_spelled(row.values, row.blanks, row.is_line));
    inserts.finish()
}

/// Waits until the stream must have decided about each of these keys, and stops when it has not: see `overlap`. The chunk's read is
/// still registered, so no burial has been forgotten.
async fn settle(
    copying: &Copying,
    pending: &Pending,
    shapes: &Shapes,
    owed: &[KeyBytes],
    sessions: &mut Sessions,
) -> Result<(), Fault> {
    if let Some(reach) = &copying.reach {
        let position = facts::position(&copying.facts, &mut sessions.source).await?;
        while !reach.look().applied.position.file.reaches(&position.file) {
            tokio::time::sleep(LOOK).await;
        }
    }
    let _gate = pending.overlap.gate.read().await;
    let owed: Vec<&[u8]> = owed.iter().map(|key| &**key).filter(|key| !pending.overlap.is_buried(key)).collect();
    let lost = ledger(copying, pending, &mut sessions.target).absent(shapes, &owed).await?;
    if lost.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "{}: {} rows of the source do not fit in: other rows on the target hold their unique values",
        pending.table.name,
        lost.len()
    );
    Err(Fault::new(Code::DataRefused, detail))
}

/// Every chunk is written: the mark is the source's position now, after the last read.
async fn finish(copying: &Copying, pending: &Pending, sessions: &mut Sessions) -> Result<(), Fault> {
    let mark = copying.mark(&mut sessions.source).await?;
    ledger(copying, pending, &mut sessions.target).copied(&mark).await?;
    copying.progress.make();
    pending.overlap.enter(Stage::Until(mark));
    copying.entered(&pending.table.name, TableState::Copied);
    tracing::info!(table = %pending.table.name, "copied");
    Ok(())
}
