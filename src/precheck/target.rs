//! What the target must be: a writable primary, and an account that may create and change tables.

use std::collections::BTreeSet;

use super::{Item, Wish};
use crate::conn::{Endpoint, Purpose};
use crate::fault::{Fault, Side};
use crate::source::facts::{self, Facts};
use crate::target::{self, Conn};

/// What the table checks go on with.
pub struct Found {
    pub conn: Conn,
    /// The task has a checkpoint: it is being resumed.
    pub resumed: bool,
}

/// What is asked for on every schema that is written.
const NEEDED: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX", "REFERENCES"];

pub async fn examine(endpoint: &Endpoint, wish: &Wish<'_>, source: Option<&Facts>, items: &mut Vec<Item>) -> Option<Found> {
    let reached = async {
        let mut conn = target::connect(endpoint, Purpose::Catalog).await?;
        let facts = facts::read(Side::Target, &mut conn).await?;
        let resumed = target::state::exists(&mut conn, wish.task).await?;
        let grants = target::state::grants(&mut conn).await?;
        Ok::<_, Fault>((conn, facts, resumed, grants))
    };
    let (conn, facts, resumed, grants) = match reached.await {
        Ok(found) => found,
        Err(fault) => {
            items.push(Item::of_fault("target.connection", &fault));
            return None;
        }
    };
    items.push(Item::pass("target.connection", endpoint.address()));
    let known = (facts.major, facts.minor) >= (5, 7);
    items.push(Item::demand("target.version", known, facts.version.clone(), "MySQL 5.7 or newer is needed"));
    items.push(Item::demand(
        "target.writable",
        !facts.read_only,
        if facts.read_only { "read-only" } else { "read-write" },
        "use the cluster's primary endpoint",
    ));
    privileges(&grants, items);
    if let Some(source) = source {
        against_source(source, &facts, items);
    }
    Some(Found { conn, resumed })
}

fn privileges(grants: &[String], items: &mut Vec<Item>) {
    let (held, roles) = read_grants(grants);
    let missing: Vec<&str> =
        NEEDED.into_iter().filter(|needed| !held.contains(*needed) && !held.contains("ALL PRIVILEGES")).collect();
    let remedy = format!("GRANT {} ON *.* TO the target account, or on polarferry.* and on each schema", NEEDED.join(", "));
    items.push(match (missing.is_empty(), roles) {
        (true, _) => Item::pass("target.privileges", "data and table rights"),
        (false, true) => Item::warn("target.privileges", format!("{} come by a role, if at all", missing.join(", ")), remedy),
        (false, false) => Item::fail("target.privileges", format!("missing: {}", missing.join(", ")), remedy),
    });
}

/// The privileges that are granted on everything or on some schema, and whether roles are granted, too. Which schema is not
/// compared: a grant that is too narrow shows when the schema is created, before any row is written.
fn read_grants(grants: &[String]) -> (BTreeSet<String>, bool) {
    let mut held = BTreeSet::new();
    let mut roles = false;
    for grant in grants {
        let Some(rest) = grant.strip_prefix("GRANT ") else { continue };
        match rest.split_once(" ON ") {
            Some((list, _)) => held.extend(list.split(',').map(|name| name.trim().to_ascii_uppercase())),
            None => roles = true,
        }
    }
    (held, roles)
}

fn against_source(source: &Facts, target: &Facts, items: &mut Vec<Item>) {
    items.push(Item::demand(
        "target.identity",
        source.uuid != target.uuid,
        "source and target are different servers",
        "source and target are one server: check the hosts",
    ));
    if (target.major, target.minor) < (source.major, source.minor) {
        let detail = format!("{} is older than the source's {}", target.version, source.version);
        items.push(Item::warn(
            "target.older",
            detail,
            "definitions that the target does not know will be refused when the schema is created",
        ));
    }
    if target.lower_case_table_names != source.lower_case_table_names {
        let detail = format!(
            "lower_case_table_names is {} here, {} on the source",
            target.lower_case_table_names, source.lower_case_table_names
        );
        items.push(Item::fail(
            "target.lower_case_table_names",
            detail,
            "names would not match: use a target with the source's setting",
        ));
    }
    if target.max_allowed_packet < source.max_allowed_packet {
        let detail =
            format!("max_allowed_packet is {} here, {} on the source", target.max_allowed_packet, source.max_allowed_packet);
        items.push(Item::warn(
            "target.max_allowed_packet",
            detail,
            "raise it to the source's: a row larger than it would stop the task",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_as_the_server_prints_them() {
        let grants = [
            "GRANT SELECT, INSERT, RELOAD ON *.* TO `u`@`%`".to_owned(),
            "GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`".to_owned(),
            "GRANT `writer`@`%` TO `u`@`%`".to_owned(),
        ];
        let (held, roles) = read_grants(&grants);
        assert!(held.contains("INSERT") && held.contains("ALL PRIVILEGES") && roles);
    }
}
