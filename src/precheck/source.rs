//! What the source must be: a writer with a row-format binary log, and an account that may read it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Item, Wish};
use crate::conn::{Endpoint, Purpose};
use crate::fault::{Code, Fault, Side};
use crate::source::binlog::{self, HEARTBEAT};
use crate::source::catalog::Listed;
use crate::source::facts::{self, Facts};
use crate::source::{self, Conn, catalog};

/// What the table checks go on with.
pub struct Found {
    pub conn: Conn,
    pub facts: Facts,
    pub tables: Vec<Listed>,
    /// The source's replicas: server_id, and server_uuid where it is told.
    replicas: Vec<(u64, Option<String>)>,
}

const PARAMETERS: &str = "set it in the cluster parameter group and reboot the writer if it says so";

pub async fn examine(endpoint: &Endpoint, wish: &Wish<'_>, items: &mut Vec<Item>) -> Option<Found> {
    let reached = async {
        let mut conn = source::connect(endpoint, Purpose::Catalog).await?;
        let facts = facts::read(Side::Source, &mut conn).await?;
        Ok::<_, Fault>((conn, facts))
    };
    let (mut conn, facts) = match reached.await {
        Ok(found) => found,
        Err(fault) => {
            items.push(Item::of_fault("source.connection", &fault));
            return None;
        }
    };
    items.push(Item::pass("source.connection", endpoint.address()));
    let known = (facts.major, facts.minor) >= (5, 7);
    items.push(Item::demand("source.version", known, facts.version.clone(), "MySQL 5.7 or newer is needed"));
    let mut replicas = Vec::new();
    if wish.migrate.stream() {
        binlog(&facts, items);
        replicas = replica(&facts, &mut conn, items).await;
    }
    match catalog::list(Side::Source, &mut conn, wish.selection).await {
        Ok(tables) => {
            let remedy = "check objects.include and grant SELECT on the schemas: tables without a grant are not shown";
            let globs: Vec<String> = wish.selection.include.iter().map(ToString::to_string).collect();
            let detail = format!("{} tables selected by {}", tables.len(), globs.join(", "));
            items.push(Item::demand("source.objects", !tables.is_empty(), detail, remedy));
            if wish.migrate.stream() && facts.log_bin {
                gaps(&facts, &mut conn, &tables, items).await;
            }
            Some(Found { conn, facts, tables, replicas })
        }
        Err(fault) => {
            items.push(Item::of_fault("source.objects", &fault));
            None
        }
    }
}

fn binlog(facts: &Facts, items: &mut Vec<Item>) {
    let log = if facts.log_bin { "on" } else { "off" };
    items.push(Item::demand(
        "source.binlog",
        facts.log_bin,
        format!("the binary log is {log}"),
        "set binlog_format=ROW in the cluster parameter group and reboot; use the writer endpoint, readers have no binary log",
    )
    .in_failover());
    items.push(Item::demand(
        "source.binlog_format",
        facts.binlog_format == "ROW",
        facts.binlog_format.clone(),
        format!("ROW is needed: {PARAMETERS}"),
    ));
    items.push(Item::demand(
        "source.binlog_row_image",
        facts.row_image == "FULL",
        facts.row_image.clone(),
        format!("FULL is needed: {PARAMETERS}"),
    ));
    let options = if facts.row_value_options.is_empty() { "none" } else { facts.row_value_options.as_str() };
    items.push(Item::demand(
        "source.binlog_row_value_options",
        matches!(facts.row_value_options.as_str(), "" | "PARTIAL_JSON"),
        options,
        format!("only PARTIAL_JSON is known: {PARAMETERS} to it, or to the empty string"),
    ));
    items.push(
        Item::demand(
            "source.writer",
            !facts.read_only,
            if facts.read_only { "read-only" } else { "read-write" },
            "use the cluster's writer endpoint",
        )
        .in_failover(),
    );
    if facts.has_gtids() {
        items.push(Item::pass("source.gtid", "positions are GTID sets"));
    } else {
        items.push(Item::demand(
            "source.binlog_order_commits",
            facts.order_commits,
            "without GTIDs, commits must become visible in the order of the binary log",
            "set gtid_mode=ON, or binlog_order_commits=ON",
        ));
        items.push(Item::warn(
            "source.gtid",
            format!("gtid_mode is {}: positions are file offsets, good only for this one server", facts.gtid_mode),
            "a failover of the source will stop the task; set gtid_mode=ON to survive it",
        ));
    }
}

/// What does not reach the binary log although it changes selected tables.
async fn gaps(facts: &Facts, conn: &mut Conn, tables: &[Listed], items: &mut Vec<Item>) {
    match facts::filters(facts, conn).await {
        Ok(filters) if filters.is_empty() => items.push(Item::pass("source.binlog_filters", "none")),
        Ok(filters) => {
            let unlogged: BTreeSet<&str> =
                tables.iter().map(|listed| listed.name.schema.as_str()).filter(|schema| !filters.log(schema)).collect();
            let unlogged: Vec<&str> = unlogged.into_iter().collect();
            let detail = format!("binlog-do-db is {:?}, binlog-ignore-db is {:?}", filters.logged, filters.ignored);
            items.push(match unlogged.is_empty() {
                true => Item::warn(
                    "source.binlog_filters",
                    detail,
                    "a statement like TRUNCATE from within a database that is not logged is lost: run none on selected tables",
                ),
                false => Item::fail(
                    "source.binlog_filters",
                    format!("{detail}: changes to {} are not logged", unlogged.join(", ")),
                    "take the filters out, or exclude the databases",
                ),
            });
        }
        Err(fault) => items.push(Item::of_fault("source.binlog_filters", &fault)),
    }
    if facts.logs_received {
        return;
    }
    match facts::is_replica(facts, conn).await {
        Ok(false) => {}
        Ok(true) => items.push(Item::fail(
            "source.log_replica_updates",
            "the source is a replica itself and does not log what it receives",
            "set log_replica_updates (before 8.0.26: log_slave_updates) = ON and restart it, migrate from its own source, or end \
             the replication with RESET REPLICA ALL (RESET SLAVE ALL)",
        )),
        Err(fault) => items.push(Item::of_fault("source.log_replica_updates", &fault)),
    }
}

/// A source notices that a replica has gone when it sends the next heartbeat; one more for the slow.
const GONE: Duration = HEARTBEAT.saturating_mul(2);
const LOOK: Duration = Duration::from_millis(250);

/// Two replicas with one id end each other's connections. A task that has begun may meet its own former connection for a moment; a
/// new one may meet that of a task which has just ended, and waits for its end.
pub async fn server_id(found: &mut Found, resumed: bool, wish: &Wish<'_>, items: &mut Vec<Item>) {
    if !wish.migrate.stream() {
        return;
    }
    let began = Instant::now();
    let former = (u64::from(wish.server_id), Some(binlog::replica_uuid(wish.server_id)));
    while !resumed && found.replicas.contains(&former) && began.elapsed() < GONE {
        tokio::time::sleep(LOOK).await;
        match facts::replicas(&found.facts, &mut found.conn).await {
            Ok(replicas) => found.replicas = replicas,
            Err(_) => break,
        }
    }
    items.push(judge_id(&found.facts, &found.replicas, wish.server_id, resumed));
}

fn judge_id(facts: &Facts, replicas: &[(u64, Option<String>)], wished: u32, resumed: bool) -> Item {
    let remedy = "set another task.server_id: replicas with one id end each other's connections";
    if facts.server_id == u64::from(wished) {
        return Item::fail("source.server_id", format!("{wished} is the source's own"), remedy);
    }
    let own = binlog::replica_uuid(wished);
    match replicas.iter().find(|(id, _)| *id == u64::from(wished)) {
        None => Item::pass("source.server_id", format!("{wished} is free")),
        Some((_, Some(uuid))) if *uuid == own && resumed => Item::warn(
            "source.server_id",
            format!("{wished} is in use by a polarferry"),
            "unless that is this task's own former connection, set another task.server_id",
        ),
        Some(_) => Item::fail("source.server_id", format!("{wished} is in use by another replica of the source"), remedy),
    }
}

/// Returns the source's replicas.
async fn replica(facts: &Facts, conn: &mut Conn, items: &mut Vec<Item>) -> Vec<(u64, Option<String>)> {
    let client = "GRANT REPLICATION CLIENT ON *.* TO the source account";
    match facts::position(facts, conn).await {
        Ok(position) => items.push(Item::pass("source.replication_client", format!("the binary log ends at {position}"))),
        Err(_) if !facts.log_bin => {}
        Err(fault) if fault.code.class().is_some() => items.push(Item::of_fault("source.replication_client", &fault)),
        Err(fault) => items.push(Item::fail("source.replication_client", fault.detail, client)),
    }
    let slave = "GRANT REPLICATION SLAVE ON *.* TO the source account";
    match facts::replicas(facts, conn).await {
        Ok(replicas) => return replicas,
        Err(fault) if matches!(fault.code, Code::PrivilegeMissing(_)) => {
            items.push(Item::fail("source.replication_slave", fault.detail, slave));
        }
        Err(fault) => {
            let detail = format!("the source's list of replicas cannot be read ({})", fault.detail);
            items.push(Item::warn("source.server_id", detail, "make sure that no other replica uses task.server_id"));
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::Outcome;

    #[test]
    fn an_id_in_use_is_refused_unless_it_may_be_our_own_former_connection() {
        let facts = Facts { server_id: 1, ..Facts::default() };
        let outcome = |replicas: &[(u64, Option<String>)], wished, resumed| judge_id(&facts, replicas, wished, resumed).outcome;
        assert_eq!(outcome(&[(7, None)], 8, false), Outcome::Pass);
        assert_eq!(outcome(&[(8, Some(binlog::replica_uuid(8)))], 8, true), Outcome::Warn);
        assert_eq!(outcome(&[(8, Some(binlog::replica_uuid(8)))], 8, false), Outcome::Fail);
        assert_eq!(outcome(&[(8, Some("another".to_owned()))], 8, true), Outcome::Fail);
        assert_eq!(outcome(&[(8, None)], 8, true), Outcome::Fail);
        assert_eq!(outcome(&[], 1, true), Outcome::Fail);
    }
}
