//! What a table holds, in digits, and in what three servers differ about it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::kinds::Class;
use super::stage::Stage;
use super::table::Table;
use crate::lab::{Contents, Server, Version, contents, document_text};

/// A row: one word for each column, in the table's order.
type Row = Vec<String>;

/// The rows of a table, sorted.
async fn rows(server: &Server, table: &Table) -> (Vec<String>, Vec<Row>) {
    let Contents { columns, rows } = contents(server, &table.schema, &table.table, None, document).await;
    (columns.into_iter().map(|(name, _)| name).collect(), rows)
}

/// A document's text, and the kinds of values at the places where the drawn documents have them.
fn document(name: &str) -> String {
    let places = ["$", "$.a", "$.b", "$[0]", "$[1]", "$[2]", "$[3]", "$.a[0]", "$.b[0]"];
    let kinds = places.map(|place| format!("REPLACE(IFNULL(JSON_TYPE(JSON_EXTRACT({name}, '{place}')), '-'), ' ', '_')"));
    format!("CONCAT({}, ':', CONCAT_WS(',', {}))", document_text(name), kinds.join(", "))
}

/// Compares one table on source and target, and on the witness where it has all, too. Returns the number of its rows, or who differs,
/// where, and in what.
pub async fn compare(stage: &Stage, table: &Table, is_witnessed: bool) -> Result<u64, String> {
    let ((columns, source), (_, target)) = tokio::join!(rows(&stage.source, table), rows(&stage.target, table));
    let witness = if is_witnessed { rows(&stage.witness, table).await.1 } else { source.clone() };
    let (ours, native) = (source == target, source == witness);
    if ours && native {
        return Ok(source.len() as u64);
    }
    if is_witnessed && target == witness && stage.source.version() != Version::V57 && only_documents(table, &source, &target) {
        println!(
            "{}: its documents on the source are not those that the source has logged: target and native replica agree",
            table.name
        );
        return Ok(source.len() as u64);
    }
    let verdict = match (ours, native) {
        (true, _) => "the native replica differs from both: a defect of the server, or of the test",
        (false, true) if !is_witnessed => "the target differs from the source, and there is no witness",
        (false, true) => "the target differs from the source and its native replica: A DEFECT OF POLARFERRY",
        (false, false) if target == witness => "target and native replica agree, the source differs from both",
        (false, false) => "all three differ: a defect of the test",
    };
    let mut text = format!("{}: {verdict}\n", table.name);
    let other = if ours { &witness } else { &target };
    let (gone, extra) = (surplus(&source, other), surplus(other, &source));
    let _ = writeln!(
        text,
        "{} rows on the source, {} there; {} only on the source, {} only there",
        source.len(),
        other.len(),
        gone.len(),
        extra.len()
    );
    for row in gone.iter().take(5) {
        let twin = extra.iter().find(|twin| same_key(table, row, twin));
        let _ = writeln!(text, "  key {}", spell_key(table, row));
        for (at, name) in columns.iter().enumerate() {
            match twin {
                Some(twin) if row[at] == twin[at] => {}
                Some(twin) => drop(writeln!(text, "    {name}: {:.300} on the source, {:.300} there", row[at], twin[at])),
                None => drop(writeln!(text, "    {name}: {:.100}", row[at])),
            }
        }
    }
    for row in extra.iter().filter(|row| !gone.iter().any(|twin| same_key(table, row, twin))).take(5) {
        let _ = writeln!(text, "  key {} is only there: {:.2000}", spell_key(table, row), row.join(" "));
    }
    Err(text)
}

/// Whether rows differ in nothing but JSON columns. 8.0.15 and 9.7.4 can leave another document in a row than the one that they log, seen
/// where `JSON_REMOVE` changed a long one; no replica can know that one.
fn only_documents(table: &Table, source: &[Row], target: &[Row]) -> bool {
    let (gone, extra) = (surplus(source, target), surplus(target, source));
    let is_document = |at: usize| table.columns.get(at).is_some_and(|column| column.kind.class == Class::Json);
    gone.len() == extra.len()
        && gone.iter().all(|row| {
            extra.iter().any(|twin| same_key(table, row, twin) && (0..row.len()).all(|at| row[at] == twin[at] || is_document(at)))
        })
}

fn same_key(table: &Table, row: &Row, other: &Row) -> bool {
    !table.key.is_empty() && table.key.iter().all(|at| row.get(*at) == other.get(*at))
}

fn spell_key(table: &Table, row: &Row) -> String {
    let parts: Vec<String> = table.key.iter().map(|at| format!("{} = {:.80}", table.columns[*at].name, row[*at])).collect();
    if parts.is_empty() { "(none)".to_owned() } else { parts.join(", ") }
}

/// The rows that `these` has more often than `those`.
fn surplus<'r>(these: &'r [Row], those: &[Row]) -> Vec<&'r Row> {
    let mut counts: BTreeMap<&Row, usize> = BTreeMap::new();
    for row in those {
        *counts.entry(row).or_default() += 1;
    }
    let mut surplus = Vec::new();
    for row in these {
        match counts.get_mut(row) {
            Some(count) if *count > 0 => *count -= 1,
            _ => surplus.push(row),
        }
    }
    surplus
}
