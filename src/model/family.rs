//! Foreign keys that act: CASCADE and SET NULL, and the tables that are tied together by them.
//!
//! Most servers carry such an action out inside their engine and log none of it: the binlog has the parent's row, and not what became of
//! its children. Whoever repeats the parent's change must let his own engine do the same, and that comes to the same only where
//! *every row that the action reads or writes stands as it stood at the source*. The tables for which this must hold together are a
//! **family**.
//!
//! # Who belongs to a family
//!
//! Let a table be *touched* when a key that acts begins or ends at it: only such rows are written while keys are on. Then
//! 1. the tables of one acting key belong together;
//! 2. so does a child of a touched table by *any* key. With keys on, the engine asks it before it lets a row of its parent go: a
//!    child that RESTRICT holds, and that stands at another moment than its parent, would refuse what the source has allowed;
//! 3. and, where an acting key changes values (ON UPDATE), the parents of the tables that it begins or ends at: the engine looks for
//!    the parent of a changed row. (A delete asks no parent, and neither does NULL.)
//!
//! # What a task cannot carry ([`obstacles`])
//!
//! A child whose acting parent is not selected: its rows change, and nothing in the stream says so. A parent that rule 3 asks for and
//! that is not there. SET DEFAULT, which InnoDB refuses as well.
//!
//! A parent that is carried without its children is no obstacle: keys stay off when its rows go. But where keys are on for the sake of
//! others, nothing may hang on the target on a touched table that the task does not carry: it would be changed, or would refuse
//! ([`hazards`]).
//!
//! And a target that carries keys out above its engine, as 9.6 and newer do unless told otherwise, is none for a source that does not:
//! that is another implementation, which refuses what engines do (a changed value that passes through two keys with several columns;
//! most rows that go with a row of their own table).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::table::TableName;

/// Why such a target is refused.
pub const ABOVE_THE_ENGINE: &str = "the target carries keys out above its engine, and the source does not: start the target with \
                                    innodb_native_foreign_keys=ON";

/// What a foreign key does to the children of a row that goes, or whose values change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// RESTRICT and NO ACTION, which InnoDB does not tell apart.
    Refuse,
    Cascade,
    SetNull,
    SetDefault,
}

impl Action {
    /// As the catalog spells it.
    pub fn parse(rule: &str) -> Option<Self> {
        match rule {
            "RESTRICT" | "NO ACTION" => Some(Self::Refuse),
            "CASCADE" => Some(Self::Cascade),
            "SET NULL" => Some(Self::SetNull),
            "SET DEFAULT" => Some(Self::SetDefault),
            _ => None,
        }
    }

    fn acts(self) -> bool {
        match self {
            Self::Refuse => false,
            Self::Cascade | Self::SetNull | Self::SetDefault => true,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    pub name: String,
    pub child: TableName,
    pub columns: Vec<String>,
    pub parent: TableName,
    /// The parent's columns, as many.
    pub referenced: Vec<String>,
    pub on_update: Action,
    pub on_delete: Action,
}

impl ForeignKey {
    fn acts(&self) -> bool {
        self.on_update.acts() || self.on_delete.acts()
    }

    /// Whether both do the same, whatever they are called.
    fn equals(&self, other: &Self) -> bool {
        let same = |ours: &[String], theirs: &[String]| {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(one, other)| one.eq_ignore_ascii_case(other))
        };
        (&self.child, &self.parent) == (&other.child, &other.parent)
            && (self.on_update, self.on_delete) == (other.on_update, other.on_delete)
            && same(&self.columns, &other.columns)
            && same(&self.referenced, &other.referenced)
    }
}

impl fmt::Display for ForeignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.name, self.child)
    }
}

/// The tables that acting keys begin or end at, and those among them whose values such a key may change.
struct Touched<'k> {
    all: BTreeSet<&'k TableName>,
    changed: BTreeSet<&'k TableName>,
}

impl<'k> Touched<'k> {
    fn by(keys: &'k [ForeignKey], carried: &dyn Fn(&TableName) -> bool) -> Self {
        let acting = keys.iter().filter(|key| key.acts() && carried(&key.child) && carried(&key.parent));
        let ends = |key: &'k ForeignKey| [&key.child, &key.parent];
        Self {
            all: acting.clone().flat_map(ends).collect(),
            changed: acting.filter(|key| key.on_update.acts()).flat_map(ends).collect(),
        }
    }
}

/// What the acting keys onto a table do.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Something may happen to the children of a row that goes.
    pub on_delete: bool,
    /// Something may happen to the children of a row that changes in one of these lists of columns.
    pub on_update: BTreeSet<Vec<String>>,
    /// Its rows may go in any order, and in one statement: see [`Families::new`].
    pub in_any_order: bool,
}

/// The families among the tables of a task.
#[derive(Debug, Default)]
pub struct Families {
    families: Vec<BTreeSet<TableName>>,
    parents: HashMap<TableName, Parent>,
}

impl Families {
    /// `carried` says which tables the task carries.
    ///
    /// Whether rows of a parent may go in any order: only when every table below it, through whatever keys, hangs by exactly one key, and
    /// it itself by none. Each row below then has one row above at the most, so what goes with one row is out of reach of another's
    /// end. Where a table hangs by two keys this is not so: a row that one parent's end takes away may be the one that
    /// would have refused the other's (RESTRICT), and a SET NULL may save a row from a CASCADE that shares a column with it. In a
    /// self-reference or a circle the row itself may have gone before its turn comes.
    pub fn new(keys: &[ForeignKey], carried: &dyn Fn(&TableName) -> bool) -> Self {
        let here: Vec<&ForeignKey> = keys.iter().filter(|key| carried(&key.child) && carried(&key.parent)).collect();
        let touched = Touched::by(keys, carried);
        let mut families = Self::default();
        for key in &here {
            if key.acts() || touched.all.contains(&key.parent) || touched.changed.contains(&key.child) {
                families.join(&key.child, &key.parent);
            }
        }
        families.families.sort();
        for key in here.iter().filter(|key| key.acts()) {
            let parent = families
                .parents
                .entry(key.parent.clone())
                .or_insert_with(|| Parent { in_any_order: hangs_by_single_keys(&here, &key.parent), ..Parent::default() });
            parent.on_delete |= key.on_delete.acts();
            if key.on_update.acts() {
                parent.on_update.insert(key.referenced.clone());
            }
        }
        families
    }

    fn join(&mut self, one: &TableName, other: &TableName) {
        let (mut joined, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.families)
            .into_iter()
            .partition(|family: &BTreeSet<TableName>| family.contains(one) || family.contains(other));
        let mut family: BTreeSet<TableName> = joined.drain(..).flatten().collect();
        family.extend([one.clone(), other.clone()]);
        self.families = rest;
        self.families.push(family);
    }

    /// Each family's members.
    pub fn members(&self) -> impl Iterator<Item = &BTreeSet<TableName>> {
        self.families.iter()
    }

    /// The family that a table belongs to, by its number.
    pub fn of(&self, name: &TableName) -> Option<usize> {
        self.families.iter().position(|family| family.contains(name))
    }

    /// What the acting keys onto this table do; `None` when there are none.
    pub fn parent(&self, name: &TableName) -> Option<&Parent> {
        self.parents.get(name)
    }
}

fn hangs_by_single_keys(keys: &[&ForeignKey], top: &TableName) -> bool {
    let mut below = BTreeSet::from([top]);
    loop {
        let size = below.len();
        let more: Vec<&TableName> = keys.iter().filter(|key| below.contains(&key.parent)).map(|key| &key.child).collect();
        below.extend(more);
        if below.len() == size {
            break;
        }
    }
    let mut hangs: BTreeMap<&TableName, usize> = BTreeMap::new();
    for key in keys.iter().filter(|key| below.contains(&key.parent)) {
        *hangs.entry(&key.child).or_default() += 1;
    }
    !hangs.contains_key(top) && hangs.values().all(|count| *count == 1)
}

/// Keys of the source that stand in the way of a task that carries these tables, each with the reason.
pub fn obstacles(keys: &[ForeignKey], carried: &dyn Fn(&TableName) -> bool) -> Vec<String> {
    let touched = Touched::by(keys, carried);
    let mut found = Vec::new();
    for key in keys.iter().filter(|key| carried(&key.child)) {
        let alone = !carried(&key.parent);
        if [key.on_update, key.on_delete].contains(&Action::SetDefault) {
            found.push(format!("{key} sets defaults"));
        } else if alone && key.acts() {
            found.push(format!("{key}: what it does is not seen while its parent {} is not selected", key.parent));
        } else if alone && touched.changed.contains(&key.child) {
            found.push(format!("{key}: its parent {} is not selected, and would be looked for", key.parent));
        }
    }
    found
}

/// In what the target's keys onto and from touched tables differ from the source's; `there` says which tables the target has.
pub fn differences(
    source: &[ForeignKey],
    target: &[ForeignKey],
    carried: &dyn Fn(&TableName) -> bool,
    there: &dyn Fn(&TableName) -> bool,
) -> Vec<String> {
    let touched = Touched::by(source, carried);
    let concerns = |key: &&ForeignKey| touched.all.contains(&key.parent) || touched.all.contains(&key.child);
    let known = |key: &ForeignKey, among: &[ForeignKey]| among.iter().any(|other| other.equals(key));
    let missing = source.iter().filter(concerns).filter(|key| carried(&key.child) && there(&key.child) && !known(key, target));
    let missing = missing.map(|key| format!("{key} is not there, or is another one"));
    let added = target.iter().filter(concerns).filter(|key| carried(&key.child) && !known(key, source));
    let added = added.map(|key| format!("{key} is only there"));
    missing.chain(added).chain(hazards(target, source, carried)).collect()
}

/// Keys of the target by which tables that the task does not carry would be changed, or would refuse a change. `keys` are those that will
/// act there.
pub fn hazards(target: &[ForeignKey], keys: &[ForeignKey], carried: &dyn Fn(&TableName) -> bool) -> Vec<String> {
    let touched = Touched::by(keys, carried);
    let hanging = target.iter().filter(|key| touched.all.contains(&key.parent) && !carried(&key.child));
    hanging.map(|key| format!("{key}, which is not selected, hangs on {}", key.parent)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn name(table: &str) -> TableName {
        TableName::new("shop", table)
    }

    /// `child → parent`, over the columns `parent` and `id`.
    pub(crate) fn key(child: &str, parent: &str, on_update: Action, on_delete: Action) -> ForeignKey {
        ForeignKey {
            name: format!("{child}_{parent}"),
            child: name(child),
            columns: vec!["parent".to_owned()],
            parent: name(parent),
            referenced: vec!["id".to_owned()],
            on_update,
            on_delete,
        }
    }

    use Action::{Cascade, Refuse, SetDefault, SetNull};

    fn families(keys: &[ForeignKey]) -> Vec<Vec<String>> {
        let families = Families::new(keys, &|_| true);
        families.members().map(|members| members.iter().map(|name| name.table.clone()).collect()).collect()
    }

    #[test]
    fn a_family_is_what_acting_keys_tie_together_and_what_they_ask() {
        assert_eq!(families(&[key("b", "a", Refuse, Refuse)]), Vec::<Vec<String>>::new());
        let chain = [key("b", "a", Refuse, Cascade), key("c", "b", Refuse, SetNull), key("y", "x", Cascade, Refuse)];
        assert_eq!(families(&chain), [vec!["a", "b", "c"], vec!["x", "y"]]);
        // What hangs on a touched table by a key that refuses is asked; what hangs on that is not.
        let asked = [key("b", "a", Refuse, Cascade), key("r", "b", Refuse, Refuse), key("s", "r", Refuse, Refuse)];
        assert_eq!(families(&asked), [["a", "b", "r"]]);
        // A delete asks no parent, a changed value does.
        let above = |on_update| [key("b", "a", on_update, Cascade), key("b", "z", Refuse, Refuse)];
        assert_eq!(families(&above(Refuse)), [vec!["a", "b"]]);
        assert_eq!(families(&above(Cascade)), [vec!["a", "b", "z"]]);
    }

    #[test]
    fn a_parent_knows_what_may_happen_to_its_children() {
        let keys = [key("b", "a", Refuse, SetNull), key("c", "a", Cascade, Refuse)];
        let families = Families::new(&keys, &|_| true);
        let parent = families.parent(&name("a")).expect("a parent");
        assert!(parent.on_delete && parent.on_update == BTreeSet::from([vec!["id".to_owned()]]) && parent.in_any_order);
        assert_eq!((families.parent(&name("b")), families.of(&name("c"))), (None, Some(0)));
        // A child that is carried alone or not at all ties nothing.
        assert_eq!(Families::new(&keys, &|table| *table != name("a")).members().count(), 0);
    }

    #[test]
    fn rows_go_in_any_order_only_where_each_table_hangs_by_one_key() {
        let free = |keys: &[ForeignKey]| Families::new(keys, &|_| true).parent(&name("a")).expect("a parent").in_any_order;
        assert!(free(&[key("b", "a", Refuse, Cascade), key("c", "b", Refuse, Refuse), key("d", "a", Refuse, SetNull)]));
        let itself = key("a", "a", Refuse, Cascade);
        assert!(!free(std::slice::from_ref(&itself)));
        assert!(!free(&[key("b", "a", Refuse, Cascade), key("a", "b", Refuse, SetNull)]), "a circle");
        assert!(!free(&[key("b", "a", Refuse, Cascade), key("b", "a", Refuse, Refuse)]), "one refuses what the other takes away");
        let diamond = [("b", "a"), ("c", "a"), ("d", "b"), ("d", "c")];
        assert!(!free(&diamond.map(|(child, parent)| key(child, parent, Refuse, Cascade))));
    }

    #[test]
    fn a_child_without_its_acting_parent_is_an_obstacle_and_a_parent_without_its_child_is_none() {
        let keys = [key("b", "a", Refuse, Cascade)];
        let without = |left: &'static str| move |table: &TableName| *table != name(left);
        assert!(obstacles(&keys, &|_| true).is_empty() && obstacles(&keys, &without("b")).is_empty());
        assert!(obstacles(&keys, &without("a")).first().is_some_and(|text| text.contains("b_a of shop.b")));
        assert_eq!(obstacles(&[key("b", "a", Refuse, SetDefault)], &|_| true).len(), 1);
        let looked_for = [key("b", "a", Cascade, Refuse), key("a", "z", Refuse, Refuse)];
        assert!(obstacles(&looked_for, &without("z")).first().is_some_and(|text| text.contains("looked for")));
        let left_alone = [key("b", "a", Refuse, Cascade), key("a", "z", Refuse, Refuse)];
        assert!(obstacles(&left_alone, &without("z")).is_empty());
    }

    #[test]
    fn the_target_must_have_the_sources_keys_and_no_others() {
        let source = [key("b", "a", Refuse, Cascade), key("c", "b", Refuse, Refuse)];
        let differ = |target: &[ForeignKey], there: &dyn Fn(&TableName) -> bool| {
            differences(&source, target, &|table| table.table != "stranger", there).len()
        };
        let mut renamed = source.clone();
        renamed[0].name = "another".to_owned();
        assert_eq!(differ(&renamed, &|_| true), 0);
        assert_eq!((differ(&[], &|_| true), differ(&[], &|_| false)), (2, 0));
        assert_eq!(differ(&[key("b", "a", Refuse, SetNull), source[1].clone()], &|_| true), 2);
        let mut hung_on = source.to_vec();
        hung_on.push(key("stranger", "b", Refuse, Refuse));
        assert_eq!(differ(&hung_on, &|_| true), 1, "a table that the task does not carry would be asked");
    }
}
