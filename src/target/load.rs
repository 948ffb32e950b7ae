//! LOAD DATA LOCAL: rows as lines, which the server takes without parsing a statement.
//!
//! The server asks for a file by a name; what it gets is always the rows in memory, whatever it asks for, and only in answer to a
//! statement of ours. With LOCAL a server does not fail at a bad row: it leaves out a row that collides, and changes a value that
//! it cannot store, each with a warning. A row that is left out makes one warning at least, so when there are as many warnings as
//! such rows, every row that was stored was stored as it is. Anything else is refused, and the transaction is rolled back; a wrong
//! count of stored rows is found by the caller, as for every statement.

use futures_util::stream;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::diagnose;
use crate::fault::{Code, Fault};
use crate::sql::inserts;
use crate::sql::statement::Statement;

/// What goes into one packet.
const PACKET: usize = 256 * 1024;

/// Runs a LOAD DATA. Returns the rows that were stored. Not cancel-safe.
pub async fn load(conn: &mut Conn, statement: &Statement) -> Result<u64, Fault> {
    run(conn, statement).await.map_err(|error| diagnose(&error))?;
    let info = conn.info().into_owned();
    let (Some(skipped), Some(warnings)) = (number(&info, "Skipped: "), number(&info, "Warnings: ")) else {
        return Err(Fault::new(Code::Internal, format!("a target that answers LOAD DATA with: {info:.80}")));
    };
    let stored = conn.affected_rows();
    if warnings == skipped {
        return Ok(stored);
    }
    let warned: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.map_err(|error| diagnose(&error))?;
    let codes: std::collections::BTreeSet<u16> = warned.iter().map(|(_, code, _)| *code).collect();
    let detail =
        format!("of {} rows the target left out {skipped}, and warned {warnings} times, codes {codes:?}", stored + skipped);
    Err(Fault::new(Code::DataRefused, detail))
}

/// Whether the target, and all that stands before it, lets rows come this way: tried with none, on a table that is always empty.
pub async fn is_allowed(conn: &mut Conn) -> Result<bool, Fault> {
    match run(conn, &inserts::load_nothing()).await {
        Ok(()) => Ok(true),
        Err(Error::Server(refusal)) => {
            tracing::info!(code = refusal.code, "the target takes no LOAD DATA LOCAL: rows go as INSERTs");
            Ok(false)
        }
        Err(error) => Err(diagnose(&error)),
    }
}

async fn run(conn: &mut Conn, statement: &Statement) -> Result<(), Error> {
    let lines = statement.lines.clone();
    let starts = (0..lines.len()).step_by(PACKET);
    let packets: Vec<_> = starts.map(|start| Ok(lines.slice(start..lines.len().min(start + PACKET)))).collect();
    conn.set_infile_handler(async move { Ok(Box::pin(stream::iter(packets)) as _) });
    conn.query_drop(statement.text.as_slice()).await
}

/// The number behind a word of `Records: 3  Deleted: 0  Skipped: 0  Warnings: 0`.
fn number(info: &str, word: &str) -> Option<u64> {
    let (_, rest) = info.split_once(word)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_an_answer_are_read_by_their_names() {
        let info = "Records: 30  Deleted: 0  Skipped: 2  Warnings: 17";
        assert_eq!((number(info, "Skipped: "), number(info, "Warnings: ")), (Some(2), Some(17)));
        assert_eq!(number("Rows matched: 1", "Skipped: "), None);
    }
}
