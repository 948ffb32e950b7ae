//! Which chunk is next; pure but for the one lock that its state lives under.
//!
//! A table is cut by one worker at a time, because each range begins where the last one ended; its chunks are copied by as many
//! as are free. A worker goes to the table with the fewest chunks in flight, the largest of them first: large tables begin early,
//! and the last one does not end up alone on one connection.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Copying, Pending, Settings};
use crate::conn::Purpose;
use crate::fault::{Code, Fault};
use crate::sql::literal;
use crate::sql::probe::Bound;
use crate::target;

/// A half-open range of keys, `(after, upto]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub after: Option<Bound>,
    pub upto: Bound,
}

/// How far a table has been cut.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cut {
    /// Not begun in this process: the end is to be read first.
    Fresh,
    /// Cut up to here; the rest goes on behind it.
    At {
        after: Option<Bound>,
        upto: Bound,
    },
    Done,
}

#[derive(Debug)]
struct TablePlan {
    pending: Pending,
    cut: Cut,
    /// Ranges that the ledger has.
    ledger: Vec<Range>,
    cutting: bool,
    in_flight: usize,
    chunk_rows: u64,
    finished: bool,
}

/// What a worker is to do.
#[derive(Debug)]
pub enum Turn {
    /// Read the table's last key, then cut.
    Begin(usize),
    /// Cut the next chunk behind `after`.
    Cut { index: usize, after: Option<Bound>, upto: Bound, rows: u64 },
    /// Nothing now; another worker's end may change that.
    Wait,
    /// Every table is finished.
    Over,
}

#[derive(Debug)]
pub struct Plan {
    tables: Mutex<Vec<TablePlan>>,
    settings: Settings,
}

/// Serialises a bound for the ledger: each part with its length in front.
pub fn encode(bound: &Bound) -> Vec<u8> {
    let mut out = Vec::new();
    for part in bound {
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// Reads a bound back; every part must be a single literal, since it becomes part of a statement again.
pub fn decode(mut bytes: &[u8], parts: usize) -> Option<Bound> {
    let mut bound = Vec::with_capacity(parts);
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        literal::is_single(part).then_some(())?;
        bound.push(part.to_vec());
        bytes = rest;
    }
    (bytes.is_empty() && bound.len() == parts).then_some(bound)
}

impl Plan {
    /// Reads what the ledger has of the tables that had begun.
    pub async fn load(copying: &Copying, pending: Vec<Pending>) -> Result<Self, Fault> {
        let mut conn = target::connect(&copying.target, Purpose::Rows).await?;
        let mut tables = Vec::with_capacity(pending.len());
        for pending in pending {
            let name = &pending.table.name;
            let damaged = || Fault::new(Code::CheckpointUnreadable, format!("the ledger of {name} does not read"));
            let parts = pending.table.key_columns().map_or(0, <[usize]>::len);
            let mut ledger = Vec::new();
            let mut cut = Cut::Fresh;
            if let Some(upto) = &pending.upto {
                for (after, upto) in target::state::chunks(&mut conn, &copying.task, name).await? {
                    let after = after.map(|after| decode(&after, parts).ok_or_else(damaged)).transpose()?;
                    ledger.push(Range { after, upto: decode(&upto, parts).ok_or_else(damaged)? });
                }
                cut = Cut::At { after: None, upto: decode(upto, parts).ok_or_else(damaged)? };
            }
            tables.push(TablePlan {
                cut,
                ledger,
                cutting: false,
                in_flight: 0,
                chunk_rows: copying.settings.chunk_rows as u64,
                finished: false,
                pending,
            });
        }
        Ok(Self::new(tables, copying.settings.clone()))
    }

    fn new(tables: Vec<TablePlan>, settings: Settings) -> Self {
        Self { tables: Mutex::new(tables), settings }
    }

    fn tables(&self) -> MutexGuard<'_, Vec<TablePlan>> {
        // Nothing panics under this lock.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn pending(&self, index: usize) -> Option<Pending> {
        self.tables().get(index).map(|table| table.pending.clone())
    }

    /// The next thing to do; the caller holds the table's cut until [`Plan::cut`] or [`Plan::begun`].
    pub fn turn(&self) -> Turn {
        let mut tables = self.tables();
        if tables.iter().all(|table| table.finished) {
            return Turn::Over;
        }
        let next = tables
            .iter_mut()
            .enumerate()
            .filter(|(_, table)| !table.cutting && table.cut != Cut::Done)
            .min_by_key(|(_, table)| (table.in_flight, std::cmp::Reverse(table.pending.rows_estimated)));
        let Some((index, table)) = next else { return Turn::Wait };
        table.cutting = true;
        table.in_flight += 1;
        match &mut table.cut {
            Cut::At { after, upto } => {
                // Skip what the ledger has, as far as it is without a gap.
                while let Some(known) = table.ledger.iter().find(|range| range.after == *after) {
                    *after = Some(known.upto.clone());
                }
                Turn::Cut { index, after: after.clone(), upto: upto.clone(), rows: table.chunk_rows }
            }
            Cut::Fresh | Cut::Done => Turn::Begin(index),
        }
    }

    /// The table's last key is known; the cut goes on with it. `None`: the table is to be read in one go, or is empty.
    pub fn begun(&self, index: usize, upto: Option<Bound>) {
        self.with(index, |table| {
            table.cut = match upto {
                Some(upto) => Cut::At { after: None, upto },
                None => Cut::Done,
            };
            table.cutting = false;
        });
    }

    /// A range was cut off, and the caller copies it; `None`: nothing was left.
    pub fn cut(&self, index: usize, range: Option<&Range>) {
        self.with(index, |table| {
            table.cutting = false;
            if let Cut::At { after, upto } = &mut table.cut {
                match range {
                    Some(range) if range.upto != *upto => *after = Some(range.upto.clone()),
                    _ => table.cut = Cut::Done,
                }
            }
        });
    }

    /// A turn has ended. True for the one that finds the table complete: it then sets the mark.
    pub fn ended(&self, index: usize) -> bool {
        let mut complete = false;
        self.with(index, |table| {
            table.in_flight -= 1;
            complete = table.in_flight == 0 && table.cut == Cut::Done && !table.finished;
            table.finished |= complete;
        });
        complete
    }

    /// Sizes the next chunk by how long this one took.
    pub fn took(&self, index: usize, rows: u64, bytes: u64, elapsed: Duration) {
        let (target, limit) = (self.settings.chunk_target, self.settings.chunk_bytes.get());
        self.with(index, |table| {
            let by_time = rows as f64 * target.as_secs_f64() / elapsed.as_secs_f64().max(0.001);
            let by_bytes = rows as f64 * limit as f64 / (bytes.max(1)) as f64;
            // Half to double at a time: one slow read says little about the next.
            let current = table.chunk_rows as f64;
            table.chunk_rows = by_time.min(by_bytes).clamp(current / 2.0, current * 2.0).max(10.0) as u64;
        });
    }

    fn with(&self, index: usize, change: impl FnOnce(&mut TablePlan)) {
        if let Some(table) = self.tables().get_mut(index) {
            change(table);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::table::ColumnKind;
    use crate::model::table::tests::{column, table};
    use crate::overlap::{Overlap, Stage};

    fn plan(sizes: &[u64], cut: Cut, ledger: &[Range]) -> Plan {
        let tables = sizes
            .iter()
            .map(|rows| TablePlan {
                pending: Pending {
                    table: Arc::new(table("t", vec![column("id", ColumnKind::Integer { unsigned: false })], &[0])),
                    overlap: Arc::new(Overlap::new(Stage::Copying)),
                    rows_estimated: *rows,
                    upto: None,
                },
                cut: cut.clone(),
                ledger: ledger.to_vec(),
                cutting: false,
                in_flight: 0,
                chunk_rows: 100,
                finished: false,
            })
            .collect();
        Plan::new(tables, Settings::default())
    }

    fn bound(value: u32) -> Bound {
        vec![value.to_string().into_bytes()]
    }

    fn range(after: Option<u32>, upto: u32) -> Range {
        Range { after: after.map(bound), upto: bound(upto) }
    }

    #[test]
    fn bounds_survive_the_ledger_and_nothing_else_does() {
        let text = vec![b"'it\\'s'".to_vec(), b"-1.5e0".to_vec()];
        assert_eq!(decode(&encode(&text), 2), Some(text.clone()));
        assert_eq!(decode(&encode(&text), 1), None);
        for hostile in [&b"1) OR (1=1"[..], b"'a' OR 'b'", b"'a", b"x", b""] {
            assert_eq!(decode(&encode(&vec![hostile.to_vec()]), 1), None);
        }
    }

    #[test]
    fn workers_spread_over_tables_the_largest_first() {
        let plan = plan(&[5, 50, 20], Cut::Fresh, &[]);
        let picks: Vec<usize> = (0..3)
            .map(|_| match plan.turn() {
                Turn::Begin(index) => index,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(picks, [1, 2, 0]);
        assert!(matches!(plan.turn(), Turn::Wait));
    }

    #[test]
    fn a_resumed_cut_goes_on_behind_the_ledger_and_its_ranges_tile() {
        let ledger = [range(Some(30), 60), range(None, 30), range(Some(70), 90)];
        let plan = plan(&[9], Cut::At { after: None, upto: bound(100) }, &ledger);
        let Turn::Cut { after, .. } = plan.turn() else { panic!() };
        assert_eq!(after, Some(bound(60)), "60 to 70 is missing, so the cut goes on there");
        plan.cut(0, Some(&range(Some(60), 70)));
        let Turn::Cut { after, .. } = plan.turn() else { panic!() };
        assert_eq!(after, Some(bound(90)));
        plan.cut(0, Some(&range(Some(90), 100)));
        assert!(matches!(plan.turn(), Turn::Wait), "cut to its end, chunks in flight");
        assert!(!plan.ended(0));
        assert!(plan.ended(0), "the last chunk finds the table complete");
        assert!(matches!(plan.turn(), Turn::Over));
    }

    #[test]
    fn chunks_follow_time_and_bytes_in_small_steps() {
        let plan = plan(&[9], Cut::At { after: None, upto: bound(100) }, &[]);
        let rows = |plan: &Plan| {
            let Turn::Cut { rows, .. } = plan.turn() else { panic!() };
            plan.cut(0, Some(&range(None, 1)));
            plan.ended(0);
            rows
        };
        plan.took(0, 100, 1000, Duration::from_millis(1));
        assert_eq!(rows(&plan), 200);
        plan.took(0, 200, 1 << 40, Duration::from_millis(1));
        assert_eq!(rows(&plan), 100);
    }
}
