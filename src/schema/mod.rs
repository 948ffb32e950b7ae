//! Tables on the target, as the source defines them.
//!
//! Definitions come from `SHOW CREATE TABLE` and are never rebuilt from parts; only what the source leaves out as its own default
//! is spelled ([`translate`]). A table that is there already is
//! left alone when it fits. Afterwards both catalogs are read and compared: columns, types, collations, keys. From here on the target's
//! catalog is what the stream's rows must fit.
//!
//! A parent of foreign keys is created before its children: where it comes later, 8.0.15 takes the keys and never acts on them (a CASCADE
//! then deletes nothing, and says nothing) until the child is built anew. In a circle one child must come first; it is built anew while
//! it is empty.
//!
//! Every step may be repeated: a crash in the middle leaves tables that the next start finds fitting and empty. The session of a
//! daemon that was killed may even be creating one still, which is not in the catalog yet: so each is created if it is absent, and
//! what stands there in the end is compared.
//!
//! Views, triggers, routines and events are not created by this version.

pub mod translate;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::conn::{Endpoint, Purpose};
use crate::fault::{Code, Fault, Side};
use crate::model::family::ForeignKey;
use crate::model::table::{Table, TableName};
use crate::source::{self, catalog};
use crate::sql::{Ident, qualified};
use crate::target;

/// Creates what is missing of `names` on the target.
pub async fn create(from: &Endpoint, to: &Endpoint, names: &[TableName]) -> Result<(), Fault> {
    let mut source = source::connect(from, Purpose::Catalog).await?;
    let mut target = target::connect(to, Purpose::Catalog).await?;
    let defaults = catalog::default_collations(&mut source).await?;
    let keys = catalog::foreign_keys(Side::Source, &mut source).await?;
    let schemas: BTreeSet<&str> = names.iter().map(|name| name.schema.as_str()).collect();
    let mut there = HashSet::new();
    for schema in schemas {
        let found = catalog::describe(Side::Target, &mut target, schema).await?;
        let (charset, collation) = catalog::schema_defaults(&mut source, schema).await?;
        if found.is_empty() {
            let statement = format!(
                "CREATE DATABASE IF NOT EXISTS {} DEFAULT CHARACTER SET {} COLLATE {}",
                Ident(schema),
                Ident(&charset),
                Ident(&collation)
            );
            target::run(&mut target, statement).await.map_err(|fault| fault.at(format!("creating database {schema}")))?;
        }
        there.extend(found.into_keys());
    }
    for name in parents_first(names, &keys) {
        if there.contains(name) {
            continue;
        }
        let definition = catalog::definition(Side::Source, &mut source, name).await?;
        target::run(&mut target, format!("USE {}", Ident(&name.schema))).await?;
        let statement = translate::if_absent(&translate::spell_collations(&definition, &defaults));
        target::run(&mut target, statement).await.map_err(|fault| {
            // What else the server says here is about the definition, and definitions carry no rows.
            let known = fault.code.class().is_some() || matches!(fault.code, Code::PrivilegeMissing(_));
            let code = if known { fault.code } else { Code::DefinitionRefused };
            Fault::new(code, fault.detail).at(format!("creating table {name}"))
        })?;
        for child in keys
            .iter()
            .filter(|key| key.parent == *name && there.contains(&key.child) && names.contains(&key.child))
            .map(|key| &key.child)
        {
            let again = format!("ALTER TABLE {} FORCE", qualified(child));
            target::run(&mut target, again).await.map_err(|fault| fault.at(format!("building {child} anew")))?;
        }
        there.insert(name.clone());
    }
    Ok(())
}

/// The tables in an order in which each comes after those that its foreign keys refer to, as far as there is one.
fn parents_first<'n>(names: &'n [TableName], keys: &[ForeignKey]) -> Vec<&'n TableName> {
    let mut parents: HashMap<&TableName, HashSet<&TableName>> = HashMap::new();
    for key in keys.iter().filter(|key| key.parent != key.child) {
        parents.entry(&key.child).or_default().insert(&key.parent);
    }
    let mut open: Vec<&TableName> = names.iter().collect();
    let mut ordered = Vec::with_capacity(names.len());
    while !open.is_empty() {
        let waiting: HashSet<&TableName> = open.iter().copied().collect();
        let waits =
            |name: &TableName| parents.get(name).is_some_and(|parents| parents.iter().any(|parent| waiting.contains(parent)));
        let (later, mut now): (Vec<&TableName>, Vec<&TableName>) = open.into_iter().partition(|name| waits(name));
        open = later;
        if now.is_empty() {
            // A circle.
            now.push(open.remove(0));
        }
        ordered.extend(now);
    }
    ordered
}

/// The descriptions of `names` on one end.
pub async fn describe(side: Side, endpoint: &Endpoint, names: &[TableName]) -> Result<HashMap<TableName, Arc<Table>>, Fault> {
    let mut conn = match side {
        Side::Source => source::connect(endpoint, Purpose::Catalog).await?,
        Side::Target => target::connect(endpoint, Purpose::Catalog).await?,
    };
    let schemas: BTreeSet<&str> = names.iter().map(|name| name.schema.as_str()).collect();
    let mut tables = HashMap::new();
    for schema in schemas {
        for (name, described) in catalog::describe(side, &mut conn, schema).await? {
            if names.contains(&name) {
                tables.insert(name, Arc::new(described?));
            }
        }
    }
    match names.iter().find(|name| !tables.contains_key(*name)) {
        None => Ok(tables),
        Some(name) => Err(Fault::new(Code::SchemaMismatch, format!("{name} is not on the {}", side.as_str()))),
    }
}

/// Compares both ends' descriptions.
pub fn compare(source: &HashMap<TableName, Arc<Table>>, target: &HashMap<TableName, Arc<Table>>) -> Result<(), Fault> {
    for (name, theirs) in source {
        let difference = match target.get(name) {
            None => Some("it is not on the target".to_owned()),
            Some(ours) => ours.difference(theirs),
        };
        if let Some(difference) = difference {
            let detail = format!("{name} differs between target (here) and source (there): {difference}");
            return Err(Fault::new(Code::SchemaMismatch, detail));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::family::Action::Cascade;
    use crate::model::family::tests::key;

    #[test]
    fn parents_come_before_their_children_and_a_circle_begins_somewhere() {
        let names: Vec<TableName> = ["a", "b", "c", "d", "e"].map(|table| TableName::new("shop", table)).to_vec();
        let order = |keys: &[(&str, &str)]| -> String {
            let keys: Vec<ForeignKey> = keys.iter().map(|(child, parent)| key(child, parent, Cascade, Cascade)).collect();
            parents_first(&names, &keys).into_iter().map(|name| name.table.as_str()).collect()
        };
        assert_eq!(order(&[]), "abcde");
        assert_eq!(order(&[("a", "c"), ("c", "e"), ("b", "b"), ("d", "not selected")]), "bdeca");
        assert_eq!(order(&[("a", "b"), ("b", "a"), ("c", "a"), ("d", "d")]), "deabc");
    }
}
