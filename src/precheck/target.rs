//! What the target must be: a writable primary, and an account that may create and change tables.

use std::collections::BTreeSet;

use super::source::Found as Source;
use super::{Item, Wish};
use crate::conn::{Endpoint, Purpose};
use crate::fault::{Fault, Side};
use crate::source::facts::{self, Facts};
use crate::target::long::LEAST;
use crate::target::{self, Conn};

/// What the table checks go on with.
pub struct Found {
    pub conn: Conn,
    /// The task has a checkpoint: it is being resumed.
    pub resumed: bool,
    pub facts: Facts,
    pub grants: Grants,
}

/// What is asked for on every schema that is written.
const NEEDED: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX", "REFERENCES"];
/// What is asked for on our own schema.
const NEEDED_ON_OURS: [&str; 5] = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE"];
const OURS: &str = "polarferry";

pub async fn examine(endpoint: &Endpoint, wish: &Wish<'_>, source: Option<&Source>, items: &mut Vec<Item>) -> Option<Found> {
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
    items.push(
        Item::demand(
            "target.writable",
            !facts.read_only,
            if facts.read_only { "read-only" } else { "read-write" },
            "use the cluster's primary endpoint",
        )
        .in_failover(),
    );
    let grants = Grants::read(&grants);
    if let Some(source) = source {
        let schemas = source.tables.iter().map(|listed| listed.name.schema.as_str()).collect();
        items.push(privileges(&grants, &schemas));
        against_source(&source.facts, &facts, items);
    }
    Some(Found { conn, resumed, facts, grants })
}

fn privileges(grants: &Grants, schemas: &BTreeSet<&str>) -> Item {
    let ours = (OURS, &NEEDED_ON_OURS[..]);
    let needed = schemas.iter().map(|schema| (*schema, &NEEDED[..])).chain([ours]);
    let lacking: Vec<String> = needed
        .filter_map(|(schema, needed)| {
            let missing: Vec<&str> = needed.iter().copied().filter(|needed| !grants.hold(needed, schema)).collect();
            (!missing.is_empty()).then(|| format!("{} on {schema}.*", missing.join(", ")))
        })
        .collect();
    let remedy = format!("GRANT {} ON {OURS}.* and on each selected schema to the target account", NEEDED.join(", "));
    match (lacking.is_empty(), grants.roles) {
        (true, _) => Item::pass("target.privileges", "data and table rights"),
        (false, true) => Item::warn("target.privileges", format!("by a role, if at all: {}", lacking.join("; ")), remedy),
        (false, false) => Item::fail("target.privileges", format!("missing: {}", lacking.join("; ")), remedy),
    }
}

/// What the account may do on whole schemas, as `SHOW GRANTS` says it. Rights on single tables create none and do not count.
#[derive(Debug, Default)]
pub struct Grants {
    /// The scope, a pattern as LIKE has it, and the privileges.
    on: Vec<(String, BTreeSet<String>)>,
    /// Roles are granted, too; what they hold is not looked at.
    pub roles: bool,
}

impl Grants {
    fn read(lines: &[String]) -> Self {
        let mut grants = Self::default();
        for line in lines {
            let Some(rest) = line.strip_prefix("GRANT ") else { continue };
            let Some((list, rest)) = rest.split_once(" ON ") else {
                grants.roles = true;
                continue;
            };
            let Some((scope, _)) = rest.split_once(" TO ") else { continue };
            let Some(schema) = scope.strip_suffix(".*") else { continue };
            let schema = if schema == "*" { "%".to_owned() } else { schema.trim_matches('`').replace("``", "`") };
            grants.on.push((schema, list.split(',').map(|name| name.trim().to_ascii_uppercase()).collect()));
        }
        grants
    }

    pub fn hold(&self, privilege: &str, schema: &str) -> bool {
        let holds = |names: &BTreeSet<String>| names.contains(privilege) || names.contains("ALL PRIVILEGES");
        self.on.iter().any(|(scope, names)| holds(names) && like(scope.as_bytes(), schema.as_bytes()))
    }
}

/// SQL's LIKE, byte for byte: `%` is any run, `_` any one, a backslash takes the next as it is.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'%', rest)) => (0..=text.len()).any(|at| text.get(at..).is_some_and(|tail| like(rest, tail))),
        Some((b'_', rest)) => text.split_first().is_some_and(|(_, tail)| like(rest, tail)),
        Some((b'\\', rest)) if !rest.is_empty() => {
            rest.first() == text.first() && like(rest.get(1..).unwrap_or(&[]), text.get(1..).unwrap_or(&[]))
        }
        Some((byte, rest)) => text.first() == Some(byte) && like(rest, text.get(1..).unwrap_or(&[])),
    }
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
    let detail = format!("max_allowed_packet is {} here, {} on the source", target.max_allowed_packet, source.max_allowed_packet);
    if target.max_allowed_packet < LEAST {
        items.push(Item::fail(
            "target.max_allowed_packet",
            detail,
            format!("at least {LEAST} is needed; raise it to the source's"),
        ));
    } else if target.max_allowed_packet < source.max_allowed_packet {
        items.push(Item::warn(
            "target.max_allowed_packet",
            detail,
            "raise it to the source's: a value larger than it would stop the task",
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
            "GRANT INDEX ON `my\\_shop`.* TO `u`@`%`".to_owned(),
            "GRANT ALTER ON `shop_`.* TO `u`@`%`".to_owned(),
            "GRANT DELETE ON `depot`.`t` TO `u`@`%`".to_owned(),
            "GRANT `writer`@`%` TO `u`@`%`".to_owned(),
        ];
        let grants = Grants::read(&grants);
        assert!(grants.roles);
        assert!(grants.hold("INSERT", "other") && grants.hold("CREATE", "shop") && !grants.hold("CREATE", "other"));
        assert!(grants.hold("INDEX", "my_shop") && !grants.hold("INDEX", "my-shop"), "an escaped underscore is one");
        assert!(grants.hold("ALTER", "shop1") && !grants.hold("ALTER", "shop12") && !grants.hold("DELETE", "depot"));
    }

    #[test]
    fn what_is_missing_is_named_with_its_schema() {
        let everything = "GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`".to_owned();
        let item = privileges(&Grants::read(&[everything]), &BTreeSet::from(["shop"]));
        assert_eq!(item.detail, "missing: SELECT, INSERT, UPDATE, DELETE, CREATE on polarferry.*");
    }
}
