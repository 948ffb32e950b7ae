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

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use tokio::sync::mpsc::{self, Sender};

use crate::config::Environment;

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
}

impl Notify {
    pub fn new(environment: &Environment) -> Notify {
        let name = environment.get("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let socket = name.and_then(|name| {
            let failed = |error| tracing::warn!(%error, socket = name, "the service manager cannot be reached");
            connect(name).map_err(failed).ok()
        });
        let watchdog = watchdog(environment).filter(|_| socket.is_some());
        Notify { socket, watchdog }
    }

    /// Start-up is over. Also ends what `reloading` began.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    pub fn reloading(&self) {
        self.send("RELOADING=1");
    }

    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        // A newline would begin another assignment.
        self.send(&format!("STATUS={}", text.replace(['\n', '\r'], " ")));
    }

    /// Sign of life. To be sent from work that progresses, never from a bare timer.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
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
        let notify = Notify::new(&environment);
        assert_eq!(notify.watchdog_interval(), Some(Duration::from_secs(30)));
        notify.ready();
        notify.status("two\nlines");
        notify.alive();
        notify.reloading();
        notify.stopping();
        let said: Vec<String> = (0..5).map(|_| received(&manager)).collect();
        assert_eq!(said, ["READY=1", "STATUS=two lines", "WATCHDOG=1", "RELOADING=1", "STOPPING=1"]);
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
