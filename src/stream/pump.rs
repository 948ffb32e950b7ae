//! The thin shell around the assembler: read, assemble, hand on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::assemble::Assembler;
use crate::fault::{Code, Fault};
use crate::model::change::StreamItem;
use crate::model::event::{Event, Framed};
use crate::model::position::FilePosition;
use crate::observe::Observer;
use crate::observe::metrics::ApplyStage;
use crate::observe::snapshot::Level;
use crate::source::binlog::Reader;

/// Some items of the stream, in order, and what is given back when they are merged.
type Load = (Vec<StreamItem>, Option<OwnedSemaphorePermit>);

/// What flows from the pump to the applier, and what both count.
#[derive(Debug)]
pub struct Lane {
    pub loads: mpsc::Sender<Load>,
    /// Rows that are read and not yet merged: one permit a KiB.
    pub budget: Arc<Semaphore>,
    /// Transactions handed on so far.
    pub received: Arc<AtomicU64>,
    /// The end of the last event that was handed on, or that needed no handing on.
    pub read: watch::Sender<FilePosition>,
}

/// KiB of rows that may wait for the merger.
pub const BUDGET_KIB: usize = 32 * 1024;
/// Loads that may wait: commits are small, so the budget alone would not bound them.
pub const LOADS: usize = 512;
/// What is here already goes on together, up to so many items: waking the merger costs more than most events. Nothing waits for
/// a load to become full.
const LOAD_ITEMS: usize = 64;
const LOAD_KIB: usize = 256;

/// What was read and is not handed on yet.
#[derive(Debug, Default)]
struct Gathered {
    items: Vec<StreamItem>,
    kib: usize,
    commits: u64,
    file: String,
    end: Option<u64>,
}

/// Reads until the connection, the applier or the caller ends. Dropping it loses nothing: the checkpoint decides what is read again.
pub async fn pump(mut reader: Reader, mut assembler: Assembler, lane: Lane, observer: Observer) -> Result<(), Fault> {
    let seconds = &observer.metrics().apply_seconds;
    let (reading, decoding) = (seconds.of(ApplyStage::Read), seconds.of(ApplyStage::Decode));
    let mut gathered = Gathered::default();
    loop {
        let began = Instant::now();
        let framed = tokio::select! {
            biased;
            framed = reader.next() => framed,
            // Nothing more is here: what there is goes on before we wait.
            () = std::future::ready(()), if gathered.end.is_some() => {
                if gathered.hand_on(&lane).await { continue } else { return Ok(()) }
            }
        };
        let read = Instant::now();
        reading.inc_by((read - began).as_secs_f64());
        let fault = match framed {
            Ok(Some(framed)) => gathered.add(framed, &mut assembler, &observer).err(),
            Ok(None) => Some(Fault::new(Code::ConnectionLost(crate::fault::Side::Source), "the source ended the stream")),
            Err(fault) => Some(fault),
        };
        decoding.inc_by(read.elapsed().as_secs_f64());
        if (fault.is_some() || gathered.is_full()) && !gathered.hand_on(&lane).await {
            // The applier has ended and says why.
            return Ok(());
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
}

impl Gathered {
    fn add(&mut self, framed: Framed, assembler: &mut Assembler, observer: &Observer) -> Result<(), Fault> {
        let next_file = if let Event::Rotate(next) = &framed.event { Some(next.file.clone()) } else { None };
        let end = framed.end;
        let item = assembler.feed(framed)?;
        // Not before: what was gathered ends in the old file.
        self.file = next_file.unwrap_or_else(|| std::mem::take(&mut self.file));
        for notice in assembler.take_notices() {
            tracing::warn!(position = %FilePosition { file: self.file.clone(), offset: end }, "{notice}");
            observer.event(Level::Warn, notice);
        }
        if let Some(item) = &item {
            self.commits += u64::from(item.commit().is_some());
            self.kib += match item.weight() {
                0 => 0,
                weight => weight / 1024 + 1,
            };
        }
        self.items.extend(item);
        self.end = Some(end);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.items.len() >= LOAD_ITEMS || self.kib >= LOAD_KIB
    }

    /// False when there is nobody to take it.
    async fn hand_on(&mut self, lane: &Lane) -> bool {
        let Some(end) = self.end.take() else { return true };
        // Counted before the position is shown: whoever sees a position sees the count of all that lies before it.
        lane.received.fetch_add(std::mem::take(&mut self.commits), Ordering::Release);
        lane.read.send_modify(|read| {
            if read.file != self.file {
                read.file.clone_from(&self.file);
            }
            read.offset = end;
        });
        let items = std::mem::take(&mut self.items);
        if items.is_empty() {
            return true;
        }
        let kib = u32::try_from(std::mem::take(&mut self.kib).min(BUDGET_KIB)).unwrap_or(1);
        // The semaphore lives as long as the lane.
        let permit = if kib > 0 { Arc::clone(&lane.budget).acquire_many_owned(kib).await.ok() } else { None };
        lane.loads.send((items, permit)).await.is_ok()
    }
}
