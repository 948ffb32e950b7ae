//! A table's run as statements, in an order in which every intermediate state is allowed; pure.
//!
//! Deletes come first, then updates, then inserts. A row whose secondary unique values change is deleted and inserted, never
//! updated: rows that exchange values, or pass them on in a chain, then never stand in each other's way.
//!
//! Idempotent writes upsert. Before that, rows that hold one of the secondary unique values are evicted: such a row is of another
//! time (read by a chunk later than our position), its own events are still to come and write it whole. An upsert alone would
//! overwrite that row instead of ours.
//!
//! Of a table without a key, the rows that go are taken first ([`keyless`]), then the rows that come are inserted.

use std::sync::Arc;

use super::Counts;
use super::merge::{Mode, Net, Slot, TableRun};
use crate::model::image::RowImage;
use crate::model::json;
use crate::model::table::{Part, Table};
use crate::model::value::Value;
use crate::sql::dml::{self, RowError, STATEMENT_BYTES, Shapes};
use crate::sql::inserts::{Collision, Inserts};
use crate::sql::keyless::{self, Removal};
use crate::sql::statement::Statement;

/// What a part does to the target. Removals come first; no table has both a removal and a statement that must come before it.
#[derive(Debug, Default)]
pub struct Output {
    pub removals: Vec<Removal>,
    pub statements: Vec<Statement>,
}

/// Appends a run's statements and adds up its rows; `ahead` if somebody is to read ahead what they will change.
pub fn render(run: &TableRun, shapes: &Arc<Shapes>, ahead: bool, out: &mut Output, counts: &mut Counts) -> Result<(), RowError> {
    match run {
        TableRun::Keyed { table, mode: Mode::Strict, slots, .. } => {
            out.statements.extend(strict(table, shapes, slots, ahead, counts)?);
        }
        TableRun::Keyed { table, mode: Mode::Idempotent, slots, .. } => {
            out.statements.extend(idempotent(table, shapes, slots, ahead, counts)?);
        }
        TableRun::Keyless { table, nets, .. } => keyless(table, shapes, nets, out, counts)?,
    }
    Ok(())
}

/// The row's values as literals, and how many of them are blanks.
fn values(table: &Table, row: &RowImage) -> Result<(Vec<u8>, usize), RowError> {
    let mut out = Vec::with_capacity(row.bytes().len() * 2);
    let blanks = dml::write_row(&mut out, table, row)?;
    Ok((out, blanks))
}

/// Whether two images of a row differ, by any bit, in one of its secondary unique keys, or may do so: an expression may be over any
/// column.
fn moves_unique(table: &Table, before: &RowImage, after: &RowImage) -> Result<bool, RowError> {
    for key in &table.secondary_uniques {
        if !before.same_in(after, &key.columns)? {
            return Ok(true);
        }
    }
    for part in table.partial_uniques.iter().flat_map(|key| &key.parts) {
        let moves = match part {
            Part::Column(column) | Part::Prefix(column, _) => !before.same_in(after, &[*column])?,
            Part::Expression => true,
        };
        if moves {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a server may take the second image for the first one, although a document differs: for it `1`, `1.0` and `1.00` are equal,
/// and an upsert that changes nothing else leaves the old document and counts no change. Such a row is deleted and inserted.
fn passes_for_unchanged(table: &Table, shapes: &Shapes, before: &RowImage, after: &RowImage) -> Result<bool, RowError> {
    if !shapes.has_documents {
        return Ok(false);
    }
    let cells = |row| -> Result<Vec<Value<'_>>, RowError> {
        let mut cells = Vec::with_capacity(table.columns.len());
        RowImage::walk(row, &table.columns, |_, value| cells.push(value))?;
        Ok(cells)
    };
    let (olds, news) = (cells(before)?, cells(after)?);
    let mut passes = true;
    for ((old, new), column) in olds.iter().zip(&news).zip(&table.columns) {
        passes &= column.generated
            || match (old, new) {
                (Value::Json(old), Value::Json(new)) => {
                    let parse = |document| json::parse(document).map_err(|bad| RowError::Literal(bad.into()));
                    old == new || json::may_be_equal(parse(*old)?, parse(*new)?)
                }
                (old, new) => old == new,
            };
    }
    Ok(passes)
}

fn strict(
    table: &Arc<Table>,
    shapes: &Shapes,
    slots: &[Slot],
    ahead: bool,
    counts: &mut Counts,
) -> Result<Vec<Statement>, RowError> {
    let mut deletes: Vec<&[u8]> = Vec::new();
    let of = |stood: bool| slots.iter().filter(|slot| slot.before.is_some() == stood && slot.after.is_some()).count();
    let (changed, new) = (of(true), of(false));
    let mut updates = Inserts::of(shapes, Collision::Overwrite, Some(2), changed).reading_ahead(ahead);
    let mut inserts = Inserts::of(shapes, Collision::Refuse, Some(1), new);
    for slot in slots {
        match (&slot.before, &slot.after) {
            (Some(before), Some(after)) if before == after => {}
            (Some(before), Some(after)) => {
                // Binary JSON may change its bytes and not its content; the server would then count no change.
                if shapes.has_documents && values(table, after)? == values(table, before)? {
                    continue;
                }
                counts.updates += 1;
                if moves_unique(table, before, after)? || passes_for_unchanged(table, shapes, before, after)? {
                    deletes.push(&slot.key);
                    inserts.push_row(table, after)?;
                } else {
                    updates.push_row(table, after)?;
                    updates.tell(&slot.key);
                }
            }
            (Some(_), None) => {
                counts.deletes += 1;
                deletes.push(&slot.key);
            }
            (None, Some(after)) => {
                counts.inserts += 1;
                inserts.push_row(table, after)?;
            }
            (None, None) => {}
        }
    }
    let mut out = Vec::new();
    dml::deletes(&shapes.delete, deletes.into_iter(), true, ahead, &mut out);
    out.extend(updates.finish());
    out.extend(inserts.finish());
    Ok(out)
}

fn idempotent(
    table: &Arc<Table>,
    shapes: &Shapes,
    slots: &[Slot],
    ahead: bool,
    counts: &mut Counts,
) -> Result<Vec<Statement>, RowError> {
    let mut absent: Vec<&[u8]> = Vec::new();
    for slot in slots {
        let goes = match (&slot.before, &slot.after) {
            (_, None) => true,
            (Some(before), Some(after)) => before != after && passes_for_unchanged(table, shapes, before, after)?,
            (None, Some(_)) => false,
        };
        absent.extend(goes.then_some(&*slot.key));
    }
    let mut out = Vec::new();
    dml::deletes(&shapes.delete, absent.into_iter(), false, ahead, &mut out);
    let present = slots.iter().filter(|slot| slot.after.is_some()).count();
    let mut upserts = Inserts::of(shapes, Collision::Overwrite, None, present).reading_ahead(ahead);
    let mut taken: Vec<Vec<Vec<u8>>> = vec![Vec::new(); table.secondary_uniques.len()];
    for slot in slots {
        let Some(after) = &slot.after else {
            counts.deletes += 1;
            continue;
        };
        match slot.before {
            Some(_) => counts.updates += 1,
            None => counts.inserts += 1,
        }
        for (key, taken) in table.secondary_uniques.iter().zip(&mut taken) {
            taken.extend(dml::unique_of(table, key, after)?);
        }
        upserts.push_row(table, after)?;
        upserts.tell(&slot.key);
    }
    for (head, taken) in shapes.evict.iter().zip(&taken) {
        dml::deletes(head, taken.iter().map(Vec::as_slice), false, false, &mut out);
    }
    out.extend(upserts.finish());
    Ok(out)
}

/// Up to so many distinct rows go one by one: a scan each, without a digest of every row.
const FEW: usize = 2;

fn keyless(
    table: &Arc<Table>,
    shapes: &Arc<Shapes>,
    nets: &[Net],
    out: &mut Output,
    counts: &mut Counts,
) -> Result<(), RowError> {
    let gone: Vec<&Net> = nets.iter().filter(|net| net.change < 0).collect();
    counts.deletes += gone.iter().map(|net| net.change.unsigned_abs()).sum::<u64>();
    if gone.len() <= FEW || keyless::digest_expression(table).is_none() {
        for net in gone {
            out.statements.push(keyless::delete_some(shapes, table, &net.row, net.change.unsigned_abs())?);
        }
    } else {
        for group in gone.chunks(keyless::ROWS_PER_REMOVAL) {
            let mut rows = Vec::with_capacity(group.len());
            for net in group {
                rows.push((net.copies(table)?, &net.row));
            }
            out.removals.push(Removal::new(shapes, table, &rows, STATEMENT_BYTES)?);
        }
    }
    let new = nets.iter().map(|net| usize::try_from(net.change).unwrap_or(0)).sum();
    let mut inserts = Inserts::of(shapes, Collision::Refuse, Some(1), new);
    for net in nets {
        for _ in 0..net.change {
            counts.inserts += 1;
            inserts.push(&net.values, net.blanks);
        }
    }
    out.statements.extend(inserts.finish());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::change::Change;
    use crate::model::image::{Layout, Wire};
    use crate::model::table::tests::{column, table};
    use crate::model::table::{ColumnKind, Key};
    use crate::sql::statement::Expect;

    fn shop(unique: bool) -> Arc<Table> {
        let integer = ColumnKind::Integer { unsigned: false };
        let mut table = table("t", vec![column("id", integer), column("u", integer)], &[0]);
        if unique {
            table.secondary_uniques.push(Key { name: "u".into(), columns: vec![1] });
        }
        Arc::new(table)
    }

    fn row(id: u8, unique: Option<u8>) -> RowImage {
        let layout = Arc::new(Layout::new(vec![Wire::Integer { bytes: 1 }; 2]));
        let bytes: Vec<u8> = match unique {
            Some(value) => vec![0, id, value],
            None => vec![0b10, id],
        };
        let end = bytes.len();
        RowImage::new(bytes.into(), 0, end, layout)
    }

    fn statements(table: &Arc<Table>, mode: Mode, changes: Vec<Change>) -> Vec<(String, Expect)> {
        let mut run = TableRun::new(Arc::clone(table), mode);
        for change in changes {
            run.push(change).expect("a change");
        }
        let (mut out, mut counts) = (Output::default(), Counts::default());
        render(&run, &Arc::new(Shapes::new(table, None)), false, &mut out, &mut counts).expect("statements");
        out.statements.into_iter().map(|s| (String::from_utf8(s.text).expect("ASCII"), s.expect)).collect()
    }

    #[test]
    fn rows_that_exchange_unique_values_are_deleted_and_inserted() {
        let swap = vec![
            Change::Update { before: row(1, Some(10)), after: row(1, Some(20)) },
            Change::Update { before: row(2, Some(20)), after: row(2, Some(10)) },
        ];
        let out = statements(&shop(true), Mode::Strict, swap);
        assert_eq!(out[0], ("DELETE FROM `shop`.`t` WHERE `id` IN (1,2)".into(), Expect::Exactly(2)));
        assert_eq!(out[1], ("INSERT INTO `shop`.`t` (`id`,`u`) VALUES (1,20),(2,10)".into(), Expect::Exactly(2)));
    }

    #[test]
    fn an_update_implies_two_affected_rows_and_no_change_implies_no_statement() {
        let out =
            statements(&shop(false), Mode::Strict, vec![Change::Update { before: row(1, Some(1)), after: row(1, Some(2)) }]);
        assert_eq!(out[0].1, Expect::Exactly(2));
        let there_and_back = vec![
            Change::Update { before: row(1, Some(1)), after: row(1, Some(2)) },
            Change::Update { before: row(1, Some(2)), after: row(1, Some(1)) },
        ];
        assert_eq!(statements(&shop(false), Mode::Strict, there_and_back), []);
    }

    #[test]
    fn in_the_overlap_holders_of_unique_values_are_evicted_before_the_upsert() {
        let changes = vec![Change::Insert { after: row(1, Some(9)) }, Change::Insert { after: row(2, None) }];
        let out = statements(&shop(true), Mode::Idempotent, changes);
        assert_eq!(out[0].0, "DELETE FROM `shop`.`t` WHERE `u` IN (9)");
        assert!(out[1].0.ends_with("ON DUPLICATE KEY UPDATE `id`=VALUES(`id`),`u`=VALUES(`u`)"), "{out:?}");
        assert!(out.iter().all(|(_, expect)| *expect == Expect::Any));
    }

    #[test]
    fn in_the_overlap_a_row_that_came_and_went_is_still_deleted() {
        let changes = vec![Change::Insert { after: row(1, Some(9)) }, Change::Delete { before: row(1, Some(9)) }];
        assert_eq!(statements(&shop(false), Mode::Idempotent, changes)[0].0, "DELETE FROM `shop`.`t` WHERE `id` IN (1)");
    }

    #[test]
    fn of_equal_rows_without_a_key_only_the_balance_is_written() {
        let mut table = (*shop(false)).clone();
        table.row_key = crate::model::table::RowKey::None;
        let table = Arc::new(table);
        let insert = |id| Change::Insert { after: row(id, Some(1)) };
        let delete = |id| Change::Delete { before: row(id, Some(1)) };
        let changes = vec![insert(1), insert(1), delete(1), delete(2), insert(3), delete(3), delete(2)];
        let out = statements(&table, Mode::Strict, changes);
        assert!(
            out[0].0.starts_with("DELETE FROM `shop`.`t` WHERE `id` IN (2,2) AND `u` IN (1,1) AND SHA2(")
                && out[0].0.ends_with(" LIMIT 2")
        );
        assert_eq!(out[0].1, Expect::Exactly(2));
        assert_eq!(out[1].0, "INSERT INTO `shop`.`t` (`id`,`u`) VALUES (1,1)");
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn many_rows_without_a_key_go_together() {
        let mut table = (*shop(false)).clone();
        table.row_key = crate::model::table::RowKey::None;
        let mut run = TableRun::new(Arc::new(table.clone()), Mode::Strict);
        for id in 0..3 {
            run.push(Change::Update { before: row(id, Some(1)), after: row(id, Some(2)) }).expect("a change");
        }
        let (mut out, mut counts) = (Output::default(), Counts::default());
        render(&run, &Arc::new(Shapes::new(&table, None)), false, &mut out, &mut counts).expect("statements");
        assert_eq!((out.removals.len(), out.statements.len()), (1, 1));
        assert_eq!(counts, Counts { inserts: 3, updates: 0, deletes: 3 });
    }
}
