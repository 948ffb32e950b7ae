//! The PolarDB door. What the target is asked to hold, and how it answers.
//!
//! * [`state`]: our own tables: the checkpoint, the fence, the ledger of the copy, the source's undecided XA transactions.
//! * [`writer`]: one transaction = rows + checkpoint.
//! * [`chunk`]: one transaction = a chunk's rows + its line in the ledger.
//! * [`pipeline`]: many statements in one round trip.
//! * [`load`]: rows as lines.
//! * [`prefetch`]: other sessions read ahead of the writer.
//! * [`anomalies`]: rows that are not what the source's events imply.
//! * [`session`]: what is left of sessions whose client has gone.
//! * [`long`]: statements that do not fit into one packet.

mod anomalies;
pub mod chunk;
mod load;
pub mod long;
mod pipeline;
mod prefetch;
pub mod session;
pub mod state;
pub mod writer;

use crate::conn::{self, Endpoint, Purpose};
use crate::fault::{Code, Fault, Side};
use crate::model::table::TableName;
use crate::sql::keyless::Removal;
use crate::sql::qualified;
use crate::sql::statement::{Expect, Statement};
use long::Sent;
pub use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use pipeline::Pipeline;

/// Opens a session on the target.
pub async fn connect(endpoint: &Endpoint, purpose: Purpose) -> Result<Conn, Fault> {
    conn::connect(Side::Target, endpoint, purpose).await
}

fn diagnose(error: &mysql_async::Error) -> Fault {
    conn::diagnose(Side::Target, error)
}

/// Runs a statement whose answer does not matter beyond its success.
pub async fn run(conn: &mut Conn, statement: impl AsRef<[u8]>) -> Result<(), Fault> {
    conn.query_drop(statement.as_ref()).await.map_err(|error| diagnose(&error))
}

/// Holds the server to what the source's events imply.
fn check(statement: &Statement, affected: u64) -> Result<(), Fault> {
    match statement.expect {
        Expect::Any => Ok(()),
        Expect::Exactly(count) if affected == count => Ok(()),
        Expect::Ours if affected == 1 => Ok(()),
        Expect::Ours => Err(Fault::new(Code::Fenced, "the checkpoint was moved by somebody else")),
        Expect::Exactly(count) => {
            let verb = statement.text.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            let detail = format!(
                "{} on {}: the source's events imply a count of {count}, the target answered {affected}",
                String::from_utf8_lossy(verb),
                statement.table
            );
            Err(Fault::new(Code::Drift, detail))
        }
    }
}

/// "Data truncated for column …": what lax mode says of an ENUM's error value, once a cell.
const TRUNCATED: u16 = 1265;
/// "… is deprecated": says nothing about rows.
const DEPRECATED: [u16; 2] = [1287, 1681];

/// In lax mode the server changes what it cannot store, and warns: every warning must be one of the blanks that we know of. The
/// session is strict again afterwards, whatever happened.
async fn run_lax(conn: &mut Conn, statement: &Statement) -> Result<Sent, Fault> {
    run(conn, conn::LAX).await?;
    let ran = long::affect(conn, &statement.text).await;
    let warnings: Result<Vec<(String, u16, String)>, _> = conn.query("SHOW WARNINGS").await;
    run(conn, conn::STRICT).await?;
    let sent = ran?;
    let mut warnings = warnings.map_err(|error| diagnose(&error))?;
    warnings.retain(|(_, code, _)| !DEPRECATED.contains(code));
    if warnings.len() == statement.blanks && warnings.iter().all(|(_, code, _)| *code == TRUNCATED) {
        return Ok(sent);
    }
    let codes: std::collections::BTreeSet<u16> = warnings.iter().map(|(_, code, _)| *code).collect();
    let detail = format!(
        "{} ENUM cells hold the error value, and the target warned of {} values, with the codes {codes:?}",
        statement.blanks,
        warnings.len()
    );
    Err(Fault::new(Code::DataRefused, detail))
}

/// Takes rows out of a table without a key.
pub(crate) async fn take_out(conn: &mut Conn, removal: &Removal) -> Result<(), Fault> {
    let standing = anomalies::standing(conn, removal).await?;
    let statements =
        removal.statements(&standing).map_err(|shortage| Fault::new(Code::Drift, format!("{}: {shortage}", removal.table())))?;
    let mut pipeline = Pipeline::new(conn);
    for statement in &statements {
        pipeline.push(statement).await?;
    }
    pipeline.flush().await?;
    Ok(())
}

/// Whether a table holds any row.
pub async fn has_rows(conn: &mut Conn, name: &TableName) -> Result<bool, Fault> {
    let query = format!("SELECT 1 FROM {} LIMIT 1", qualified(name));
    let row: Option<u8> = conn.query_first(query).await.map_err(|error| diagnose(&error).at(name))?;
    Ok(row.is_some())
}

/// Whether any of the tables has a trigger.
pub async fn has_triggers(conn: &mut Conn, names: &[TableName]) -> Result<bool, Fault> {
    let rows: Vec<(String, String)> = conn
        .query("SELECT DISTINCT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS")
        .await
        .map_err(|error| diagnose(&error))?;
    Ok(rows.into_iter().any(|(schema, table)| names.contains(&TableName { schema, table })))
}
