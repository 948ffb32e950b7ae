//! The proof that both ends hold the same rows, from the servers' own mouths and without the daemon.
//!
//! First MySQL's own `CHECKSUM TABLE`, and the number of rows. The manual promises equal checksums
//! for equal rows only between servers that store rows alike, so between different releases a table
//! whose checksums differ gets a second hearing: a SHA2-256 of every row over its values as text, in
//! which every value is quoted or in hexadecimal and so keeps its limits, summed in two halves.

use mysql_async::Row;

use crate::lab::{self, Failure, Server};
use crate::shop::{DATABASE, TABLES};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Checksum,
    RowHashes,
}

#[derive(Debug)]
pub struct TableProof {
    pub table: &'static str,
    pub source_rows: u64,
    pub target_rows: u64,
    pub equal: bool,
    pub method: Method,
}

/// Compares every table. Nothing may write to either end.
pub async fn prove(source: &Server, target: &Server) -> Result<Vec<TableProof>, Failure> {
    require_tables(target).await?;
    let (ours, theirs) =
        tokio::join!(lab::checksum_tables(source, DATABASE, &TABLES), lab::checksum_tables(target, DATABASE, &TABLES),);
    let mut proofs = Vec::new();
    for table in TABLES {
        let (source_rows, target_rows) = tokio::join!(lab::count(source, DATABASE, table), lab::count(target, DATABASE, table),);
        let mut proof = TableProof {
            table,
            source_rows,
            target_rows,
            equal: source_rows == target_rows && ours[table] == theirs[table],
            method: Method::Checksum,
        };
        if !proof.equal && source_rows == target_rows && source.release() != target.release() {
            proof.equal = same_hashes(source, target, table).await?;
            proof.method = Method::RowHashes;
        }
        proofs.push(proof);
    }
    Ok(proofs)
}

async fn require_tables(target: &Server) -> Result<(), Failure> {
    let there: Vec<String> =
        target.query_rows(format!("SELECT table_name FROM information_schema.tables WHERE table_schema = '{DATABASE}'")).await;
    let missing: Vec<&str> = TABLES.into_iter().filter(|table| !there.iter().any(|name| name == table)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("the target has no table {}", missing.join(", "))))
}

async fn same_hashes(source: &Server, target: &Server, table: &str) -> Result<bool, Failure> {
    let columns: Vec<(String, String)> = source
        .query_rows(format!(
            "SELECT column_name, data_type FROM information_schema.columns
             WHERE table_schema = '{DATABASE}' AND table_name = '{table}' ORDER BY ordinal_position"
        ))
        .await;
    let values: Vec<String> = columns.iter().map(|(name, kind)| value(name, kind)).collect();
    let query = format!(
        "SELECT CAST(SUM(CAST(CONV(LEFT(hash, 16), 16, 10) AS UNSIGNED)) AS CHAR),
                CAST(SUM(CAST(CONV(SUBSTRING(hash, 17, 16), 16, 10) AS UNSIGNED)) AS CHAR)
         FROM (SELECT SHA2(CONCAT_WS(',', {}), 256) AS hash FROM `{DATABASE}`.`{table}`) AS hashed",
        values.join(", ")
    );
    let (ours, theirs) = tokio::join!(sums(source, &query), sums(target, &query));
    Ok(ours? == theirs?)
}

/// A value as text that two releases write alike. NULL becomes a word without quotes.
fn value(name: &str, kind: &str) -> String {
    match kind {
        // As text a FLOAT loses digits; a DOUBLE does not.
        "float" | "double" => format!("QUOTE(`{name}` + 0E0)"),
        // Without the session's time zone.
        "timestamp" => format!("QUOTE(UNIX_TIMESTAMP(`{name}`))"),
        "bit" => format!("QUOTE(`{name}` + 0)"),
        "json" => format!("QUOTE(CAST(`{name}` AS CHAR))"),
        "char" | "varchar" | "text" | "binary" | "varbinary" | "blob" | "mediumblob" => {
            format!("IFNULL(HEX(`{name}`), 'NULL')")
        }
        _ => format!("QUOTE(`{name}`)"),
    }
}

async fn sums(server: &Server, query: &str) -> Result<(String, String), Failure> {
    let rows: Vec<Row> = server.query_rows(query).await;
    rows.into_iter()
        .next()
        .and_then(|row| mysql_async::from_row_opt(row).ok())
        .ok_or_else(|| Failure::new(format!("no sums from {}", server.release())))
}
