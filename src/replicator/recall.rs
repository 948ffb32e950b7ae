//! After a restart, what the assembler held back is read again: each XA transaction that was prepared, and not decided, at the
//! checkpoint. Why that is enough: see [`crate::stream::hold`].
//!
//! With GTIDs the source is asked for everything but what it has executed, these groups excepted: it sends them, one after the
//! other, from whatever file they are in. Without GTIDs each group is read at its place. It happens before the stream is opened:
//! the source ends an older connection of the same replica when a newer one comes.

use super::Replicator;
use super::voyage::Chart;
use crate::conn::Purpose;
use crate::fault::{Code, Fault};
use crate::model::gtid::GtidSet;
use crate::model::position::Position;
use crate::model::xid::Prepared;
use crate::source::binlog::{self, Start};
use crate::source::{self, facts};
use crate::stream::assemble::Assembler;
use crate::stream::hold::Hold;

/// Reads what is prepared and undecided. Cancel-safe: it changes nothing.
pub async fn recall(replicator: &Replicator, chart: &Chart, position: &Position) -> Result<Hold, Fault> {
    let charter = &replicator.charter;
    let wanted = &chart.prepared;
    let mut assembler = chart.assembler(replicator, Position::default());
    if wanted.is_empty() {
        return Ok(assembler.into_hold());
    }
    tracing::info!(transactions = wanted.len(), "reading prepared XA transactions again");
    if chart.facts.follows_gtids(position) {
        let mut conn = source::connect_to(&charter.source, Purpose::Rows, &chart.facts.uuid).await?;
        let mut known = facts::executed(&mut conn).await?;
        let mut groups = GtidSet::default();
        wanted.iter().for_each(|prepared| groups.union(&prepared.gtids));
        known.subtract(&groups);
        read(replicator, chart, Start::GtidsOnce(known), &mut assembler, wanted).await?;
    } else {
        for prepared in wanted {
            let start = Start::FileOnce(prepared.begins.clone());
            read(replicator, chart, start, &mut assembler, std::slice::from_ref(prepared)).await?;
        }
    }
    Ok(assembler.into_hold())
}

/// Feeds the assembler until it holds all that is wanted.
async fn read(
    replicator: &Replicator,
    chart: &Chart,
    start: Start,
    assembler: &mut Assembler,
    wanted: &[Prepared],
) -> Result<(), Fault> {
    let charter = &replicator.charter;
    let mut reader = binlog::open(&charter.source, &chart.facts.uuid, charter.server_id, &start, &replicator.silences).await?;
    let missing = |assembler: &Assembler| wanted.iter().find(|prepared| !assembler.holds(&prepared.xid)).cloned();
    while let Some(prepared) = missing(assembler) {
        let Some(framed) = reader.next().await? else {
            let detail = format!(
                "the XA transaction {} was prepared at {}, is not decided, and is no longer in the source's binlog",
                prepared.xid, prepared.begins
            );
            return Err(Fault::new(Code::StreamLost, detail));
        };
        assembler.feed(framed)?;
    }
    reader.close().await;
    Ok(())
}
