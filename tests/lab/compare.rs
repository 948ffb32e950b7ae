//! What two servers hold, as the servers themselves say it.

use std::collections::BTreeMap;

use super::server::Server;

/// MySQL's own checksum of each table by its name. Equal for equal rows in tables of equal
/// definition; comparable between servers only if they store rows alike, see the manual on CHECKSUM
/// TABLE. On 5.7 it says nothing about JSON columns.
///
/// # Panics
/// When a table is not there.
pub async fn checksum_tables(server: &Server, database: &str, tables: &[&str]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for table in tables {
        let rows: Vec<(String, Option<u64>)> = server.query_rows(format!("CHECKSUM TABLE `{database}`.`{table}`")).await;
        let sum =
            rows.first().and_then(|row| row.1).unwrap_or_else(|| panic!("no table {database}.{table} on {}", server.version()));
        sums.insert((*table).to_owned(), sum);
    }
    sums
}

/// The number of rows in a table.
pub async fn count(server: &Server, database: &str, table: &str) -> u64 {
    server.query_rows::<u64>(format!("SELECT COUNT(*) FROM `{database}`.`{table}`")).await[0]
}
