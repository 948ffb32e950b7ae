//! The heartbeat: the one thing that we write on the source, and only for who allows it (`[source] heartbeat`).
//!
//! An idle source is no lag without it, too: its position stands still, and what it has is applied. With it, something is committed
//! every few seconds, comes through the binlog and moves the checkpoint: so a caught-up time that grows older is a fault even at night,
//! and the checkpoint never stays behind in a file that an idle source purges. The row is of no table that a task can select, so it
//! reaches the target as a position and nothing else.
//!
//! A source that takes no writes (before a cutover, or in a failover) has no heart to beat: that is no fault. A missing privilege is one:
//! it was asked for.

use std::time::{Duration, Instant};

use super::{Conn, run};
use crate::fault::{Code, Fault};
use crate::sql::heartbeat as sql;

/// Often enough for an alert on a minute, seldom enough to be nothing among an application's writes.
pub const PERIOD: Duration = Duration::from_secs(5);

/// When it last beat, in this session.
#[derive(Debug, Default)]
pub struct Heartbeat {
    last: Option<Instant>,
}

impl Heartbeat {
    /// Beats when it is time to.
    pub async fn beat(&mut self, conn: &mut Conn, task: &str, now: Instant) -> Result<(), Fault> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < PERIOD) {
            return Ok(());
        }
        let beaten = async {
            if self.last.is_none() {
                for statement in sql::CREATE {
                    run(conn, statement).await?;
                }
            }
            run(conn, &sql::beat(task)).await
        };
        match beaten.await {
            Ok(()) => self.last = Some(now),
            Err(fault) if fault.code == Code::ReadOnly => {}
            Err(fault) => return Err(fault.at("the heartbeat on the source")),
        }
        Ok(())
    }
}
