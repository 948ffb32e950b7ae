//! A source, a target, and the accounts that a migration has on them.

use std::time::Instant;

use mysql_async::Row;

use super::scale;
use crate::ferry::{PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET, PATIENCE, Task, USER};
use crate::lab::{Options, POLL, Server, Version, count, source_account, target_account};

/// From which version to which, and whether the source has GTIDs.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub source: Version,
    pub target: Version,
    pub gtid: bool,
}

impl Route {
    pub const V97: Self = Self::between(Version::V97, Version::V97);
    pub const V80: Self = Self::between(Version::V80, Version::V80);
    /// Aurora 2 to PolarDB 8.0.
    pub const V57_TO_V80: Self = Self::between(Version::V57, Version::V80);

    pub const fn between(source: Version, target: Version) -> Self {
        Self { source, target, gtid: true }
    }

    pub const fn without_gtid(self) -> Self {
        Self { gtid: false, ..self }
    }

    /// How the source runs. `ROW` and `FULL` are the default of every version.
    pub fn source_options(self) -> Options {
        Options {
            gtid: self.gtid,
            relaxed: scale::relaxed(),
            // What Aurora does; older versions know nothing else.
            native_foreign_keys: self.source == Version::V97,
            ..Options::default()
        }
    }

    /// PolarDB has its binlog off by default, and it may be on; the same with LOAD DATA LOCAL: one for each.
    pub fn target_options(self) -> Options {
        let options = Options { log_bin: self.gtid, native_foreign_keys: self.target == Version::V97, ..self.source_options() };
        options.arg(format!("--local-infile={}", u8::from(self.gtid)))
    }
}

/// Both servers, running, with the accounts of the README.
pub struct Pair {
    pub source: Server,
    pub target: Server,
}

impl Pair {
    pub async fn start(route: Route) -> Self {
        Self::start_with(route, route.source_options(), false).await
    }

    /// The source's account may also LOCK TABLES, which only keyless tables need.
    pub async fn start_with_locks(route: Route) -> Self {
        Self::start_with(route, route.source_options(), true).await
    }

    pub async fn start_with(route: Route, source: Options, lock_tables: bool) -> Self {
        Self::between(route, source, route.target_options(), lock_tables).await
    }

    pub async fn start_with_target(route: Route, target: Options) -> Self {
        Self::between(route, route.source_options(), target, false).await
    }

    async fn between(route: Route, source: Options, target: Options, lock_tables: bool) -> Self {
        let (source, target) = tokio::join!(Server::start(route.source, &source), Server::start(route.target, &target));
        source_account(&source, USER, PASSWORD_AT_SOURCE, lock_tables).await;
        target_account(&target, USER, PASSWORD_AT_TARGET).await;
        Self { source, target }
    }

    pub fn task(&self, include: &[&str]) -> Task {
        Task::new(&self.source, &self.target, include)
    }

    /// Waits until each of these tables has at least `rows` rows on the source.
    pub async fn wait_rows(&self, database: &str, tables: &[&str], rows: u64) {
        let deadline = Instant::now() + PATIENCE;
        for table in tables {
            while count(&self.source, database, table).await < rows {
                assert!(Instant::now() < deadline, "{database}.{table} stays small");
                tokio::time::sleep(POLL).await;
            }
        }
    }

    /// Waits until `user` has no connection to the source any more, so that all it began there has
    /// ended, one way or the other.
    pub async fn wait_gone(&self, user: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows: Vec<Row> = self.source.query_rows("SHOW PROCESSLIST").await;
            let name = |row: &Row| row.get::<String, _>("User");
            if rows.iter().all(|row| name(row).as_deref() != Some(user)) {
                return;
            }
            assert!(Instant::now() < deadline, "{user} is still connected");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Runs a case on every pair of versions, with GTIDs and without: one test each.
macro_rules! on_every_route {
    ($case:ident) => {
        on_routes! { $case,
            mysql_97_to_97_with_gtid: Route::V97,
            mysql_97_to_97_without_gtid: Route::V97.without_gtid(),
            mysql_80_to_80_with_gtid: Route::V80,
            mysql_80_to_80_without_gtid: Route::V80.without_gtid(),
            mysql_57_to_80_with_gtid: Route::V57_TO_V80,
            mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
        }
    };
}

/// Runs a case on the routes named: one test each.
macro_rules! on_routes {
    ($case:ident, $($name:ident: $route:expr),*) => {
        mod $case {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$case($route).await;
                }
            )*
        }
    };
}
