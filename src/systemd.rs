//! The two conversations with the service manager: signals in, notifications out.
//!
//! **Signals.** A thread of its own waits for them, so that they are heard also when the runtime is stuck.
//! The first SIGTERM or SIGINT asks for a graceful stop. The second ends the process at once, with 128 plus
//! the signal's number, and that loses nothing: an open target transaction is rolled back by the server, and
//! the checkpoint moves only by a commit. SIGHUP asks to reload, SIGUSR1 to dump the state into the log.
//!
//! **Notifications** are datagrams to the socket in `NOTIFY_SOCKET` (sd_notify(3)), a path or, with a leading
//! `@`, a name in Linux's abstract namespace. The crate sd-notify 0.5 takes paths only; the protocol is this short.
//! Without the variable, nothing is sent. A notification that fails is logged and nothing more: the daemon's
//! work does not depend on being watched.
//!
//! **The watchdog** is fed from progress, never from a bare timer: [`Notify::alive`] is told how often the conductor's loop has
//! come round, and passes on only news. The loop comes round when the conductor is polled *and* a task handed to the workers
//! came back (`Observer::turned`), so a blocked conductor and a blocked pool of workers both end in a restart. A database that
//! does not answer ends in none: waiting is not hanging, and a restart would not make the database answer.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use tokio::sync::mpsc::{self, Sender};

use crate::config::Environment;
use crate::model::Phase;
use crate::observe::Snapshot;
use crate::observe::snapshot::{Side, TableState};

/// What a signal asks of the conductor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Stop,
    Reload,
    Dump,
}

/// Requests wait here while the conductor is busy. More of the same say nothing new, so they are
/// dropped when it is full; one place is kept for `Stop`, which comes once.
const WAITING: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Tell(Signal),
    Exit(i32),
}

fn decide(stopping: bool, signal: i32) -> Option<Decision> {
    match signal {
        SIGTERM | SIGINT if stopping => Some(Decision::Exit(128 + signal)),
        SIGTERM | SIGINT => Some(Decision::Tell(Signal::Stop)),
        SIGHUP => Some(Decision::Tell(Signal::Reload)),
        SIGUSR1 => Some(Decision::Tell(Signal::Dump)),
        _ => None,
    }
}

/// From here on signals arrive in the channel. To be called before anything slow, so that none is
/// answered with the default, which for SIGHUP and SIGUSR1 is death.
pub fn signals() -> io::Result<mpsc::Receiver<Signal>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let listen = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            match decide(stopping, signal) {
                Some(Decision::Exit(code)) => std::process::exit(code),
                Some(Decision::Tell(told)) => {
                    stopping |= told == Signal::Stop;
                    tell(&sender, told);
                }
                None => {}
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen)?;
    Ok(receiver)
}

fn tell(sender: &Sender<Signal>, signal: Signal) {
    if signal == Signal::Stop || sender.capacity() > 1 {
        // Fails only when the conductor is gone, and then the process is about to end.
        let _ = sender.try_send(signal);
    }
}

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub struct Notify {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
    /// The conductor's turns when the watchdog was last fed.
    turns: u64,
    is_stopping: bool,
}

impl Notify {
    pub fn new(environment: &Environment) -> Notify {
        let name = environment.get("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let socket = name.and_then(|name| {
            let failed = |error| tracing::warn!(%error, socket = name, "the service manager cannot be reached");
            connect(name).map_err(failed).ok()
        });
        let watchdog = watchdog(environment).filter(|_| socket.is_some());
        Notify { socket, watchdog, turns: 0, is_stopping: false }
    }

    /// Start-up is over. Also ends what `reloading` began.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The file is read again. With the monotonic clock, as `Type=notify-reload` asks for it (sd_notify(3)): it tells this
    /// reload from an earlier one.
    pub fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_microseconds()));
    }

    /// Said once, however often it is known.
    pub fn stopping(&mut self) {
        if !std::mem::replace(&mut self.is_stopping, true) {
            self.send("STOPPING=1");
        }
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        // A newline would begin another assignment.
        self.send(&format!("STATUS={}", text.replace(['\n', '\r'], " ")));
    }

    /// Sign of life, if there is one: sent when the conductor's loop has come round since the last time.
    pub fn alive(&mut self, turns: u64) {
        if self.watchdog.is_some() && turns != self.turns {
            self.turns = turns;
            self.send("WATCHDOG=1");
        }
    }

    /// Whether somebody listens who did not ask for a stop.
    pub fn may_linger(&self) -> bool {
        self.socket.is_some() && !self.is_stopping
    }

    /// How often `alive` must be sent: half of what systemd allows, as sd_watchdog_enabled(3) advises.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    fn send(&self, message: &str) {
        let Some(socket) = &self.socket else {
            return;
        };
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::warn!(%error, message, "the service manager was not told");
        }
    }
}

fn monotonic_microseconds() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)
}

/// The task in one line: phase, what holds it up, how far it is, lag, how long the copy still takes.
pub fn status_line(snapshot: &Snapshot) -> String {
    if let Some(failure) = &snapshot.error {
        return format!("failed, {}: {}; {}", failure.code, failure.message, failure.remedy);
    }
    let mut words = vec![snapshot.phase.to_string()];
    if snapshot.paused {
        words.push("paused by an operator".to_owned());
    }
    if let Some(retry) = &snapshot.retries.last {
        let side = match retry.side {
            Side::Source => "source",
            Side::Target => "target",
        };
        words.push(format!("trying the {side} again: {}", retry.cause));
    }
    match snapshot.phase {
        Phase::Schema if snapshot.schema.tables > 0 => {
            words.push(format!("{} of {} tables created", snapshot.schema.created, snapshot.schema.tables))
        }
        Phase::Copy => words.push(copied(snapshot)),
        Phase::Precheck | Phase::Schema | Phase::Stream | Phase::Cutover | Phase::Sealed | Phase::Failed => {}
    }
    if let Some(lag) = snapshot.lag_seconds {
        words.push(format!("lag {lag:.1} s"));
    } else if matches!(snapshot.phase, Phase::Copy | Phase::Stream | Phase::Cutover) {
        words.push("lag unknown".to_owned());
    }
    words.join(", ")
}

fn copied(snapshot: &Snapshot) -> String {
    let done = |state| matches!(state, TableState::Copied | TableState::Streaming);
    let tables = snapshot.tables.iter().filter(|table| done(table.state)).count();
    let left = snapshot.copy.eta_seconds.map_or_else(
        || "time left unknown".to_owned(),
        |left| format!("{} left", humantime::format_duration(Duration::from_secs(left as u64))),
    );
    format!("{tables} of {} tables, {} rows copied, {left}", snapshot.tables.len(), snapshot.copy.rows)
}

fn connect(name: &str) -> io::Result<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => abstract_address(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // A manager that does not read must not hold up the daemon.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// `WATCHDOG_USEC`, unless `WATCHDOG_PID` says that it was meant for another process.
fn watchdog(environment: &Environment) -> Option<Duration> {
    let own = std::process::id().to_string();
    if environment.get("WATCHDOG_PID").is_some_and(|pid| pid != own) {
        return None;
    }
    let microseconds: u64 = environment.get("WATCHDOG_USEC")?.parse().ok()?;
    (microseconds > 0).then(|| Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_request_to_stop_ends_the_process() {
        assert_eq!(decide(false, SIGTERM), Some(Decision::Tell(Signal::Stop)));
        assert_eq!(decide(false, SIGINT), Some(Decision::Tell(Signal::Stop)));
        assert_eq!(decide(true, SIGTERM), Some(Decision::Exit(143)));
        assert_eq!(decide(true, SIGINT), Some(Decision::Exit(130)));
        for stopping in [false, true] {
            assert_eq!(decide(stopping, SIGHUP), Some(Decision::Tell(Signal::Reload)));
            assert_eq!(decide(stopping, SIGUSR1), Some(Decision::Tell(Signal::Dump)));
        }
    }

    #[test]
    fn a_busy_conductor_still_hears_stop() {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        (0..100).for_each(|_| tell(&sender, Signal::Reload));
        tell(&sender, Signal::Stop);
        let heard: Vec<Signal> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
        assert_eq!(heard.len(), WAITING);
        assert_eq!(heard.last(), Some(&Signal::Stop));
    }

    fn received(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn notifications_reach_a_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let socket = path.to_str().unwrap();
        let environment = [("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "60000000")].into_iter().collect();
        let mut notify = Notify::new(&environment);
        assert_eq!(notify.watchdog_interval(), Some(Duration::from_secs(30)));
        notify.ready();
        notify.status("two\nlines");
        notify.alive(1);
        notify.stopping();
        let said: Vec<String> = (0..4).map(|_| received(&manager)).collect();
        assert_eq!(said, ["READY=1", "STATUS=two lines", "WATCHDOG=1", "STOPPING=1"]);

        notify.reloading();
        let said = received(&manager);
        let clock = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        let age = monotonic_microseconds() - clock.parse::<i64>().unwrap();
        assert!((0..5_000_000).contains(&age), "{said}");
    }

    #[test]
    fn a_conductor_that_does_not_come_round_does_not_feed_the_watchdog() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut notify =
            Notify::new(&[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "9000")].into_iter().collect());
        [0, 1, 1, 1, 2].into_iter().for_each(|turns| notify.alive(turns));
        notify.stopping();
        let said: Vec<String> = (0..3).map(|_| received(&manager)).collect();
        assert_eq!(said, ["WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]);
    }

    #[test]
    fn the_status_line_says_phase_lag_and_time_left() {
        let mut snapshot = Snapshot::default();
        assert_eq!(status_line(&snapshot), "precheck");
        snapshot.phase = Phase::Schema;
        (snapshot.schema.created, snapshot.schema.tables) = (7, 5000);
        assert_eq!(status_line(&snapshot), "schema, 7 of 5000 tables created");
        snapshot.phase = Phase::Copy;
        snapshot.copy.rows = 1200;
        assert_eq!(status_line(&snapshot), "copy, 0 of 0 tables, 1200 rows copied, time left unknown, lag unknown");
        snapshot.copy.eta_seconds = Some(125.7);
        snapshot.lag_seconds = Some(2.44);
        assert_eq!(status_line(&snapshot), "copy, 0 of 0 tables, 1200 rows copied, 2m 5s left, lag 2.4 s");
        snapshot.phase = Phase::Stream;
        snapshot.paused = true;
        assert_eq!(status_line(&snapshot), "stream, paused by an operator, lag 2.4 s");
        snapshot.error = Some(crate::observe::snapshot::Failure {
            code: "drift".to_owned(),
            message: "shop.t".to_owned(),
            remedy: "compare".to_owned(),
        });
        assert_eq!(status_line(&snapshot), "failed, drift: shop.t; compare");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn notifications_reach_an_abstract_name() {
        let name = format!("polarferry-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&abstract_address(&name).unwrap()).unwrap();
        let socket = format!("@{name}");
        Notify::new(&[("NOTIFY_SOCKET", socket.as_str())].into_iter().collect()).ready();
        assert_eq!(received(&manager), "READY=1");
    }

    #[test]
    fn without_a_manager_nothing_is_sent_or_watched() {
        let other = [("WATCHDOG_USEC", "60000000"), ("WATCHDOG_PID", "1"), ("NOTIFY_SOCKET", "/nonexistent")];
        for environment in [Environment::default(), other.into_iter().collect()] {
            let notify = Notify::new(&environment);
            notify.ready();
            assert_eq!(notify.watchdog_interval(), None);
        }
    }
}
