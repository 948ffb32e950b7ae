//! The conductor: the only room that knows all rooms. It decides nothing about rows; it decides what runs.
//!
//! A **voyage** is one attempt to get from the checkpoint to a stop: connect, read where we are, pass the fence, then run the lane
//! (pump → merger → writer), the copy and the watch side by side until one of them ends. Whatever ends it, everything of it is
//! torn down, and the next voyage starts from the checkpoint: there is one way to recover, and every failure takes it.
//!
//! ```text
//!   start ─► precheck ─► schema ─► checkpoint ─┐
//!                                              ▼
//!                       ┌──────────────── voyage ◄──────────┐
//!                       │ definite fault      │ transient    │ wait
//!                       ▼                     └──► backoff ──┘
//!                   exit with code        stop ─► finish the batch, exit 0
//! ```
//!
//! # Why the start is right
//!
//! A new task reads the source's position *first*, then definitions, then creates tables, and only then writes its checkpoint
//! with that position: nothing can change a table between position and copy without being in the stream. Before the first chunk
//! is read, the fence proves that all that lies before the position is visible. A crash before the checkpoint leaves empty tables
//! that fit, and the next start begins anew.
//!
//! # Who owns what
//!
//! Tasks belong to the voyage's set and end with it: aborting the copy or the pump at any await is safe (uncommitted work is
//! rolled back by the target). The writer is not aborted on a graceful stop: it looks at the stop between batches.

mod burials;
mod families;
mod history;
mod lines;
mod recall;
mod start;
mod tide;
mod voyage;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch as channel};
use tokio_util::sync::CancellationToken;

use crate::conn::Endpoint;
use crate::fault::{Backoff, Class, Fault, Retry, RetrySettings};
use crate::model::phase::Phase;
use crate::model::selection::Selection;
use crate::model::task::Migrate;
use crate::observe::snapshot::{Failure, Level, RetryClass, Side as ShownSide, Snapshot, unix_now};
use crate::observe::{Control, Observer, snapshot};
use crate::source::binlog::Silences;
use crate::throttle::{Limits, Opening};
use crate::{apply, copy, fault};

/// Everything a task needs to know.
#[derive(Debug, Clone)]
pub struct Charter {
    pub task: String,
    pub server_id: u32,
    pub source: Endpoint,
    pub target: Endpoint,
    pub selection: Arc<Selection>,
    pub migrate: Migrate,
    pub copy: copy::Settings,
    pub apply: apply::Settings,
    pub retry: RetrySettings,
    pub limits: Limits,
    /// Whether a row on the source may be written.
    pub heartbeat: bool,
}

/// What the operator asks of a running task, by signal.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    Stop,
    Dump,
    Limit(Limits),
}

/// The knobs that may be turned while the task runs.
#[derive(Debug)]
struct Knobs {
    phase: channel::Sender<Phase>,
    limits: channel::Sender<Limits>,
    opening: channel::Sender<Opening>,
    paused: channel::Sender<bool>,
}

/// One task, from start to stop.
#[derive(Debug)]
pub struct Replicator {
    charter: Charter,
    observer: Observer,
    knobs: Knobs,
    progress: Arc<copy::Progress>,
    silences: Arc<Silences>,
    stop: CancellationToken,
}

/// Retries, one window for each class.
struct Patience {
    connection: Backoff,
    other: Backoff,
}

/// The next fault opens a new window when something was made in between, or when there was nothing to make for this long.
const STEADY: Duration = Duration::from_secs(30);

/// How often the loop comes round when nothing is asked of it: well below every watchdog's patience.
const ROUND: Duration = Duration::from_secs(1);

/// What a batch may still take after a stop was asked for; the whole stop takes less than ten seconds.
const LAST_BATCH: Duration = Duration::from_secs(8);

fn enter(current: &channel::Sender<Phase>, observer: &Observer, phase: Phase) {
    let before = current.send_replace(phase);
    if before != phase {
        debug_assert!(before.may_become(phase), "{before:?} may not become {phase:?}");
        observer.update(|snapshot| snapshot.phase = phase);
        observer.event(Level::Info, format!("phase {}", phase.as_str()));
        tracing::info!(phase = phase.as_str(), "phase");
    }
}

impl Replicator {
    pub fn new(charter: Charter, observer: Observer) -> Self {
        let knobs = Knobs {
            phase: channel::Sender::new(Phase::Precheck),
            limits: channel::Sender::new(charter.limits),
            opening: channel::Sender::new(Opening::default()),
            paused: channel::Sender::new(false),
        };
        let (source, target, limits) = (charter.source.address(), charter.target.address(), charter.limits);
        observer.update(|snapshot| {
            snapshot.source.endpoint = source;
            snapshot.target.endpoint = target;
            snapshot.throttle = limits;
        });
        let progress = Arc::new(copy::Progress::new(Instant::now()));
        Self { charter, observer, knobs, progress, silences: Arc::default(), stop: CancellationToken::new() }
    }

    /// Runs until a stop is asked for, or a definite fault, or a retry window that ran out.
    pub async fn run(self, mut orders: mpsc::Receiver<Order>, mut controls: mpsc::Receiver<Control>) -> Result<(), Fault> {
        let work = self.work();
        tokio::pin!(work);
        let mut round = tokio::time::interval(ROUND);
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                Some(order) = orders.recv() => self.obey(order),
                Some(control) = controls.recv() => self.control(control),
                _ = round.tick() => {
                    // Said by a worker: so the pulse stops when this loop is not polled, and when no worker is free.
                    let observer = self.observer.clone();
                    tokio::spawn(async move { observer.turned() });
                }
            }
        };
        if let Err(fault) = &outcome {
            self.failed(fault);
        }
        outcome
    }

    fn obey(&self, order: Order) {
        match order {
            Order::Stop => {
                tracing::info!("stopping: the batch in hand is finished first");
                self.stop.cancel();
            }
            Order::Dump => {
                let state = serde_json::to_string(&*self.observer.snapshot()).unwrap_or_default();
                tracing::info!(state, "state");
            }
            Order::Limit(limits) => self.limit(limits),
        }
    }

    fn limit(&self, limits: Limits) {
        self.knobs.limits.send_replace(limits);
        self.observer.update(|snapshot| snapshot.throttle = limits);
        tracing::info!(?limits, "limits");
    }

    fn pause(&self, paused: bool) {
        self.knobs.paused.send_replace(paused);
        self.observer.update(|snapshot| snapshot.paused = paused);
        self.observer.event(Level::Info, if paused { "paused" } else { "resumed" });
        tracing::info!(paused, "asked by HTTP");
    }

    fn control(&self, control: Control) {
        match control {
            Control::Pause => self.pause(true),
            Control::Resume => self.pause(false),
            Control::Throttle(patch) => {
                let now = *self.knobs.limits.borrow();
                self.limit(patch.applied_to(now));
            }
            Control::Cutover => {
                self.observer.event(Level::Warn, "cutover was asked for; this version does not carry it out by itself");
            }
        }
    }

    fn enter(&self, phase: Phase) {
        enter(&self.knobs.phase, &self.observer, phase);
    }

    fn failed(&self, fault: &Fault) {
        let failure = Failure {
            code: fault.code.as_str().to_owned(),
            message: fault.detail.clone(),
            remedy: fault.code.remedy().to_owned(),
        };
        self.observer.update(|snapshot| {
            snapshot.phase = Phase::Failed;
            snapshot.error = Some(failure);
            snapshot.failed_at = Some(unix_now());
        });
    }

    /// Start, then voyages.
    async fn work(&self) -> Result<(), Fault> {
        let mut patience = Patience { connection: Backoff::new(), other: Backoff::new() };
        let (mut epoch, mut made) = (None, self.made());
        while !self.stop.is_cancelled() {
            let began = Instant::now();
            let Err(fault) = self.attempt(&mut epoch).await else { return Ok(()) };
            let caught_up = self.caught_up();
            self.observer.update(Snapshot::forget_measures);
            let Some(class) = fault.code.class() else { return Err(fault) };
            let reached = self.made();
            if reached != made || caught_up && began.elapsed() >= STEADY {
                patience.connection.reset();
                patience.other.reset();
            }
            made = reached;
            self.wait_after(fault, class, &mut patience).await?;
        }
        Ok(())
    }

    /// What has become durable: batches, and pieces of the copy that need not be copied again.
    fn made(&self) -> (u64, u64) {
        (self.observer.metrics().batches.get(), self.progress.made())
    }

    /// Whether nothing was left to do.
    fn caught_up(&self) -> bool {
        let snapshot = self.observer.snapshot();
        snapshot.backlog_transactions == 0 && snapshot.lag_seconds == Some(0.0)
    }

    /// One voyage, after taking the task if that is not done yet.
    async fn attempt(&self, epoch: &mut Option<u64>) -> Result<(), Fault> {
        let prepare = async {
            let taken = match *epoch {
                Some(taken) => taken,
                None => *epoch.insert(start::take(self).await?),
            };
            voyage::prepare(self, taken).await
        };
        // Preparing commits nothing half: it may be cut off anywhere.
        let voyage = tokio::select! {
            prepared = prepare => prepared?,
            () = self.stop.cancelled() => return Ok(()),
        };
        tokio::select! {
            outcome = voyage.sail(self) => outcome,
            () = self.cut_off() => Ok(()),
        }
    }

    /// Resolves some time after a stop: nothing may hold up the end longer than this.
    async fn cut_off(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(LAST_BATCH).await;
        tracing::warn!("the batch in hand did not finish in time; the target rolls it back");
    }

    async fn wait_after(&self, fault: Fault, class: Class, patience: &mut Patience) -> Result<(), Fault> {
        let backoff = match class {
            Class::Connection => &mut patience.connection,
            Class::Other => &mut patience.other,
        };
        let window = self.charter.retry.window(class);
        let Retry::After(wait) = backoff.next(window, Instant::now(), rand::random()) else { return Err(fault) };
        let side = match fault.code.side() {
            fault::Side::Source => ShownSide::Source,
            fault::Side::Target => ShownSide::Target,
        };
        let shown_class = match class {
            Class::Connection => RetryClass::Connection,
            Class::Other => RetryClass::Other,
        };
        self.observer.metrics().retries.of(side, shown_class).inc();
        let window_left = window.saturating_sub(backoff.elapsed(Instant::now()));
        self.observer.update(|shown| {
            shown.reckon_retention(unix_now());
            match side {
                ShownSide::Source => shown.retries.source += 1,
                ShownSide::Target => shown.retries.target += 1,
            }
            shown.retries.last = Some(snapshot::Retry {
                side,
                class: shown_class,
                cause: fault.to_string(),
                next_attempt_at: unix_now() + wait.as_secs_f64(),
                window_ends_at: unix_now() + window_left.as_secs_f64(),
            });
        });
        tracing::warn!(code = fault.code.as_str(), cause = fault.detail, ?wait, ?window_left, "trying again");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stop.cancelled() => {}
        }
        Ok(())
    }
}
