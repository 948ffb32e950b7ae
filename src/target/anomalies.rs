//! Looking for rows that are not what the source's events imply, inside the batch that met them.
//!
//! The writer's part of it happens behind a savepoint in its own transaction: what is looked at is what the batch meets, and what is
//! noted commits with it.

use std::collections::HashMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::writer::Writer;
use super::{diagnose, run};
use crate::fault::Fault;
use crate::model::change::KeyBytes;
use crate::sql::dml::{self, KEYS_PER_STATEMENT, Shapes};
use crate::sql::keyless::Removal;
use crate::sql::state as sql;

const MARK: &str = "SAVEPOINT `part`";
/// A failure may have come while a family's keys were to act.
const UNDO: &str = "ROLLBACK TO SAVEPOINT `part`; SET foreign_key_checks=0";

/// Those of the keys that stand in the table, or (when they are to stand) do not: halves the list until it is known, since the server's
/// collations, not we, compare; or until more than `most` are found.
pub(crate) async fn odd(
    conn: &mut Conn,
    shapes: &Shapes,
    keys: &[&[u8]],
    stand: bool,
    most: usize,
) -> Result<Vec<KeyBytes>, Fault> {
    let mut odd = Vec::new();
    let mut open: Vec<&[&[u8]]> = keys.chunks(KEYS_PER_STATEMENT).collect();
    while let Some(keys) = open.pop().filter(|_| odd.len() <= most) {
        let query = dml::count_keys(&shapes.delete, keys);
        let count: Option<u64> = conn.query_first(query).await.map_err(|error| diagnose(&error).at(shapes.shown()))?;
        if count == Some(if stand { keys.len() as u64 } else { 0 }) {
            continue;
        }
        match keys {
            [key] => odd.push(Box::from(*key)),
            keys => {
                let (left, right) = keys.split_at(keys.len() / 2);
                open.extend([left, right]);
            }
        }
    }
    Ok(odd)
}

/// How many copies of each of its rows stand, by digest.
pub(super) async fn standing(conn: &mut Conn, removal: &Removal) -> Result<HashMap<Vec<u8>, u64>, Fault> {
    let rows: Vec<(Vec<u8>, u64)> = conn.query(removal.count()).await.map_err(|error| diagnose(&error).at(removal.table()))?;
    Ok(rows.into_iter().collect())
}

impl Writer {
    /// From here on a part may be undone. Not cancel-safe.
    pub async fn mark(&mut self) -> Result<(), Fault> {
        self.begin().await?;
        run(self.conn(), MARK).await
    }

    /// Undoes what was done since [`Writer::mark`], which may be done again. Not cancel-safe.
    pub async fn undo(&mut self) -> Result<(), Fault> {
        run(self.conn(), UNDO).await
    }

    /// See [`odd`].
    pub async fn odd(&mut self, shapes: &Shapes, keys: &[&[u8]], stand: bool, most: usize) -> Result<Vec<KeyBytes>, Fault> {
        odd(self.conn(), shapes, keys, stand, most).await
    }

    /// How many copies of each of its rows stand, by digest.
    pub async fn standing(&mut self, removal: &Removal) -> Result<HashMap<Vec<u8>, u64>, Fault> {
        standing(self.conn(), removal).await
    }

    /// The one number that a query answers.
    pub async fn count(&mut self, query: &[u8]) -> Result<u64, Fault> {
        let count: Option<u64> = self.conn().query_first(query).await.map_err(|error| diagnose(&error))?;
        Ok(count.unwrap_or(0))
    }

    /// Notes rows that were not as they should be; returns how many are recorded as different now. Not cancel-safe.
    pub async fn note_drift(&mut self, lines: &[sql::DriftLine<'_>]) -> Result<u64, Fault> {
        let note = sql::note_drift(self.task(), self.checkpoint(), lines);
        run(self.conn(), note).await?;
        let count = sql::count_drift(self.task());
        self.count(count.as_bytes()).await
    }
}
