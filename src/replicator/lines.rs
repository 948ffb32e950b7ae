//! The lines of the ledger at the start of a voyage, held against what is selected now and against the server that answers now.
//!
//! A task carries the tables that it began with: its stream has brought their changes ever since, and those of no other table. So
//! * a selected table without a line stops the task: nothing has been carried of it, and nothing would be;
//! * a line that the selection has left is `excluded`, durably and before the stream passes over its changes; if it comes back into
//!   the selection, the task stops: what was passed over is not on the target.
//!
//! A mark names a place in the files of one server. When another one answers, a line whose mark was passed at the checkpoint, on
//! the mark's own server, is strict for good. Every other mark of another server means nothing here. A table with a key gets the
//! present end as its mark: all that its chunks have read lies before it, and it only stays idempotent for longer. A table without
//! one is copied again: its snapshot stands at a place that this server cannot find.
//!
//! That asks each line for its own server, and not the checkpoint: the source may move twice before a batch is committed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::copy::Pending;
use crate::fault::{Code, Fault};
use crate::model::position::Mark;
use crate::model::selection::Selection;
use crate::model::table::{Table, TableName};
use crate::overlap::{Overlap, Overlaps, Stage, passed};
use crate::target::state::{CopyState, TableLine};

fn changed(detail: String) -> Fault {
    Fault::new(Code::SelectionChanged, detail)
}

/// The lines that the selection has left since the last voyage; `listed` is what it includes at the source.
pub fn left(lines: &[TableLine], listed: &[TableName], selection: &Selection) -> Result<Vec<TableName>, Fault> {
    let known: HashSet<&TableName> = lines.iter().map(|line| &line.name).collect();
    if let Some(name) = listed.iter().find(|name| !known.contains(name)) {
        return Err(changed(format!("{name} is selected and is none of the tables that this task began with")));
    }
    let mut left = Vec::new();
    for TableLine { name, state, .. } in lines {
        match (state, selection.includes(&name.schema, &name.table)) {
            (CopyState::Excluded, true) => {
                return Err(changed(format!("{name} was excluded for a while, and its changes were passed over")));
            }
            (CopyState::Excluded, false) => {}
            (_, included) => left.extend((!included).then(|| name.clone())),
        }
    }
    Ok(left)
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequel {
    Stays,
    /// Its overlap was over before the source moved.
    Strict,
    /// Its mark becomes the present end of the server that answers.
    Moves,
    /// It is copied again.
    Again,
}

/// How a line goes on at the server `uuid`.
pub fn sequel(state: &CopyState, checkpoint: &Checkpoint, uuid: &str) -> Sequel {
    let away = |mark: &Mark| mark.server_uuid != uuid;
    let over = |mark: &Mark| passed(mark, &checkpoint.source_uuid, &checkpoint.position);
    match state {
        CopyState::Copied { mark } | CopyState::Snapshot { mark } if away(mark) && over(mark) => Sequel::Strict,
        CopyState::Copied { mark } if away(mark) => Sequel::Moves,
        CopyState::Snapshot { mark } if away(mark) => Sequel::Again,
        CopyState::Copied { .. } | CopyState::Snapshot { .. } => Sequel::Stays,
        CopyState::Pending | CopyState::Copying { .. } | CopyState::Strict | CopyState::Excluded => Sequel::Stays,
    }
}

/// Where copy and stream meet for each line's table; and the tables that are still to be copied.
pub fn stages(
    lines: &[TableLine],
    tables: &HashMap<TableName, Arc<Table>>,
    estimate: &dyn Fn(&TableName) -> u64,
) -> (Overlaps, Vec<Pending>) {
    let (mut overlaps, mut pending) = (Overlaps::new(), Vec::new());
    for line in lines {
        let stage = match &line.state {
            CopyState::Pending | CopyState::Copying { .. } => Stage::Copying,
            CopyState::Copied { mark } => Stage::Until(mark.clone()),
            CopyState::Snapshot { mark } => Stage::Snapshot(mark.clone()),
            CopyState::Strict | CopyState::Excluded => Stage::Strict,
        };
        let overlap = Arc::new(Overlap::new(stage.clone()));
        if stage == Stage::Copying
            && let Some(table) = tables.get(&line.name)
        {
            let upto = if let CopyState::Copying { upto } = &line.state { Some(upto.clone()) } else { None };
            pending.push(Pending {
                table: Arc::clone(table),
                overlap: Arc::clone(&overlap),
                rows_estimated: estimate(&line.name),
                upto,
            });
        }
        overlaps.insert(line.name.clone(), overlap);
    }
    (overlaps, pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::phase::Phase;
    use crate::model::position::{FilePosition, Position};

    fn name(table: &str) -> TableName {
        TableName::new("shop", table)
    }

    fn line(table: &str, state: CopyState) -> TableLine {
        TableLine { name: name(table), state, rows: 0, bytes: 0 }
    }

    fn selection(include: &str) -> Selection {
        Selection { include: vec![include.parse().expect("a glob")], exclude: Vec::new() }
    }

    fn mark(uuid: &str, offset: u64) -> Mark {
        Mark { server_uuid: uuid.into(), file: FilePosition { file: "b.000001".into(), offset } }
    }

    fn checkpoint(uuid: &str, offset: u64) -> Checkpoint {
        let position = Position { file: mark(uuid, offset).file, ..Position::default() };
        Checkpoint { epoch: 1, sequence: 1, phase: Phase::Copy, source_uuid: uuid.into(), position, committed_at_micros: 0 }
    }

    #[test]
    fn a_table_that_was_not_there_at_the_beginning_stops_the_task() {
        let lines = [line("a", CopyState::Pending)];
        assert_eq!(left(&lines, &[name("a")], &selection("shop.*")), Ok(vec![]));
        let fault = left(&lines, &[name("a"), name("b")], &selection("shop.*")).expect_err("b has no line");
        assert!(fault.code == Code::SelectionChanged && fault.detail.contains("shop.b"), "{fault}");
    }

    #[test]
    fn a_line_may_leave_the_selection_and_may_not_come_back() {
        let lines = [line("a", CopyState::Copied { mark: mark("u", 4) }), line("b", CopyState::Pending)];
        assert_eq!(left(&lines, &[name("a")], &selection("shop.a")), Ok(vec![name("b")]));
        let lines = [line("a", CopyState::Strict), line("b", CopyState::Excluded)];
        assert_eq!(left(&lines, &[name("a")], &selection("shop.a")), Ok(vec![]));
        let fault = left(&lines, &[name("a"), name("b")], &selection("shop.*")).expect_err("b is back");
        assert!(fault.code == Code::SelectionChanged && fault.detail.contains("shop.b"), "{fault}");
    }

    #[test]
    fn every_line_is_judged_on_the_server_of_its_own_mark() {
        let copied = |uuid, offset| CopyState::Copied { mark: mark(uuid, offset) };
        let snapshot = |uuid, offset| CopyState::Snapshot { mark: mark(uuid, offset) };
        for (state, at, now, expected) in [
            (snapshot("a", 50), checkpoint("a", 90), "a", Sequel::Stays),
            // Moved once, before and after the mark was passed.
            (snapshot("a", 50), checkpoint("a", 90), "b", Sequel::Strict),
            (copied("a", 50), checkpoint("a", 90), "b", Sequel::Strict),
            (snapshot("a", 50), checkpoint("a", 20), "b", Sequel::Again),
            (copied("a", 50), checkpoint("a", 20), "b", Sequel::Moves),
            // Moved there and back before a batch was committed there.
            (copied("b", 50), checkpoint("a", 90), "a", Sequel::Moves),
            (snapshot("b", 50), checkpoint("a", 90), "a", Sequel::Again),
            (copied("b", 50), checkpoint("a", 90), "b", Sequel::Stays),
            // Moved a second time.
            (CopyState::Strict, checkpoint("b", 90), "c", Sequel::Stays),
            (snapshot("a", 50), checkpoint("b", 90), "c", Sequel::Again),
        ] {
            assert_eq!(sequel(&state, &at, now), expected, "{state:?} {at:?} {now}");
        }
    }
}
