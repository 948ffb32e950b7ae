//! Which of the source's XA transactions are prepared and not decided, as of the checkpoint.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::diagnose;
use super::state::take;
use crate::fault::{Code, Fault};
use crate::model::gtid::GtidSet;
use crate::model::position::FilePosition;
use crate::model::xid::{Prepared, Xid};
use crate::sql::prepared as sql;

pub async fn load(conn: &mut Conn, task: &str) -> Result<Vec<Prepared>, Fault> {
    let rows: Vec<Row> = conn.query(sql::load(task)).await.map_err(|error| diagnose(&error))?;
    rows.into_iter().map(line).collect()
}

fn line(mut row: Row) -> Result<Prepared, Fault> {
    let xid = Xid { gtrid: take(&mut row, "gtrid")?, bqual: take(&mut row, "bqual")?, format: take(&mut row, "format_id")? };
    let gtid: String = take(&mut row, "gtid")?;
    let gtids = GtidSet::parse(&gtid)
        .map_err(|error| Fault::new(Code::CheckpointUnreadable, error.to_string()).at("polarferry.prepared"))?;
    let begins = FilePosition { file: take(&mut row, "file")?, offset: take(&mut row, "position")? };
    Ok(Prepared { xid, gtids, begins, replaces: false })
}
