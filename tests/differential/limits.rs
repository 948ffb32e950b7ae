//! What this version of polarferry does not carry, and what the generator therefore leaves out: every line that says `false`. To
//! lift a limit, turn its line to `true`: what makes such schemas and statements is there and waits.

/// SQL values in JSON documents: DECIMAL, dates, unsigned integers, bytes, and on 5.7 the DOUBLE 1.0.
pub const JSON_SQL_VALUES: bool = true;

/// The empty error value of an ENUM, index 0.
pub const ENUM_ZERO: bool = true;

/// Unique indexes over a prefix of a column.
pub const UNIQUE_PREFIXES: bool = true;

/// Foreign keys with CASCADE and SET NULL, whose effects the source does not log.
pub const CASCADES: bool = true;

/// Changes to the definition of tables while the task runs.
pub const DDL: bool = false;

/// XA transactions.
pub const XA: bool = true;

/// Row keys and unique keys with a FLOAT in them.
pub const FLOAT_KEYS: bool = true;

/// Connections that are cut before the task has begun or taken up its stream again: a precheck that is interrupted counts as failed.
pub const CUTS_AT_START: bool = true;

/// Generated columns that are too small for what a lax `sql_mode` computes into them: the target's sessions are strict.
pub const NARROW_GENERATED: bool = false;

/// Updates of several tables that compute into FLOAT(M,D) and DOUBLE(M,D). There the servers themselves do not look at the type, and
/// store what no other statement can write.
pub const BEYOND_TYPES: bool = false;

/// PARTITION BY KEY over text. In 8.0.15, rows whose keys a collation holds equal ('' and '\\0') may lie in different partitions, and
/// a list of keys finds only one of them.
pub const TEXT_PARTITIONS: bool = false;
