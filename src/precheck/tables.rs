//! What the selected tables must be, on both ends.

use std::collections::BTreeSet;

use super::source::Found as Source;
use super::target::Found as Target;
use super::{Item, Wish, families};
use crate::fault::{Code, Fault, Side};
use crate::model::table::{RowKey, TableName};
use crate::source::{catalog, generated};
use crate::{source, target};

/// At most so many tables are named in an item; the rest is counted.
const NAMED: usize = 5;

pub(super) fn name_some(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    if names.len() > NAMED { format!("{shown}; and {} more", names.len() - NAMED) } else { shown }
}

pub async fn examine(from: &mut Source, to: &mut Target, wish: &Wish<'_>, items: &mut Vec<Item>) {
    if let Err(fault) = on_source(from, wish, items).await {
        items.push(Item::of_fault("source.tables", &fault));
    }
    if let Err(fault) = on_target(from, to, wish, items).await {
        items.push(Item::of_fault("target.tables", &fault));
    }
}

async fn on_source(from: &mut Source, wish: &Wish<'_>, items: &mut Vec<Item>) -> Result<(), Fault> {
    let schemas: BTreeSet<String> = from.tables.iter().map(|listed| listed.name.schema.clone()).collect();
    let (mut unsupported, mut keyless, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for schema in &schemas {
        for (name, described) in catalog::describe(Side::Source, &mut from.conn, schema).await? {
            if !wish.selection.includes(&name.schema, &name.table) {
                continue;
            }
            match described {
                Err(fault) => unsupported.push(fault.detail),
                // Views are described, too, and not carried.
                Ok(_) if !from.tables.iter().any(|listed| listed.name == name) => {}
                Ok(table) => {
                    if table.is_copied_whole() {
                        whole.push(name.clone());
                    }
                    if table.key_columns().is_none() {
                        keyless.push(name);
                    }
                }
            }
        }
    }
    for schema in &schemas {
        let bound = generated::bound(&mut from.conn, schema).await?;
        let ours = bound.into_iter().filter(|(name, _)| from.tables.iter().any(|listed| listed.name == *name));
        unsupported.extend(
            ours.map(|(name, what)| {
                format!("{name}: {what}, which the log does not have: the target would compute another value")
            }),
        );
    }
    for listed in &from.tables {
        if !listed.engine.eq_ignore_ascii_case("InnoDB") {
            unsupported.push(format!("{} is of engine {}: only InnoDB is carried", listed.name, listed.engine));
        }
    }
    let remedy = Code::TableUnsupported.remedy();
    items.push(Item::demand(
        "source.tables",
        unsupported.is_empty(),
        describe_list(&unsupported, "every table can be carried"),
        remedy,
    ));
    let mut unreadable = Vec::new();
    for listed in &from.tables {
        match catalog::readable(&mut from.conn, &listed.name).await {
            Ok(()) => {}
            Err(fault) if fault.code.class().is_some() => return Err(fault),
            Err(fault) => unreadable.push(fault.detail),
        }
    }
    items.push(Item::demand(
        "source.select",
        unreadable.is_empty(),
        describe_list(&unreadable, "every table can be read"),
        "GRANT SELECT, SHOW VIEW ON each selected schema to the source account",
    ));
    if wish.migrate.copy() && !whole.is_empty() {
        items.push(copied_whole(from, &whole).await);
    }
    let views: Vec<String> =
        catalog::views(Side::Source, &mut from.conn, wish.selection).await?.iter().map(ToString::to_string).collect();
    if !views.is_empty() {
        items.push(Item::warn("source.views", name_some(&views), "views are not carried: create them on the target by hand"));
    }
    families::on_source(from, wish, &keyless, items).await
}

/// Tables that are copied under a lock, and hold up the stream meanwhile.
async fn copied_whole(from: &mut Source, whole: &[TableName]) -> Item {
    let some = name_some(&whole.iter().map(ToString::to_string).collect::<Vec<_>>());
    let rows: u64 = from.tables.iter().filter(|listed| whole.contains(&listed.name)).map(|listed| listed.rows_estimated).sum();
    match source::may_lock(&mut from.conn, whole).await {
        Ok(()) => Item::warn(
            "source.copied_whole",
            format!("copied as a whole under a short table lock, about {rows} rows in all: {some}"),
            "from the first change of such a table until its copy is complete the stream stands still: give large ones a primary key, \
             and no unique index over a prefix or an expression",
        ),
        Err(fault) if fault.code.class().is_some() => Item::of_fault("source.copied_whole", &fault),
        Err(fault) => Item::fail(
            "source.copied_whole",
            format!(
                "without a primary or unique key, or with a unique index over a prefix or an expression: {some} ({})",
                fault.detail
            ),
            "GRANT LOCK TABLES on the schema to the source account, add a primary key, or exclude the tables",
        ),
    }
}

pub(super) fn describe_list(found: &[String], none: &str) -> String {
    if found.is_empty() { none.to_owned() } else { name_some(found) }
}

/// In what tables that are on both ends differ.
async fn differences(from: &mut Source, to: &mut Target, names: &[TableName]) -> Result<Vec<String>, Fault> {
    let schemas: BTreeSet<&str> = names.iter().map(|name| name.schema.as_str()).collect();
    let mut different = Vec::new();
    for schema in schemas {
        let theirs = catalog::describe(Side::Source, &mut from.conn, schema).await?;
        let ours = catalog::describe(Side::Target, &mut to.conn, schema).await?;
        for name in names.iter().filter(|name| name.schema == schema) {
            match (ours.get(name), theirs.get(name)) {
                (Some(Ok(ours)), Some(Ok(theirs))) => different.extend(
                    ours.difference(theirs).map(|difference| format!("{name}, target (here) and source (there): {difference}")),
                ),
                (Some(Err(fault)), _) => different.push(format!("on the target: {}", fault.detail)),
                // What the source's table is not good for has an item of its own; what is gone again is created.
                (_, Some(Err(_)) | None) | (None, _) => {}
            }
        }
    }
    Ok(different)
}

async fn on_target(from: &mut Source, to: &mut Target, wish: &Wish<'_>, items: &mut Vec<Item>) -> Result<(), Fault> {
    let there = catalog::list(Side::Target, &mut to.conn, wish.selection).await?;
    let shared: Vec<TableName> = there
        .iter()
        .map(|listed| listed.name.clone())
        .filter(|name| from.tables.iter().any(|source| source.name == *name))
        .collect();
    triggers(to, &shared, items).await?;
    if to.resumed {
        items.push(Item::pass("target.tables", "the task is being resumed"));
        return Ok(());
    }
    let carried: Vec<String> = target::state::carried_by_others(&mut to.conn, wish.task)
        .await?
        .into_iter()
        // One that was dropped for a new task is carried no more.
        .filter(|(_, name)| shared.contains(name))
        .map(|(task, name)| format!("{name} by the task {task}"))
        .collect();
    items.push(Item::demand(
        "target.tasks",
        carried.is_empty(),
        describe_list(&carried, "no other task carries a selected table"),
        "exclude the tables here or there: two tasks would write each row twice; when the other one is given up, drop the tables on the target",
    ));
    let mut filled = Vec::new();
    for listed in there.iter().filter(|listed| from.tables.iter().any(|source| source.name == listed.name)) {
        if wish.migrate.copy() && target::has_rows(&mut to.conn, &listed.name).await? {
            filled.push(listed.name.to_string());
        }
    }
    items.push(Item::demand(
        "target.tables",
        filled.is_empty(),
        describe_list(&filled, "no selected table holds rows"),
        Code::TargetNotEmpty.remedy(),
    ));
    let missing: Vec<String> = from
        .tables
        .iter()
        .filter(|listed| !there.iter().any(|target| target.name == listed.name))
        .map(|listed| listed.name.to_string())
        .collect();
    if !wish.migrate.schema() && !missing.is_empty() {
        items.push(Item::fail(
            "target.schema",
            name_some(&missing),
            "the tables are not on the target: create them, or set migrate.schema = true",
        ));
    }
    let views: Vec<String> = catalog::views(Side::Target, &mut to.conn, wish.selection)
        .await?
        .into_iter()
        .filter(|view| from.tables.iter().any(|source| source.name == *view))
        .map(|view| view.to_string())
        .collect();
    if !views.is_empty() {
        let remedy = "drop them until the cutover, or exclude the tables";
        items.push(Item::fail("target.views", format!("views with the names of tables: {}", name_some(&views)), remedy));
    }
    if wish.migrate.schema() {
        created(from, to, &there, wish, items).await?;
    }
    let different = differences(from, to, &shared).await?;
    if !different.is_empty() {
        items.push(Item::fail("target.definitions", name_some(&different), Code::SchemaMismatch.remedy()));
    }
    families::on_target(from, to, &there, wish, items).await
}

/// What the target would refuse to create, or create otherwise, by a setting that only its administrator changes.
async fn created(
    from: &mut Source,
    to: &Target,
    there: &[catalog::Listed],
    wish: &Wish<'_>,
    items: &mut Vec<Item>,
) -> Result<(), Fault> {
    if to.facts.requires_primary_keys {
        let remedy = "the target has sql_require_primary_key=ON: switch it off until the cutover, add keys at the source, or exclude the tables";
        primary_keys(from, there, wish, remedy, items).await?;
    } else if to.facts.generates_primary_keys {
        let remedy = "the target has sql_generate_invisible_primary_key=ON and would add a column to them: switch it off until the tables are created, add keys at the source, or exclude the tables";
        primary_keys(from, there, wish, remedy, items).await?;
    }
    if to.facts.implicit_timestamps {
        let found: Vec<String> = catalog::bare_timestamps(&mut from.conn)
            .await?
            .into_iter()
            .filter(|(name, _)| {
                from.tables.iter().any(|table| table.name == *name) && !there.iter().any(|table| table.name == *name)
            })
            .map(|(name, column)| format!("{column} of {name}"))
            .collect();
        items.push(Item::demand(
            "target.explicit_defaults_for_timestamp",
            found.is_empty(),
            describe_list(&found, "every TIMESTAMP that is created takes NULL or has a default"),
            "the target has explicit_defaults_for_timestamp=OFF and would let them change by themselves: switch it on until the tables are created, or create these by hand",
        ));
    }
    Ok(())
}

/// Tables that would be created without a primary key.
async fn primary_keys(
    from: &mut Source,
    there: &[catalog::Listed],
    wish: &Wish<'_>,
    remedy: &str,
    items: &mut Vec<Item>,
) -> Result<(), Fault> {
    let schemas: BTreeSet<String> = from.tables.iter().map(|listed| listed.name.schema.clone()).collect();
    let mut found = Vec::new();
    for schema in &schemas {
        for (name, described) in catalog::describe(Side::Source, &mut from.conn, schema).await? {
            let created = from.tables.iter().any(|listed| listed.name == name) && !there.iter().any(|listed| listed.name == name);
            let primary = |key: &RowKey| matches!(key, RowKey::Key(key) if key.name == "PRIMARY");
            if created
                && wish.selection.includes(&name.schema, &name.table)
                && described.is_ok_and(|table| !primary(&table.row_key))
            {
                found.push(name.to_string());
            }
        }
    }
    found.sort();
    items.push(Item::demand(
        "target.primary_keys",
        found.is_empty(),
        describe_list(&found, "every table that is created has one"),
        remedy,
    ));
    Ok(())
}

/// A trigger would write a second time what the source's own has written.
async fn triggers(to: &mut Target, shared: &[TableName], items: &mut Vec<Item>) -> Result<(), Fault> {
    let blind: BTreeSet<&str> =
        shared.iter().map(|name| name.schema.as_str()).filter(|schema| !to.grants.hold("TRIGGER", schema)).collect();
    if target::has_triggers(&mut to.conn, shared).await? {
        items.push(Item::fail(
            "target.triggers",
            "selected tables have triggers on the target",
            "drop them until the cutover: their effects arrive from the source as rows",
        ));
    } else if !to.resumed && !blind.is_empty() && !to.grants.roles {
        let schemas: Vec<String> = blind.into_iter().map(str::to_owned).collect();
        items.push(Item::fail(
            "target.triggers",
            format!("whether the tables that are there have triggers cannot be seen: {}", name_some(&schemas)),
            "GRANT TRIGGER on the schema to the target account, or drop the tables so that they are created",
        ));
    }
    Ok(())
}
