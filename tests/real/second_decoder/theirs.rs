//! What `mysql_cdc` reads from the files themselves: no server, no wire.

use std::fs::File;

use mysql_cdc::binlog_reader::BinlogReader;
use mysql_cdc::errors::Error;
use mysql_cdc::events::binlog_event::BinlogEvent;
use mysql_cdc::events::event_header::EventHeader;
use mysql_cdc::events::event_parser::EventParser;

use crate::lab::Server;

/// TRANSACTION_PAYLOAD_EVENT: a compressed transaction.
pub const PAYLOAD: u8 = 40;

pub struct Theirs {
    pub file: String,
    pub end: u64,
    pub timestamp: u32,
    pub kind: u8,
    pub event: Result<BinlogEvent, Error>,
}

impl Theirs {
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.end)
    }
}

/// All events of these files, in order.
pub fn read(server: &Server, files: &[String]) -> Vec<Theirs> {
    files.iter().flat_map(|file| read_file(server, file)).collect()
}

fn read_file(server: &Server, file: &str) -> Vec<Theirs> {
    let path = server.data().join(file);
    // Their reader gives no header with an error, so its two halves are used as it uses them.
    assert!(BinlogReader::new(File::open(&path).expect("a binlog file")).is_ok(), "{file} is no binlog for them");
    let bytes = std::fs::read(&path).expect("a binlog file");
    let (mut parser, mut events, mut rest) = (EventParser::new(), Vec::new(), &bytes[MAGIC..]);
    while !rest.is_empty() {
        let header = EventHeader::parse(&rest[..HEADER]).unwrap_or_else(|error| panic!("{file}: {error:?}"));
        let (event, after) = rest.split_at(header.event_length as usize);
        let parsed = parser.parse_event(&header, &event[HEADER..]);
        let (end, timestamp, kind) = (u64::from(header.next_event_position), header.timestamp, header.event_type);
        events.push(Theirs { file: file.to_owned(), end, timestamp, kind, event: parsed });
        rest = after;
    }
    events
}

/// The file's first bytes, and those of each event.
const MAGIC: usize = 4;
const HEADER: usize = 19;
