//! What a batch changes about the source's prepared XA transactions; pure.
//!
//! Only what is left at the end of the batch is written down: one that is prepared and decided inside it leaves no trace.

use std::collections::BTreeMap;

use crate::model::xid::{Prepared, Xid};

/// What became of one name.
#[derive(Debug)]
enum Fate {
    Prepared {
        prepared: Prepared,
        /// The name was not held before this batch, so the target has no line of it.
        fresh: bool,
    },
    Decided,
}

#[derive(Debug, Default)]
pub struct Undecided {
    fates: BTreeMap<Xid, Fate>,
}

impl Undecided {
    pub fn prepare(&mut self, prepared: Prepared) {
        let fresh = match self.fates.get(&prepared.xid) {
            None => !prepared.replaces,
            Some(Fate::Prepared { fresh, .. }) => *fresh,
            Some(Fate::Decided) => false,
        };
        self.fates.insert(prepared.xid.clone(), Fate::Prepared { prepared, fresh });
    }

    pub fn decide(&mut self, xid: Xid) {
        match self.fates.remove(&xid) {
            Some(Fate::Prepared { fresh: true, .. }) => {}
            Some(Fate::Prepared { fresh: false, .. } | Fate::Decided) | None => {
                self.fates.insert(xid, Fate::Decided);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.fates.is_empty()
    }

    pub fn prepared(&self) -> Vec<&Prepared> {
        let mut prepared = Vec::new();
        for fate in self.fates.values() {
            match fate {
                Fate::Prepared { prepared: one, .. } => prepared.push(one),
                Fate::Decided => {}
            }
        }
        prepared
    }

    pub fn decided(&self) -> Vec<&Xid> {
        self.fates.iter().filter(|(_, fate)| matches!(fate, Fate::Decided)).map(|(xid, _)| xid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gtid::GtidSet;
    use crate::model::position::FilePosition;

    fn xid(name: u8) -> Xid {
        Xid { gtrid: vec![name], bqual: Vec::new(), format: 1 }
    }

    fn prepared(name: u8) -> Prepared {
        Prepared { xid: xid(name), gtids: GtidSet::default(), begins: FilePosition::default(), replaces: false }
    }

    #[test]
    fn only_what_is_left_at_the_end_is_written_down() {
        let mut batch = Undecided::default();
        batch.prepare(prepared(b'a'));
        batch.decide(xid(b'a'));
        assert!(batch.is_empty(), "it came and went");
        batch.decide(xid(b'b'));
        batch.prepare(prepared(b'c'));
        assert_eq!((batch.prepared(), batch.decided()), (vec![&prepared(b'c')], vec![&xid(b'b')]));
        batch.prepare(Prepared { replaces: true, ..prepared(b'd') });
        batch.decide(xid(b'd'));
        assert_eq!(batch.decided(), [&xid(b'b'), &xid(b'd')]);
        // The name of an older one that was decided here, used again, and decided again.
        batch.prepare(prepared(b'b'));
        assert_eq!(batch.decided(), [&xid(b'd')]);
        batch.decide(xid(b'b'));
        assert_eq!(batch.decided(), [&xid(b'b'), &xid(b'd')]);
    }
}
