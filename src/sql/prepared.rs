//! The statements on `polarferry.prepared`: where the source's prepared and undecided XA transactions stand in its binlog.
//!
//! They are part of the transaction that moves the checkpoint, and fenced by it.

use super::quoted;
use crate::model::xid::{Prepared, Xid};

fn key(xid: &Xid) -> String {
    let digits = |part: &[u8]| part.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{},X'{}',X'{}'", xid.format, digits(&xid.gtrid), digits(&xid.bqual))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

/// Writes down what a batch has prepared and not decided. A name that is there already stands for an older transaction, which is
/// gone.
pub fn note(task: &str, prepared: &[&Prepared]) -> Option<String> {
    let line = |prepared: &&Prepared| {
        format!(
            "({},{},{},{},{})",
            quoted(task),
            key(&prepared.xid),
            quoted(&prepared.gtids.to_string()),
            quoted(&prepared.begins.file),
            prepared.begins.offset
        )
    };
    (!prepared.is_empty()).then(|| {
        format!(
            "INSERT INTO `polarferry`.`prepared` (`task`,`format_id`,`gtrid`,`bqual`,`gtid`,`file`,`position`) VALUES {} \
             ON DUPLICATE KEY UPDATE `gtid`=VALUES(`gtid`),`file`=VALUES(`file`),`position`=VALUES(`position`)",
            joined(prepared.iter().map(line))
        )
    })
}

/// Strikes out what a batch has decided.
pub fn strike(task: &str, decided: &[&Xid]) -> Option<String> {
    (!decided.is_empty()).then(|| {
        format!(
            "DELETE FROM `polarferry`.`prepared` WHERE `task`={} AND (`format_id`,`gtrid`,`bqual`) IN ({})",
            quoted(task),
            joined(decided.iter().map(|xid| format!("({})", key(xid))))
        )
    })
}

pub fn load(task: &str) -> String {
    format!(
        "SELECT `format_id`,`gtrid`,`bqual`,`gtid`,`file`,`position` FROM `polarferry`.`prepared` WHERE `task`={}",
        quoted(task)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gtid::GtidSet;
    use crate::model::position::FilePosition;

    #[test]
    fn names_are_bytes_and_an_empty_batch_says_nothing() {
        let xid = Xid { gtrid: b"a'b".to_vec(), bqual: Vec::new(), format: 7 };
        let begins = FilePosition { file: "b.000001".into(), offset: 9 };
        let prepared = Prepared { xid: xid.clone(), gtids: GtidSet::default(), begins, replaces: false };
        let text = note("t", &[&prepared]).expect("a statement");
        assert!(text.contains("VALUES ('t',7,X'612762',X'','','b.000001',9) ON DUPLICATE"), "{text}");
        let text = strike("t", &[&xid, &xid]).expect("a statement");
        assert!(text.ends_with("IN ((7,X'612762',X''),(7,X'612762',X''))"), "{text}");
        assert_eq!((note("t", &[]), strike("t", &[])), (None, None));
    }
}
