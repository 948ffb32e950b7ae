//! The families of a task ([`crate::model::family`]), found anew by every voyage.
//!
//! A source that logs what its foreign keys do has none. Elsewhere they are read from the *target's* catalog, which is as the source's was
//! when the task began, and so as it was at every position since: a change of definitions stops the stream, and every voyage compares
//! both ends. (A key that is dropped from the target is noticed by the next voyage, not by the one under way.)
//!
//! How a table was copied must fit: a member at one position with all others, and where the source logs everything, a table that need
//! not be copied whole by ranges. When it does not, the source has begun or ceased to log what its keys do (another server, another setting), or the task did
//! not have a stream before. What happened unseen in between is not known, so the task stops. (Where the overlap of every table has
//! ended on a server that was left since, nothing shows how it was copied, and such a change is not noticed.)
//!
//! A table may leave the selection as long as no key that acts, or asks, reaches it on the target ([`Keys::spare_others`]). A parent
//! whose children have all left is a table like any other from then on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::fault::{Code, Fault, Side};
use crate::model::family::{self, Families, ForeignKey};
use crate::model::selection::Selection;
use crate::model::table::{Table, TableName};
use crate::source::{self, catalog, facts};
use crate::target;
use crate::target::state::{CopyState, TableLine};

/// What acts on the target when the stream repeats the source's changes.
pub struct Keys {
    keys: Vec<ForeignKey>,
    /// The source logs what its keys do.
    logged: bool,
    /// See [`family::ABOVE_THE_ENGINE`].
    above_the_engine: bool,
}

/// Reads them; none where the source logs what they do.
pub async fn keys(source: &mut source::Conn, target: &mut target::Conn) -> Result<Keys, Fault> {
    if facts::logs_cascades(Side::Source, source).await? {
        return Ok(Keys { keys: Vec::new(), logged: true, above_the_engine: false });
    }
    let keys = catalog::foreign_keys(Side::Target, target).await?;
    Ok(Keys { keys, logged: false, above_the_engine: facts::logs_cascades(Side::Target, target).await? })
}

impl Keys {
    /// A table that leaves the selection is to stay as it is on the target. Asked before the ledger says that it has left.
    pub fn spare_others(&self, lines: &[TableLine], selection: &Selection) -> Result<(), Fault> {
        let included = lines.iter().map(|line| &line.name).filter(|name| selection.includes(&name.schema, &name.table));
        let included: HashSet<&TableName> = included.collect();
        match family::hazards(&self.keys, &self.keys, &|name| included.contains(name)).into_iter().next() {
            None => Ok(()),
            Some(hazard) => Err(Fault::new(Code::SelectionChanged, format!("on the target, {hazard}"))),
        }
    }

    /// Compares them with the source's: when a task begins, and by every voyage, for a key that the target lost would not act.
    pub async fn compare(&self, source: &mut source::Conn, names: &[TableName]) -> Result<(), Fault> {
        if self.logged {
            return Ok(());
        }
        let theirs = catalog::foreign_keys(Side::Source, source).await?;
        let names: HashSet<&TableName> = names.iter().collect();
        let carried = |name: &TableName| names.contains(name);
        match family::differences(&theirs, &self.keys, &carried, &|_| true).into_iter().next() {
            None => Ok(()),
            Some(difference) => Err(Fault::new(Code::SchemaMismatch, format!("foreign keys of the target: {difference}"))),
        }
    }

    /// The families among the tables of these lines.
    pub fn families(&self, lines: &[TableLine], tables: &HashMap<TableName, Arc<Table>>) -> Result<Families, Fault> {
        let names: HashSet<&TableName> = lines.iter().map(|line| &line.name).collect();
        let families = Families::new(&self.keys, &|name| names.contains(name));
        if let Some(name) = families.members().flatten().next().filter(|_| self.above_the_engine) {
            return Err(Fault::new(Code::TableUnsupported, format!("{name}: {}", family::ABOVE_THE_ENGINE)));
        }
        let by_ranges = |name: &TableName| tables.get(name).is_some_and(|table| !table.is_copied_whole());
        fits(lines, &families, &|name| self.logged && by_ranges(name))?;
        Ok(families)
    }
}

/// `by_ranges` says which tables could only have been copied so.
fn fits(lines: &[TableLine], families: &Families, by_ranges: &dyn Fn(&TableName) -> bool) -> Result<(), Fault> {
    let changed = |name: &TableName, how: &str| {
        let detail = format!(
            "{name} was copied {how}: since then the source has begun or ceased to log what its foreign keys do, or the task had no stream"
        );
        Err(Fault::new(Code::SourceChanged, detail))
    };
    for TableLine { name, state, .. } in lines {
        match state {
            CopyState::Copying { .. } | CopyState::Copied { .. } if families.of(name).is_some() => {
                return changed(name, "by ranges");
            }
            CopyState::Snapshot { .. } if by_ranges(name) => return changed(name, "with others"),
            CopyState::Pending
            | CopyState::Copying { .. }
            | CopyState::Copied { .. }
            | CopyState::Snapshot { .. }
            | CopyState::Strict
            | CopyState::Excluded => {}
        }
    }
    for members in families.members() {
        let lines = || lines.iter().filter(|line| members.contains(&line.name));
        let pending = lines().filter(|line| line.state == CopyState::Pending).count();
        if let Some(line) = lines().next().filter(|_| pending > 0 && pending < members.len()) {
            let detail = format!("{} and the tables that its foreign keys tie it to were not copied together", line.name);
            return Err(Fault::new(Code::CheckpointUnreadable, detail));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::family::Action::{Cascade, Refuse};
    use crate::model::position::{FilePosition, Mark};

    fn name(table: &str) -> TableName {
        TableName::new("shop", table)
    }

    fn families() -> Families {
        let key = ForeignKey {
            name: "k".into(),
            child: name("b"),
            columns: vec!["parent".into()],
            parent: name("a"),
            referenced: vec!["id".into()],
            on_update: Refuse,
            on_delete: Cascade,
        };
        Families::new(&[key], &|_| true)
    }

    #[test]
    fn a_copy_that_was_made_for_another_source_stops_the_task() {
        let mark = || Mark { server_uuid: "u".into(), file: FilePosition { file: "b.000001".into(), offset: 4 } };
        let (snapshot, copied) = (|| CopyState::Snapshot { mark: mark() }, || CopyState::Copied { mark: mark() });
        let code = |a: CopyState, b: CopyState, families: &Families| {
            let line = |table, state| TableLine { name: name(table), state, rows: 0, bytes: 0 };
            fits(&[line("a", a), line("b", b)], families, &|_| families.members().count() == 0).err().map(|fault| fault.code)
        };
        let none = Families::default();
        assert_eq!(code(snapshot(), snapshot(), &families()), None);
        assert_eq!(code(CopyState::Pending, CopyState::Pending, &families()), None);
        assert_eq!(code(CopyState::Strict, snapshot(), &families()), None);
        assert_eq!(code(copied(), copied(), &none), None);
        assert_eq!(code(copied(), copied(), &families()), Some(Code::SourceChanged));
        assert_eq!(code(snapshot(), snapshot(), &none), Some(Code::SourceChanged));
        assert_eq!(code(CopyState::Pending, snapshot(), &families()), Some(Code::CheckpointUnreadable));
    }
}
