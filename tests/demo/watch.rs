//! Watches the daemon until it has copied everything and streamed for a while.

use std::time::{Duration, Instant};

use tokio::time::interval;

use crate::daemon::Daemon;
use crate::lab::Failure;
use crate::screen::Screen;
use crate::status::{Position, Status};
use crate::writer::Writer;

/// How often the status is read. The screen shows every fifth.
const POLL: Duration = Duration::from_millis(200);
const SHOWN: u64 = 5;

/// The steady streaming that is shown when no time is given.
const STEADY: Duration = Duration::from_secs(30);

/// Building indexes and waking from a lock take seconds, so this is no hurry.
const STANDSTILL: Duration = Duration::from_secs(120);

/// What was seen.
pub struct Seen {
    pub copy_took: Duration,
    pub highest_lag: Option<f64>,
}

/// Returns once every row is copied and `time`, or else `STEADY` of streaming, has passed. The
/// writer stops after `time`.
pub async fn follow(daemon: &mut Daemon, writer: &mut Writer, time: Option<Duration>) -> Result<Seen, Failure> {
    let mut watch = Watch::new();
    let mut screen = Screen::new();
    let mut poll = interval(POLL);
    for turn in 0_u64.. {
        poll.tick().await;
        writer.check()?;
        let status = daemon.status().await?;
        let elapsed = watch.began.elapsed();
        if let Some(status) = &status {
            watch.note(status);
            if turn % SHOWN == 0 {
                screen.show(elapsed, status, writer.committed());
            }
        }
        if watch.moved.elapsed() > STANDSTILL {
            return Err(daemon.failure(&format!("no progress for {STANDSTILL:?}")));
        }
        if time.is_some_and(|time| elapsed >= time) {
            writer.stop().await?;
        }
        if watch.is_over(time) {
            break;
        }
    }
    Ok(watch.seen())
}

/// What was seen so far.
struct Watch {
    began: Instant,
    /// When the daemon last moved on.
    moved: Instant,
    last: Option<(String, u64, Position)>,
    copy_began: Option<Instant>,
    copy_ended: Option<Instant>,
    highest_lag: Option<f64>,
}

impl Watch {
    fn new() -> Self {
        let now = Instant::now();
        Self { began: now, moved: now, last: None, copy_began: None, copy_ended: None, highest_lag: None }
    }

    fn note(&mut self, status: &Status) {
        let now = Instant::now();
        let place = Some((status.phase.clone(), status.rows_copied, status.applied.clone()));
        if self.last != place {
            self.last = place;
            self.moved = now;
        }
        if status.rows_copied > 0 || status.streams() || status.phase == "copy" {
            self.copy_began.get_or_insert(now);
        }
        if status.streams() {
            self.copy_ended.get_or_insert(now);
        }
        // `f64::max` takes the number where the other is none.
        let lag = status.lag_seconds.unwrap_or(f64::NAN);
        let highest = self.highest_lag.unwrap_or(f64::NAN).max(lag);
        self.highest_lag = Some(highest).filter(|lag| !lag.is_nan());
    }

    fn is_over(&self, time: Option<Duration>) -> bool {
        self.copy_ended.is_some_and(|ended| match time {
            Some(time) => self.began.elapsed() >= time,
            None => ended.elapsed() >= STEADY,
        })
    }

    fn seen(&self) -> Seen {
        let copy_took = self.copy_began.zip(self.copy_ended).map_or(Duration::ZERO, |(began, ended)| ended - began);
        Seen {
            // What began and ended between two looks took less than one.
            copy_took: copy_took.max(POLL),
            highest_lag: self.highest_lag,
        }
    }
}
