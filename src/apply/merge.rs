//! What a run of changes comes to; pure.
//!
//! Per key, only two moments matter: what stood there before the run, and what stands there after it. A key's first change tells
//! the first (an insert: nothing), its last the second. A change of the key itself is a delete of the old and an insert of the
//! new one. So INSERT+UPDATE is an insert, UPDATE+DELETE a delete, DELETE+INSERT an update, INSERT+DELETE nothing.
//!
//! Keys are told apart by their stored bytes, not by the collation, under which 'a' and 'A' may be one row. That is right in
//! every collation: each row image carries the bytes that are stored, so a row that is renamed from 'a' to 'A' is, here, one row
//! that ends and another that begins; deletes are executed before everything else, so the name is free when the second begins.
//! At most one of such names exists at any moment, so no delete can hit a row that is meant to stay.
//!
//! A table without a key is a multiset: a change adds or takes one copy of a row, and sums do not depend on order. So per distinct
//! row only the balance matters, and what is taken is taken before anything is added: the target stands where the source stood
//! before the run, where at least as many copies were as the balance takes, or the source could not have ended with zero or more.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::model::change::{Change, KeyBytes};
use crate::model::image::RowImage;
use crate::model::table::Table;
use crate::sql::dml::{self, RowError};
use crate::sql::keyless::{self, Copies};

/// How a table's rows are to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every change finds what it implies.
    Strict,
    /// The copy may have been there before or come after.
    Idempotent,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    #[error(transparent)]
    Row(#[from] RowError),
    #[error("an insert of a row that is there already, or a change of one that is not: the stream contradicts itself")]
    Contradiction,
}

/// One key's two moments.
#[derive(Debug)]
pub struct Slot {
    pub key: KeyBytes,
    pub before: Option<RowImage>,
    pub after: Option<RowImage>,
}

/// One table's run of changes.
#[derive(Debug)]
pub enum TableRun {
    /// In the order in which keys were first touched, so that the same run always gives the same statements.
    Keyed { table: Arc<Table>, mode: Mode, slots: Vec<Slot>, by_key: Index },
    /// Without a key, only the number of equal rows counts.
    Keyless { table: Arc<Table>, nets: Vec<Net>, by_values: Index },
}

/// One distinct row of a table without a key, and how many of it come (or, below zero, go).
#[derive(Debug)]
pub struct Net {
    /// As an INSERT has them: equal stored values give equal bytes.
    pub values: KeyBytes,
    /// See [`crate::sql::statement::Statement`].
    pub blanks: usize,
    pub row: RowImage,
    pub change: i64,
}

/// Where the entries of a list are, by bytes that only the list holds.
#[derive(Debug, Default)]
pub struct Index {
    table: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl Index {
    /// The place of the entry with these bytes. If there is none, the list's end becomes its place: the caller puts it there.
    fn find_or_note<T>(&mut self, bytes: &[u8], list: &[T], bytes_of: impl Fn(&T) -> &[u8]) -> Option<usize> {
        let of = |at: &usize| list.get(*at).map_or(&[][..], &bytes_of);
        match self.table.entry(self.hasher.hash_one(bytes), |at| of(at) == bytes, |at| self.hasher.hash_one(of(at))) {
            Entry::Occupied(found) => Some(*found.get()),
            Entry::Vacant(free) => {
                free.insert(list.len());
                None
            }
        }
    }
}

impl Net {
    /// Its copies, which go or come.
    pub fn copies(&self, table: &Table) -> Result<Copies, RowError> {
        let digest = keyless::digest_of(table, &self.row)?;
        Ok(Copies { digest, values: self.values.clone(), blanks: self.blanks, count: self.change.unsigned_abs() })
    }
}

impl TableRun {
    pub fn new(table: Arc<Table>, mode: Mode) -> Self {
        if table.key_columns().is_some() {
            Self::Keyed { table, mode, slots: Vec::new(), by_key: Index::default() }
        } else {
            Self::Keyless { table, nets: Vec::new(), by_values: Index::default() }
        }
    }

    pub fn table(&self) -> &Arc<Table> {
        match self {
            Self::Keyed { table, .. } | Self::Keyless { table, .. } => table,
        }
    }

    pub fn push(&mut self, change: Change) -> Result<(), MergeError> {
        match self {
            Self::Keyless { table, nets, by_values } => {
                let (gone, come) = match change {
                    Change::Insert { after } => (None, Some(after)),
                    Change::Delete { before } => (Some(before), None),
                    Change::Update { before, after } => (Some(before), Some(after)),
                };
                for (row, change) in gone.into_iter().map(|row| (row, -1)).chain(come.map(|row| (row, 1))) {
                    let mut values = Vec::with_capacity(row.bytes().len() * 2);
                    let blanks = dml::write_row(&mut values, table, &row)?;
                    match by_values.find_or_note(&values, nets, |net| &net.values).and_then(|at| nets.get_mut(at)) {
                        Some(net) => net.change += change,
                        None => nets.push(Net { values: values.into_boxed_slice(), blanks, row, change }),
                    }
                }
            }
            Self::Keyed { table, slots, by_key, .. } => {
                let key_columns = table.key_columns().unwrap_or(&[]);
                let key = |row: &RowImage| dml::key_of(table, key_columns, row).map(Vec::into_boxed_slice);
                match change {
                    Change::Insert { after } => set(slots, by_key, key(&after)?, None, Some(after))?,
                    Change::Delete { before } => set(slots, by_key, key(&before)?, Some(before), None)?,
                    Change::Update { before, after } => {
                        let old = key(&before)?;
                        let stays = before.same_in(&after, key_columns).map_err(RowError::from)?;
                        let new = if stays { None } else { Some(key(&after)?).filter(|new| *new != old) };
                        match new {
                            None => set(slots, by_key, old, Some(before), Some(after))?,
                            Some(new) => {
                                set(slots, by_key, old, Some(before), None)?;
                                set(slots, by_key, new, None, Some(after))?;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn set(
    slots: &mut Vec<Slot>,
    by_key: &mut Index,
    key: KeyBytes,
    before: Option<RowImage>,
    after: Option<RowImage>,
) -> Result<(), MergeError> {
    let known = by_key.find_or_note(&key, slots, |slot| &slot.key).and_then(|at| slots.get_mut(at));
    let Some(slot) = known else {
        slots.push(Slot { key, before, after });
        return Ok(());
    };
    if slot.after.is_some() != before.is_some() {
        return Err(MergeError::Contradiction);
    }
    slot.after = after;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::image::{Layout, Wire};
    use crate::model::table::ColumnKind;
    use crate::model::table::tests::{column, table};

    fn shop() -> Arc<Table> {
        let integer = ColumnKind::Integer { unsigned: false };
        Arc::new(table("t", vec![column("id", integer), column("v", integer)], &[0]))
    }

    fn row(id: u8, value: u8) -> RowImage {
        let layout = Arc::new(Layout::new(vec![Wire::Integer { bytes: 1 }; 2]));
        RowImage::new(Arc::from([0, id, value]), 0, 3, layout)
    }

    fn id_and_value(row: &RowImage) -> (u8, u8) {
        (row.bytes()[1], row.bytes()[2])
    }

    #[test]
    fn changed_primary_key_becomes_delete_then_insert() {
        let mut run = TableRun::new(shop(), Mode::Strict);
        run.push(Change::Update { before: row(1, 5), after: row(2, 5) }).expect("a change");
        let TableRun::Keyed { slots, .. } = run else { panic!() };
        assert!(slots[0].before.is_some() && slots[0].after.is_none());
        assert!(slots[1].before.is_none() && slots[1].after.is_some());
    }

    #[test]
    fn a_stream_that_contradicts_itself_is_refused() {
        let mut run = TableRun::new(shop(), Mode::Strict);
        run.push(Change::Insert { after: row(1, 1) }).expect("a change");
        assert_eq!(run.push(Change::Insert { after: row(1, 2) }), Err(MergeError::Contradiction));
    }

    proptest! {
        /// Merging a run and writing it once leaves what writing every change would have left.
        #[test]
        fn a_merged_run_equals_its_naive_replay(
            start in prop::collection::btree_map(0_u8..6, 0_u8..9, 0..6),
            steps in prop::collection::vec((0_u8..6, 0_u8..6, 0_u8..9), 0..40),
        ) {
            let (mut naive, mut run) = (start.clone(), TableRun::new(shop(), Mode::Strict));
            for (id, other, value) in steps {
                let change = match naive.get(&id).copied() {
                    None => { naive.insert(id, value); Change::Insert { after: row(id, value) } }
                    Some(old) if value == 0 => { naive.remove(&id); Change::Delete { before: row(id, old) } }
                    Some(old) if value < 4 && !naive.contains_key(&other) => {
                        naive.remove(&id);
                        naive.insert(other, value);
                        Change::Update { before: row(id, old), after: row(other, value) }
                    }
                    Some(old) => { naive.insert(id, value); Change::Update { before: row(id, old), after: row(id, value) } }
                };
                run.push(change).expect("a consistent stream");
            }
            let TableRun::Keyed { slots, .. } = run else { panic!() };
            let mut merged: BTreeMap<u8, u8> = start;
            for slot in &slots {
                if let Some(before) = &slot.before {
                    let (id, value) = id_and_value(before);
                    prop_assert_eq!(merged.remove(&id), Some(value));
                }
            }
            for slot in &slots {
                if let Some(after) = &slot.after {
                    let (id, value) = id_and_value(after);
                    prop_assert_eq!(merged.insert(id, value), None);
                }
            }
            prop_assert_eq!(merged, naive);
        }

        /// The balance of a run without a key, taken first and added then, leaves what its naive replay leaves.
        #[test]
        fn the_balance_of_a_keyless_run_equals_its_naive_replay(
            start in prop::collection::vec((0_u8..3, 0_u8..2), 0..6),
            steps in prop::collection::vec((0_u8..3, 0_u8..2, 0_u8..3, 0_usize..8), 0..40),
        ) {
            let mut keyless = (*shop()).clone();
            keyless.row_key = crate::model::table::RowKey::None;
            let (mut naive, mut run) = (start.clone(), TableRun::new(Arc::new(keyless), Mode::Strict));
            for (id, value, verb, at) in steps {
                let at = at % naive.len().max(1);
                let change = match naive.get(at).copied() {
                    Some((old_id, old)) if verb == 0 => {
                        naive.remove(at);
                        Change::Delete { before: row(old_id, old) }
                    }
                    Some((old_id, old)) if verb == 1 => {
                        naive[at] = (id, value);
                        Change::Update { before: row(old_id, old), after: row(id, value) }
                    }
                    _ => {
                        naive.push((id, value));
                        Change::Insert { after: row(id, value) }
                    }
                };
                run.push(change).expect("any stream");
            }
            let TableRun::Keyless { nets, .. } = run else { panic!() };
            let mut merged = start;
            for net in &nets {
                for _ in net.change..0 {
                    let at = merged.iter().position(|one| *one == id_and_value(&net.row));
                    prop_assert!(at.is_some());
                    merged.remove(at.unwrap_or_default());
                }
            }
            for net in &nets {
                merged.extend((0..net.change).map(|_| id_and_value(&net.row)));
            }
            merged.sort_unstable();
            naive.sort_unstable();
            prop_assert_eq!(merged, naive);
        }
    }
}
