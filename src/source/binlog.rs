//! The binlog client: the one file that names it. Events come out framed, with their checksum verified, in our words.
//!
//! `mysql_async` registers us as a replica, joins packets over 16 MiB and inflates compressed transactions. What it does not
//! decide is decided here:
//! * An event of a type that we do not know, and that the server does not mark as ignorable, is [`Event::Unsupported`]: the stream
//!   stops there.
//! * Every event's checksum is verified before its type is believed, heartbeats and rotations included: one flipped bit turns an
//!   update into a heartbeat, and a heartbeat changes no row. Only what lies inside a compressed transaction has none of its own;
//!   the one around it covers it.
//! * A compressed transaction that cannot be inflated to the size that it names stops the stream (the client would go on in silence,
//!   without its rows).
//! * A connection that is silent for longer than two heartbeats is dead, whatever the kernel thinks of it; at a place where that has
//!   happened before it is given more time ([`Silences`]).
//! * `end` is the 64-bit offset after the event; the wire has 32 bits of it: see [`super::offset`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use mysql_async::binlog::events::{Event as WireEvent, EventData, QueryEvent, RowsEventData, TransactionPayloadEvent};
use mysql_async::binlog::{BinlogChecksumAlg, EventType, RowsEventFlags, StatusVarKey, TransactionPayloadCompressionType};
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest, GnoInterval, Sid};

use super::maps::Maps;
use super::offset::{self, Passed, Skip};
use crate::conn::{Endpoint, Purpose, diagnose};
use crate::fault::{Code, Fault, Side};
use crate::model::event::{Event, Framed, RowsEvent, RowsKind};
use crate::model::gtid::{Gtid, GtidSet, Origin};
use crate::model::position::FilePosition;
use crate::model::xid::XaEnd;

/// The source sends a sign of life this often when nothing happens.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// A source that is silent for two of them is gone, whatever the connection says: its host may have vanished without a word.
const SILENCE: Duration = HEARTBEAT.saturating_mul(2);
/// Five minutes: enough for an event of a gigabyte at 30 Mbit/s. That nobody is there any more is then noticed by the other sessions.
const MOST_DOUBLINGS: u32 = 5;
/// Events of this flag may be skipped by who does not know them (LOG_EVENT_IGNORABLE_F).
const IGNORABLE: u16 = 0x80;
/// LOG_EVENT_ARTIFICIAL_F: made up for us, not in the file.
const ARTIFICIAL: u16 = 0x20;
/// The first event of every file.
pub const FILE_START: u64 = 4;
/// HEARTBEAT_LOG_EVENT_V2, which the client's table of types leaves out.
const HEARTBEAT_V2: u8 = 0x29;

/// Where the stream begins.
#[derive(Debug, Clone)]
pub enum Start {
    /// Everything that is not in this set.
    Gtids(GtidSet),
    /// The same, up to the present end, then the stream ends.
    GtidsOnce(GtidSet),
    /// Right at this position.
    File(FilePosition),
    /// From this position to the present end, then the stream ends.
    FileOnce(FilePosition),
}

/// How long a stream is waited for. There is no sign of life while a large event is on its way, and a server may have to open many
/// files to find the first: so at a place where a stream has gone silent, the next one is waited for twice as long.
#[derive(Debug, Default)]
pub struct Silences(Mutex<Option<Stuck>>);

/// Where a stream has gone silent, and how often in a row.
#[derive(Debug, Clone)]
struct Stuck {
    file: String,
    end: u64,
    times: u32,
}

impl Stuck {
    /// Whether a stream that has read this far has not passed the place. Names are compared as text: a wrong answer costs patience, no
    /// event.
    fn is_ahead_of(&self, file: &str, end: u64) -> bool {
        file.is_empty() || (file, end) <= (self.file.as_str(), self.end)
    }

    fn patience(&self) -> Duration {
        SILENCE.saturating_mul(1 << self.times.min(MOST_DOUBLINGS))
    }
}

impl Silences {
    fn look(&self) -> Option<Stuck> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The source has nothing to send: no event was on its way.
    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn note(&self, file: &str, end: u64) {
        let mut stuck = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = stuck.as_ref().filter(|stuck| stuck.file == file && stuck.end == end).map_or(0, |stuck| stuck.times);
        *stuck = Some(Stuck { file: file.to_owned(), end, times: times + 1 });
    }
}

/// An open stream.
pub struct Reader {
    stream: BinlogStream,
    file: String,
    /// The last offset seen in it, with its high half.
    end: u64,
    skip: Option<Skip>,
    silences: Arc<Silences>,
    /// Where the last one has gone silent, until this one has passed that place.
    stuck: Option<Stuck>,
    /// Signs of life in a row.
    beats: u32,
    maps: Maps,
}

/// The set as the request has it. Tags (8.3 and newer) are sources of their own there, too.
fn sids(set: &GtidSet) -> Result<Vec<Sid<'static>>, Fault> {
    let mut sids: Vec<Sid<'static>> = Vec::new();
    for (origin, ranges) in set.iter() {
        let intervals = ranges.iter().map(|range| GnoInterval::new(range.start, range.end)).collect();
        let sid = Sid::new(origin.uuid).with_intervals(intervals);
        sids.push(match origin.tag.as_str() {
            "" => sid,
            tag => sid.with_tag(tag.to_owned().try_into().map_err(|_| {
                Fault::new(Code::TransactionUnsupported, format!("the GTID tag {tag:?} is none that a server could have given"))
            })?),
        });
    }
    Ok(sids)
}

/// Who we are among the replicas ("polarferry" and the server id). With it the source ends a former connection of ours when we come
/// back, and its list of replicas is well-formed (5.7 and 8.0 leave a column out of the row of a replica without one).
pub fn replica_uuid(server_id: u32) -> String {
    format!("706f6c61-7266-6572-7279-0000{server_id:08x}")
}

/// Registers at the server `uuid` and asks for its binlog.
pub async fn open(
    endpoint: &Endpoint,
    uuid: &str,
    server_id: u32,
    start: &Start,
    silences: &Arc<Silences>,
) -> Result<Reader, Fault> {
    let mut conn = super::connect_to(endpoint, Purpose::Rows, uuid).await?;
    // 8.0.26 renamed the variable; a server reads the one that it knows.
    let period = HEARTBEAT.as_nanos();
    let ours = replica_uuid(server_id);
    conn.query_drop(format!(
        "SET @master_heartbeat_period={period}, @source_heartbeat_period={period}, @slave_uuid='{ours}', @replica_uuid='{ours}'"
    ))
    .await
    .map_err(|error| diagnose(Side::Source, &error))?;
    let request = BinlogStreamRequest::new(server_id);
    let once = matches!(start, Start::GtidsOnce(_) | Start::FileOnce(_));
    let request = if once { request.with_non_blocking() } else { request };
    let (request, end, skip) = match start {
        Start::Gtids(set) | Start::GtidsOnce(set) => (request.with_gtid().with_gtid_set(sids(set)?), 0, None),
        Start::File(position) | Start::FileOnce(position) => {
            let request = request.with_filename(position.file.as_bytes());
            if position.offset > u64::from(u32::MAX) {
                (request.with_pos(FILE_START), FILE_START, Some(Skip::new(position.clone())))
            } else {
                (request.with_pos(position.offset), position.offset, None)
            }
        }
    };
    let stream = conn.get_binlog_stream(request).await.map_err(|error| diagnose(Side::Source, &error))?;
    let (silences, stuck) = (Arc::clone(silences), silences.look());
    Ok(Reader { stream, file: String::new(), end, skip, silences, stuck, beats: 0, maps: Maps::default() })
}

/// What the client's framing says of a connection that ends inside a packet: of an event that is damaged, it says more.
const CUT_SHORT: &str = "bytes remaining on stream";

/// What the client fails with over bytes that are no event is damage; it reports it as it reports a broken connection.
fn failure(error: &mysql_async::Error) -> Fault {
    use std::io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    if let mysql_async::Error::Io(mysql_async::IoError::Io(io)) = error {
        let unreadable = match io.kind() {
            Other if io.to_string() == CUT_SHORT => false,
            // A TLS record that fails its own check is the connection's.
            InvalidData | InvalidInput | Other => !io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()),
            // So the client says that an event is too short; a connection that ends is of the same kind.
            UnexpectedEof => io.to_string().starts_with("can't parse"),
            _ => false,
        };
        if unreadable {
            return Fault::new(Code::EventDamaged, io.to_string());
        }
    }
    diagnose(Side::Source, error)
}

impl Reader {
    /// The next event; `None` only at the end of a stream that was opened to end. Dropping the future loses no event.
    pub async fn next(&mut self) -> Result<Option<Framed>, Fault> {
        loop {
            let patience = self.patience();
            let Ok(item) = tokio::time::timeout(patience, self.stream.next()).await else {
                self.silences.note(&self.file, self.end);
                let detail = format!("no heartbeat and no whole event within {patience:?}");
                return Err(Fault::new(Code::ConnectionLost(Side::Source), detail));
            };
            let Some(item) = item else {
                return match &self.skip {
                    Some(skip) => Err(out_of_reach(skip)),
                    None => Ok(None),
                };
            };
            let event = item.map_err(|error| self.placed(failure(&error)))?;
            let framed = self.frame(&event).map_err(|fault| self.placed(fault))?;
            self.listen(&framed);
            if let Some(framed) = self.wanted(framed)? {
                return Ok(Some(framed));
            }
        }
    }

    /// Two signs of life with nothing between them: the source has nothing to send. A single one may also come right before an event, when
    /// transactions were passed over that we have.
    fn listen(&mut self, framed: &Framed) {
        self.beats = if matches!(framed.event, Event::Heartbeat) { self.beats + 1 } else { 0 };
        if self.beats >= 2 && self.stuck.take().is_some() {
            self.silences.forget();
        }
    }

    /// How long to wait for the next event.
    fn patience(&mut self) -> Duration {
        self.stuck = self.stuck.take().filter(|stuck| stuck.is_ahead_of(&self.file, self.end));
        self.stuck.as_ref().map_or(SILENCE, Stuck::patience)
    }

    /// Where an event begins that cannot be read. A lost connection is at no place.
    fn placed(&self, fault: Fault) -> Fault {
        match fault.code {
            Code::EventDamaged => fault.at(format!("{}:{}", self.file, self.end)),
            _ => fault,
        }
    }

    pub async fn close(self) {
        // The session ends either way.
        let _ = self.stream.close().await;
    }

    fn frame(&mut self, event: &WireEvent) -> Result<Framed, Fault> {
        let header = event.header();
        let artificial = header.flags_raw() & ARTIFICIAL != 0;
        // Inside a compressed transaction: it has no offset of its own.
        let inner = !event.footer().get_checksum_enabled();
        let (low, size) = (header.log_pos(), header.event_size());
        let translated = self.translate(event)?;
        let next = offset::after_event(self.end, low, size);
        self.end = match &translated {
            Event::Rotate(position) => {
                self.file.clone_from(&position.file);
                position.offset
            }
            _ if artificial || inner => self.end,
            Event::Heartbeat if low != 0 => offset::after_heartbeat(self.end, low),
            // The format description that opens a connection inside a file names no place.
            _ if low == 0 && next != self.end + u64::from(size) => self.end,
            _ => next,
        };
        Ok(Framed { event: translated, end: self.end, timestamp: header.timestamp(), bytes: size as usize })
    }

    /// Leaves out what lies before the place where the stream is to begin.
    fn wanted(&mut self, framed: Framed) -> Result<Option<Framed>, Fault> {
        let Some(skip) = &self.skip else { return Ok(Some(framed)) };
        let upto = skip.upto().clone();
        match &framed.event {
            // Made up, when the connection opens: it names the place that we asked for, the start of the file.
            Event::Rotate(next) if next.file == upto.file => {
                let end = upto.offset;
                Ok(Some(Framed { event: Event::Rotate(upto), end, ..framed }))
            }
            Event::Rotate(_) => Err(out_of_reach(skip)),
            Event::Heartbeat => Ok(Some(Framed { end: upto.offset, ..framed })),
            _ => match skip.event(framed.end) {
                Passed::LeftOut => Ok(None),
                Passed::Arrived => {
                    self.skip = None;
                    Ok(None)
                }
                Passed::Missed => Err(out_of_reach(skip)),
            },
        }
    }

    fn translate(&mut self, event: &WireEvent) -> Result<Event, Fault> {
        let header = event.header();
        verify_checksum(event)?;
        let Ok(kind) = header.event_type() else {
            let raw = header.event_type_raw();
            return Ok(match raw {
                HEARTBEAT_V2 => Event::Heartbeat,
                _ if header.flags_raw() & IGNORABLE != 0 => Event::Nothing,
                _ => Event::Unsupported(format!("event type {raw}")),
            });
        };
        if kind == EventType::TABLE_MAP_EVENT
            && let Some(known) = self.maps.known(event.data())
        {
            return Ok(known);
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
            EventData::TableMapEvent(map) => self.maps.read(event.data(), &map),
            EventData::RowsEvent(rows) => rows_event(&rows),
            EventData::QueryEvent(query) => statement(&query),
            EventData::XidEvent(_) => Event::Commit,
            EventData::HeartbeatEvent => Event::Heartbeat,
            EventData::XaPrepareLogEvent(body) => {
                let end = XaEnd::decode(&body);
                Event::XaPrepare(
                    end.ok_or_else(|| Fault::new(Code::EventDamaged, "the end of an XA group names no transaction"))?,
                )
            }
            // In statement format: the file that was loaded, piece by piece, and then the statement.
            EventData::ExecuteLoadQueryEvent(load) => {
                Event::Query { schema: load.schema().into_owned(), sql: load.query().into_owned() }
            }
            EventData::BeginLoadQueryEvent(_) | EventData::AppendBlockEvent(_) | EventData::DeleteFileEvent(_) => Event::Nothing,
            // The events inside follow as events of their own.
            EventData::TransactionPayloadEvent(payload) => {
                inflate(&payload)?;
                Event::Nothing
            }
            EventData::FormatDescriptionEvent(_)
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

fn statement(query: &QueryEvent<'_>) -> Event {
    let sql = query.query().into_owned();
    // Every statement of a client that changes rows names the databases that it has reached, since 5.6 (WL#4648).
    let by_client = query.status_vars().get_status_var(StatusVarKey::UpdatedDbNames).is_some();
    Event::Query { schema: query.schema().into_owned(), sql: if by_client { sql } else { emptied(sql) } }
}

/// When a server opens a MEMORY table for the first time after its start, it logs that the table is empty; no trigger fires. Before
/// 8.0.22 it writes a DELETE of all rows, which names no databases; newer ones write what this returns.
fn emptied(sql: String) -> String {
    match sql.strip_prefix("DELETE FROM `") {
        Some(name) => format!("TRUNCATE TABLE `{name}"),
        None => sql,
    }
}

fn out_of_reach(skip: &Skip) -> Fault {
    Fault::new(Code::StreamLost, format!("no event of the file ends at {}", skip.upto()))
}

fn verify_checksum(event: &WireEvent) -> Result<(), Fault> {
    // Events inside a compressed transaction have none: the checksum of the whole was verified before (WL#3549).
    let algorithm = event.footer().get_checksum_alg();
    let algorithm = algorithm.map_err(|_| Fault::new(Code::EventUnknown, "the events' checksums are of an unknown kind"))?;
    let (Some(algorithm), Some(stored)) = (algorithm, event.checksum()) else { return Ok(()) };
    if !event.footer().get_checksum_enabled() || algorithm != BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32 {
        return Ok(());
    }
    if event.calc_checksum(algorithm) != u32::from_le_bytes(stored) {
        return Err(Fault::new(Code::EventDamaged, "the event's CRC32 does not match its bytes"));
    }
    Ok(())
}

/// Proves that a compressed transaction can be read to its end.
fn inflate(payload: &TransactionPayloadEvent<'_>) -> Result<(), Fault> {
    let named = match payload.algorithm() {
        TransactionPayloadCompressionType::NONE => return Ok(()),
        TransactionPayloadCompressionType::ZSTD => payload.uncompressed_size(),
    };
    let inflated = payload.decompressed().and_then(|mut bytes| std::io::copy(&mut bytes, &mut std::io::sink()));
    if inflated.as_ref().is_ok_and(|size| *size == named) {
        return Ok(());
    }
    Err(Fault::new(Code::EventDamaged, "a compressed transaction does not inflate to the size that it names"))
}

fn rows_event(rows: &RowsEventData<'_>) -> Event {
    let kind = match rows {
        RowsEventData::WriteRowsEventV1(_) | RowsEventData::WriteRowsEvent(_) => RowsKind::Insert,
        RowsEventData::UpdateRowsEventV1(_) | RowsEventData::UpdateRowsEvent(_) => RowsKind::Update,
        RowsEventData::DeleteRowsEventV1(_) | RowsEventData::DeleteRowsEvent(_) => RowsKind::Delete,
        RowsEventData::PartialUpdateRowsEvent(_) => RowsKind::PartialUpdate,
    };
    // Without gaps, the bits that are set are the first ones.
    let first = |ones: usize, leading: usize| (ones == leading).then_some(ones);
    let before = rows.columns_before_image().map(|bits| first(bits.count_ones(), bits.leading_ones()));
    let after = rows.columns_after_image().map(|bits| first(bits.count_ones(), bits.leading_ones()));
    let columns = match (before, after) {
        (Some(before), Some(after)) if before == after => before,
        (Some(one), None) | (None, Some(one)) => one,
        (Some(_), Some(_)) | (None, None) => None,
    };
    let keys_act = !rows.flags().contains(RowsEventFlags::NO_FOREIGN_KEY_CHECKS);
    Event::Rows(RowsEvent { table_id: rows.table_id(), kind, columns, keys_act, data: Arc::from(rows.rows_data()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_stream_has_gone_silent_the_next_one_is_waited_for_longer_until_it_is_past() {
        let silences = Silences::default();
        assert!(silences.look().is_none());
        for (times, seconds) in [(1, 20), (2, 40), (3, 80), (9, 320)] {
            while silences.look().is_none_or(|stuck| stuck.times < times) {
                silences.note("b.000002", 100);
            }
            assert_eq!(silences.look().map(|stuck| stuck.patience()), Some(Duration::from_secs(seconds)));
        }
        let stuck = silences.look().expect("a place");
        assert!(stuck.is_ahead_of("", 0) && stuck.is_ahead_of("b.000001", 900) && stuck.is_ahead_of("b.000002", 100));
        assert!(!stuck.is_ahead_of("b.000002", 101) && !stuck.is_ahead_of("b.000003", 4));
        silences.note("b.000003", 4);
        assert_eq!(silences.look().map(|stuck| stuck.times), Some(1));
    }

    #[test]
    fn a_connection_that_ends_inside_a_packet_is_lost_and_no_damage() {
        let code = |text: &str| {
            let error = std::io::Error::other(text.to_owned());
            failure(&mysql_async::Error::Io(mysql_async::IoError::Io(error))).code
        };
        assert_eq!(code("bytes remaining on stream"), Code::ConnectionLost(Side::Source));
        assert_eq!(code("bytes remaining on stream while reading TableMapEvent"), Code::EventDamaged);
    }
}
