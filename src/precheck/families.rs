//! Foreign keys that act where the source does not log it.

use super::source::Found as Source;
use super::tables::{describe_list, name_some};
use super::target::Found as Target;
use super::{Item, Wish};
use crate::fault::{Code, Fault, Side};
use crate::model::family::{self, Families, ForeignKey};
use crate::model::table::TableName;
use crate::source::catalog::Listed;
use crate::source::{self, catalog, facts};

const NAME: &str = "source.cascades";

/// Whether the stream has to repeat what keys do.
async fn unseen(from: &mut Source, wish: &Wish<'_>) -> Result<bool, Fault> {
    Ok(wish.migrate.stream() && !facts::logs_cascades(Side::Source, &mut from.conn).await?)
}

fn carries(tables: &[Listed]) -> impl Fn(&TableName) -> bool {
    move |name| tables.iter().any(|listed| listed.name == *name)
}

/// What the source's keys ask of the selection and of the account; `keyless` are the tables without a row key.
pub async fn on_source(from: &mut Source, wish: &Wish<'_>, keyless: &[TableName], items: &mut Vec<Item>) -> Result<(), Fault> {
    if !unseen(from, wish).await? {
        return Ok(());
    }
    let keys = catalog::foreign_keys(Side::Source, &mut from.conn).await?;
    let mut found = family::obstacles(&keys, &carries(&from.tables));
    let families = Families::new(&keys, &carries(&from.tables));
    let parents = keyless.iter().filter(|name| families.parent(name).is_some());
    found.extend(parents.map(|name| format!("{name} has no primary key, and foreign keys act on its rows")));
    if !found.is_empty() {
        let remedy = "select parents together with their children, or exclude the children; give parents a primary key";
        items.push(Item::fail(NAME, name_some(&found), remedy));
        return Ok(());
    }
    let members: Vec<TableName> = families.members().flatten().cloned().collect();
    items.push(match members.is_empty() {
        true => Item::pass(NAME, "no foreign key changes rows by itself"),
        false => together(from, &members).await,
    });
    Ok(())
}

/// Members of families are copied under a lock, and hold up the stream meanwhile.
async fn together(from: &mut Source, members: &[TableName]) -> Item {
    let some = name_some(&members.iter().map(ToString::to_string).collect::<Vec<_>>());
    let rows: u64 = from.tables.iter().filter(|listed| members.contains(&listed.name)).map(|listed| listed.rows_estimated).sum();
    match source::may_lock(&mut from.conn, members).await {
        Ok(()) => Item::warn(
            NAME,
            format!("foreign keys act unlogged; copied together under a short lock, about {rows} rows in all: {some}"),
            "from the first change of such a table until all of them are copied the stream stands still: keep the binlog long enough",
        ),
        Err(fault) if fault.code.class().is_some() => Item::of_fault(NAME, &fault),
        Err(fault) => Item::fail(
            NAME,
            format!("the source does not log what CASCADE and SET NULL do to {some} ({})", fault.detail),
            "GRANT LOCK TABLES on the schema to the source account, or exclude the children",
        ),
    }
}

/// What the target's keys must be; tables that it does not have will be created with the source's.
pub async fn on_target(
    from: &mut Source,
    to: &mut Target,
    there: &[Listed],
    wish: &Wish<'_>,
    items: &mut Vec<Item>,
) -> Result<(), Fault> {
    if !unseen(from, wish).await? {
        return Ok(());
    }
    let theirs: Vec<ForeignKey> = catalog::foreign_keys(Side::Source, &mut from.conn).await?;
    let ours = catalog::foreign_keys(Side::Target, &mut to.conn).await?;
    let mut found = family::differences(&theirs, &ours, &carries(&from.tables), &carries(there));
    let families = Families::new(&theirs, &carries(&from.tables));
    if families.members().next().is_some() && facts::logs_cascades(Side::Target, &mut to.conn).await? {
        found.insert(0, family::ABOVE_THE_ENGINE.to_owned());
    }
    items.push(Item::demand(
        "target.foreign_keys",
        found.is_empty(),
        describe_list(&found, "they do what the source's do"),
        Code::SchemaMismatch.remedy(),
    ));
    Ok(())
}
