//! Accounts with exactly the rights that a migration has: what passes with them passes for an
//! operator who gives no more.

use super::server::Server;

const SOURCE: &str = "SELECT, REPLICATION SLAVE, REPLICATION CLIENT, SHOW VIEW";

/// What PolarDB gives its privileged account, as far as data and tables go: no SUPER, and none of
/// the dynamic privileges of administrators.
const TARGET: &str = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, \
    CREATE VIEW, SHOW VIEW, TRIGGER, CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT, LOCK TABLES, \
    CREATE TEMPORARY TABLES, RELOAD, PROCESS";

/// The account that a migration reads from: LOCK TABLES only on request.
pub async fn source_account(server: &Server, user: &str, password: &str, lock_tables: bool) {
    let lock_tables = if lock_tables { ", LOCK TABLES" } else { "" };
    create(server, user, password, &format!("{SOURCE}{lock_tables}"), "*.*").await;
}

/// The account that a migration writes with.
pub async fn target_account(server: &Server, user: &str, password: &str) {
    create(server, user, password, TARGET, "*.*").await;
}

/// Names and passwords are the tests' own and hold no quotes.
pub async fn create(server: &Server, user: &str, password: &str, rights: &str, scope: &str) {
    let account = format!("'{user}'@'%'");
    let create = format!("CREATE USER {account} IDENTIFIED BY '{password}'");
    server.exec(format!("{create}; GRANT {rights} ON {scope} TO {account}")).await;
}
