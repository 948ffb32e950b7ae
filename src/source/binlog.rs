//! The binlog client: the one file that names it. Events come out framed, with their checksum verified, in our words.
//!
//! `mysql_async` registers us as a replica, joins packets over 16 MiB and inflates compressed transactions. What it does not
//! decide is decided here:
//! * An event of a type that we do not know, and that the server does not mark as ignorable, is [`Event::Unsupported`]: the stream
//!   stops there. So is a compressed transaction that cannot be read (the client would go on in silence).
//! * A connection that is silent for longer than three heartbeats is dead, whatever the kernel thinks of it.
//! * `end` is the 64-bit offset after the event; the wire has 32 bits of it, so a wrap is counted.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mysql_async::binlog::EventType;
use mysql_async::binlog::events::{Event as WireEvent, EventData, RowsEventData, TableMapEvent};
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest, GnoInterval, Sid};

use crate::conn::{Endpoint, Purpose, diagnose};
use crate::fault::{Code, Fault, Side};
use crate::model::event::{Event, Framed, RowsEvent, RowsKind};
use crate::model::gtid::{Gtid, GtidSet, Origin};
use crate::model::image::{ImageError, Layout, Wire};
use crate::model::position::FilePosition;
use crate::model::table::TableName;

/// The source sends a sign of life this often when nothing happens.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Events of this flag may be skipped by who does not know them (LOG_EVENT_IGNORABLE_F).
const IGNORABLE: u16 = 0x80;
/// LOG_EVENT_ARTIFICIAL_F: made up for us, not in the file.
const ARTIFICIAL: u16 = 0x20;
/// HEARTBEAT_LOG_EVENT_V2, which the client's table of types leaves out.
const HEARTBEAT_V2: u8 = 0x29;

/// Where the stream begins.
#[derive(Debug, Clone)]
pub enum Start {
    /// Everything that is not in this set.
    Gtids(GtidSet),
    /// Right at this position.
    File(FilePosition),
    /// From this position to the present end, then the stream ends.
    FileOnce(FilePosition),
}

/// An open stream.
pub struct Reader {
    stream: BinlogStream,
    /// The last offset seen, with its high half.
    end: u64,
}

fn sids(set: &GtidSet) -> Vec<Sid<'static>> {
    let mut sids: Vec<Sid<'static>> = Vec::new();
    for (origin, ranges) in set.iter().filter(|(origin, _)| origin.tag.is_empty()) {
        let mut sid = Sid::new(origin.uuid);
        for range in ranges {
            sid = sid.with_interval(GnoInterval::new(range.start, range.end));
        }
        sids.push(sid);
    }
    sids
}

/// Who we are among the replicas ("polarferry" and the server id). With it the source ends a former connection of ours when we come
/// back, and its list of replicas is well-formed (5.7 and 8.0 leave a column out of the row of a replica without one).
fn replica_uuid(server_id: u32) -> String {
    format!("706f6c61-7266-6572-7279-0000{server_id:08x}")
}

/// Registers at the source and asks for its binlog.
pub async fn open(endpoint: &Endpoint, server_id: u32, start: &Start) -> Result<Reader, Fault> {
    let mut conn = super::connect(endpoint, Purpose::Rows).await?;
    // 8.0.26 renamed the variable; a server reads the one that it knows.
    let period = HEARTBEAT.as_nanos();
    let uuid = replica_uuid(server_id);
    conn.query_drop(format!(
        "SET @master_heartbeat_period={period}, @source_heartbeat_period={period}, @slave_uuid='{uuid}', @replica_uuid='{uuid}'"
    ))
    .await
    .map_err(|error| diagnose(Side::Source, &error))?;
    let request = BinlogStreamRequest::new(server_id);
    let (request, from) = match start {
        Start::Gtids(set) => {
            if set.iter().any(|(origin, _)| !origin.tag.is_empty()) {
                let detail = "the source's GTIDs carry tags, which this version cannot ask for";
                return Err(Fault::new(Code::TransactionUnsupported, detail));
            }
            (request.with_gtid().with_gtid_set(sids(set)), 0)
        }
        Start::File(position) | Start::FileOnce(position) => {
            if position.offset > u64::from(u32::MAX) {
                let detail = format!("{position} lies beyond 4 GiB of its file, which the protocol can only reach with GTIDs");
                return Err(Fault::new(Code::StreamLost, detail));
            }
            let request = request.with_filename(position.file.as_bytes()).with_pos(position.offset);
            let once = matches!(start, Start::FileOnce(_));
            (if once { request.with_non_blocking() } else { request }, position.offset)
        }
    };
    let stream = conn.get_binlog_stream(request).await.map_err(|error| diagnose(Side::Source, &error))?;
    Ok(Reader { stream, end: from })
}

impl Reader {
    /// The next event; `None` only at the end of a [`Start::FileOnce`] stream. Dropping the future loses no event.
    pub async fn next(&mut self) -> Result<Option<Framed>, Fault> {
        let item = tokio::time::timeout(HEARTBEAT * 3, self.stream.next())
            .await
            .map_err(|_| Fault::new(Code::ConnectionLost(Side::Source), "no event and no heartbeat within 15 s"))?;
        let Some(item) = item else { return Ok(None) };
        let event = item.map_err(|error| match error {
            mysql_async::Error::Io(mysql_async::IoError::Io(io)) if io.kind() == std::io::ErrorKind::InvalidData => {
                Fault::new(Code::EventDamaged, io.to_string())
            }
            other => diagnose(Side::Source, &other),
        })?;
        self.frame(&event).map(Some)
    }

    pub async fn close(self) {
        // The session ends either way.
        let _ = self.stream.close().await;
    }

    fn frame(&mut self, event: &WireEvent) -> Result<Framed, Fault> {
        let header = event.header();
        let artificial = header.flags_raw() & ARTIFICIAL != 0;
        let low = u64::from(header.log_pos());
        let translated = self.translate(event)?;
        match &translated {
            Event::Rotate(position) => self.end = position.offset,
            // Events inside a compressed transaction, and made-up ones, have no offset of their own.
            _ if artificial || low == 0 => {}
            _ => {
                let high = self.end & !0xffff_ffff;
                let wrapped = low < (self.end & 0xffff_ffff) && (self.end & 0xffff_ffff) - low > u64::from(u32::MAX / 2);
                self.end = high + low + if wrapped { 1 << 32 } else { 0 };
            }
        }
        Ok(Framed { event: translated, end: self.end, timestamp: header.timestamp(), bytes: header.event_size() as usize })
    }

    fn translate(&self, event: &WireEvent) -> Result<Event, Fault> {
        let header = event.header();
        let Ok(kind) = header.event_type() else {
            let raw = header.event_type_raw();
            return Ok(match raw {
                HEARTBEAT_V2 => Event::Heartbeat,
                _ if header.flags_raw() & IGNORABLE != 0 => Event::Nothing,
                _ => Event::Unsupported(format!("event type {raw}")),
            });
        };
        // Heartbeats and the first events of a connection are made up on the way; all others carry the file's checksum.
        if !matches!(kind, EventType::ROTATE_EVENT | EventType::FORMAT_DESCRIPTION_EVENT | EventType::HEARTBEAT_EVENT) {
            verify_checksum(event)?;
        }
        let data = event.read_data().map_err(|error| Fault::new(Code::EventDamaged, format!("{kind:?}: {error}")))?;
        let Some(data) = data else { return Ok(Event::Unsupported(format!("{kind:?}"))) };
        Ok(match data {
            EventData::RotateEvent(rotate) => {
                Event::Rotate(FilePosition { file: rotate.name().into_owned(), offset: rotate.position() })
            }
            EventData::GtidEvent(gtid) => Event::Begin {
                gtid: Some(Gtid {
                    origin: Origin { uuid: gtid.sid(), tag: gtid.tag().map(|tag| tag.as_str().to_owned()).unwrap_or_default() },
                    number: gtid.gno(),
                }),
                at_micros: Some(gtid.immediate_commit_timestamp()).filter(|at| *at > 0),
            },
            EventData::AnonymousGtidEvent(anonymous) => {
                Event::Begin { gtid: None, at_micros: Some(anonymous.0.immediate_commit_timestamp()).filter(|at| *at > 0) }
            }
            EventData::TableMapEvent(map) => Event::TableMap {
                id: map.table_id(),
                name: TableName::new(map.database_name(), map.table_name()),
                layout: layout(&map),
            },
            EventData::RowsEvent(rows) => rows_event(&rows),
            EventData::QueryEvent(query) => Event::Query { schema: query.schema().into_owned(), sql: query.query().into_owned() },
            EventData::XidEvent(_) => Event::Commit,
            EventData::HeartbeatEvent => Event::Heartbeat,
            // The transactions inside follow as events of their own; reading it here proves that they can be.
            EventData::TransactionPayloadEvent(_)
            | EventData::FormatDescriptionEvent(_)
            | EventData::PreviousGtidsEvent(_)
            | EventData::RowsQueryEvent(_)
            | EventData::IgnorableEvent(_)
            | EventData::StopEvent
            | EventData::IntvarEvent(_)
            | EventData::RandEvent(_)
            | EventData::UserVarEvent(_) => Event::Nothing,
            EventData::IncidentEvent(_) => Event::Unsupported("an incident: the source lost events".to_owned()),
            _ => Event::Unsupported(format!("{kind:?}")),
        })
    }
}

fn verify_checksum(event: &WireEvent) -> Result<(), Fault> {
    let algorithm = event.footer().get_checksum_alg().ok().flatten();
    let (Some(algorithm), Some(stored)) = (algorithm, event.checksum()) else { return Ok(()) };
    if algorithm == mysql_async::binlog::BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32
        && event.calc_checksum(algorithm) != u32::from_le_bytes(stored)
    {
        return Err(Fault::new(Code::EventDamaged, "the event's CRC32 does not match its bytes"));
    }
    Ok(())
}

fn layout(map: &TableMapEvent<'_>) -> Result<Arc<Layout>, ImageError> {
    let count = usize::try_from(map.columns_count()).unwrap_or(usize::MAX).min(4096);
    let mut columns = Vec::with_capacity(count);
    for index in 0..count {
        // The raw byte: the client's own reading of it folds string types.
        let kind = match map.get_raw_column_type(index) {
            Ok(Some(kind)) => kind as u8,
            Ok(None) => return Err(ImageError::Short(index)),
            Err(unknown) => return Err(ImageError::UnknownType(unknown.0)),
        };
        columns.push(Wire::parse(kind, map.get_column_metadata(index).unwrap_or(&[]))?);
    }
    Ok(Arc::new(Layout::new(columns)))
}

fn rows_event(rows: &RowsEventData<'_>) -> Event {
    let kind = match rows {
        RowsEventData::WriteRowsEventV1(_) | RowsEventData::WriteRowsEvent(_) => RowsKind::Insert,
        RowsEventData::UpdateRowsEventV1(_) | RowsEventData::UpdateRowsEvent(_) => RowsKind::Update,
        RowsEventData::DeleteRowsEventV1(_) | RowsEventData::DeleteRowsEvent(_) => RowsKind::Delete,
        RowsEventData::PartialUpdateRowsEvent(_) => return Event::Unsupported("a partial JSON update".to_owned()),
    };
    let columns = usize::try_from(rows.num_columns()).unwrap_or(usize::MAX);
    let all = |count: Option<usize>| count.is_none_or(|ones| ones == columns);
    let full = all(rows.columns_before_image().map(|bits| bits.count_ones()))
        && all(rows.columns_after_image().map(|bits| bits.count_ones()));
    Event::Rows(RowsEvent { table_id: rows.table_id(), kind, full, data: Arc::from(rows.rows_data()) })
}
