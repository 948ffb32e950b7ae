//! Generated columns, and expressions in indexes, that the source stores and no other session would compute in the same way
//! ([`crate::sql::expression`]).

use std::collections::{HashMap, HashSet};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::catalog;
use crate::conn::diagnose;
use crate::fault::{Fault, Side};
use crate::model::table::{ColumnKind, TableName};
use crate::sql::expression::{Operand, bound_to_session};
use crate::sql::quoted;

#[derive(Debug, Default)]
struct Found {
    operands: HashMap<String, Operand>,
    /// What is stored: the name of a column or of an index, the column's kind, and the expression.
    stored: Vec<(String, Option<ColumnKind>, String)>,
}

/// For each such table of the schema, what depends on what.
pub async fn bound(conn: &mut Conn, schema: &str) -> Result<Vec<(TableName, String)>, Fault> {
    let (indexed, expressions) = indexes(conn, schema).await?;
    let mut tables = columns(conn, schema, &indexed).await?;
    for (table, index, expression) in expressions {
        tables.entry(table).or_default().stored.push((format!("the index {index}"), None, expression));
    }
    let mut bound = Vec::new();
    for (table, found) in tables {
        let what = |(what, kind, expression): &(String, Option<ColumnKind>, String)| {
            Some((what.clone(), bound_to_session(*kind, expression, &found.operands)?))
        };
        bound.extend(found.stored.iter().find_map(what).map(|(what, why)| (table, format!("{what} depends on {why}"))));
    }
    bound.sort();
    Ok(bound)
}

async fn columns(conn: &mut Conn, schema: &str, indexed: &HashSet<Indexed>) -> Result<HashMap<TableName, Found>, Fault> {
    let rows: Vec<Row> = conn
        .query(format!(
            "SELECT TABLE_NAME AS t, COLUMN_NAME AS c, DATA_TYPE AS d, EXTRA AS e, GENERATION_EXPRESSION AS g \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA={}",
            quoted(schema)
        ))
        .await
        .map_err(|error| diagnose(Side::Source, &error))?;
    let mut tables: HashMap<TableName, Found> = HashMap::new();
    for mut row in rows {
        let mut text = |name: &str| row.take::<Option<String>, _>(name).flatten().unwrap_or_default();
        let (table, column, kind) = (text("t"), text("c"), catalog::moment(&text("d").to_ascii_lowercase()));
        let (extra, expression) = (text("e").to_ascii_uppercase(), text("g"));
        let found = tables.entry(TableName::new(schema, &table)).or_default();
        if catalog::is_generated(&extra) {
            if extra.contains("STORED") || indexed.contains(&(table, column.clone())) {
                found.stored.push((format!("the column {column}"), kind, expression.clone()));
            }
            found.operands.insert(column.to_lowercase(), Operand::Generated(kind, expression));
        } else {
            found.operands.insert(column.to_lowercase(), kind.map_or(Operand::Plain, Operand::Column));
        }
    }
    Ok(tables)
}

/// A table and a column of it that is in an index.
type Indexed = (String, String);
/// A table, an index of it, and an expression in that.
type Expression = (TableName, String, String);

/// What the indexes are over. Versions without indexes over expressions have no column for these.
async fn indexes(conn: &mut Conn, schema: &str) -> Result<(HashSet<Indexed>, Vec<Expression>), Fault> {
    let rows: Vec<Row> = conn
        .query(format!("SELECT * FROM information_schema.STATISTICS WHERE TABLE_SCHEMA={}", quoted(schema)))
        .await
        .map_err(|error| diagnose(Side::Source, &error))?;
    let (mut indexed, mut expressions) = (HashSet::new(), Vec::new());
    for mut row in rows {
        let mut text = |name: &str| row.take::<Option<String>, _>(name).flatten();
        let (Some(table), Some(index)) = (text("TABLE_NAME"), text("INDEX_NAME")) else { continue };
        if let Some(expression) = text("EXPRESSION") {
            expressions.push((TableName::new(schema, &table), index, expression));
        }
        indexed.extend(text("COLUMN_NAME").map(|column| (table, column)));
    }
    Ok((indexed, expressions))
}
