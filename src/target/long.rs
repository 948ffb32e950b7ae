//! Statements that are longer than the target takes in one packet.
//!
//! The packet that a server takes is bounded by its `max_allowed_packet`; a longer one costs the connection. The target's limit is
//! asked only when a statement is longer than every target's limit allows (the precheck sees to [`LEAST`]), so nothing is paid for
//! the others. A statement above the limit is sent without its long literals (see [`crate::sql::lift`]); each of them goes ahead as
//! the parameter of a statement that sets a user variable. So a row can be written as long as each of its values fits a packet,
//! whatever its bytes are; what does not fit stops the task before anything of it is sent.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};

use super::{diagnose, run};
use crate::fault::{Code, Fault};
use crate::sql::lift::{self, SHORT, lift};

/// `max_allowed_packet` of every target is at least this: the default of 5.7.
pub const LEAST: u64 = 4 * 1024 * 1024;
/// What a packet holds besides the value or the statement.
const OVERHEAD: usize = 1024;
/// What fits into one packet of every target.
pub const ROOM: usize = LEAST as usize - OVERHEAD;

/// A statement that was executed: the rows that it affected, and the user variables that still hold its values.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub affected: u64,
    pub variables: usize,
}

/// Runs a row-writing statement, whatever its length. It is the last one of its session when this returns, so that the server's
/// warnings are its own.
pub async fn affect(conn: &mut Conn, text: &[u8]) -> Result<Sent, Fault> {
    if text.len() <= ROOM {
        return send(conn, text, 0).await;
    }
    let limit: Option<usize> = conn.query_first("SELECT @@max_allowed_packet").await.map_err(|error| diagnose(&error))?;
    let limit = limit.unwrap_or(LEAST as usize);
    if text.len() + OVERHEAD <= limit {
        return send(conn, text, 0).await;
    }
    let lifted = lift(text, SHORT);
    if let Some(length) = lifted.values.iter().map(Vec::len).chain([lifted.text.len()]).find(|length| length + OVERHEAD > limit) {
        let detail = format!("a value of {length} bytes; the target's max_allowed_packet is {limit}");
        return Err(Fault::new(Code::RowTooLarge, detail));
    }
    let variables = lifted.values.len();
    for (index, value) in lifted.values.into_iter().enumerate() {
        let set = format!("SET {}=?", lift::variable(index));
        conn.exec_drop(set, (Value::Bytes(value),)).await.map_err(|error| diagnose(&error))?;
    }
    send(conn, &lifted.text, variables).await
}

async fn send(conn: &mut Conn, text: &[u8], variables: usize) -> Result<Sent, Fault> {
    run(conn, text).await?;
    Ok(Sent { affected: conn.affected_rows(), variables })
}

/// Gives the server its memory back.
pub async fn free(conn: &mut Conn, variables: usize) -> Result<(), Fault> {
    if variables == 0 {
        return Ok(());
    }
    let free: Vec<String> = (0..variables).map(|index| format!("{}=NULL", lift::variable(index))).collect();
    run(conn, format!("SET {}", free.join(","))).await
}
