//! What a run of changes to a family comes to, when the source has not logged what its foreign keys did; pure.
//!
//! # Why it is right
//!
//! Say that the target stands where the source stood before a change *c*, in every table of the family ([`crate::model::family`]).
//! When *c* is one that keys may act on, executing just *c* on the target, with keys on, does there what it did at the source: the
//! engine reads the same rows by the same keys. This is how a replica of the source's own kind repeats such a change. When *c* is one that
//! keys cannot act on, its row image is all that happened. So a family's changes fall into **windows**: first some changes that keys act
//! on, each executed by itself in the source's order; then changes that keys do not act on, merged like those of any other table
//! ([`super::merge`]): between them nothing happens that is not in the stream, so a key's first and last moment say it all. The next
//! change that keys may act on begins a new window, and all of the family's windows are executed in order. By induction
//! the target stands where the source stood at the end of each window, and so at the end of each transaction.
//!
//! Keys may act on a delete from a parent, and on an update that changes, by any bit, a column that a key with ON UPDATE refers to.
//! They do not act on an insert; on a change to a child; nor on anything that a session did under `foreign_key_checks=0`,
//! which the event says of itself: such changes are merged, and written with keys off, as they were at the source.
//!
//! The first part of a window is written as it was: an update by an UPDATE of this one row, since an upsert, or a delete and an insert,
//! would let keys do something else. Deletes from one parent that follow one another share a statement where their order does not matter
//! ([`crate::model::family::Families::new`]); the server is free in which order it takes the rows of a list.
//!
//! The counts stay exact: servers do not count what keys do. Every member of a family was copied at one position
//! (`copy::snapshot`), so there is no overlap in which rows could be of different moments.
//!
//! # What is not seen
//!
//! A routine that switches `foreign_key_checks` between two changes of one statement to one table: the server may write both into one
//! event, which has one flag. Its own replicas do not see it either.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Counts;
use super::merge::{MergeError, Mode, TableRun};
use super::render::{self, Output};
use crate::fault::{Code, Fault};
use crate::model::change::{Change, KeyBytes};
use crate::model::family::Families;
use crate::model::image::RowImage;
use crate::model::table::{Table, TableName};
use crate::sql::acting;
use crate::sql::dml::{self, RowError, Shapes};

/// How a table stands in its family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    family: usize,
    /// Keys may act when a row goes.
    on_delete: bool,
    /// Keys may act when a row changes in one of these lists of columns.
    on_update: Vec<Vec<usize>>,
    in_any_order: bool,
}

/// The place of every table that has one.
pub type Places = HashMap<TableName, Place>;

/// Finds each member's place; the tables are the target's.
pub fn places(families: &Families, tables: &HashMap<TableName, Arc<Table>>) -> Result<Places, Fault> {
    let mut places = Places::new();
    for (family, members) in families.members().enumerate() {
        for name in members {
            let mut place = Place { family, on_delete: false, on_update: Vec::new(), in_any_order: false };
            let unknown = || Fault::new(Code::SchemaMismatch, format!("a foreign key names columns that {name} does not have"));
            let table = tables.get(name).ok_or_else(unknown)?;
            if let Some(parent) = families.parent(name) {
                if table.key_columns().is_none() {
                    let detail = format!("{name} has no key, and foreign keys act on its rows");
                    return Err(Fault::new(Code::TableUnsupported, detail));
                }
                place.on_delete = parent.on_delete;
                place.in_any_order = parent.in_any_order;
                for columns in &parent.on_update {
                    let index = |name: &String| table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
                    let columns: Option<Vec<usize>> = columns.iter().map(index).collect();
                    place.on_update.push(columns.ok_or_else(unknown)?);
                }
            }
            places.insert(name.clone(), place);
        }
    }
    Ok(places)
}

impl Place {
    /// Whether keys may have done something on this change.
    fn may_act(&self, change: &Change) -> Result<bool, RowError> {
        Ok(match change {
            Change::Insert { .. } => false,
            Change::Delete { .. } => self.on_delete,
            Change::Update { before, after } => {
                let mut changed = false;
                for columns in &self.on_update {
                    changed |= !before.same_in(after, columns)?;
                }
                changed
            }
        })
    }
}

/// A change that keys act on.
#[derive(Debug)]
struct Acting {
    table: Arc<Table>,
    key: KeyBytes,
    /// What becomes of the row; `None` when it goes.
    after: Option<RowImage>,
    in_any_order: bool,
}

impl Acting {
    /// Whether the two may be executed by one statement.
    fn goes_with(&self, next: &Acting) -> bool {
        let alike = self.after.is_none() && next.after.is_none() && self.table.name == next.table.name;
        alike && self.in_any_order
    }
}

/// First what keys act on, in order; then what they do not act on.
#[derive(Debug, Default)]
struct Window {
    acting: Vec<Acting>,
    runs: BTreeMap<TableName, TableRun>,
}

/// The windows of each family, in order.
#[derive(Debug, Default)]
pub struct Windows {
    families: BTreeMap<usize, Vec<Window>>,
}

impl Windows {
    pub fn is_empty(&self) -> bool {
        self.families.is_empty()
    }

    /// Takes a change to the table that has this place; `keys_act` says whether they were on at the source.
    pub fn push(&mut self, place: &Place, table: &Arc<Table>, change: Change, keys_act: bool) -> Result<(), MergeError> {
        let windows = self.families.entry(place.family).or_default();
        let acts = keys_act && place.may_act(&change)?;
        if windows.last().is_none_or(|last| acts && !last.runs.is_empty()) {
            windows.push(Window::default());
        }
        // One was pushed if there was none.
        let Some(window) = windows.last_mut() else { return Err(MergeError::Contradiction) };
        let (before, after) = match change {
            Change::Delete { before } if acts => (before, None),
            Change::Update { before, after } if acts => (before, Some(after)),
            change => {
                let fresh = || TableRun::new(Arc::clone(table), Mode::Strict);
                return window.runs.entry(table.name.clone()).or_insert_with(fresh).push(change);
            }
        };
        let key = dml::key_of(table, table.key_columns().unwrap_or(&[]), &before)?.into_boxed_slice();
        window.acting.push(Acting { table: Arc::clone(table), key, after, in_any_order: place.in_any_order });
        Ok(())
    }

    /// Appends the statements of all windows; `shapes` knows the statements of every table.
    pub fn render(
        &self,
        shapes: &mut dyn FnMut(&Arc<Table>) -> Arc<Shapes>,
        out: &mut Vec<Output>,
        counts: &mut Counts,
    ) -> Result<(), (TableName, RowError)> {
        for window in self.families.values().flatten() {
            let mut first = Output::default();
            render_acting(&window.acting, shapes, &mut first, counts)?;
            follow(out, first);
            for (name, run) in &window.runs {
                let mut next = Output::default();
                let shapes = shapes(run.table());
                render::render(run, &shapes, false, &mut next, counts).map_err(|error| (name.clone(), error))?;
                follow(out, next);
            }
        }
        Ok(())
    }
}

fn render_acting(
    acting: &[Acting],
    shapes: &mut dyn FnMut(&Arc<Table>) -> Arc<Shapes>,
    out: &mut Output,
    counts: &mut Counts,
) -> Result<(), (TableName, RowError)> {
    if acting.is_empty() {
        return Ok(());
    }
    out.statements.push(acting::begin());
    for group in acting.chunk_by(Acting::goes_with) {
        let Some(Acting { table, key, after, .. }) = group.first() else { continue };
        let shapes = shapes(table);
        match after {
            Some(after) => {
                counts.updates += 1;
                let update = acting::update(&shapes, table, key, after).map_err(|error| (table.name.clone(), error))?;
                out.statements.push(update);
            }
            None => {
                counts.deletes += group.len() as u64;
                let keys = group.iter().map(|acting| &*acting.key);
                dml::deletes(&shapes.delete, keys, true, false, &mut out.statements);
            }
        }
    }
    out.statements.push(acting::end());
    Ok(())
}

/// Appends what is executed after all the rest. Removals come first in their output, so after statements they begin another one.
pub fn follow(out: &mut Vec<Output>, next: Output) {
    match out.last_mut() {
        Some(last) if next.removals.is_empty() || last.statements.is_empty() => {
            last.removals.extend(next.removals);
            last.statements.extend(next.statements);
        }
        Some(_) | None => out.push(next),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::family::tests::key;
    use crate::model::family::{Action, ForeignKey};
    use crate::model::image::{Layout, Wire};
    use crate::model::table::tests::{column, table};
    use crate::model::table::{ColumnKind, RowKey};
    use crate::sql::keyless::Removal;

    use Action::{Cascade, Refuse};

    /// Tables of `id` and `parent`.
    struct Shop {
        tables: HashMap<TableName, Arc<Table>>,
        places: Places,
    }

    impl Shop {
        fn new(keys: &[ForeignKey]) -> Self {
            let integer = ColumnKind::Integer { unsigned: false };
            let described = |name: &TableName| table(&name.table, vec![column("id", integer), column("parent", integer)], &[0]);
            let names = keys.iter().flat_map(|key| [key.child.clone(), key.parent.clone()]);
            let tables = names.map(|name| (name.clone(), Arc::new(described(&name)))).collect();
            let places = places(&Families::new(keys, &|_| true), &tables).expect("places");
            Self { tables, places }
        }

        fn statements(&self, changes: &[(&str, Change, bool)]) -> Vec<String> {
            let mut windows = Windows::default();
            for (name, change, keys_act) in changes {
                let name = TableName::new("shop", *name);
                let change = change.clone();
                windows.push(&self.places[&name], &self.tables[&name], change, *keys_act).expect("a change");
            }
            let (mut out, mut counts) = (vec![Output::default()], Counts::default());
            windows.render(&mut |table| Arc::new(Shapes::new(table, None)), &mut out, &mut counts).expect("statements");
            let statements = out.into_iter().flat_map(|output| output.statements);
            statements.map(|statement| String::from_utf8(statement.text).expect("ASCII").replace("`", "")).collect()
        }
    }

    const ON: &str = "SET foreign_key_checks=1";
    const OFF: &str = "SET foreign_key_checks=0";

    fn row(id: u8, parent: u8) -> RowImage {
        let layout = Arc::new(Layout::new(vec![Wire::Integer { bytes: 1 }; 2]));
        RowImage::new(Arc::from([0, id, parent]), 0, 3, layout)
    }

    fn insert(id: u8, parent: u8) -> Change {
        Change::Insert { after: row(id, parent) }
    }

    fn delete(id: u8, parent: u8) -> Change {
        Change::Delete { before: row(id, parent) }
    }

    fn update(before: (u8, u8), after: (u8, u8)) -> Change {
        Change::Update { before: row(before.0, before.1), after: row(after.0, after.1) }
    }

    #[test]
    fn a_parents_end_is_written_between_what_came_before_and_what_came_after() {
        let shop = Shop::new(&[key("b", "a", Refuse, Cascade)]);
        let changes = [
            ("a", insert(1, 0), true),
            ("b", insert(5, 1), true),
            ("b", delete(5, 1), true),
            ("b", insert(6, 1), true),
            ("a", delete(1, 0), true),
            ("a", insert(1, 9), true),
            ("b", insert(6, 1), true),
        ];
        assert_eq!(
            shop.statements(&changes),
            [
                "INSERT INTO shop.a (id,parent) VALUES (1,0)",
                "INSERT INTO shop.b (id,parent) VALUES (6,1)",
                ON,
                "DELETE FROM shop.a WHERE id IN (1)",
                OFF,
                "INSERT INTO shop.a (id,parent) VALUES (1,9)",
                "INSERT INTO shop.b (id,parent) VALUES (6,1)",
            ]
        );
    }

    #[test]
    fn what_keys_do_not_act_on_is_merged() {
        let shop = Shop::new(&[key("b", "a", Refuse, Cascade)]);
        let changes = [
            ("a", update((1, 0), (1, 7)), true),
            ("a", insert(2, 0), true),
            ("a", delete(2, 0), false),
            ("b", update((5, 1), (5, 2)), true),
            ("b", delete(5, 2), true),
            ("a", update((1, 7), (3, 7)), true),
        ];
        assert_eq!(
            shop.statements(&changes),
            [
                "DELETE FROM shop.a WHERE id IN (1)",
                "INSERT INTO shop.a (id,parent) VALUES (3,7)",
                "DELETE FROM shop.b WHERE id IN (5)"
            ],
            "no key acts on updates here"
        );
    }

    #[test]
    fn a_changed_value_that_keys_refer_to_is_an_update_of_its_own() {
        let shop = Shop::new(&[key("b", "a", Cascade, Refuse)]);
        let changes = [
            ("a", update((1, 0), (2, 0)), true),
            ("a", update((3, 0), (1, 0)), true),
            ("a", delete(1, 0), true),
            ("a", update((2, 0), (4, 0)), false),
        ];
        assert_eq!(
            shop.statements(&changes),
            [
                ON,
                "UPDATE shop.a SET id=2,parent=0 WHERE id IN (1)",
                "UPDATE shop.a SET id=1,parent=0 WHERE id IN (3)",
                OFF,
                "DELETE FROM shop.a WHERE id IN (1,2)",
                "INSERT INTO shop.a (id,parent) VALUES (4,0)",
            ]
        );
    }

    #[test]
    fn deletes_share_a_statement_unless_one_row_may_go_with_another() {
        let gone = [("a", delete(1, 0), true), ("a", delete(2, 1), true)];
        let chain = Shop::new(&[key("b", "a", Refuse, Cascade), key("c", "b", Refuse, Cascade)]);
        assert_eq!(chain.statements(&gone), [ON, "DELETE FROM shop.a WHERE id IN (1,2)", OFF]);
        let tree = Shop::new(&[key("a", "a", Refuse, Cascade)]);
        assert_eq!(tree.statements(&gone), [ON, "DELETE FROM shop.a WHERE id IN (1)", "DELETE FROM shop.a WHERE id IN (2)", OFF]);
        let between = [("a", delete(1, 0), true), ("b", delete(7, 2), true), ("a", delete(2, 1), true)];
        let one_by_one =
            ["a WHERE id IN (1)", "b WHERE id IN (7)", "a WHERE id IN (2)"].map(|rest| format!("DELETE FROM shop.{rest}"));
        assert_eq!(chain.statements(&between)[1..4], one_by_one);
        let after = [("a", delete(1, 0), true), ("c", delete(7, 2), true), ("a", delete(2, 1), true)];
        let windows = chain.statements(&after);
        assert_eq!((windows.len(), windows[3].as_str()), (7, "DELETE FROM shop.c WHERE id IN (7)"));
    }

    const NAMES: [&str; 3] = ["a", "b", "c"];

    /// Rows by table and id, each with its parent's id.
    type Rows = BTreeMap<(usize, u8), u8>;

    /// What an engine does with a row, and with what hangs on it when keys act.
    fn act(rows: &mut Rows, table: usize, id: u8, after: Option<(u8, u8)>, keys_act: bool) {
        rows.remove(&(table, id));
        if let Some((id, parent)) = after {
            rows.insert((table, id), parent);
        }
        let moved = after.map(|(id, _)| id);
        let hangs = |((below, _), parent): &(&(usize, u8), &u8)| *below == table + 1 && **parent == id;
        let children: Vec<u8> = rows.iter().filter(hangs).map(|((_, child), _)| *child).collect();
        for child in children.into_iter().filter(|_| keys_act && moved != Some(id)) {
            match moved {
                None => act(rows, table + 1, child, None, true),
                Some(id) => _ = rows.insert((table + 1, child), id),
            }
        }
    }

    /// What the target does with windows.
    fn carry_out(rows: &mut Rows, windows: &Windows) {
        let number = |name: &TableName| NAMES.iter().position(|known| *known == name.table).expect("a table");
        let cells = |row: &RowImage| (row.bytes()[1], row.bytes()[2]);
        for window in windows.families.values().flatten() {
            for Acting { table, key, after, .. } in &window.acting {
                let id: u8 = String::from_utf8_lossy(key).parse().expect("a number");
                assert!(rows.contains_key(&(number(&table.name), id)), "a strict count would be wrong");
                act(rows, number(&table.name), id, after.as_ref().map(cells), true);
            }
            for (name, run) in &window.runs {
                let TableRun::Keyed { slots, .. } = run else { panic!("tables with keys") };
                for before in slots.iter().filter_map(|slot| slot.before.as_ref()) {
                    assert_eq!(rows.remove(&(number(name), cells(before).0)), Some(cells(before).1));
                }
                for (id, parent) in slots.iter().filter_map(|slot| slot.after.as_ref().map(cells)) {
                    assert_eq!(rows.insert((number(name), id), parent), None);
                }
            }
        }
    }

    proptest! {
        /// The source's rows and the target's are equal, although the windows were told nothing of what keys did at the source.
        #[test]
        fn windows_bring_the_target_where_the_source_is(
            steps in prop::collection::vec((0_usize..3, 0_u8..5, 0_u8..5, 0_u8..5, 0_u8..8), 0..60),
        ) {
            let shop = Shop::new(&[key("b", "a", Cascade, Cascade), key("c", "b", Cascade, Cascade)]);
            let (mut source, mut target, mut windows) = (Rows::new(), Rows::new(), Windows::default());
            for (table, id, other, parent, dice) in steps {
                let keys_act = dice > 0;
                let after = match source.get(&(table, id)) {
                    Some(_) if dice % 3 == 0 => None,
                    Some(_) if dice % 3 == 1 && !source.contains_key(&(table, other)) => Some((other, parent)),
                    _ => Some((id, parent)),
                };
                let change = match (source.get(&(table, id)), after) {
                    (Some(before), None) => delete(id, *before),
                    (Some(before), Some(after)) => update((id, *before), after),
                    (None, _) => insert(id, parent),
                };
                act(&mut source, table, id, after, keys_act);
                let name = TableName::new("shop", NAMES[table]);
                windows.push(&shop.places[&name], &shop.tables[&name], change, keys_act).expect("a change");
            }
            carry_out(&mut target, &windows);
            prop_assert_eq!(target, source);
        }
    }

    #[test]
    fn removals_never_overtake_a_statement() {
        let mut keyless = (*Shop::new(&[key("b", "a", Refuse, Cascade)]).tables[&TableName::new("shop", "b")]).clone();
        keyless.row_key = RowKey::None;
        let shapes = Arc::new(Shapes::new(&keyless, None));
        let removal = || Output {
            removals: vec![Removal::new(&shapes, &keyless, &[], dml::STATEMENT_BYTES).expect("a removal")],
            statements: Vec::new(),
        };
        let statement = || Output { removals: Vec::new(), statements: vec![acting::begin()] };
        let mut out = vec![Output::default()];
        for next in [removal(), statement(), statement(), removal(), statement()] {
            follow(&mut out, next);
        }
        assert_eq!(
            out.iter().map(|output| (output.removals.len(), output.statements.len())).collect::<Vec<_>>(),
            [(1, 2), (1, 1)]
        );
    }

    #[test]
    fn a_parent_without_a_key_has_no_place() {
        let keys = [key("b", "a", Refuse, Cascade)];
        let mut shop = Shop::new(&keys);
        let mut keyless = (*shop.tables[&TableName::new("shop", "a")]).clone();
        keyless.row_key = RowKey::None;
        shop.tables.insert(keyless.name.clone(), Arc::new(keyless));
        let refused = places(&Families::new(&keys, &|_| true), &shop.tables).expect_err("no place");
        assert_eq!(refused.code, Code::TableUnsupported);
    }
}
