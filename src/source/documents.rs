//! JSON documents of result rows, exact.
//!
//! A document arrives as text, which leaves the types of some scalars open ([`crate::model::json::text`]). So the query that reads a row
//! also asks for the types of its leaves, in the same row version, at the paths that documents of the table were seen to have:
//! most tables have few. What a document has beyond them is asked for afterwards, by key and in one snapshot with the document itself
//! ([`super::rows`]), and the paths are remembered for the next query. A document whose text every server reads as the same
//! document goes on as text; any other is rebuilt with its types.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::model::json::BadJson;
use crate::model::json::text;
use crate::model::table::{ColumnKind, Table};
use crate::sql::leaves;

/// Paths of a column that every row is asked for. Each costs the source about half a microsecond a row.
const REMEMBERED: usize = 256;
/// Paths of a keyless table's column, all of which must be known before the first row: the servers' limit on the size of a
/// statement is never far above it.
const REMEMBERED_KEYLESS: usize = 5_000;
/// A document with more open leaves than this says nothing about the next one.
const TYPICAL: usize = 64;

/// One JSON column.
#[derive(Debug)]
struct Known {
    /// The place in the list of written columns.
    at: usize,
    name: String,
    paths: Vec<Vec<u8>>,
    index: HashMap<Vec<u8>, usize>,
}

/// What is known of a table's documents.
#[derive(Debug)]
pub struct Documents {
    columns: Vec<Known>,
    room: usize,
    /// Some rows have been looked at.
    pub(super) sampled: bool,
}

/// A document, ready to be written.
#[derive(Debug, PartialEq, Eq)]
pub enum Exact {
    /// Its text says all.
    Text,
    /// It is these bytes, as a JSON column stores them.
    Binary(Vec<u8>),
    /// The type of a leaf is not known.
    Open,
}

/// What a document's text is, given the types of its leaves by path.
pub fn exact<'n>(document: &[u8], mut type_of: impl FnMut(&[u8]) -> Option<&'n [u8]>) -> Result<Exact, BadJson> {
    let (mut open, mut says_all) = (false, true);
    text::leaves(document, &mut |path, leaf| match type_of(path).filter(|name| !name.is_empty()) {
        None => open = true,
        Some(name) => says_all &= text::reads_as(leaf, name),
    })?;
    match (open, says_all) {
        (true, _) => Ok(Exact::Open),
        (false, true) => Ok(Exact::Text),
        (false, false) => Ok(Exact::Binary(text::tree(document, &mut type_of)?.encode()?)),
    }
}

/// The paths of a document's open leaves.
pub fn paths(document: &[u8]) -> Result<Vec<Vec<u8>>, BadJson> {
    let mut paths = Vec::new();
    text::leaves(document, &mut |path, _| paths.push(path.to_vec()))?;
    Ok(paths)
}

impl Documents {
    pub fn new(table: &Table) -> Self {
        let written = table.written().enumerate();
        let columns = written
            .filter(|(_, (_, column))| column.kind == ColumnKind::Json)
            .map(|(at, (_, column))| Known { at, name: column.name.clone(), paths: Vec::new(), index: HashMap::new() })
            .collect();
        let room = if table.key_columns().is_some() { REMEMBERED } else { REMEMBERED_KEYLESS };
        Self { columns, room, sampled: false }
    }

    /// The table has JSON columns.
    pub fn any(&self) -> bool {
        !self.columns.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|known| known.name.as_str())
    }

    /// Which of the JSON columns stands at this place of the written ones.
    pub(super) fn position(&self, at: usize) -> Option<usize> {
        self.columns.iter().position(|known| known.at == at)
    }

    /// An expression for the types at the known paths, for each JSON column.
    pub(super) fn questions(&self) -> Vec<Vec<u8>> {
        self.columns.iter().map(|known| leaves::types(&known.name, &known.paths)).collect()
    }

    /// Judges a document by the answer to its column's question.
    pub(super) fn judge(&self, column: usize, document: &[u8], answer: &[u8]) -> Result<Exact, BadJson> {
        let Some(known) = self.columns.get(column) else { return Err(BadJson) };
        let answers: Vec<&[u8]> = answer.split(|byte| *byte == b',').collect();
        exact(document, |path| known.index.get(path).and_then(|at| answers.get(*at).copied()))
    }

    /// Remembers a document's paths; false when there is no room for all of them.
    pub(super) fn learn(&mut self, column: usize, document: &[u8]) -> Result<bool, BadJson> {
        let Some(known) = self.columns.get_mut(column) else { return Err(BadJson) };
        let (room, mut count, mut all) = (self.room, 0, true);
        let keyless = room == REMEMBERED_KEYLESS;
        text::leaves(document, &mut |path, _| {
            count += 1;
            if known.index.contains_key(path) {
                return;
            }
            if known.paths.len() >= room || count > TYPICAL && !keyless {
                all = false;
            } else if let Entry::Vacant(entry) = known.index.entry(path.to_vec()) {
                entry.insert(known.paths.len());
                known.paths.push(path.to_vec());
            }
        })?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::tests::{column, table};

    fn documents(key: &[usize]) -> Documents {
        let integer = ColumnKind::Integer { unsigned: false };
        Documents::new(&table("t", vec![column("id", integer), column("d", ColumnKind::Json)], key))
    }

    #[test]
    fn a_document_is_text_rebuilt_or_open() {
        let mut known = documents(&[0]);
        let column = known.position(1).expect("a JSON column");
        let document = br#"{"a": 7, "b": "x"}"#;
        assert_eq!(known.judge(column, document, b""), Ok(Exact::Open));
        assert_eq!(known.learn(column, document), Ok(true));
        assert_eq!(known.questions(), [leaves::types("d", &[b"$.\"a\"".to_vec()])]);
        assert_eq!(known.judge(column, document, b"INTEGER"), Ok(Exact::Text));
        assert!(matches!(known.judge(column, document, b"DECIMAL"), Ok(Exact::Binary(_))));
        assert_eq!(known.judge(column, document, b""), Ok(Exact::Open), "the source has no such leaf");
        assert_eq!(known.judge(column, br#"{"z": 1}"#, b"INTEGER"), Ok(Exact::Open));
        assert_eq!(known.judge(column, br#"{"z": true}"#, b""), Ok(Exact::Text));
        assert_eq!(known.judge(column, b"[", b""), Err(BadJson));
    }

    #[test]
    fn an_answer_stands_for_the_paths_that_were_asked() {
        let mut known = documents(&[0]);
        assert_eq!(known.learn(0, b"[1, 2]"), Ok(true));
        assert_eq!(known.learn(0, b"[1, 2, 3]"), Ok(true));
        // The question was asked before the third path was learned.
        assert_eq!(known.judge(0, b"[1, 2, 3]", b"INTEGER,INTEGER"), Ok(Exact::Open));
        assert_eq!(known.judge(0, b"[1, 2]", b"INTEGER,INTEGER"), Ok(Exact::Text));
    }

    #[test]
    fn only_typical_documents_are_remembered_unless_there_is_no_second_look() {
        let long = format!("[{}]", vec!["1"; 100].join(","));
        assert_eq!(documents(&[0]).learn(0, long.as_bytes()), Ok(false));
        assert_eq!(documents(&[]).learn(0, long.as_bytes()), Ok(true));
    }
}
