//! Texts that come from a server: statements of the binlog for the lexer, GTID sets, globs. Never a panic; what reads as a GTID set
//! prints as one that reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use polarferry::model::gtid::GtidSet;
use polarferry::model::selection::Selection;
use polarferry::sql::lexer::{self, Query};
use polarferry::sql::literal;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        let _ = literal::is_single(input);
        return;
    };
    let _ = literal::is_single(input);
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
