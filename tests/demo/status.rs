//! What we read of the daemon's `/status`.

use serde_json::Value;

use crate::http;
use crate::lab::Failure;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    pub phase: String,
    pub tables: usize,
    pub tables_copied: usize,
    pub rows_copied: u64,
    /// From the source's statistics: a guess.
    pub rows_estimated: u64,
    pub copy_rate: f64,
    pub transactions: u64,
    pub stream_rate: f64,
    pub lag_seconds: Option<f64>,
    pub backlog: u64,
    pub applied: Position,
    /// Why the task stands still, and what to do about it.
    pub error: Option<String>,
}

/// A place in the source's binlog. Positions compare by the number of the file, then the byte in it.
#[derive(Clone, Debug, Default, PartialEq, PartialOrd)]
pub struct Position {
    number: u64,
    byte: u64,
}

impl Position {
    /// `None` for what is no binlog's name, such as nothing.
    pub fn new(file: &str, byte: u64) -> Option<Self> {
        let (_, number) = file.rsplit_once('.')?;
        let number = number.parse().ok()?;
        Some(Self { number, byte })
    }
}

impl Status {
    /// `Ok(None)` as long as the daemon does not listen.
    pub async fn fetch(port: u16) -> Result<Option<Self>, Failure> {
        let Some(answer) = http::get(port, "/status").await? else {
            return Ok(None);
        };
        serde_json::from_str(&answer.body)
            .map(|value| Some(Self::read(&value)))
            .map_err(|error| Failure::new(format!("/status is no JSON: {error}")))
    }

    /// Whether every row is copied and only the stream runs.
    pub fn streams(&self) -> bool {
        self.phase == "stream"
    }

    fn read(value: &Value) -> Self {
        let number = |pointer| value.pointer(pointer).and_then(Value::as_u64);
        let real = |pointer| value.pointer(pointer).and_then(Value::as_f64);
        let tables = value["tables"].as_array().map_or(&[][..], Vec::as_slice);
        let sum = |key| tables.iter().filter_map(|table| table[key].as_u64()).sum::<u64>();
        let copied = |table: &&Value| matches!(table["state"].as_str(), Some("copied" | "streaming"));
        let file = value.pointer("/applied/file").and_then(Value::as_str);
        Self {
            phase: value["phase"].as_str().unwrap_or("unknown").to_owned(),
            tables: tables.len(),
            tables_copied: tables.iter().filter(copied).count(),
            rows_copied: sum("rows_copied"),
            rows_estimated: sum("rows_estimated"),
            copy_rate: real("/copy/rows_per_second").unwrap_or_default(),
            transactions: number("/stream/transactions").unwrap_or_default(),
            stream_rate: real("/stream/transactions_per_second").unwrap_or_default(),
            lag_seconds: real("/lag_seconds"),
            backlog: number("/backlog_transactions").unwrap_or_default(),
            applied: Position::new(file.unwrap_or_default(), number("/applied/pos").unwrap_or_default()).unwrap_or_default(),
            error: error(&value["error"]),
        }
    }
}

fn error(value: &Value) -> Option<String> {
    let part = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    value.is_object().then(|| format!("{} {}; remedy: {}", part("code"), part("message"), part("remedy")))
}
