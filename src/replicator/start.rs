//! The start: prechecks, then either take the task over or begin it.

use std::collections::BTreeSet;

use super::{Replicator, families};
use crate::checkpoint::Checkpoint;
use crate::conn::Purpose;
use crate::fault::{Fault, Side};
use crate::model::phase::Phase;
use crate::model::position::Position;
use crate::model::table::TableName;
use crate::observe::snapshot::{Level, SchemaTotals};
use crate::precheck::{self, Outcome, Wish};
use crate::source::{self, catalog, facts};
use crate::{schema, target};

/// Makes the task ours and returns the epoch that it is ours under.
pub async fn take(replicator: &Replicator) -> Result<u64, Fault> {
    let charter = &replicator.charter;
    // What is down now is waited for, whatever the examination found.
    drop(source::connect(&charter.source, Purpose::Catalog).await?);
    let wish =
        Wish { task: &charter.task, server_id: charter.server_id, selection: &charter.selection, migrate: charter.migrate };
    let connecting = target::connect(&charter.target, Purpose::Catalog);
    let (conn, items) = tokio::join!(connecting, precheck::examine(&charter.source, &charter.target, &wish));
    let mut conn = conn?;
    for item in &items {
        match item.outcome {
            Outcome::Pass => tracing::debug!(item = item.name, detail = item.detail, "precheck passed"),
            Outcome::Warn => tracing::warn!(item = item.name, detail = item.detail, remedy = item.remedy, "precheck"),
            Outcome::Fail => tracing::info!(item = item.name, detail = item.detail, remedy = item.remedy, "precheck failed"),
        }
    }
    if let Some(fault) = precheck::fault(&items) {
        return Err(fault);
    }
    target::state::create(&mut conn).await?;
    target::session::end_others(&mut conn, &charter.task).await?;
    let checkpoint = match target::state::take_over(&mut conn, &charter.task).await? {
        Some(checkpoint) => {
            tracing::info!(position = %checkpoint.position, epoch = checkpoint.epoch, "resuming");
            replicator.enter(checkpoint.phase);
            checkpoint
        }
        None => begin(replicator, &mut conn).await?,
    };
    neighbours(replicator, target::state::carried(&mut conn, &charter.task).await?);
    Ok(checkpoint.epoch)
}

/// Tasks that share a target share its capacity, and each has retry windows of its own: so each says whom it shares with. (Tables that
/// two of them carry are a matter for the precheck.)
fn neighbours(replicator: &Replicator, others: Vec<(String, TableName)>) {
    let names: BTreeSet<String> = others.into_iter().map(|(task, _)| task).collect();
    let names: Vec<String> = names.into_iter().collect();
    if !names.is_empty() {
        let detail = format!("other tasks keep their state on this target, too: {}", names.join(", "));
        tracing::info!("{detail}");
        replicator.observer.event(Level::Info, detail);
    }
    replicator.observer.update(|snapshot| snapshot.neighbours = names);
}

/// A new task: position first, then the schema, then the checkpoint.
async fn begin(replicator: &Replicator, conn: &mut target::Conn) -> Result<Checkpoint, Fault> {
    let charter = &replicator.charter;
    let mut source = source::connect(&charter.source, Purpose::Catalog).await?;
    let facts = facts::read(Side::Source, &mut source).await?;
    let mut position = if charter.migrate.stream() { facts::position(&facts, &mut source).await? } else { Position::default() };
    if facts.has_gtids() {
        // What is executed is visible; the end of the binary log may not be, yet.
        position.gtids = facts::executed(&mut source).await?;
    } else {
        position.gtids = Default::default();
    }
    let names: Vec<TableName> =
        catalog::list(Side::Source, &mut source, &charter.selection).await?.into_iter().map(|listed| listed.name).collect();
    replicator.enter(Phase::Schema);
    if charter.migrate.schema() {
        create(replicator, &mut source, conn, &names).await?;
    }
    let theirs = schema::describe(Side::Source, &mut source, &names).await?;
    let ours = schema::describe(Side::Target, conn, &names).await?;
    schema::compare(&theirs, &ours)?;
    if charter.migrate.copy() {
        schema::join(conn, &names, || replicator.observer.update(|_| ())).await?;
    }
    if charter.migrate.stream() {
        families::keys(&mut source, conn).await?.compare(&mut source, &names).await?;
    }
    let checkpoint = Checkpoint {
        epoch: 1,
        sequence: 0,
        phase: Phase::Copy,
        source_uuid: facts.uuid.clone(),
        position,
        committed_at_micros: 0,
    };
    target::state::begin(conn, &charter.task, &checkpoint, &names).await?;
    replicator.enter(checkpoint.phase);
    tracing::info!(position = %checkpoint.position, tables = names.len(), "a new task begins");
    Ok(checkpoint)
}

/// Each table takes the target some milliseconds, and there may be many thousands.
async fn create(
    replicator: &Replicator,
    source: &mut source::Conn,
    target: &mut target::Conn,
    names: &[TableName],
) -> Result<(), Fault> {
    let show = |created: usize| {
        let schema = SchemaTotals { tables: names.len() as u64, created: created as u64 };
        replicator.observer.update(|snapshot| snapshot.schema = schema);
    };
    show(0);
    schema::create(source, target, names, show).await
}
