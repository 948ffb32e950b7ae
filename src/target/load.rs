//! LOAD DATA LOCAL: rows as lines, which the server takes without parsing a statement.
//!
//! The server asks for a file by a name; what it gets is always rows from memory, whatever it asks for. With LOCAL a server does not
//! fail at a bad row, unless it is to REPLACE those that are there: it leaves out a row that collides or that no partition takes, and
//! changes a value that it cannot store, each with a warning. A row that is left out makes one warning at least, so when there are as
//! many warnings as such rows, every row that was stored was stored as it is. Rows may be left out only where the ones that are there stay, and only for colliding; anything else is
//! refused, and the transaction is rolled back. The counts come in the answer's text, whose language the session sets.

use std::time::{Duration, Instant};

use futures_util::stream;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::diagnose;
use crate::conn::{Endpoint, Purpose};
use crate::fault::{Code, Fault, Side};
use crate::sql::inserts;
use crate::sql::statement::{Expect, Statement};

/// What goes into one packet.
const PACKET: usize = 256 * 1024;
/// What says that a row collides.
const DUPLICATE: [u16; 2] = [1062, 1586];
/// INSERTs share their round trip with other statements; a LOAD DATA has two of its own, and so many microseconds less for a row.
const SAVED: u128 = 4;
const FEWEST: usize = 200;
/// Of the trial, and for all of it.
const TRIES: usize = 2;
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a LOAD DATA. Returns the rows that were stored. Not cancel-safe.
pub async fn load(conn: &mut Conn, statement: &Statement) -> Result<u64, Fault> {
    run(conn, statement).await.map_err(|error| diagnose(&error))?;
    let (stored, told) = (conn.affected_rows(), told(conn));
    let Some((skipped, warnings)) = told else {
        return Err(Fault::new(
            Code::ServerError(Side::Target),
            "its answer to LOAD DATA does not say how many rows were left out",
        ));
    };
    if skipped == 0 && warnings == 0 {
        return Ok(stored);
    }
    let warned: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.map_err(|error| diagnose(&error))?;
    let codes: std::collections::BTreeSet<u16> = warned.iter().map(|(_, code, _)| *code).collect();
    if statement.expect == Expect::Any && warnings == skipped && codes.iter().all(|code| DUPLICATE.contains(code)) {
        return Ok(stored);
    }
    let lines = statement.lines.iter().filter(|byte| **byte == b'\n').count();
    let detail = format!("of about {lines} rows the target left out {skipped}, and warned {warnings} times, codes {codes:?}");
    Err(Fault::new(Code::DataRefused, detail))
}

/// From so many rows on a statement's rows should come this way; `None` when the target, or something that stands before it, does not let
/// them. Tried with no rows, on a table that is always empty, in a session of its own.
pub async fn worth(endpoint: &Endpoint) -> Option<usize> {
    let tried = async {
        let mut conn = super::connect(endpoint, Purpose::Rows).await?;
        let mut took = Duration::MAX;
        for _ in 0..TRIES {
            let began = Instant::now();
            run(&mut conn, &inserts::load_nothing()).await.map_err(|error| diagnose(&error))?;
            took = took.min(began.elapsed());
        }
        Ok::<_, Fault>((told(&conn) == Some((0, 0))).then_some(took))
    };
    let reason = match tokio::time::timeout(PATIENCE, tried).await {
        Ok(Ok(Some(took))) => return Some(FEWEST.max(usize::try_from(took.as_micros() / SAVED).unwrap_or(usize::MAX))),
        Ok(Ok(None)) => "its answer does not count rows".to_owned(),
        Ok(Err(fault)) => fault.detail,
        Err(_) => "it does not answer".to_owned(),
    };
    tracing::info!(reason, "the target takes no LOAD DATA LOCAL: rows go as INSERTs");
    None
}

/// How many rows the last statement left out, and how often it warned.
fn told(conn: &Conn) -> Option<(u64, u64)> {
    let info = conn.info();
    Some((number(&info, "Skipped: ")?, number(&info, "Warnings: ")?))
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
