//! Tables on the target, as the source defines them.
//!
//! Definitions come from `SHOW CREATE TABLE` and are never rebuilt from parts; only what the source leaves out as its own default
//! is spelled ([`translate`]). A table that is there already is left alone when it fits. Afterwards both catalogs are read and compared:
//! columns, types, collations, keys. From here on the target's catalog is what the stream's rows must fit.
//!
//! *Foreign keys.* Tables are created in whatever order, as a dump's are: with `foreign_key_checks=0`. 8.0.15 then takes a key to a table
//! that comes later, and never acts on it: a CASCADE deletes nothing, and nobody says so. It does act when the child was built after its
//! parent; so every child is built anew once all tables are there, while they are still empty ([`join`]).
//!
//! Every step may be repeated: a crash in the middle leaves tables that the next start finds fitting and empty. The session of a
//! daemon that was killed may even be creating one still, which is not in the catalog yet: so each is created if it is absent, and
//! what stands there in the end is compared.
//!
//! Views, triggers, routines and events are not created by this version.

pub mod translate;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::fault::{Code, Fault, Side};
use crate::model::table::{Table, TableName};
use crate::source::catalog;
use crate::sql::{Ident, qualified};
use crate::target::{self, Conn};

/// Creates what is missing of `names` on the target. `reached` hears how many of them are there.
pub async fn create(source: &mut Conn, target: &mut Conn, names: &[TableName], reached: impl Fn(usize)) -> Result<(), Fault> {
    let defaults = catalog::default_collations(source).await?;
    let schemas: BTreeSet<&str> = names.iter().map(|name| name.schema.as_str()).collect();
    let mut done = 0;
    for schema in schemas {
        let there = catalog::describe(Side::Target, target, schema).await?;
        let (charset, collation) = catalog::schema_defaults(source, schema).await?;
        if there.is_empty() {
            let statement = format!(
                "CREATE DATABASE IF NOT EXISTS {} DEFAULT CHARACTER SET {} COLLATE {}",
                Ident(schema),
                Ident(&charset),
                Ident(&collation)
            );
            target::run(target, statement).await.map_err(|fault| fault.at(format!("creating database {schema}")))?;
        }
        target::run(target, format!("USE {}", Ident(schema))).await?;
        for name in names.iter().filter(|name| name.schema == schema) {
            if !there.contains_key(name) {
                create_table(source, target, name, &defaults).await?;
            }
            done += 1;
            reached(done);
        }
    }
    Ok(())
}

/// In the schema that the target's session uses.
async fn create_table(
    source: &mut Conn,
    target: &mut Conn,
    name: &TableName,
    defaults: &HashMap<String, String>,
) -> Result<(), Fault> {
    let definition = catalog::definition(Side::Source, source, name).await?;
    let statement = translate::if_absent(&translate::spell_collations(&definition, defaults));
    target::run(target, statement).await.map_err(|fault| {
        // What else the server says here is about the definition, and definitions carry no rows.
        let known = fault.code.class().is_some() || matches!(fault.code, Code::PrivilegeMissing(_));
        let code = if known { fault.code } else { Code::DefinitionRefused };
        Fault::new(code, fault.detail).at(format!("creating table {name}"))
    })
}

/// Sees to it that the target's foreign keys act: of `names`, which are all there, and empty. `getting_on` hears of each child.
pub async fn join(target: &mut Conn, names: &[TableName], getting_on: impl Fn()) -> Result<(), Fault> {
    let keys = catalog::foreign_keys(Side::Target, target).await?;
    let children: BTreeSet<&TableName> = keys.iter().filter(|key| key.parent != key.child).map(|key| &key.child).collect();
    for child in children.into_iter().filter(|child| names.contains(child)) {
        let anew = format!("ALTER TABLE {} FORCE", qualified(child));
        target::run(target, anew).await.map_err(|fault| fault.at(format!("building the empty table {child} anew")))?;
        getting_on();
    }
    Ok(())
}

/// The descriptions of `names` on one end.
pub async fn describe(side: Side, conn: &mut Conn, names: &[TableName]) -> Result<HashMap<TableName, Arc<Table>>, Fault> {
    let wanted: HashSet<&TableName> = names.iter().collect();
    let schemas: BTreeSet<&str> = names.iter().map(|name| name.schema.as_str()).collect();
    let mut tables = HashMap::new();
    for schema in schemas {
        for (name, described) in catalog::describe(side, conn, schema).await? {
            if wanted.contains(&name) {
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
