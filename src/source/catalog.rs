//! A server's tables, read from its catalog. The same reader serves both ends: descriptions are compared, so they must be made
//! the same way.

use std::collections::HashMap;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, from_row_opt};

use crate::conn::{ask, diagnose};
use crate::fault::{Code, Fault, Side};
use crate::model::family::{Action, ForeignKey};
use crate::model::selection::Selection;
use crate::model::table::{Column, ColumnKind, Key, Part, PartialKey, RowKey, Table, TableName};
use crate::sql::{qualified, quoted};

/// A table of a server, with what only the precheck and the copy ask for.
#[derive(Debug, Clone)]
pub struct Listed {
    pub name: TableName,
    pub engine: String,
    pub rows_estimated: u64,
}

/// The base tables of a server that the selection includes.
pub async fn list(side: Side, conn: &mut Conn, selection: &Selection) -> Result<Vec<Listed>, Fault> {
    let rows: Vec<(String, String, Option<String>, Option<u64>)> = conn
        .query(
            "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_TYPE='BASE TABLE' \
             AND TABLE_SCHEMA NOT IN ('mysql','sys','information_schema','performance_schema','polarferry') \
             ORDER BY TABLE_SCHEMA, TABLE_NAME",
        )
        .await
        .map_err(|error| diagnose(side, &error))?;
    Ok(rows
        .into_iter()
        .filter(|(schema, table, ..)| selection.includes(schema, table))
        .map(|(schema, table, engine, rows)| Listed {
            name: TableName { schema, table },
            engine: engine.unwrap_or_default(),
            rows_estimated: rows.unwrap_or(0),
        })
        .collect())
}

/// The views of a server that the selection includes.
pub async fn views(side: Side, conn: &mut Conn, selection: &Selection) -> Result<Vec<TableName>, Fault> {
    let rows: Vec<(String, String)> = conn
        .query("SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE='VIEW' ORDER BY TABLE_SCHEMA, TABLE_NAME")
        .await
        .map_err(|error| diagnose(side, &error))?;
    let names = rows.into_iter().map(|(schema, table)| TableName { schema, table });
    Ok(names.filter(|name| selection.includes(&name.schema, &name.table)).collect())
}

/// Columns of TIMESTAMP that take no NULL and have no default, with their tables.
pub async fn bare_timestamps(conn: &mut Conn) -> Result<Vec<(TableName, String)>, Fault> {
    let rows: Vec<(String, String, String)> = conn
        .query(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE DATA_TYPE='timestamp' \
             AND IS_NULLABLE='NO' AND COLUMN_DEFAULT IS NULL AND EXTRA NOT LIKE '%GENERATED%' ORDER BY TABLE_SCHEMA, TABLE_NAME",
        )
        .await
        .map_err(|error| diagnose(Side::Source, &error))?;
    Ok(rows.into_iter().map(|(schema, table, column)| (TableName { schema, table }, column)).collect())
}

/// Child, name, and a column with the one that it refers to.
type KeyPart = (String, String, String, String, String, String, String);

/// A parent, and each column of the child with the one of the parent.
type Columns = (TableName, Vec<(String, String)>);

/// The foreign keys of a server, as far as the account sees their tables.
pub async fn foreign_keys(side: Side, conn: &mut Conn) -> Result<Vec<ForeignKey>, Fault> {
    let place = |error: &mysql_async::Error| diagnose(side, error).at("its foreign keys");
    let rules: Vec<(String, String, String, String, String)> = conn
        .query(
            "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE FROM \
             information_schema.REFERENTIAL_CONSTRAINTS ORDER BY CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME",
        )
        .await
        .map_err(|error| place(&error))?;
    let parts: Vec<KeyPart> = conn
        .query(
            "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, \
             REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL \
             ORDER BY CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION",
        )
        .await
        .map_err(|error| place(&error))?;
    // The join is made here: 5.7 would read every table's definition once for each row of the other list.
    let mut columns: HashMap<(String, String, String), Columns> = HashMap::new();
    for (schema, table, name, column, parent_schema, parent, referenced) in parts {
        let parent = TableName { schema: parent_schema, table: parent };
        columns.entry((schema, table, name)).or_insert_with(|| (parent, Vec::new())).1.push((column, referenced));
    }
    rules
        .into_iter()
        .map(|(schema, table, name, on_update, on_delete)| {
            let found = columns.remove(&(schema.clone(), table.clone(), name.clone()));
            let child = TableName { schema, table };
            match (found, Action::parse(&on_update), Action::parse(&on_delete)) {
                (Some((parent, columns)), Some(on_update), Some(on_delete)) => {
                    let (columns, referenced) = columns.into_iter().unzip();
                    Ok(ForeignKey { name, child, columns, parent, referenced, on_update, on_delete })
                }
                (..) => Err(Fault::new(Code::ServerError(side), format!("the foreign key {name} of {child} cannot be read"))),
            }
        })
        .collect()
}

/// `SHOW CREATE TABLE`, as text.
pub async fn definition(side: Side, conn: &mut Conn, name: &TableName) -> Result<String, Fault> {
    let row: Option<Row> = conn
        .query_first(format!("SHOW CREATE TABLE {}", qualified(name)))
        .await
        .map_err(|error| diagnose(side, &error).at(name))?;
    row.and_then(|mut row| row.take::<String, _>(1))
        .ok_or_else(|| Fault::new(Code::ServerError(side), format!("{name} has no definition")))
}

/// Whether the account may read the table's rows.
pub async fn readable(conn: &mut Conn, name: &TableName) -> Result<(), Fault> {
    let query = format!("SELECT 1 FROM {} LIMIT 0", qualified(name));
    conn.query_drop(query).await.map_err(|error| diagnose(Side::Source, &error).at(name))
}

/// Each character set's default collation on the source.
pub async fn default_collations(conn: &mut Conn) -> Result<HashMap<String, String>, Fault> {
    let rows: Vec<(String, String)> = conn
        .query("SELECT CHARACTER_SET_NAME, DEFAULT_COLLATE_NAME FROM information_schema.CHARACTER_SETS")
        .await
        .map_err(|error| diagnose(Side::Source, &error))?;
    Ok(rows.into_iter().collect())
}

/// The default character set and collation of a schema.
pub async fn schema_defaults(conn: &mut Conn, schema: &str) -> Result<(String, String), Fault> {
    let query = format!(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME={}",
        quoted(schema)
    );
    let found: Option<(String, String)> = conn.query_first(query).await.map_err(|error| diagnose(Side::Source, &error))?;
    found.ok_or_else(|| Fault::new(Code::ServerError(Side::Source), format!("schema {schema} is gone")))
}

/// The descriptions of all tables of one schema.
pub async fn describe(side: Side, conn: &mut Conn, schema: &str) -> Result<HashMap<TableName, Result<Table, Fault>>, Fault> {
    let mut tables: HashMap<TableName, Result<Table, Fault>> = HashMap::new();
    let schema_name = quoted(schema);
    let questions = [
        format!(
            "SELECT TABLE_NAME AS t, COLUMN_NAME AS c, DATA_TYPE AS d, COLUMN_TYPE AS y, IS_NULLABLE AS n, \
             CHARACTER_MAXIMUM_LENGTH AS l, DATETIME_PRECISION AS p, EXTRA AS e, COLLATION_NAME AS o FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA={schema_name} ORDER BY TABLE_NAME, ORDINAL_POSITION"
        ),
        format!(
            "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART, NON_UNIQUE FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA={schema_name} ORDER BY TABLE_NAME, INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX"
        ),
    ];
    let [columns, parts] = ask(side, conn, questions.each_ref().map(String::as_bytes)).await?;
    for mut row in columns {
        let name = TableName::new(schema, row.take::<String, _>("t").unwrap_or_default());
        let table = tables.entry(name.clone()).or_insert_with(|| {
            Ok(Table {
                name: name.clone(),
                columns: Vec::new(),
                row_key: RowKey::None,
                secondary_uniques: Vec::new(),
                partial_uniques: Vec::new(),
                hidden: 0,
            })
        });
        if let Ok(description) = table {
            match column(&name, &mut row) {
                Ok(column) => description.columns.push(column),
                Err(fault) => *table = Err(fault),
            }
        }
    }
    for (name, indexes) in indexes(side, schema, parts)? {
        if let Some(table) = tables.get_mut(&name)
            && let Ok(description) = table
            && let Err(fault) = add_keys(description, indexes)
        {
            *table = Err(fault);
        }
    }
    Ok(tables)
}

fn column(table: &TableName, row: &mut Row) -> Result<Column, Fault> {
    let mut text = |name: &str| row.take::<Option<String>, _>(name).flatten().unwrap_or_default();
    let (name, data_type, type_text) = (text("c"), text("d").to_ascii_lowercase(), text("y"));
    let (nullable, extra) = (text("n") == "YES", text("e").to_ascii_uppercase());
    // 8.0.30 renamed utf8 to utf8mb3, collations included.
    let collation = text("o").replacen("utf8mb3_", "utf8_", 1);
    let length = row.take::<Option<u64>, _>("l").flatten().unwrap_or(0);
    let fraction = row.take::<Option<u8>, _>("p").flatten().unwrap_or(0);
    let kind = match data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => {
            ColumnKind::Integer { unsigned: type_text.to_ascii_lowercase().contains("unsigned") }
        }
        "float" => ColumnKind::Float,
        "double" => ColumnKind::Double,
        "decimal" => ColumnKind::Decimal,
        "bit" => ColumnKind::Bit,
        "year" => ColumnKind::Year,
        "date" => ColumnKind::Date,
        "time" => ColumnKind::Time { fraction },
        "datetime" => ColumnKind::DateTime { fraction },
        "timestamp" => ColumnKind::Timestamp { fraction },
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => ColumnKind::Text,
        "binary" => ColumnKind::FixedBinary { length: u32::try_from(length).unwrap_or(0) },
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => ColumnKind::Binary,
        "enum" => ColumnKind::Enum,
        "set" => ColumnKind::Set,
        "json" => ColumnKind::Json,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" => ColumnKind::Geometry,
        "vector" => ColumnKind::Vector,
        other => {
            let detail = format!("{table}: column {name} has the type {other}, which this version does not carry");
            return Err(Fault::new(Code::TableUnsupported, detail));
        }
    };
    let generated = is_generated(&extra);
    Ok(Column { name, kind, nullable, generated, collation, type_text })
}

/// `extra` as the catalog has it, in upper case. `DEFAULT_GENERATED` marks a column with an expression default: an ordinary column.
pub(super) fn is_generated(extra: &str) -> bool {
    extra.contains("VIRTUAL GENERATED") || extra.contains("STORED GENERATED")
}

/// The kind of a column that has to do with dates and times.
pub(super) fn moment(data_type: &str) -> Option<ColumnKind> {
    match data_type {
        "timestamp" => Some(ColumnKind::Timestamp { fraction: 0 }),
        "time" => Some(ColumnKind::Time { fraction: 0 }),
        "date" => Some(ColumnKind::Date),
        "datetime" => Some(ColumnKind::DateTime { fraction: 0 }),
        _ => None,
    }
}

/// Table, index, column, prefix length, whether equal values may repeat.
type IndexRow = (String, String, Option<String>, Option<u64>, u8);

struct Index {
    name: String,
    unique: bool,
    /// In order: the column (none for an expression) and how much of it counts, where that is not all of it.
    parts: Vec<(Option<String>, Option<u64>)>,
}

fn indexes(side: Side, schema: &str, parts: Vec<Row>) -> Result<HashMap<TableName, Vec<Index>>, Fault> {
    let mut indexes: HashMap<TableName, Vec<Index>> = HashMap::new();
    for part in parts {
        let unreadable = |_| Fault::new(Code::ServerError(side), format!("an index of schema {schema} cannot be read"));
        let (table, name, column, prefix, non_unique): IndexRow = from_row_opt(part).map_err(unreadable)?;
        let list = indexes.entry(TableName::new(schema, table)).or_default();
        let part = (column, prefix);
        match list.last_mut() {
            Some(index) if index.name == name => index.parts.push(part),
            _ => list.push(Index { name, unique: non_unique == 0, parts: vec![part] }),
        }
    }
    Ok(indexes)
}

/// The primary key comes first, so the first whole NOT NULL unique key is the row key.
fn add_keys(table: &mut Table, indexes: Vec<Index>) -> Result<(), Fault> {
    table.hidden = indexes.iter().flat_map(|index| &index.parts).filter(|(column, _)| column.is_none()).count();
    for Index { name, parts, .. } in indexes.into_iter().filter(|index| index.unique) {
        let parts = parts.into_iter().map(|part| part_of(table, &name, part)).collect::<Result<Vec<_>, _>>()?;
        let whole = |part: &Part| if let Part::Column(column) = part { Some(*column) } else { None };
        let Some(columns) = parts.iter().map(whole).collect::<Option<Vec<usize>>>() else {
            table.partial_uniques.push(PartialKey { name, parts });
            continue;
        };
        let written = |index: &usize| table.columns.get(*index).is_some_and(|column| !column.nullable && !column.generated);
        if table.row_key == RowKey::None && columns.iter().all(written) {
            table.row_key = RowKey::Key(Key { name, columns });
        } else {
            table.secondary_uniques.push(Key { name, columns });
        }
    }
    Ok(())
}

fn part_of(table: &Table, index: &str, (column, prefix): (Option<String>, Option<u64>)) -> Result<Part, Fault> {
    let Some(column) = column else { return Ok(Part::Expression) };
    let Some(at) = table.columns.iter().position(|known| known.name.eq_ignore_ascii_case(&column)) else {
        let detail = format!("{}: unique index {index} is over {column}, which is no column of the table", table.name);
        return Err(Fault::new(Code::TableUnsupported, detail));
    };
    Ok(prefix.map_or(Part::Column(at), |length| Part::Prefix(at, length)))
}
