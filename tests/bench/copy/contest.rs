//! One source and one target, and one way after the other between them.

use std::time::{Duration, Instant};

use crate::delay::Proxy;
use crate::ferry::{PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET, USER};
use crate::lab::{Options, Server, Version, checksum_tables, source_account, target_account};
use crate::tables::{DATABASE, Volume, Workload};
use crate::usage;
use crate::ways::{self, Way};

pub struct Contest {
    pub source: Server,
    pub target: Server,
    /// Where the copiers find their source.
    pub to_source: Proxy,
    pub workload: Workload,
    pub scale: f64,
    pub volume: Volume,
}

/// What one way needed.
#[derive(Clone, Debug, Default)]
pub struct Leg {
    pub time: Duration,
    pub source_cpu: Duration,
    pub target_cpu: Duration,
    /// Of polarferry; what the others need is not looked at.
    pub own_cpu: Option<Duration>,
    pub peak_mib: Option<f64>,
    /// The longest that was seen, in seconds.
    pub lag: Option<f64>,
    pub equal: bool,
    /// Why there is no result.
    pub failure: Option<String>,
}

impl Contest {
    pub async fn start(version: Version, workload: Workload, scale: f64) -> Self {
        let large = |options: Options| options.arg("--innodb-buffer-pool-size=1G").arg("--local-infile=ON");
        let source = large(Options::relaxed());
        let target = large(Options::default());
        let (source, target) = tokio::join!(Server::start(version, &source), Server::start(version, &target));
        source_account(&source, USER, PASSWORD_AT_SOURCE, true).await;
        target_account(&target, USER, PASSWORD_AT_TARGET).await;
        let to_source = Proxy::start(source.port()).await;
        let volume = workload.fill(&source, scale).await;
        Self { source, target, to_source, workload, scale, volume }
    }

    pub async fn run(&self, way: Way) -> Leg {
        self.to_source.set_round_trip(self.workload.round_trip());
        let cpu = || (usage::cpu(self.source.process_id()), usage::cpu(self.target.process_id()));
        let (before, began) = (cpu(), Instant::now());
        let outcome = match way {
            Way::Raw => ways::raw(self).await,
            Way::Mysqldump => ways::mysqldump(self).await,
            Way::Mydumper => ways::mydumper(self).await,
            Way::Polarferry => ways::polarferry(self).await,
        };
        let (leg, time) = match outcome {
            Ok((leg, ended)) => (leg, ended - began),
            Err(failure) => (Leg { failure: Some(failure), ..Leg::default() }, began.elapsed()),
        };
        let after = cpu();
        self.to_source.set_round_trip(Duration::ZERO);
        let equal = leg.failure.is_none() && self.is_equal().await;
        self.clear().await;
        Leg { time, source_cpu: after.0 - before.0, target_cpu: after.1 - before.1, equal, ..leg }
    }

    async fn is_equal(&self) -> bool {
        let tables = self.workload.tables();
        let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
        let (source, target) =
            tokio::join!(checksum_tables(&self.source, DATABASE, &tables), checksum_tables(&self.target, DATABASE, &tables));
        source == target
    }

    /// The target is as it was at the beginning.
    async fn clear(&self) {
        self.target.exec(format!("DROP DATABASE IF EXISTS {DATABASE}; DROP DATABASE IF EXISTS polarferry")).await;
        self.target
            .exec(if self.target.version() == Version::V97 { "RESET BINARY LOGS AND GTIDS" } else { "RESET MASTER" })
            .await;
    }
}
