//! The Aurora door. What the source is asked, and what it answers, in our words; the driver stays behind it.
//!
//! * [`facts`]: what server this is, and where its binary log stands.
//! * [`catalog`]: its tables, for either end.
//! * [`binlog`]: its events, framed, checked, in our words.
//! * [`offset`]: where in its file an event ends.
//! * [`decode`]: result rows as values.
//! * [`rows`], [`documents`]: rows as they will be written.
//! * [`generated`]: generated columns that the target cannot compute.
//! * [`heartbeat`]: the one row that we may write there.
//! * [`fence`]: proof that what we have applied is visible to what we read.

pub mod binlog;
pub mod catalog;
pub mod decode;
pub mod documents;
pub mod facts;
pub mod fence;
pub mod generated;
pub mod heartbeat;
mod later;
mod maps;
mod offset;
pub mod rows;

use crate::conn::{self, Endpoint, Purpose};
use crate::fault::{Class, Code, Fault, Side};
use crate::model::table::TableName;
use crate::sql::qualified;
pub use mysql_async::Conn;
use mysql_async::prelude::Queryable;

/// Opens a session on the source.
pub async fn connect(endpoint: &Endpoint, purpose: Purpose) -> Result<Conn, Fault> {
    conn::connect(Side::Source, endpoint, purpose).await
}

/// Opens a session on the server `uuid`. While the source moves, one address may lead each new session to another server; what is
/// read here and there must be of one.
pub async fn connect_to(endpoint: &Endpoint, purpose: Purpose, uuid: &str) -> Result<Conn, Fault> {
    let mut conn = connect(endpoint, purpose).await?;
    let found: Option<String> =
        conn.query_first("SELECT @@GLOBAL.server_uuid").await.map_err(|error| conn::diagnose(Side::Source, &error))?;
    if found.as_deref() == Some(uuid) {
        return Ok(conn);
    }
    Err(Fault::new(Code::ConnectionLost(Side::Source), "the address leads to another server than a moment ago"))
}

/// For a session that holds a lock: if the network goes silent, the source ends it soon, and with it the lock, instead of waiting for
/// hours for a client that is gone.
pub const HOLDING: &str = "SET SESSION wait_timeout=5";

/// Runs a statement that returns no rows.
pub async fn run(conn: &mut Conn, statement: &str) -> Result<(), Fault> {
    conn.query_drop(statement).await.map_err(|error| conn::diagnose(Side::Source, &error))
}

/// Whether the account may lock these tables for a moment. A lock that is not granted at once is proof enough of the right.
pub async fn may_lock(conn: &mut Conn, tables: &[TableName]) -> Result<(), Fault> {
    run(conn, HOLDING).await?;
    run(conn, "SET SESSION lock_wait_timeout=1").await?;
    let mut refused = None;
    for table in tables {
        match run(conn, &format!("LOCK TABLES {} READ", qualified(table))).await {
            Ok(()) => run(conn, "UNLOCK TABLES").await?,
            Err(fault) if fault.code.class() == Some(Class::Other) => {}
            Err(fault) => {
                refused = Some(fault);
                break;
            }
        }
    }
    run(conn, conn::IDLE).await?;
    refused.map_or(Ok(()), Err)
}
