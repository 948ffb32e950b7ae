//! What a table holds, exact to the last bit and comparable between servers of any version: every column of every row as
//! hexadecimal digits.

use mysql_async::Row;
use mysql_async::prelude::Queryable;

use super::server::Server;

/// Columns with their types, and rows; a cell is a word without spaces. Generated columns are columns.
pub struct Contents {
    pub columns: Vec<(String, String)>,
    pub rows: Vec<Vec<String>>,
}

/// Reads a table, in the order of a column or sorted by what the rows hold; `documents` spells an expression without spaces that tells documents apart.
///
/// # Panics
/// When the table is not there.
pub async fn contents(
    server: &Server,
    database: &str,
    table: &str,
    order: Option<&str>,
    documents: fn(&str) -> String,
) -> Contents {
    let mut root = server.root().await;
    // TIMESTAMPs are moments, whatever the zones of the two servers; what a document says is text.
    root.query_drop("SET NAMES utf8mb4, time_zone = '+00:00'").await.expect("a session");
    let columns: Vec<(String, String)> = root
        .exec(
            "SELECT column_name, data_type FROM information_schema.columns \
             WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position",
            (database, table),
        )
        .await
        .expect("the columns");
    assert!(!columns.is_empty(), "no table {database}.{table} on {}", server.version());
    let digits: Vec<String> = columns
        .iter()
        .map(|(name, kind)| format!("IFNULL({}, '~')", digits(&quoted(name), &kind.to_lowercase(), documents)))
        .collect();
    let mut query = format!("SELECT {} FROM {}.{}", digits.join(", "), quoted(database), quoted(table));
    if let Some(column) = order {
        query.push_str(&format!(" ORDER BY {}", quoted(column)));
    }
    let rows: Vec<Row> = root.query(query).await.expect("the rows");
    let _ = root.disconnect().await;
    let words = |row: Row| row.unwrap().into_iter().map(mysql_async::from_value::<String>).collect();
    let mut rows: Vec<Vec<String>> = rows.into_iter().map(words).collect();
    if order.is_none() {
        rows.sort_unstable();
    }
    Contents { columns, rows }
}

/// An expression without spaces that tells any two values of a type apart.
fn digits(name: &str, kind: &str, documents: fn(&str) -> String) -> String {
    match kind {
        // Their text would lose digits, and the sign of a zero. A point is made of its numbers' bits.
        "float" | "double" => format!("HEX(POINT({name}, 0))"),
        // HEX of a number is its integer part.
        "decimal" => format!("HEX(CONCAT({name}))"),
        // Two members may be spelled alike, and the number 0 is spelled as the member ''.
        "enum" | "set" => format!("CONCAT({name} + 0, ':', HEX({name}))"),
        "json" => documents(name),
        _ => format!("HEX({name})"),
    }
}

/// A document as its text.
pub fn document_text(name: &str) -> String {
    format!("HEX(CAST({name} AS CHAR))")
}

/// A name in backquotes.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
