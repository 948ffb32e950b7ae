//! What goes wrong, and what follows from it. Every failure in the house becomes a [`Fault`]: a code from one closed table, which
//! decides whether it is retried and what the operator is told to do, and the facts of this one case.
//!
//! The default is to stop. Only what is listed as transient is tried again: something about the world, not about the data.
//! Facts name tables, positions and server codes; never row values or statements that hold them.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    Source,
    Target,
}

impl Side {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// Which retry window a transient fault is counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Connections that fail, break or are refused for now.
    Connection,
    /// Everything else that passes: deadlocks, lock waits, a server that is busy or read-only for a moment.
    Other,
}

impl Class {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Other => "other",
        }
    }
}

/// The closed table of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    ConnectionLost(Side),
    Busy(Side),
    ReadOnly,
    LoginRefused(Side),
    /// A login or a certificate that this process got through with before.
    AccessChanged(Side),
    PrivilegeMissing(Side),
    TlsRefused(Side),
    ServerError(Side),
    DataRefused,
    RowTooLarge,
    StreamLost,
    ServerIdInUse,
    SourceChanged,
    SelectionChanged,
    EventDamaged,
    EventUnknown,
    PartialImage,
    StatementEvent,
    DdlOnSelected,
    TransactionUnsupported,
    SchemaMismatch,
    DefinitionRefused,
    ValueUnsupported,
    Drift,
    Fenced,
    CheckpointUnreadable,
    TableUnsupported,
    TargetNotEmpty,
    PrecheckFailed,
    HttpBind,
    Internal,
}

impl Code {
    /// The name in logs, `/status` and the README.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionLost(Side::Source) => "source-connection",
            Self::ConnectionLost(Side::Target) => "target-connection",
            Self::Busy(Side::Source) => "source-busy",
            Self::Busy(Side::Target) => "target-busy",
            Self::ReadOnly => "target-read-only",
            Self::LoginRefused(Side::Source) => "source-login",
            Self::LoginRefused(Side::Target) => "target-login",
            Self::AccessChanged(Side::Source) => "source-access",
            Self::AccessChanged(Side::Target) => "target-access",
            Self::PrivilegeMissing(Side::Source) => "source-privilege",
            Self::PrivilegeMissing(Side::Target) => "target-privilege",
            Self::TlsRefused(Side::Source) => "source-tls",
            Self::TlsRefused(Side::Target) => "target-tls",
            Self::ServerError(Side::Source) => "source-error",
            Self::ServerError(Side::Target) => "target-error",
            Self::DataRefused => "data-refused",
            Self::RowTooLarge => "row-too-large",
            Self::StreamLost => "stream-lost",
            Self::ServerIdInUse => "server-id-in-use",
            Self::SourceChanged => "source-changed",
            Self::SelectionChanged => "selection-changed",
            Self::EventDamaged => "event-damaged",
            Self::EventUnknown => "event-unknown",
            Self::PartialImage => "partial-image",
            Self::StatementEvent => "statement-event",
            Self::DdlOnSelected => "ddl-on-selected",
            Self::TransactionUnsupported => "transaction-unsupported",
            Self::SchemaMismatch => "schema-mismatch",
            Self::DefinitionRefused => "definition-refused",
            Self::ValueUnsupported => "value-unsupported",
            Self::Drift => "drift",
            Self::Fenced => "fenced",
            Self::CheckpointUnreadable => "checkpoint-unreadable",
            Self::TableUnsupported => "table-unsupported",
            Self::TargetNotEmpty => "target-not-empty",
            Self::PrecheckFailed => "precheck-failed",
            Self::HttpBind => "http-bind",
            Self::Internal => "internal",
        }
    }

    /// The class of a transient code; `None` for one that stops the task.
    pub const fn class(self) -> Option<Class> {
        match self {
            Self::ConnectionLost(_) => Some(Class::Connection),
            Self::Busy(_) | Self::ReadOnly | Self::AccessChanged(_) => Some(Class::Other),
            Self::LoginRefused(_)
            | Self::PrivilegeMissing(_)
            | Self::TlsRefused(_)
            | Self::ServerError(_)
            | Self::DataRefused
            | Self::RowTooLarge
            | Self::StreamLost
            | Self::ServerIdInUse
            | Self::SourceChanged
            | Self::SelectionChanged
            | Self::EventDamaged
            | Self::EventUnknown
            | Self::PartialImage
            | Self::StatementEvent
            | Self::DdlOnSelected
            | Self::TransactionUnsupported
            | Self::SchemaMismatch
            | Self::DefinitionRefused
            | Self::ValueUnsupported
            | Self::Drift
            | Self::Fenced
            | Self::CheckpointUnreadable
            | Self::TableUnsupported
            | Self::TargetNotEmpty
            | Self::PrecheckFailed
            | Self::HttpBind
            | Self::Internal => None,
        }
    }

    /// The side whose retries a transient fault counts to.
    pub const fn side(self) -> Side {
        match self {
            Self::ConnectionLost(side) | Self::Busy(side) | Self::AccessChanged(side) => side,
            _ => Side::Target,
        }
    }

    /// What the operator does about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::ConnectionLost(_) => {
                "check that the server runs and is reachable from here; polarferry keeps trying within its retry window"
            }
            Self::Busy(_) => "nothing to do unless it lasts; polarferry keeps trying within its retry window",
            Self::ReadOnly => "point [target] at the primary endpoint; during a failover polarferry waits for the new primary",
            Self::LoginRefused(_) => {
                "check user, password, the host that the account may log in from, and whether it may do so without TLS"
            }
            Self::AccessChanged(_) => {
                "if password or certificate are being rotated, finish it on both sides: password_file and tls.ca are read for each session; polarferry keeps trying within retry.other_window"
            }
            Self::PrivilegeMissing(_) => "grant the account what the README's list of privileges asks for, then start again",
            Self::TlsRefused(_) => {
                "check tls.mode and tls.ca against the server's certificate; polarferry never falls back to plain text"
            }
            Self::ServerError(_) => {
                "read the server's message; when its cause is gone, start again: polarferry resumes exactly here"
            }
            Self::DataRefused => {
                "the target refused a row that the source holds: compare the table's definition and constraints on both sides"
            }
            Self::RowTooLarge => {
                "raise max_allowed_packet on the target to more than the value's length (1 GiB at most), then start again"
            }
            Self::StreamLost => {
                "the source no longer has the binlog from our position: raise the retention, then copy again (see README, stream lost)"
            }
            Self::ServerIdInUse => "another replica uses this server_id: set another task.server_id and start again",
            Self::SourceChanged => {
                "the source is not the server, or its log not the history, that this task's position belongs to: lead it back there, or start a new task (with GTIDs, if the server will change again)"
            }
            Self::SelectionChanged => {
                "a task carries the tables that it began with: set [objects] and [migrate] back, or exclude the table here and carry it in a task of its own (another task.name and server_id, no rows of it on the target)"
            }
            Self::EventDamaged => {
                "an event failed its checksum or ends too early: start again; if it fails at the same position, the binlog file is damaged"
            }
            Self::EventUnknown => "this version does not know the event and will not guess: report it with its type and position",
            Self::PartialImage => "set binlog_row_image=FULL for every session on the source, then copy the table again",
            Self::StatementEvent => {
                "set binlog_format=ROW for every session on the source; the statement's effect is unknown, so copy its tables again"
            }
            Self::DdlOnSelected => {
                "this version does not carry DDL: finish or exclude the table, or start a new task after the change"
            }
            Self::TransactionUnsupported => {
                "this version does not carry such transactions on selected tables: exclude the tables or avoid the statement; when it commits what was prepared before the task began, begin a new task while XA RECOVER shows nothing"
            }
            Self::SchemaMismatch => "make the target's table equal to the source's, or drop it so that it is created again",
            Self::DefinitionRefused => {
                "the target does not take the table as the source defines it: create it there by hand with the same columns and keys, change it at the source, or exclude it; then start again"
            }
            Self::ValueUnsupported => {
                "the value cannot be written exactly by this version: exclude the table or change the value at the source"
            }
            Self::Drift => {
                "the target's rows are not what the source's changes imply: somebody else writes to the target, or it was changed before; compare the table, then copy it again"
            }
            Self::Fenced => "another polarferry instance or a cutover has taken over this task: stop this one, do not restart it",
            Self::CheckpointUnreadable => {
                "the checkpoint was written by another version or changed by hand: run the version that wrote it, or start a new task"
            }
            Self::TableUnsupported => "exclude the table, or change it as the message says",
            Self::TargetNotEmpty => {
                "empty or drop the table on the target, or exclude it: polarferry never writes over rows that it did not put there"
            }
            Self::PrecheckFailed => "mend the items that `polarferry check` lists as failed, then start again",
            Self::HttpBind => "set http.listen to a free address, or stop what uses it",
            Self::Internal => {
                "this is a defect in polarferry: report it with the log; the data on the target is as of its checkpoint"
            }
        }
    }

    /// The process's exit code (sysexits) when the task stops for this.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::ConnectionLost(_) | Self::Busy(_) | Self::ReadOnly | Self::AccessChanged(_) => 75,
            Self::Fenced => 77,
            Self::LoginRefused(_) | Self::PrivilegeMissing(_) | Self::TlsRefused(_) | Self::HttpBind => 78,
            Self::Internal => 70,
            _ => 65,
        }
    }
}

/// One failure: its code and the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: Code,
    pub detail: String,
}

impl Fault {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// Adds where it happened.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.detail = format!("{} (at {place})", self.detail);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Fault {}

/// How a source words that it cannot read its own binlog.
const DAMAGE: [&str; 5] =
    ["bogus data", "truncated in the middle", "did not pass crc", "exceeded max_allowed_packet", "I/O error reading"];

/// Decides what a server's error number means. `message` tells apart what shares a number.
pub fn of_server_error(side: Side, number: u16, message: &str) -> Code {
    match number {
        // Too many connections; server shutting down; host blocked for now; no thread left; network errors; killed; idle disconnect;
        // taken offline by its operator, or not available yet.
        1040
        | 1053
        | 1077..=1079
        | 1129
        | 1135
        | 1152
        | 1154..=1161
        | 1184
        | 1203
        | 1226
        | 2006
        | 2013
        | 3032
        | 3168
        | 3169
        | 4031 => Code::ConnectionLost(side),
        // LOAD DATA LOCAL was forbidden meanwhile: the next voyage asks again, and does without.
        1148 | 3948 if side == Side::Target => Code::Busy(side),
        // Lock wait, no room for locks, deadlock, interrupted, a table that was rebuilt or forgotten meanwhile, too many transactions,
        // timeouts, PolarDB's DDL synchronisation.
        1205 | 1206 | 1213 | 1317 | 1412 | 1615 | 1637 | 1969 | 3024 | 3058 | 8007 => Code::Busy(side),
        1290 | 1792 | 1836 | 3100 => Code::ReadOnly,
        1045 | 1698 | 1820 | 1862 | 3118 => Code::LoginRefused(side),
        1044 | 1142 | 1143 | 1227 | 1370 | 1410 => Code::PrivilegeMissing(side),
        3159 => Code::TlsRefused(side),
        // A packet above max_allowed_packet: it would be so again.
        1153 => Code::RowTooLarge,
        1236 if message.contains("same server_") => Code::ServerIdInUse,
        // The server found the damage itself, while it looked for the next event.
        1236 if DAMAGE.iter().any(|sign| message.contains(sign)) => Code::EventDamaged,
        // A reader of a cluster, where the writer was.
        1236 if message.contains("Binary log is not open") => Code::ConnectionLost(side),
        // "Slave has more GTIDs than the master has", "Replica has more GTIDs than the source has".
        1236 if message.contains("more GTIDs than") => Code::SourceChanged,
        1236 | 1220 | 1373 => Code::StreamLost,
        // Duplicates, NULLs, ranges, lengths, text, dates, foreign keys, checks, generated columns, JSON, geometry.
        1022 | 1048 | 1062 | 1169 | 1264 | 1265 | 1292 | 1364 | 1366 | 1406 | 1411 | 1416 | 1451 | 1452 | 1690 | 3105 | 3140
        | 3144 | 3155 | 3157 | 3643 | 3819 => Code::DataRefused,
        _ => Code::ServerError(side),
    }
}

/// Half a day, as DTS does: long enough to sleep through a failover, an upgrade or a lost tunnel.
pub const CONNECTION_WINDOW: Duration = Duration::from_secs(12 * 3600);
/// DTS's range: below ten minutes a failover would fail the task; above a day the binlog may be gone.
pub const CONNECTION_WINDOW_RANGE: RangeInclusive<Duration> = Duration::from_secs(600)..=Duration::from_secs(24 * 3600);

/// Ten minutes, as DTS does: deadlocks and lock waits pass in seconds; what lasts longer needs a person.
pub const OTHER_WINDOW: Duration = Duration::from_secs(600);
/// DTS's range.
pub const OTHER_WINDOW_RANGE: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(24 * 3600);

/// How long a transient error may last before the task stops with exit code 75.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySettings {
    /// For lost or refused connections.
    pub connection_window: Duration,
    /// For every other transient error; always shorter than `connection_window`.
    pub other_window: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings { connection_window: CONNECTION_WINDOW, other_window: OTHER_WINDOW }
    }
}

/// The waits between attempts: doubling, bounded, jittered so that many tasks do not knock at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    attempt: u32,
    began: Option<Instant>,
}

/// What to do about a transient fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retry {
    After(Duration),
    /// The window has run out.
    Exhausted,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    /// A server that comes back is noticed within this.
    const LONGEST: Duration = Duration::from_secs(15);

    pub const fn new() -> Self {
        Self { attempt: 0, began: None }
    }

    /// How long ago the window began; zero before the first fault.
    pub fn elapsed(&self, now: Instant) -> Duration {
        self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began))
    }

    /// Progress was made: the next fault opens a new window.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Decides about one more attempt; `jitter` is a random number in `0.0..1.0`.
    pub fn next(&mut self, window: Duration, now: Instant, jitter: f64) -> Retry {
        let began = *self.began.get_or_insert(now);
        if now.duration_since(began) >= window {
            return Retry::Exhausted;
        }
        let ceiling = Self::FIRST.saturating_mul(1 << self.attempt.min(16)).min(Self::LONGEST);
        self.attempt += 1;
        Retry::After(ceiling.mul_f64(0.5 + jitter / 2.0))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl RetrySettings {
    pub fn window(&self, class: Class) -> Duration {
        match class {
            Class::Connection => self.connection_window,
            Class::Other => self.other_window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_server_error_stops() {
        assert_eq!(of_server_error(Side::Target, 9999, "").class(), None);
        assert_eq!(of_server_error(Side::Target, 1213, "").class(), Some(Class::Other));
        assert_eq!(of_server_error(Side::Source, 1412, "").class(), Some(Class::Other), "a table that was rebuilt");
        assert_eq!(of_server_error(Side::Target, 3032, "").class(), Some(Class::Connection), "offline for a while");
        assert_eq!(of_server_error(Side::Source, 1236, "a replica with the same server_uuid/server_id"), Code::ServerIdInUse);
        assert_eq!(of_server_error(Side::Source, 1236, "Could not find first log file"), Code::StreamLost);
    }

    #[test]
    fn what_a_dump_is_refused_for_is_told_apart() {
        let of = |message| of_server_error(Side::Source, 1236, message);
        assert!(of("Binary log is not open").class().is_some(), "the source has moved: waited for");
        assert_eq!(of("Slave has more GTIDs than the master has, using the master's SERVER_UUID."), Code::SourceChanged);
        // The length of an event that is damaged, as a rule: a source writes no event that is longer than it may send.
        assert_eq!(of("log event entry exceeded max_allowed_packet; Increase max_allowed_packet on master"), Code::EventDamaged);
    }

    #[test]
    fn waits_double_to_a_ceiling_and_the_window_ends_them() {
        let (mut backoff, start) = (Backoff::new(), Instant::now());
        let window = Duration::from_secs(60);
        assert_eq!(backoff.next(window, start, 1.0), Retry::After(Duration::from_millis(100)));
        assert_eq!(backoff.next(window, start, 0.0), Retry::After(Duration::from_millis(100)));
        for _ in 0..40 {
            assert!(matches!(backoff.next(window, start, 1.0), Retry::After(wait) if wait <= Backoff::LONGEST));
        }
        assert_eq!(backoff.next(window, start + window, 0.0), Retry::Exhausted);
        backoff.reset();
        assert!(matches!(backoff.next(window, start + window, 0.0), Retry::After(_)));
    }

    #[test]
    fn facts_come_with_their_place() {
        let fault = Fault::new(Code::EventUnknown, "type 99").at("b.000001:4");
        assert_eq!(fault.to_string(), "event-unknown: type 99 (at b.000001:4)");
    }
}
