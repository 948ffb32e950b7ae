//! Texts that come from a server: statements of the binlog for the lexer, GTID sets, JSON text, literals of the ledger; and globs of
//! a configuration. Never a panic; what reads as a GTID set prints as one that reads the same, and a document is encoded as one that
//! can be read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use polarferry::model::gtid::GtidSet;
use polarferry::model::json;
use polarferry::model::selection::Selection;
use polarferry::sql::lexer::{self, Query};
use polarferry::sql::literal;

fuzz_target!(|input: &[u8]| {
    let _ = literal::is_single(input);
    let _ = json::text::leaves(input, &mut |_, _| {});
    if let Ok(tree) = json::text::tree(input, &mut |_| None)
        && let Ok(document) = tree.encode()
    {
        assert!(json::parse(&document).is_ok(), "{document:?}");
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Query::TableDdl { tables, .. } = lexer::classify(text, "schema") {
        let names: usize = tables.iter().map(|name| name.table.len()).sum();
        assert!(names <= text.len(), "names come from the statement");
    }
    if let Ok(set) = GtidSet::parse(text) {
        let printed = set.to_string();
        assert_eq!(GtidSet::parse(&printed).as_ref(), Ok(&set), "{printed}");
        assert!(set.contains_all(&set));
        assert_eq!(set.count_missing_in(&set), 0);
        let mut twice = set.clone();
        twice.union(&set);
        assert_eq!(twice, set);
    }
    if let Ok(glob) = text.parse() {
        let selection = Selection { include: vec![glob], exclude: Vec::new() };
        let _ = selection.includes("schema", "table");
        let _ = selection.includes(text, text);
    }
});
