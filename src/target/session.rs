//! Sessions that outlive their client.
//!
//! When the network between us and the target goes silent, we give a connection up long before the server does: it hears nothing, too,
//! and waits for hours (its TCP keepalive). Until then it keeps the transaction that the session was in, with the locks on rows and
//! checkpoint, and the next session would wait for them until the retry window ends.
//!
//! So each session that writes takes a *name*, a lock of the server that is its own as long as the session lives (`GET_LOCK`); and
//! whoever takes the task over, or goes on with it after a fault, first ends the sessions that still have one. An account may always
//! end sessions of its own, and no other session is ended. That is no way around the fence: whoever ends a session holds the newest
//! epoch, or is about to raise it, and what a session was in the middle of is rolled back.

use std::collections::HashSet;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row, from_value_opt};

use super::diagnose;
use crate::fault::{Code, Fault, Side};
use crate::sql::session as sql;

/// The writer's name; the copy's sessions have the others.
pub const WRITER: usize = 0;
/// All names of a task: the writer's, those of 64 copy workers, and that of the snapshots of tables without a key.
pub const NAMES: usize = 66;

/// How long a session that was ended may take to be gone: its transaction is rolled back first.
const GONE_SECONDS: u64 = 20;

/// "Unknown thread id".
const GONE: u16 = 1094;

/// Gives a session its name.
pub async fn mark(conn: &mut Conn, task: &str, number: usize) -> Result<(), Fault> {
    let taken: Option<Option<i64>> =
        conn.query_first(sql::take(task, number, GONE_SECONDS)).await.map_err(|error| diagnose(&error))?;
    if taken.flatten() == Some(1) {
        return Ok(());
    }
    let detail = format!("an earlier session of this task is still being rolled back after {GONE_SECONDS} s");
    Err(Fault::new(Code::Busy(Side::Target), detail))
}

/// Ends what is left of the task's earlier sessions. To be called by who holds the epoch, or raises it next.
pub async fn end_others(conn: &mut Conn, task: &str) -> Result<(), Fault> {
    let own = u64::from(conn.id());
    let row: Option<Row> = conn.query_first(sql::own_and_holders(task, NAMES)).await.map_err(|error| diagnose(&error))?;
    let mut numbers = row.into_iter().flat_map(Row::unwrap).map(|number| from_value_opt::<u64>(number).ok());
    if numbers.next().flatten() != Some(own) {
        tracing::warn!("something between us and the target numbers sessions by itself: earlier ones of this task are not ended");
        return Ok(());
    }
    let holders: Vec<u64> = numbers.flatten().filter(|session| *session != own).collect();
    if holders.is_empty() {
        return Ok(());
    }
    let ours = of_this_account(conn, own).await?;
    for session in holders.into_iter().filter(|session| ours.contains(session)) {
        tracing::warn!(session, "an earlier session of this task is still open on the target: it is ended");
        match conn.query_drop(sql::kill(session)).await {
            Ok(()) => {}
            Err(Error::Server(server)) if server.code == GONE => {}
            // Whoever waits for its locks will say so.
            Err(Error::Server(server)) => tracing::warn!(session, code = server.code, "it cannot be ended"),
            Err(error) => return Err(diagnose(&error)),
        }
    }
    Ok(())
}

/// The sessions that log in as this one does. Not from `information_schema`: there 9.7 fails when any session's statement is no text, and
/// ours are not.
async fn of_this_account(conn: &mut Conn, own: u64) -> Result<HashSet<u64>, Fault> {
    let rows: Vec<Row> = conn.query(sql::SESSIONS).await.map_err(|error| diagnose(&error))?;
    let sessions: Vec<(u64, String)> =
        rows.into_iter().filter_map(|mut row| Some((row.take("Id")?, row.take("User")?))).collect();
    let user = sessions.iter().find(|(session, _)| *session == own).map(|(_, user)| user.clone());
    Ok(sessions.into_iter().filter(|(_, theirs)| user.as_ref() == Some(theirs)).map(|(session, _)| session).collect())
}
