//! A part that met drift, written all the same by policy ([`super::drift`]).
//!
//! The part was begun at a savepoint. Everything it did is undone, the target is asked which rows are not what the events imply, and
//! the part is rendered again without the surprise. The rest of the batch, before it and after it, stays in the same transaction: the
//! rows, the notes and the checkpoint commit together or not at all.
//!
//! *Which rows.* Those that must stand are counted by key, in halves until the odd ones are known. Those that must not stand are looked
//! for when all that the run changes or deletes is out of the way, for under the key's collation they may be the same row ('a' goes,
//! 'A' comes); that, too, is undone. The account is the only one that writes these tables, or there would be no drift; if the other
//! one writes between the look and the second try, the counts are wrong again, and the task stops.
//!
//! *What stops under every policy.* Drift in a family, where what keys did depends on rows that are not in the events; a secondary
//! unique value that another row holds, whose own row at the source is not known; a row that is changed and has its new content already;
//! and more odd rows than [`MOST`] in one part: then the table is no copy any more. Under `repair`, too few equal rows in a table without
//! a key.

use std::sync::Arc;

use super::drift::{self, Anomaly, InTheWay, Outcome};
use super::merge::{Mode, Net, Slot, TableRun};
use super::{Counts, Output, render};
use crate::fault::{Code, Fault};
use crate::model::drift::{Cure, Kind};
use crate::model::table::Table;
use crate::sql::dml::{self, RowError, STATEMENT_BYTES, Shapes};
use crate::sql::keyless::{self, Removal};
use crate::target::writer::Writer;

/// Odd rows of one part.
const MOST: usize = 1_000;

/// What a part's statements were made of.
#[derive(Debug)]
pub struct Kept {
    pub cure: Cure,
    /// So many outputs, at the front, are those of families, and write so many rows.
    pub families: usize,
    pub by_families: Counts,
    pub runs: Vec<(Arc<Shapes>, TableRun)>,
}

/// Whether a fault of the target may come from rows that are not what the events imply.
pub fn may_be_drift(fault: &Fault) -> bool {
    matches!(fault.code, Code::Drift | Code::DataRefused)
}

fn unreadable(error: RowError) -> Fault {
    Fault::new(Code::Internal, format!("a row was written before: {error}"))
}

/// What takes the place of a part's outputs behind those of the families.
#[derive(Debug)]
pub struct Mended {
    pub output: Output,
    /// The whole part's rows.
    pub counts: Counts,
    /// To be noted.
    pub anomalies: Vec<Anomaly>,
}

/// Undoes the part that failed with `fault` and finds out why. Not cancel-safe.
pub async fn mend(writer: &mut Writer, kept: &mut Kept, fault: Fault) -> Result<Mended, Fault> {
    writer.undo().await?;
    let (mut output, mut anomalies, mut counts) = (Output::default(), Vec::new(), kept.by_families);
    for (shapes, run) in &mut kept.runs {
        let mut gone = Vec::new();
        match run {
            TableRun::Keyed { mode: Mode::Strict, slots, .. } => {
                let found = look(writer, shapes, slots).await?;
                let odd = slots.iter().filter_map(|slot| Some((slot, found.get(&slot.key)?)));
                anomalies.extend(odd.map(|(slot, kind)| Anomaly::of_slot(shapes.shown(), slot, *kind, kept.cure)));
                gone = drift::adjust(slots, &found, kept.cure);
            }
            TableRun::Keyed { mode: Mode::Idempotent, .. } => {}
            TableRun::Keyless { table, nets, .. } => {
                let short = limit(writer, shapes, table, nets).await?;
                if let Some(odd) = short.first().filter(|_| kept.cure == Cure::Repair) {
                    let detail = format!(
                        "{}: fewer equal rows stand than the source has removed; of those that are left nothing is known",
                        odd.table
                    );
                    return Err(Fault { detail, ..fault });
                }
                anomalies.extend(short);
            }
        }
        let gone = gone.iter().map(|key| &**key);
        dml::deletes(&shapes.delete, gone, true, false, &mut output.statements);
        render::render(run, shapes, false, &mut output, &mut counts).map_err(unreadable)?;
        if anomalies.len() > MOST {
            let detail = format!("{}; more than {MOST} rows of one batch are not what they should be", fault.detail);
            return Err(Fault { detail, ..fault });
        }
    }
    if anomalies.is_empty() {
        return Err(fault);
    }
    writer.undo().await?;
    Ok(Mended { output, counts, anomalies })
}

/// The rows of a keyed run that are not there, or are.
async fn look(writer: &mut Writer, shapes: &Shapes, slots: &[Slot]) -> Result<InTheWay, Fault> {
    let keys = |stands: bool| {
        let meant = slots.iter().filter(|slot| slot.before.is_some() == stands && (stands || slot.after.is_some()));
        meant.map(|slot| &*slot.key).collect::<Vec<&[u8]>>()
    };
    let (there, not_there) = (keys(true), keys(false));
    let missing = writer.odd(shapes, &there, true, MOST).await?;
    let mut deletes = Vec::new();
    dml::deletes(&shapes.delete, there.iter().copied(), false, false, &mut deletes);
    // Nothing is due: the part was marked.
    writer.write(&[], &deletes, None, &mut |_| ()).await?;
    let unexpected = writer.odd(shapes, &not_there, false, MOST).await?;
    let missing = missing.into_iter().map(|key| (key, Kind::Missing));
    Ok(missing.chain(unexpected.into_iter().map(|key| (key, Kind::Unexpected))).collect())
}

/// Lets no more copies of a row without a key go than stand.
async fn limit(writer: &mut Writer, shapes: &Arc<Shapes>, table: &Table, nets: &mut [Net]) -> Result<Vec<Anomaly>, Fault> {
    let mut short = Vec::new();
    let mut going: Vec<&mut Net> = nets.iter_mut().filter(|net| net.change < 0).collect();
    for group in going.chunks_mut(keyless::ROWS_PER_REMOVAL) {
        let mut standing = Vec::with_capacity(group.len());
        if keyless::digest_expression(table).is_some() {
            let mut rows = Vec::with_capacity(group.len());
            for net in group.iter() {
                rows.push((net.copies(table).map_err(unreadable)?, &net.row));
            }
            let digests: Vec<String> = rows.iter().map(|(copies, _)| copies.digest.clone()).collect();
            let removal = Removal::new(shapes, table, &rows, STATEMENT_BYTES).map_err(unreadable)?;
            let counted = writer.standing(&removal).await?;
            standing.extend(digests.iter().map(|digest| counted.get(digest.as_bytes()).copied().unwrap_or(0)));
        } else {
            for net in group.iter() {
                let count = keyless::count_some(shapes, table, &net.row).map_err(unreadable)?;
                standing.push(writer.count(&count).await?);
            }
        }
        for (net, standing) in group.iter_mut().zip(standing) {
            let copies = drift::limit(net, standing);
            if copies > 0 {
                short.push(Anomaly {
                    table: shapes.shown(),
                    row: net.values.clone(),
                    kind: Kind::Missing,
                    copies,
                    outcome: Outcome::Recorded,
                });
            }
        }
    }
    Ok(short)
}
