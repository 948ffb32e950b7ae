//! A statement that is ready to be sent, with what the server must answer.

use std::sync::Arc;

use bytes::Bytes;

/// What the server's count of affected rows must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Each event implies its row: any other count is drift.
    Exactly(u64),
    /// Idempotent: the rows may be there or not.
    Any,
    /// The task's own row: it is ours as long as nobody has taken the task over.
    Ours,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// For messages.
    pub table: Arc<str>,
    pub text: Vec<u8>,
    pub expect: Expect,
    /// ENUM cells that hold the error value (the number 0, shown as ''), which a server in strict mode refuses to store: the
    /// statement is executed in lax mode, and must cause exactly this many warnings.
    pub blanks: usize,
    /// The rows of a LOAD DATA, one a line; empty for every other statement.
    pub lines: Bytes,
    /// Questions that touch the rows which it will change, in pieces that several sessions can ask at once; none where nobody reads ahead.
    pub reads: Vec<Vec<u8>>,
}

impl Statement {
    /// A plain one.
    pub fn new(table: Arc<str>, text: Vec<u8>, expect: Expect) -> Self {
        Self { table, text, expect, blanks: 0, lines: Bytes::new(), reads: Vec::new() }
    }

    /// One that touches no rows of the source's.
    pub fn of_ours(text: impl Into<Vec<u8>>, expect: Expect) -> Self {
        Self::new(Arc::from("the task's own tables"), text.into(), expect)
    }
}
