//! The tide: once a second it measures what else the two clusters have to do, and sets how far the copy is let through.
//!
//! What is measured, and by which right: the statements that run on the source (`SHOW GLOBAL STATUS`, which needs none), less our own;
//! how long the target took for the commits of the last second (the applier's own clock); how far the stream is behind. A source
//! whose status cannot be read, and a second without a commit, are no reason to slow down, and none to speed up beyond a step.

use std::time::Duration;

use tokio::sync::watch as channel;

use crate::fault::Fault;
use crate::observe::Observer;
use crate::observe::metrics::ApplyStage;
use crate::observe::snapshot::Level;
use crate::source::{self, facts};
use crate::throttle::{Limits, Opening, Pressure, Reason, Valve};

/// What it works with.
#[derive(Debug)]
pub struct Tide {
    pub limits: channel::Receiver<Limits>,
    pub opening: channel::Sender<Opening>,
    /// Sessions of ours on the source that may run a statement at the same time: the copy's, the stream, and the watch that asks.
    pub ours: u64,
}

/// Time in commits and batches, counted up to the last look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Commits {
    seconds: f64,
    batches: u64,
}

impl Commits {
    pub fn of(observer: &Observer) -> Self {
        let metrics = observer.metrics();
        Self { seconds: metrics.apply_seconds.of(ApplyStage::Commit).get(), batches: metrics.batches.get() }
    }

    /// The mean since `before`; `None` without a commit.
    fn since(self, before: Self) -> Option<Duration> {
        let batches = self.batches.saturating_sub(before.batches);
        (batches > 0).then(|| Duration::from_secs_f64((self.seconds - before.seconds).max(0.0) / batches as f64))
    }
}

impl Tide {
    /// One look. Says so when it begins to slow the copy down, and when it no longer does.
    pub async fn look(
        &self,
        source: &mut source::Conn,
        commits: (Commits, Commits),
        lag: Option<Duration>,
        observer: &Observer,
    ) -> Result<(), Fault> {
        let limits = *self.limits.borrow();
        let before = *self.opening.borrow();
        if !limits.auto && before == Opening::default() {
            return Ok(());
        }
        let threads = if limits.auto { facts::threads_running(source).await? } else { None };
        let pressure = Pressure {
            threads_running: threads.map(|threads| threads.saturating_sub(self.ours)),
            commit: commits.1.since(commits.0),
            lag,
        };
        let now = Valve::from(before).step(&pressure, &limits);
        if now == before {
            return Ok(());
        }
        self.opening.send_replace(now);
        observer.update(|snapshot| snapshot.copy_opening = now);
        match (before.reason, now.reason) {
            (None, Some(reason)) => {
                let why = reason_in_words(reason, &pressure, &limits);
                tracing::info!(reason = reason.as_str(), "the copy makes way: {why}");
                observer.event(Level::Info, format!("the copy makes way: {why}"));
            }
            (Some(_), None) => {
                tracing::info!("the copy is at full pace again");
                observer.event(Level::Info, "the copy is at full pace again");
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        Ok(())
    }
}

fn reason_in_words(reason: Reason, pressure: &Pressure, limits: &Limits) -> String {
    match reason {
        Reason::Threads => format!(
            "the source runs {} statements of others at once (auto_threads_running is {})",
            pressure.threads_running.unwrap_or_default(),
            limits.auto_threads_running
        ),
        Reason::Commit => format!(
            "a commit on the target takes {} ms (auto_commit_milliseconds is {})",
            pressure.commit.unwrap_or_default().as_millis(),
            limits.auto_commit_milliseconds
        ),
        Reason::Lag => format!(
            "the stream is {} s behind (auto_lag_seconds is {})",
            pressure.lag.unwrap_or_default().as_secs(),
            limits.auto_lag_seconds
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_without_a_commit_says_nothing_about_commits() {
        let at = |seconds, batches| Commits { seconds, batches };
        assert_eq!(at(4.0, 10).since(at(4.0, 10)), None);
        assert_eq!(at(5.0, 12).since(at(4.0, 10)), Some(Duration::from_millis(500)));
    }

    #[test]
    fn the_words_name_what_was_measured_and_the_key() {
        let pressure = Pressure { threads_running: Some(40), ..Pressure::default() };
        let words = reason_in_words(Reason::Threads, &pressure, &Limits::default());
        assert_eq!(words, "the source runs 40 statements of others at once (auto_threads_running is 25)");
    }
}
