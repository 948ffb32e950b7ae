//! What a server says of itself. Everything that differs between versions is decided here, once.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use crate::conn::diagnose;
use crate::fault::{Code, Fault, Side};
use crate::model::gtid::GtidSet;
use crate::model::position::{FilePosition, Position};

/// A server's version and the settings that matter to us. Settings that a version does not have are empty.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// As printed, for messages.
    pub version: String,
    pub major: u32,
    pub minor: u32,
    pub uuid: String,
    pub server_id: u64,
    pub log_bin: bool,
    pub binlog_format: String,
    pub row_image: String,
    pub row_value_options: String,
    pub gtid_mode: String,
    pub order_commits: bool,
    /// What it receives as a replica is in its own binary log, too.
    pub logs_received: bool,
    pub read_only: bool,
    /// A server that can only ever read, whatever it is told: a reader of a cluster.
    pub reader: bool,
    pub lower_case_table_names: u64,
    pub max_allowed_packet: u64,
    /// No table without a primary key can be created.
    pub requires_primary_keys: bool,
    /// A table that is created without a primary key gets one, and a column for it.
    pub generates_primary_keys: bool,
    /// A TIMESTAMP that is created NOT NULL and without a default gets one, and the first of a table changes by itself.
    pub implicit_timestamps: bool,
    /// How long the binary log is kept; `None` when that is unknown, or for good.
    pub binlog_kept: Option<Duration>,
    pub is_aurora: bool,
}

impl Facts {
    /// Every transaction has a GTID: positions are GTID sets.
    pub fn has_gtids(&self) -> bool {
        self.gtid_mode == "ON"
    }

    /// Whether a task that stands at `position` goes on by GTIDs. Only when its set is complete: one that began without GTIDs has an
    /// empty set, and stays with files when the source switches them on. (ON_PERMISSIVE and OFF_PERMISSIVE go by files, too: some
    /// transactions have no GTID.)
    pub fn follows_gtids(&self, position: &Position) -> bool {
        self.has_gtids() && !position.gtids.is_empty()
    }

    /// Whether a task whose position belongs to the server `position_of` can go on from this one now. While the source moves, its
    /// address may still lead to the former writer, or already to a replica that is not promoted and lacks the last transactions.
    /// A server of our own that is merely read-only has had its writes stopped: its log is complete.
    pub fn is_writer(&self, position_of: &str) -> bool {
        self.log_bin && !self.reader && (!self.read_only || self.uuid == position_of)
    }

    fn keep(&mut self, seconds: u64) {
        if seconds > 0 {
            self.binlog_kept = Some(Duration::from_secs(seconds));
        }
    }

    fn set(&mut self, name: &str, value: String) {
        let on = matches!(value.as_str(), "ON" | "1");
        match name {
            "version" => {
                let mut numbers = value.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
                self.major = numbers.next().unwrap_or(0);
                self.minor = numbers.next().unwrap_or(0);
                self.version = value;
            }
            "server_uuid" => self.uuid = value,
            "server_id" => self.server_id = value.parse().unwrap_or(0),
            "log_bin" => self.log_bin = on,
            "binlog_format" => self.binlog_format = value.to_ascii_uppercase(),
            "binlog_row_image" => self.row_image = value.to_ascii_uppercase(),
            "binlog_row_value_options" => self.row_value_options = value,
            "gtid_mode" => self.gtid_mode = value.to_ascii_uppercase(),
            "binlog_order_commits" => self.order_commits = on,
            "log_slave_updates" | "log_replica_updates" => self.logs_received |= on,
            "read_only" | "super_read_only" => self.read_only |= on,
            "innodb_read_only" => {
                self.read_only |= on;
                self.reader = on;
            }
            "lower_case_table_names" => self.lower_case_table_names = value.parse().unwrap_or(0),
            "sql_require_primary_key" => self.requires_primary_keys = on,
            "sql_generate_invisible_primary_key" => self.generates_primary_keys = on,
            "explicit_defaults_for_timestamp" => self.implicit_timestamps = !on,
            // Both exist on 8.0, where the days are 0 unless somebody set them, and then the seconds are.
            "binlog_expire_logs_seconds" => self.keep(value.parse().unwrap_or(0)),
            "expire_logs_days" => self.keep(value.parse().map_or(0, |days: u64| days * 86_400)),
            "aurora_version" => self.is_aurora = true,
            "max_allowed_packet" => self.max_allowed_packet = value.parse().unwrap_or(0),
            _ => {}
        }
    }
}

/// Reads a server's facts; for either end.
pub async fn read(side: Side, conn: &mut Conn) -> Result<Facts, Fault> {
    let rows: Vec<(String, String)> = conn
        .query(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version','server_uuid','server_id','log_bin','binlog_format',\
             'binlog_row_image','binlog_row_value_options','gtid_mode','binlog_order_commits','read_only','super_read_only',\
             'log_slave_updates','log_replica_updates','sql_require_primary_key','sql_generate_invisible_primary_key',\
             'explicit_defaults_for_timestamp','binlog_expire_logs_seconds','expire_logs_days',\
             'aurora_version','innodb_read_only','lower_case_table_names','max_allowed_packet')",
        )
        .await
        .map_err(|error| diagnose(side, &error))?;
    let mut facts = Facts::default();
    for (name, value) in rows {
        facts.set(&name, value);
    }
    if facts.is_aurora {
        facts.binlog_kept = kept_by_aurora(conn).await;
    }
    Ok(facts)
}

/// Aurora has a setting of its own, in a table that not every account may read. It is for the operator's eyes: unknown stops nothing.
async fn kept_by_aurora(conn: &mut Conn) -> Option<Duration> {
    let query = "SELECT CAST(value AS UNSIGNED) FROM mysql.rds_configuration WHERE name = 'binlog retention hours'";
    let hours: Option<Option<u64>> = conn.query_first(query).await.ok()?;
    hours.flatten().filter(|hours| *hours > 0).map(|hours| Duration::from_secs(hours * 3600))
}

/// Which databases' changes the binary log has: `binlog-do-db` and `binlog-ignore-db`, as the server prints them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    pub logged: String,
    pub ignored: String,
}

impl Filters {
    pub fn is_empty(&self) -> bool {
        self.logged.is_empty() && self.ignored.is_empty()
    }

    /// Whether row changes of this schema are logged. The lists are joined by commas, so of a name with a comma nothing is known.
    pub fn log(&self, schema: &str) -> bool {
        let names = |list: &str| list.split(',').any(|name| name == schema);
        match (self.logged.as_str(), self.ignored.as_str()) {
            ("", "") => true,
            _ if schema.contains(',') => false,
            ("", ignored) => !names(ignored),
            // With a list of what is logged, the other list is not looked at (manual, "Evaluation of Database-Level … Options").
            (logged, _) => names(logged),
        }
    }
}

pub async fn filters(facts: &Facts, conn: &mut Conn) -> Result<Filters, Fault> {
    let row = status(facts, conn).await?;
    let list = |column: &str| row.get::<String, _>(column).unwrap_or_default();
    Ok(Filters { logged: list("Binlog_Do_DB"), ignored: list("Binlog_Ignore_DB") })
}

/// Whether the server is a replica of another one.
pub async fn is_replica(facts: &Facts, conn: &mut Conn) -> Result<bool, Fault> {
    let statement = if (facts.major, facts.minor) >= (8, 2) { "SHOW REPLICA STATUS" } else { "SHOW SLAVE STATUS" };
    let row: Option<Row> = conn.query_first(statement).await.map_err(|error| diagnose(Side::Source, &error))?;
    Ok(row.is_some())
}

/// How many statements the server runs now, this one and replicas included; `None` when it does not say.
pub async fn threads_running(conn: &mut Conn) -> Result<Option<u64>, Fault> {
    let row: Option<(String, u64)> =
        conn.query_first("SHOW GLOBAL STATUS LIKE 'Threads_running'").await.map_err(|error| diagnose(Side::Source, &error))?;
    Ok(row.map(|(_, running)| running))
}

fn no_log() -> Fault {
    // It was on when the task began: this is a reader now.
    Fault::new(Code::ConnectionLost(Side::Source), "the source's binary log is off")
}

async fn status(facts: &Facts, conn: &mut Conn) -> Result<Row, Fault> {
    // 8.2 renamed the statement, 8.4 took the old name away.
    let statement = if (facts.major, facts.minor) >= (8, 2) { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" };
    let row: Option<Row> = conn.query_first(statement).await.map_err(|error| diagnose(Side::Source, &error))?;
    row.ok_or_else(no_log)
}

/// Where the source's binary log ends now. Everything visible to a read that has returned lies before it.
pub async fn position(facts: &Facts, conn: &mut Conn) -> Result<Position, Fault> {
    let mut row = status(facts, conn).await?;
    let file: String = row.take("File").ok_or_else(no_log)?;
    let offset: u64 = row.take("Position").ok_or_else(no_log)?;
    let gtids: String = row.take("Executed_Gtid_Set").unwrap_or_default();
    Ok(Position { gtids: parse_gtids(&gtids)?, file: FilePosition { file, offset } })
}

/// How long a file of the source's binary log is; `None` when it has no such file any more, or could not look (it then says 0).
pub async fn log_size(conn: &mut Conn, file: &str) -> Result<Option<u64>, Fault> {
    let rows: Vec<Row> = conn.query("SHOW BINARY LOGS").await.map_err(|error| diagnose(Side::Source, &error))?;
    let mut files = rows.into_iter().filter_map(|mut row| Some((row.take::<String, _>(0)?, row.take::<u64, _>(1)?)));
    Ok(files.find(|(name, size)| name == file && *size > 0).map(|(_, size)| size))
}

/// The GTIDs whose transactions are visible to every read that begins now.
pub async fn executed(conn: &mut Conn) -> Result<GtidSet, Fault> {
    gtid_variable(conn, "SELECT @@GLOBAL.gtid_executed").await
}

/// The GTIDs that the source can no longer send.
pub async fn purged(conn: &mut Conn) -> Result<GtidSet, Fault> {
    gtid_variable(conn, "SELECT @@GLOBAL.gtid_purged").await
}

async fn gtid_variable(conn: &mut Conn, query: &str) -> Result<GtidSet, Fault> {
    let text: Option<String> = conn.query_first(query).await.map_err(|error| diagnose(Side::Source, &error))?;
    parse_gtids(&text.unwrap_or_default())
}

fn parse_gtids(text: &str) -> Result<GtidSet, Fault> {
    GtidSet::parse(text).map_err(|error| Fault::new(Code::ServerError(Side::Source), error.to_string()))
}

/// The server ids of the replicas that are registered now, with their UUIDs as far as they gave one; needs REPLICATION SLAVE.
pub async fn replicas(facts: &Facts, conn: &mut Conn) -> Result<Vec<(u64, Option<String>)>, Fault> {
    let statement = if (facts.major, facts.minor) >= (8, 2) { "SHOW REPLICAS" } else { "SHOW SLAVE HOSTS" };
    let rows: Vec<Row> = conn.query(statement).await.map_err(|error| diagnose(Side::Source, &error))?;
    let uuid = |row: &Row| row.get_opt::<String, _>(4)?.ok();
    Ok(rows.iter().filter_map(|row| Some((row.get_opt::<u64, _>(0)?.ok()?, uuid(row)))).collect())
}

/// Whether the server carries out above its engine what foreign keys do by themselves (CASCADE, SET NULL), and so has it in the binary
/// log: from 9.6 on, unless switched off. For either end.
pub async fn logs_cascades(side: Side, conn: &mut Conn) -> Result<bool, Fault> {
    let row: Option<(String, String)> = conn
        .query_first("SHOW GLOBAL VARIABLES LIKE 'innodb\\_native\\_foreign\\_keys'")
        .await
        .map_err(|error| diagnose(side, &error))?;
    Ok(row.is_some_and(|(_, value)| value == "OFF"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binlog_is_kept_for_seconds_or_days_and_zero_is_for_good() {
        for (settings, seconds) in [
            (&[("binlog_expire_logs_seconds", "2592000"), ("expire_logs_days", "0")][..], Some(2_592_000)),
            (&[("binlog_expire_logs_seconds", "0"), ("expire_logs_days", "2")], Some(172_800)),
            (&[("expire_logs_days", "0")], None),
        ] {
            let mut facts = Facts::default();
            for (name, value) in settings {
                facts.set(name, (*value).to_owned());
            }
            assert_eq!(facts.binlog_kept, seconds.map(Duration::from_secs), "{settings:?}");
        }
    }

    #[test]
    fn gtids_are_followed_only_when_every_transaction_has_one_and_the_set_is_complete() {
        let gtids = GtidSet::parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5").expect("a set");
        let complete = Position { gtids, ..Position::default() };
        for (mode, position, expected) in [
            ("ON", &complete, true),
            ("ON_PERMISSIVE", &complete, false),
            ("OFF_PERMISSIVE", &complete, false),
            ("OFF", &complete, false),
            ("ON", &Position::default(), false),
        ] {
            let facts = Facts { gtid_mode: mode.into(), ..Facts::default() };
            assert_eq!(facts.follows_gtids(position), expected, "{mode}");
        }
    }

    #[test]
    fn a_schema_is_logged_when_the_filters_say_so_and_its_name_is_readable() {
        let filters = |logged: &str, ignored: &str| Filters { logged: logged.into(), ignored: ignored.into() };
        for (filters, schema, expected) in [
            (filters("", ""), "a,b", true),
            (filters("shop,crm", ""), "crm", true),
            (filters("shop,crm", "crm"), "crm", true),
            (filters("shop", ""), "Shop", false),
            (filters("", "crm"), "crm", false),
            (filters("", "crm"), "shop", true),
            (filters("a,b", ""), "a,b", false),
            (filters("", "a,b"), "a,b", false),
        ] {
            assert_eq!(filters.log(schema), expected, "{filters:?} {schema}");
        }
    }

    #[test]
    fn a_reader_and_a_replica_that_is_not_promoted_are_no_writers() {
        let facts = |reader, read_only, log_bin| Facts { uuid: "u".into(), reader, read_only, log_bin, ..Facts::default() };
        assert!(facts(false, false, true).is_writer("v"));
        assert!(!facts(false, true, true).is_writer("v"), "not promoted");
        assert!(facts(false, true, true).is_writer("u"), "its writes were stopped");
        assert!(!facts(true, true, true).is_writer("u"), "the former writer");
        assert!(!facts(false, false, false).is_writer("u"));
    }

    #[test]
    fn odd_version_texts_are_read_without_a_panic() {
        for (text, expected) in [("8.0.36-log", (8, 0)), ("5.7.19", (5, 7)), ("9", (9, 0)), ("", (0, 0)), ("x.y", (0, 0))] {
            let mut facts = Facts::default();
            facts.set("version", text.to_owned());
            assert_eq!((facts.major, facts.minor), expected, "{text}");
        }
    }
}
