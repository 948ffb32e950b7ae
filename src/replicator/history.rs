//! Is the server that answers the one that the checkpoint's position was read from, or has it the same history?
//!
//! With GTIDs: it still has, or has executed, all that was applied, and has purged nothing else. Without: it is the same server. On the same
//! server the log itself must still reach as far as what was applied, in both cases: after a reset, or a crash that took the log's end, it
//! gives the same numbers to other transactions. A file of ours that is shorter than our place in it shows that; one that was made anew
//! under the same name and has grown beyond it does not.

use crate::checkpoint::Checkpoint;
use crate::fault::{Code, Fault};
use crate::model::position::FilePosition;
use crate::source;
use crate::source::facts::{self, Facts};

/// The checkpoint's position must belong to the history of the server that answers.
pub async fn same(facts: &Facts, checkpoint: &Checkpoint, conn: &mut source::Conn) -> Result<(), Fault> {
    if facts.uuid == checkpoint.source_uuid && facts.log_bin {
        let end = facts::position(facts, conn).await?.file;
        let applied = &checkpoint.position.file;
        let gone = |end: &FilePosition| {
            let detail =
                format!("its binary log ends at {end}, and {applied} was applied: the log was reset, or a crash took its end");
            Fault::new(Code::SourceChanged, detail)
        };
        if applied.is_ahead_of(&end) {
            return Err(gone(&end));
        }
        // After a crash the server begins another file, and gives what it logs there the numbers of what it has lost.
        if applied.file != end.file
            && let Some(offset) = facts::log_size(conn, &applied.file).await?.filter(|size| *size < applied.offset)
        {
            return Err(gone(&FilePosition { file: applied.file.clone(), offset }));
        }
    }
    if facts.follows_gtids(&checkpoint.position) {
        let purged = facts::purged(conn).await?;
        if !checkpoint.position.gtids.contains_all(&purged) {
            let missing = purged.count_missing_in(&checkpoint.position.gtids);
            return Err(Fault::new(
                Code::StreamLost,
                format!("{missing} transactions that were not applied are purged at the source"),
            ));
        }
        let executed = facts::executed(conn).await?;
        if !executed.contains_all(&checkpoint.position.gtids) && facts.uuid != checkpoint.source_uuid {
            let detail = "the source lacks transactions that were applied: it is not the server, or not the history, that this task began with";
            return Err(Fault::new(Code::SourceChanged, detail));
        }
        return Ok(());
    }
    if facts.uuid == checkpoint.source_uuid {
        return Ok(());
    }
    let detail = format!(
        "server_uuid was {}, now it is {}, and without GTIDs a position is good for one server only",
        checkpoint.source_uuid, facts.uuid
    );
    Err(Fault::new(Code::SourceChanged, detail))
}
