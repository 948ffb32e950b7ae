//! Section by section: what the operator wrote becomes the `Settings` of the room that uses it.
//!
//! Defaults and ranges belong to the rooms; here stand only the rules that tie keys together.

use std::fs::File;
use std::num::NonZeroU32;
use std::path::PathBuf;

use config::{Map, Value};
use secrecy::SecretString;

use super::environment::Environment;
use super::kinds::duration_text;
use super::problem::Findings;
use super::secret::{self, Origin};
use super::section::Section;
use super::{Config, Origins};
use crate::conn::{self, Endpoint, Password, Tls, TlsMode};
use crate::fault::{self, RetrySettings};
use crate::model::Selection;
use crate::model::drift::OnDrift;
use crate::model::selection::{Glob, NotAGlob};
use crate::model::task::{Migrate, Name, Task};
use crate::observe::http;
use crate::throttle::{self, Limits, NO_LIMIT};
use crate::{apply, copy, logging};

/// systemd's name for a service's `StateDirectory=`; several are separated by colons.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// Off: the account needs no right to write on the source, and lag is known without it.
const HEARTBEAT: bool = false;

/// Reads everything, in the order of the example file. `None` when the answer would contain a
/// placeholder; then `findings` says why.
pub(super) fn gather(tree: Map<String, Value>, environment: &Environment, findings: &mut Findings) -> Option<Config> {
    let mut root = Section::root(tree, findings);
    let task = root.section("task", |s| task(s, environment));
    let (heartbeat, (source, source_password)) = root.section("source", |s| {
        let host = "host = \"…\", the Aurora cluster's writer endpoint";
        (s.flag("heartbeat", HEARTBEAT), endpoint(s, "source", host, environment))
    });
    let (target, target_password) = root.section("target", |s| {
        let host = "host = \"…\", the PolarDB cluster's primary endpoint";
        let target = endpoint(s, "target", host, environment);
        apart(s, &source, &target.0);
        target
    });
    let objects = root.section("objects", selection);
    let migrate = root.section("migrate", migrate);
    let copy = root.section("copy", copy);
    let apply = root.section("apply", apply);
    let retry = root.section("retry", retry);
    let throttle = root.section("throttle", throttle);
    let (http, token) = root.section("http", |s| http(s, environment));
    let log = root.section("log", log);
    root.finish();
    findings.judge_unknown();
    if !findings.problems.is_empty() {
        return None;
    }
    Some(Config {
        task: task?,
        source,
        heartbeat,
        target,
        objects,
        migrate,
        copy,
        apply,
        retry,
        throttle,
        http,
        log,
        warnings: std::mem::take(&mut findings.warnings),
        origins: Origins { source: source_password, target: target_password, token },
    })
}

fn task(section: &mut Section<'_>, environment: &Environment) -> Option<Task> {
    let remedy = "1 to 64 of A-Z a-z 0-9 _ . -, as in name = \"orders\"";
    let name: Option<Name> = section.required_parsed("name", remedy);
    let server_id = section.number("server_id", None, 1..=u32::MAX);
    let from_systemd = environment.get(STATE_DIRECTORY);
    let first = from_systemd.and_then(|list| list.split(':').next());
    let state_dir = section.text("state_dir").or(first.map(str::to_owned));
    Some(Task { name: name?, server_id: NonZeroU32::new(server_id)?, state_dir: state_dir.map(PathBuf::from) })
}

fn endpoint(section: &mut Section<'_>, end: &str, host_remedy: &str, environment: &Environment) -> (Endpoint, Origin) {
    let host = section.required("host", host_remedy);
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/@".contains(c);
    if host.contains(odd) || (host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err()) {
        let remedy = "write the name or address alone; the port has its own key, port = 3306";
        section.problem("host", format!("= {host:?} is no host name"), remedy);
    }
    let port = section.number("port", Some(conn::PORT), 1..=u16::MAX);
    let user = section.required("user", "user = \"…\", the account that polarferry logs in with");
    let password = secret::password(section, end, environment);
    let tls = section.section("tls", tls);
    let secret = password.secret.unwrap_or_else(|| SecretString::from(""));
    let origin = password.origin;
    let password = password.file.map_or_else(|| secret.clone().into(), |file| Password::of_file(file, secret.clone()));
    (Endpoint { host, port, user, password, tls }, origin)
}

/// Both ends on one address would make the task read what it writes.
fn apart(section: &mut Section<'_>, source: &Endpoint, target: &Endpoint) {
    let same_host = source.host.eq_ignore_ascii_case(&target.host);
    if same_host && source.port == target.port && !target.host.is_empty() {
        section.problem("host", "is the source's own host and port", "name the PolarDB cluster here");
    }
}

fn tls(section: &mut Section<'_>) -> Tls {
    let modes = TlsMode::ALL.map(TlsMode::as_str).join(", ");
    let mode = section.parsed("mode", &format!("one of {modes}"));
    let mode = mode.unwrap_or(Tls::default().mode);
    let ca = section.text("ca").map(PathBuf::from);
    if let Some(Err(error)) = ca.as_ref().map(File::open) {
        let remedy = "fetch the provider's certificate bundle and name it here, or take ca out";
        section.problem("ca", format!("cannot be read: {error}"), remedy);
    }
    match (mode, &ca) {
        (TlsMode::Disabled, _) => {
            section.warn("mode", "is disabled: the password's proof and every row cross the network in clear");
        }
        (TlsMode::Required, Some(_)) => {
            section.warn("ca", "is not used in mode required; verify-identity would use it");
        }
        (TlsMode::Required | TlsMode::VerifyIdentity, _) => {}
    }
    Tls { mode, ca }
}

fn selection(section: &mut Section<'_>) -> Selection {
    let remedy = |error: &NotAGlob| error.remedy().to_owned();
    let include = section.required_list::<Glob>("include", "include = [\"shop.*\"], globs of database.table", remedy);
    let exclude = section.list::<Glob>("exclude", remedy);
    Selection { include, exclude }
}

fn migrate(section: &mut Section<'_>) -> Migrate {
    let whole = Migrate::default();
    let schema = section.flag("schema", whole.schema());
    let copy = section.flag("copy", whole.copy());
    let stream = section.flag("stream", whole.stream());
    Migrate::new(schema, copy, stream).unwrap_or_else(|pointless| {
        let key = if stream { "copy" } else { "schema" };
        section.problem(key, format!("= false: {pointless}"), pointless.remedy());
        whole
    })
}

fn copy(section: &mut Section<'_>) -> copy::Settings {
    copy::Settings {
        connections: section.number("connections", Some(copy::CONNECTIONS), copy::CONNECTIONS_RANGE),
        chunk_rows: section.number("chunk_rows", Some(copy::CHUNK_ROWS), copy::CHUNK_ROWS_RANGE),
        chunk_bytes: section.bytes("chunk_bytes", copy::CHUNK_BYTES, copy::CHUNK_BYTES_RANGE),
        chunk_target: section.duration("chunk_target", copy::CHUNK_TARGET, copy::CHUNK_TARGET_RANGE),
    }
}

fn apply(section: &mut Section<'_>) -> apply::Settings {
    apply::Settings {
        batch_rows: section.number("batch_rows", Some(apply::BATCH_ROWS), apply::BATCH_ROWS_RANGE),
        batch_bytes: section.bytes("batch_bytes", apply::BATCH_BYTES, apply::BATCH_BYTES_RANGE),
        batch_transactions: section.number(
            "batch_transactions",
            Some(apply::BATCH_TRANSACTIONS),
            apply::BATCH_TRANSACTIONS_RANGE,
        ),
        on_drift: section
            .parsed("on_drift", &format!("one of {}", OnDrift::ALL.map(OnDrift::as_str).join(", ")))
            .unwrap_or_default(),
        prefetch: section.number("prefetch", Some(apply::PREFETCH), apply::PREFETCH_RANGE),
    }
}

fn retry(section: &mut Section<'_>) -> RetrySettings {
    let connection_window = section.duration("connection_window", fault::CONNECTION_WINDOW, fault::CONNECTION_WINDOW_RANGE);
    let other_window = section.duration("other_window", fault::OTHER_WINDOW, fault::OTHER_WINDOW_RANGE);
    if other_window >= connection_window {
        let cause = format!(
            "= \"{}\" is not less than connection_window = \"{}\"",
            duration_text(other_window),
            duration_text(connection_window)
        );
        section.problem("other_window", cause, "lower other_window or raise connection_window");
    }
    RetrySettings { connection_window, other_window }
}

fn throttle(section: &mut Section<'_>) -> Limits {
    // The file's integers are signed, so half the range is all that can be written.
    let mut limit = |name| section.number(name, Some(NO_LIMIT), 0..=i64::MAX.unsigned_abs());
    Limits {
        copy_queries_per_second: limit("copy_queries_per_second"),
        copy_rows_per_second: limit("copy_rows_per_second"),
        copy_bytes_per_second: limit("copy_bytes_per_second"),
        stream_rows_per_second: limit("stream_rows_per_second"),
        stream_bytes_per_second: limit("stream_bytes_per_second"),
        auto: section.flag("auto", throttle::AUTO),
        auto_threads_running: section.number("auto_threads_running", Some(throttle::AUTO_THREADS_RUNNING), 1..=100_000),
        auto_commit_milliseconds: section.number(
            "auto_commit_milliseconds",
            Some(throttle::AUTO_COMMIT_MILLISECONDS),
            1..=600_000,
        ),
        auto_lag_seconds: section.number("auto_lag_seconds", Some(throttle::AUTO_LAG_SECONDS), 1..=86_400),
    }
}

fn http(section: &mut Section<'_>, environment: &Environment) -> (http::Settings, Origin) {
    let remedy = "an address and a port, as in listen = \"127.0.0.1:9187\"";
    let listen = section.parsed("listen", remedy).unwrap_or(http::LISTEN);
    if !listen.ip().is_loopback() {
        section.warn(
            "listen",
            "is not on loopback: table names and errors are shown to whoever reaches it, and the token is sent in clear",
        );
    }
    let token = secret::token(section, environment);
    let settings = http::Settings { listen, token: token.secret };
    (settings, token.origin)
}

fn log(section: &mut Section<'_>) -> logging::Directives {
    section.parsed("level", logging::REMEDY).unwrap_or_default()
}
