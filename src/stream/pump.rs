//! The thin shell around the assembler: read, assemble, hand on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc, watch};

use super::assemble::Assembler;
use crate::fault::{Code, Fault};
use crate::model::change::StreamItem;
use crate::model::event::Event;
use crate::model::position::FilePosition;
use crate::observe::Observer;
use crate::observe::metrics::ApplyStage;
use crate::observe::snapshot::Level;
use crate::source::binlog::Reader;

/// What flows from the pump to the applier, and what both count.
#[derive(Debug)]
pub struct Lane {
    pub items: mpsc::Sender<(StreamItem, Option<tokio::sync::OwnedSemaphorePermit>)>,
    /// Bytes of events that are read and not yet merged: one permit a KiB.
    pub budget: Arc<Semaphore>,
    /// Transactions handed on so far.
    pub received: Arc<AtomicU64>,
    /// The end of the last event read.
    pub read: watch::Sender<FilePosition>,
}

/// KiB of events that may wait for the merger.
pub const BUDGET_KIB: usize = 32 * 1024;
/// Items that may wait: commits are small, so the budget alone would not bound them.
pub const ITEMS: usize = 20_000;

/// Reads until the connection, the applier or the caller ends. Dropping it loses nothing: the checkpoint decides what is read again.
pub async fn pump(mut reader: Reader, mut assembler: Assembler, lane: Lane, observer: Observer) -> Result<(), Fault> {
    let mut file = String::new();
    let seconds = &observer.metrics().apply_seconds;
    let (reading, decoding) = (seconds.of(ApplyStage::Read), seconds.of(ApplyStage::Decode));
    loop {
        let began = Instant::now();
        let next = reader.next().await?;
        let read = Instant::now();
        reading.inc_by((read - began).as_secs_f64());
        let Some(framed) = next else {
            return Err(Fault::new(Code::ConnectionLost(crate::fault::Side::Source), "the source ended the stream"));
        };
        if let Event::Rotate(next) = &framed.event {
            file.clone_from(&next.file);
        }
        let end = FilePosition { file: file.clone(), offset: framed.end };
        let item = assembler.feed(framed)?;
        decoding.inc_by(read.elapsed().as_secs_f64());
        for notice in assembler.take_notices() {
            tracing::warn!(position = %end, "{notice}");
            observer.event(Level::Warn, notice);
        }
        if item.as_ref().is_some_and(|item| item.commit().is_some()) {
            // Counted before the position is shown: whoever sees a position sees the count of all that lies before it.
            lane.received.fetch_add(1, Ordering::Release);
        }
        lane.read.send_replace(end);
        let Some(item) = item else { continue };
        let permit = match item.bytes() {
            0 => None,
            bytes => {
                let kib = u32::try_from((bytes / 1024 + 1).min(BUDGET_KIB)).unwrap_or(1);
                // The semaphore lives as long as the lane.
                Arc::clone(&lane.budget).acquire_many_owned(kib).await.ok()
            }
        };
        if lane.items.send((item, permit)).await.is_err() {
            // The applier has ended and says why.
            return Ok(());
        }
    }
}
