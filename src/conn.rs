//! Connections to both ends: TLS, time limits, and the session settings that make values travel exactly. The one holder of
//! passwords.
//!
//! Every session runs under settings of our choice, so that nothing depends on a server's defaults:
//! * `SET NAMES binary`: no character set conversion in either direction ([`Purpose::Rows`]); the catalog, whose names and
//!   definitions are text, is read under utf8mb4 ([`Purpose::Catalog`]);
//! * `time_zone='+00:00'`: TIMESTAMP as UTC, without a hole or a double hour;
//! * an explicit `sql_mode`: strict, so that nothing is cut or rounded silently, but with zero dates, invalid dates and `id = 0` as
//!   they are stored;
//! * `autocommit=1` and no limit on rows or time, so that every read sees the present and all of it; columns that the server made
//!   for itself (`my_row_id`) are shown, whatever its default is;
//! * on the source REPEATABLE READ (a row that may yet be rolled back is not read);
//! * on the target `foreign_key_checks=0` (the source has checked), READ COMMITTED (no gap locks between chunks and batches), and
//!   READ WRITE, which `transaction_read_only` may have taken from every new session.
//!
//! TLS: `required` encrypts without checking who answers; `verify-identity` checks. A server without TLS is refused in both: there is
//! no fallback. There is no `verify-ca`: the TLS library that the driver uses checks chain and name together, and the driver's switch
//! to leave out the name does not work in its current release.
//!
//! Password file and certificates are read for each session, so both may be rotated while we run. What a server has accepted from
//! this process before and refuses now is tried again for a while ([`Code::AccessChanged`]); the first refusal of all stops.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, IoError, OptsBuilder, Row, SslOpts};
use secrecy::ExposeSecret;

use crate::fault::{self, Code, Fault, Side};

pub mod password;

pub use password::Password;

/// The port on which Aurora and PolarDB listen unless told otherwise.
pub const PORT: u16 = 3306;

/// Where one end is and who we are there. `Debug` shows no password.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Password,
    pub tls: Tls,
}

/// How much of the server's certificate must be proved; the words are among those of the `mysql` client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    Disabled,
    Required,
    VerifyIdentity,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub mode: TlsMode,
    /// PEM bundle that signs the server's certificate.
    pub ca: Option<PathBuf>,
}

impl Default for Tls {
    /// The strictest mode: a password and every row cross this connection, often between clouds.
    fn default() -> Self {
        Tls { mode: TlsMode::VerifyIdentity, ca: None }
    }
}

impl TlsMode {
    pub const ALL: [TlsMode; 3] = [TlsMode::Disabled, TlsMode::Required, TlsMode::VerifyIdentity];

    pub fn as_str(self) -> &'static str {
        match self {
            TlsMode::Disabled => "disabled",
            TlsMode::Required => "required",
            TlsMode::VerifyIdentity => "verify-identity",
        }
    }
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no TLS mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no TLS mode")]
pub struct UnknownTlsMode;

impl FromStr for TlsMode {
    type Err = UnknownTlsMode;

    fn from_str(text: &str) -> Result<Self, UnknownTlsMode> {
        TlsMode::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(UnknownTlsMode)
    }
}

impl Endpoint {
    /// For messages and `/status`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reads names and definitions, creates tables.
    Catalog,
    /// Reads or writes rows.
    Rows,
}

/// A server that does not answer in this time is treated as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// MySQL's own bound.
const LONGEST_PACKET: usize = 1024 * 1024 * 1024;
/// Dead peers are noticed by the kernel.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// What every session runs under.
pub const STRICT: &str = "SET sql_mode='NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ALLOW_INVALID_DATES'";
/// For the one value that strict mode refuses although the source holds it: the error value of an ENUM.
pub const LAX: &str = "SET sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";
/// For a session that only reads, and whose reads nobody needs: none of them takes long.
pub const BOUNDED: &str = "SET SESSION max_execution_time=10000, lock_wait_timeout=5";
/// The largest `sql_select_limit`, which is none; `DEFAULT` would be the server's own setting. Versions that do not know the last two
/// pass over them.
const COMMON: &str = "SET time_zone='+00:00', net_read_timeout=600, net_write_timeout=600, autocommit=1, \
                      lc_messages='en_US', completion_type=0, sql_safe_updates=0, sql_big_selects=1, sql_select_limit=18446744073709551615 \
                      /*!50708 , max_execution_time=0 */ /*!80030 , show_gipk_in_create_table_and_information_schema=1 */";
/// How long a server waits for the next statement.
pub const IDLE: &str = "SET SESSION wait_timeout=28800";
const SOURCE: &[&str] = &["SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"];
const TARGET: &[&str] = &[
    "SET foreign_key_checks=0, unique_checks=1, range_optimizer_max_mem_size=0, innodb_lock_wait_timeout=20",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
];

fn ssl(tls: &Tls) -> Option<SslOpts> {
    let options = SslOpts::default();
    match (tls.mode, &tls.ca) {
        (TlsMode::Disabled, _) => None,
        (TlsMode::Required, _) => Some(options.with_danger_accept_invalid_certs(true)),
        (TlsMode::VerifyIdentity, None) => Some(options),
        (TlsMode::VerifyIdentity, Some(ca)) => {
            Some(options.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true))
        }
    }
}

/// Opens a session, ready for its purpose.
pub async fn connect(side: Side, endpoint: &Endpoint, purpose: Purpose) -> Result<Conn, Fault> {
    let (password, unread) = endpoint.password.now();
    let options = OptsBuilder::default()
        .ip_or_hostname(endpoint.host.clone())
        .tcp_port(endpoint.port)
        .user(Some(endpoint.user.clone()))
        .pass(Some(password.expose_secret().to_owned()))
        .ssl_opts(ssl(&endpoint.tls))
        .prefer_socket(false)
        .stmt_cache_size(0)
        // What IDLE sets. Without it the driver asks the server.
        .wait_timeout(Some(28_800))
        // The driver's own limit, for what it reads: an event or a row may be longer than the packets that its server takes.
        .max_allowed_packet(Some(LONGEST_PACKET))
        .tcp_keepalive(Some(KEEPALIVE))
        .tcp_nodelay(true);
    let place = || format!("{} {} as {}", side.as_str(), endpoint.address(), endpoint.user);
    let names = match purpose {
        Purpose::Catalog => "SET NAMES utf8mb4",
        Purpose::Rows => "SET NAMES binary",
    };
    let mut settings = vec![names, COMMON, IDLE, STRICT];
    settings.extend(match side {
        Side::Source => SOURCE,
        Side::Target => TARGET,
    });
    let opening = async {
        let mut conn = Conn::new(options).await?;
        endpoint.password.accepted();
        // In one round trip: the way may be long.
        conn.query_drop(settings.join("; ")).await?;
        Ok(conn)
    };
    // Asked before: this attempt may be the first that is let in.
    let was_accepted = endpoint.password.was_accepted();
    let opened = tokio::time::timeout(CONNECT_TIMEOUT, opening).await.map_err(|_| {
        Fault::new(Code::ConnectionLost(side), format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())).at(place())
    })?;
    opened.map_err(|error| {
        let fault = again(side, diagnose(side, &error), was_accepted);
        let fault = match &unread {
            Some(unread) => fault.at(format!("with the last password, since its file cannot be used: {unread}")),
            None => fault,
        };
        fault.at(place())
    })
}

/// Runs statements in one round trip, and returns the rows that each of them answers. The server stops at the first that fails.
pub async fn ask<const N: usize>(side: Side, conn: &mut Conn, statements: [&[u8]; N]) -> Result<[Vec<Row>; N], Fault> {
    let mut answers = conn.query_iter(statements.join(&b';')).await.map_err(|error| diagnose(side, &error))?;
    let mut rows = Vec::with_capacity(N);
    let missing =
        |count| Fault::new(Code::Internal, format!("the {} was asked {N} questions and answered {count}", side.as_str()));
    for count in 0..N {
        let answered = answers.columns().is_some();
        // On to the next answer. An answer that is a refusal is handed out here.
        rows.push(answers.collect().await.map_err(|error| diagnose(side, &error))?);
        answered.then_some(()).ok_or_else(|| missing(count))?;
    }
    answers.drop_result().await.map_err(|error| diagnose(side, &error))?;
    rows.try_into().map_err(|rows: Vec<_>| missing(rows.len()))
}

/// What a refusal means to a process that was let in before: password or certificate may be between two steps of a rotation.
fn again(side: Side, fault: Fault, was_accepted: bool) -> Fault {
    match fault.code {
        Code::LoginRefused(_) | Code::TlsRefused(_) if was_accepted => Fault::new(Code::AccessChanged(side), fault.detail),
        _ => fault,
    }
}

/// Turns a driver's error into a fault. Statements and values never enter the text.
pub fn diagnose(side: Side, error: &Error) -> Fault {
    match error {
        Error::Server(server) => Fault::new(
            fault::of_server_error(side, server.code, &server.message),
            format!("server error {}: {}", server.code, without_values(server.code, &server.message)),
        ),
        Error::Io(IoError::Tls(tls)) => Fault::new(Code::TlsRefused(side), tls.to_string()),
        // The TLS library's verdict on a certificate travels inside an I/O error; it will be the same at the next attempt.
        Error::Io(IoError::Io(io)) => match tls_refusal(io) {
            Some(refusal) => Fault::new(Code::TlsRefused(side), refusal),
            None => Fault::new(Code::ConnectionLost(side), io.to_string()),
        },
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            Fault::new(Code::TlsRefused(side), "the server does not offer TLS")
        }
        Error::Driver(DriverError::ConnectionClosed | DriverError::PoolDisconnected) => {
            Fault::new(Code::ConnectionLost(side), "the server closed the connection")
        }
        Error::Driver(driver) => Fault::new(Code::ServerError(side), driver.to_string()),
        Error::Url(_) | Error::Other(_) => Fault::new(Code::Internal, "the driver failed in a way that it does not name"),
    }
}

/// What the TLS library refuses, or is refused, for good; `None` for what a broken connection may be, too.
fn tls_refusal(error: &std::io::Error) -> Option<String> {
    use rustls::AlertDescription as Alert;
    let inner: &rustls::Error = error.get_ref()?.downcast_ref()?;
    match inner {
        rustls::Error::InvalidCertificate(_) => Some(error.to_string()),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            Alert::HandshakeFailure
            | Alert::ProtocolVersion
            | Alert::InsufficientSecurity
            | Alert::AccessDenied
            | Alert::CertificateRequired,
        ) => Some(format!(
            "{error}: the server shares no TLS version or cipher with us; TLS 1.3, or 1.2 with ECDHE and AEAD, is needed"
        )),
        _ => None,
    }
}

/// Whether a message of this number names only accounts, objects, settings and places in the binary log, as MySQL's list of error
/// messages has it.
const fn names_only(code: u16) -> bool {
    matches!(
        code,
        // Connections, limits of the server, privileges.
        1040 | 1042..=1045 | 1053 | 1129 | 1130 | 1142 | 1143 | 1152..=1161 | 1184 | 1203 | 1205 | 1213 | 1226 | 1227 | 1290 | 1317 | 1370
            | 1410 | 1698 | 1792 | 1820 | 1836 | 1862 | 2006 | 2013 | 3024 | 3032 | 3100 | 3118 | 3159 | 4031
            // The binary log.
            | 1220 | 1236 | 1373
            // Databases, tables, columns, keys, settings.
            | 1005 | 1007 | 1008 | 1030 | 1046 | 1049..=1051 | 1054 | 1059..=1061 | 1067 | 1071 | 1072 | 1075 | 1091 | 1100 | 1101 | 1103
            | 1112..=1118 | 1146 | 1170 | 1176 | 1193 | 1231 | 1235 | 1238 | 1273 | 1286 | 1298 | 1419 | 1824 | 3780
            // A column, key or constraint, and the row's number in the statement.
            | 1048 | 1264 | 1265 | 1364 | 1406 | 1451 | 1452 | 3105 | 3819
    )
}

/// Server messages on rows quote the value. What is not known to be free of values is shown only up to its first quote or digit; where
/// the message ends in the name of the key or column, that too.
fn without_values(code: u16, message: &str) -> String {
    let short = |text: &str| text.chars().take(300).collect::<String>();
    let head = || message.split(['\'', '"', '`']).next().unwrap_or_default().trim_end();
    match code {
        1064 => "syntax error (the statement is not shown)".to_owned(),
        code if names_only(code) => short(message),
        // Both end in the name, always.
        1062 | 1366 => {
            let name = message.rsplit_once(" for ").map_or("", |(_, name)| name);
            short(&format!("{} '…' for {name}", head()))
        }
        _ => {
            let known = head().split(|c: char| c.is_ascii_digit()).next().unwrap_or_default().trim_end();
            short(&format!("{known} …"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_certificate_stops_and_a_lost_connection_is_tried_again() {
        let refused = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let certificate = std::io::Error::new(std::io::ErrorKind::InvalidData, refused);
        let fault = diagnose(Side::Source, &Error::Io(IoError::Io(certificate)));
        assert_eq!(fault.code, Code::TlsRefused(Side::Source));
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(diagnose(Side::Source, &Error::Io(IoError::Io(reset))).code.class().is_some());
        let (io, kind) = (|error| Error::Io(IoError::Io(error)), std::io::ErrorKind::InvalidData);
        for damaged in [rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac), rustls::Error::DecryptError] {
            let fault = diagnose(Side::Target, &io(std::io::Error::new(kind, damaged)));
            assert_eq!(fault.code, Code::ConnectionLost(Side::Target));
            assert!(fault.code.class().is_some());
        }
        for nothing_in_common in [
            rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure),
            rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion),
            rustls::Error::PeerIncompatible(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13),
        ] {
            let fault = diagnose(Side::Target, &io(std::io::Error::new(kind, nothing_in_common)));
            assert_eq!(fault.code, Code::TlsRefused(Side::Target));
        }
    }

    #[test]
    fn a_refusal_stops_unless_the_server_has_let_us_in_before() {
        for code in [Code::LoginRefused(Side::Source), Code::TlsRefused(Side::Source)] {
            let fault = |was_accepted| again(Side::Source, Fault::new(code, "x"), was_accepted).code;
            assert_eq!((fault(false), fault(true)), (code, Code::AccessChanged(Side::Source)));
            assert!(fault(false).class().is_none() && fault(true).class().is_some());
        }
        let other = Fault::new(Code::Drift, "x");
        assert_eq!(again(Side::Source, other.clone(), true), other);
    }

    #[test]
    fn server_messages_lose_their_values() {
        let message = "Duplicate entry 'secret@example.org' for key 'users.email'";
        assert_eq!(without_values(1062, message), "Duplicate entry '…' for key 'users.email'");
        assert!(!without_values(1064, "near 'INSERT secret'").contains("secret"));
        for (code, message, shown) in [
            (1526, "Table has no partition for value 20240101", "Table has no partition for value …"),
            (1300, "Invalid utf8mb4 character string: '\\xF0secret'", "Invalid utf …"),
            (1367, "Illegal double '1e999' value found during parsing", "Illegal double …"),
            (1292, "Truncated incorrect DOUBLE value: 'a secret for me'", "Truncated incorrect DOUBLE value: …"),
            (1690, "BIGINT UNSIGNED value is out of range in '(`s`.`t`.`n` - 77)'", "BIGINT UNSIGNED value is out of range in …"),
            (1406, "Data too long for column 'n' at row 1", "Data too long for column 'n' at row 1"),
        ] {
            assert_eq!(without_values(code, message), shown);
        }
    }
}
