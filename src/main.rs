//! Arguments, configuration, logging, runtime, replicator, exit code: in this order, and nothing else.

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use polarferry::cli::{self, Exit, Failure, Launch};
use polarferry::config::{Config, Environment};
use polarferry::fault::{Code, Fault};
use polarferry::mirror::Mirror;
use polarferry::observe::{Level, Observer, Routes, Token, http};
use polarferry::precheck::{self, Item, Wish};
use polarferry::replicator::{Charter, Order, Replicator};
use polarferry::systemd::{self, Notify, Signal};
use polarferry::{cutover, logging};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Orders and requests that wait while the conductor is busy; it is never busy for long.
const WAITING: usize = 8;
/// How often systemd hears what we are doing.
const TELL: Duration = Duration::from_secs(2);
/// Two scrapes at the usual interval of a minute or less.
const LAST_WORDS: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(exit) => return exit.into(),
    };
    // Two TLS providers in one dependency graph would make every handshake panic; this one is ours.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return Exit::Internal.into();
    }
    cli::run(command, Environment::of_process(), examine, carry).into()
}

/// The prechecks, for `polarferry check`.
async fn examine(config: Config) -> Result<Vec<Item>, Failure> {
    let wish = Wish {
        task: config.task.name.as_str(),
        server_id: config.task.server_id.get(),
        selection: &config.objects,
        migrate: config.migrate,
    };
    Ok(precheck::examine(&config.source, &config.target, &wish).await)
}

fn failure(fault: &Fault) -> Failure {
    let exit = Exit::of_code(fault.code.exit_code());
    Failure::new(exit, fault.to_string(), fault.code.remedy())
}

/// The daemon, for `polarferry run`: everything that must be there before the first connection.
fn carry(launch: Launch) -> Result<(), Failure> {
    let (variable, journal) = (launch.environment.get(logging::VARIABLE), launch.environment.get(logging::JOURNAL));
    let level = logging::start(&launch.config.log, variable, journal)
        .map_err(|fault| Failure::new(Exit::Configuration, fault.to_string(), fault.remedy()))?;
    let cannot = |error| Failure::new(Exit::Internal, format!("cannot start: {error}"), "free threads and descriptors");
    let signals = systemd::signals().map_err(cannot)?;
    let listen = launch.config.http.listen;
    let listener = TcpListener::bind(listen)
        .map_err(|error| failure(&Fault::new(Code::HttpBind, format!("cannot listen on {listen}: {error}"))))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(cannot)?;

    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, task = %launch.config.task.name, file = %launch.path.display(), %listen, "starting");
    for warning in &launch.config.warnings {
        tracing::warn!("{warning}");
    }
    let outcome = runtime.block_on(replicate(launch, level, signals, listener));
    // What still runs in the background has nothing to say any more.
    runtime.shutdown_background();
    // Logged as well as printed by `cli::run`: the log may be all that is kept.
    match &outcome {
        Ok(()) => tracing::info!("stopped"),
        Err(failure) => tracing::error!(cause = failure.cause, remedy = failure.remedy, "stopped"),
    }
    outcome
}

fn charter(config: &Config) -> Charter {
    Charter {
        task: config.task.name.to_string(),
        server_id: config.task.server_id.get(),
        source: config.source.clone(),
        target: config.target.clone(),
        selection: Arc::new(config.objects.clone()),
        migrate: config.migrate,
        copy: config.copy.clone(),
        apply: config.apply.clone(),
        retry: config.retry,
        limits: config.throttle,
        heartbeat: config.heartbeat,
    }
}

/// Runs the replicator beside its HTTP server, and passes on what the host says.
async fn replicate(
    launch: Launch,
    level: logging::Level,
    mut signals: mpsc::Receiver<Signal>,
    listener: TcpListener,
) -> Result<(), Failure> {
    let observer = Observer::new(launch.config.task.name.as_str(), env!("CARGO_PKG_VERSION"));
    let (orders, ordered) = mpsc::channel(WAITING);
    let (control, controls) = mpsc::channel(WAITING);
    let closing = CancellationToken::new();
    let token = Token::new(launch.config.http.token.clone());
    let routes = Routes { observer: observer.clone(), verdict: Arc::new(cutover::verdict), token: token.clone(), control };
    let server = http::spawn(listener, routes, closing.clone())
        .map_err(|error| failure(&Fault::new(Code::HttpBind, error.to_string())))?;
    let mut notify = Notify::new(&launch.environment);
    // Before anything can fail: what listens is up, a database is waited for.
    notify.ready();
    let replicator = Replicator::new(charter(&launch.config), observer.clone());
    let mut reloading = Reloading { launch, level, token };
    let serving = server.join();
    tokio::pin!(serving);
    let mut is_served = true;
    let outcome = tokio::select! {
        outcome = replicator.run(ordered, controls) => outcome,
        ended = &mut serving => {
            is_served = false;
            let why = ended.err().map_or_else(String::new, |error| error.to_string());
            Err(Fault::new(Code::Internal, format!("the HTTP server ended: {why}")))
        }
        () = relay(&mut reloading, &mut signals, orders, &observer, &mut notify) => {
            Err(Fault::new(Code::Internal, "signals are no longer heard"))
        }
    };
    let lingers = is_served && outcome.is_err() && notify.may_linger();
    if lingers {
        last_words(&observer, &mut signals, &mut notify).await;
    }
    notify.stopping();
    closing.cancel();
    if lingers {
        // The answer that was waited for is sent to its end. The server gives up on slow readers by itself.
        let _ = serving.await;
    }
    outcome.map_err(|fault| failure(&fault))
}

/// A task that has failed is over, and a process that ends at once takes the reason with it before any scrape has seen it. So under
/// a service manager it stays until it was looked at, for `LAST_WORDS` at most; a signal ends that.
async fn last_words(observer: &Observer, signals: &mut mpsc::Receiver<Signal>, notify: &mut Notify) {
    let mut scrapes = observer.scrapes();
    notify.status(&systemd::status_line(&observer.snapshot()));
    let seen = async {
        tokio::select! {
            // Its other end is the observer's.
            _ = scrapes.changed() => {}
            _ = signals.recv() => {}
            () = tokio::time::sleep(LAST_WORDS) => {}
        }
    };
    tokio::pin!(seen);
    let mut tell = tokio::time::interval(TELL);
    loop {
        tokio::select! {
            () = &mut seen => return,
            _ = tell.tick() => {
                // The conductor has ended; what is left to do is this wait.
                observer.turned();
                notify.alive(observer.turns());
            }
        }
    }
}

/// What a reload may change, beside the replicator's limits.
struct Reloading {
    launch: Launch,
    level: logging::Level,
    token: Token,
}

/// The keys that a reload brings into force; every other one waits for a start. (Password files and certificates are read for each
/// session anyway.)
fn is_live(key: &str) -> bool {
    key.starts_with("[throttle] ") || ["[log] level", "[http] token"].contains(&key)
}

impl Reloading {
    /// Reads the file again: all that may change does, or nothing does. What it says that has to wait is named.
    fn reload(&mut self, observer: &Observer) -> Option<Order> {
        let Launch { config, path, environment } = &mut self.launch;
        let fresh = Config::load(path, environment).map_err(|problems| problems.to_string());
        let variable = environment.get(logging::VARIABLE);
        let fresh =
            fresh.and_then(|fresh| self.level.change(&fresh.log, variable).map(|()| fresh).map_err(|fault| fault.to_string()));
        let fresh = match fresh {
            Ok(fresh) => fresh,
            Err(problems) => {
                tracing::error!(problems, "not reloaded: what runs goes on with what it has");
                observer.event(Level::Error, format!("not reloaded, nothing has changed: {problems}"));
                return None;
            }
        };
        let (live, waiting): (Vec<_>, Vec<_>) = config.differences(&fresh).into_iter().partition(|key| is_live(key));
        tracing::info!(changed = live.join(", "), "reloaded");
        observer.event(
            Level::Info,
            format!("reloaded; changed: {}", if live.is_empty() { "nothing".to_owned() } else { live.join(", ") }),
        );
        if !waiting.is_empty() {
            let waiting = waiting.join(", ");
            let why = match waiting.contains("[objects]") {
                true => {
                    "these wait for a restart; a task carries the tables that it began with, so a wider [objects] is refused even then"
                }
                false => "these wait for a restart",
            };
            tracing::warn!(keys = waiting, "{why}");
            observer.event(Level::Warn, format!("{why}: {waiting}"));
        }
        self.token.replace(fresh.http.token.clone());
        // The rest stays what is running.
        (config.throttle, config.log, config.http.token) = (fresh.throttle, fresh.log, fresh.http.token);
        Some(Order::Limit(fresh.throttle))
    }
}

/// Signals in, notifications out.
async fn relay(
    reloading: &mut Reloading,
    signals: &mut mpsc::Receiver<Signal>,
    orders: mpsc::Sender<Order>,
    observer: &Observer,
    notify: &mut Notify,
) {
    let mut mirror = Mirror::new(reloading.launch.config.task.state_dir.clone());
    let mut tell = tokio::time::interval(notify.watchdog_interval().map_or(TELL, |interval| interval.min(TELL)));
    loop {
        let order = tokio::select! {
            _ = tell.tick() => {
                notify.alive(observer.turns());
                mirror.write(&observer.snapshot());
                notify.status(&systemd::status_line(&observer.snapshot()));
                continue;
            }
            signal = signals.recv() => match signal {
                None => return,
                Some(Signal::Stop) => {
                    notify.stopping();
                    Order::Stop
                }
                Some(Signal::Dump) => Order::Dump,
                Some(Signal::Reload) => {
                    notify.reloading();
                    let order = reloading.reload(observer);
                    notify.ready();
                    let Some(order) = order else { continue };
                    order
                }
            },
        };
        if orders.send(order).await.is_err() {
            return;
        }
    }
}
