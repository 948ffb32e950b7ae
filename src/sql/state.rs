//! The statements on our own tables on the target, in the database `polarferry`.
//!
//! Every write names the epoch it was made under: a statement of a daemon that has been replaced changes no row, and its
//! transaction is rolled back.

use super::quoted;
use crate::checkpoint::Checkpoint;
use crate::model::position::Mark;
use crate::model::table::TableName;

/// Creates what is missing, in order; safe to run again.
pub const CREATE: [&str; 6] = [
    "CREATE DATABASE IF NOT EXISTS `polarferry` DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS `polarferry`.`checkpoint` (
       `task` VARCHAR(64) NOT NULL PRIMARY KEY COMMENT 'one row a task',
       `format` INT UNSIGNED NOT NULL COMMENT 'version of this row; an unknown one is refused',
       `epoch` BIGINT UNSIGNED NOT NULL COMMENT 'fence: raised by every start',
       `sequence` BIGINT UNSIGNED NOT NULL COMMENT 'raised by every batch',
       `phase` VARCHAR(16) NOT NULL,
       `source_uuid` CHAR(36) NOT NULL COMMENT 'server whose files the position names',
       `gtid_set` LONGTEXT NOT NULL COMMENT 'executed by the source and applied here',
       `file` VARCHAR(255) NOT NULL,
       `position` BIGINT UNSIGNED NOT NULL COMMENT 'after the last applied transaction',
       `committed_at` BIGINT UNSIGNED NOT NULL COMMENT 'microseconds: when the source committed it',
       `build` VARCHAR(64) NOT NULL,
       `updated_at` TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
     ) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS `polarferry`.`tables` (
       `task` VARCHAR(64) NOT NULL,
       `schema_name` VARCHAR(64) NOT NULL,
       `table_name` VARCHAR(64) NOT NULL,
       `epoch` BIGINT UNSIGNED NOT NULL,
       `state` VARCHAR(16) NOT NULL COMMENT 'pending, copying, copied, snapshot, strict, excluded',
       `upto` MEDIUMBLOB NULL COMMENT 'key of the last row when the copy began',
       `rows_copied` BIGINT UNSIGNED NOT NULL DEFAULT 0,
       `bytes_copied` BIGINT UNSIGNED NOT NULL DEFAULT 0,
       `mark_uuid` CHAR(36) NULL,
       `mark_file` VARCHAR(255) NULL COMMENT 'source position after the last read of the copy',
       `mark_position` BIGINT UNSIGNED NULL,
       PRIMARY KEY (`task`, `schema_name`, `table_name`)
     ) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS `polarferry`.`chunks` (
       `id` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
       `task` VARCHAR(64) NOT NULL,
       `schema_name` VARCHAR(64) NOT NULL,
       `table_name` VARCHAR(64) NOT NULL,
       `after_key` MEDIUMBLOB NULL COMMENT 'the range is (after_key, upto_key]',
       `upto_key` MEDIUMBLOB NOT NULL,
       KEY `by_table` (`task`, `schema_name`, `table_name`)
     ) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS `polarferry`.`prepared` (
       `task` VARCHAR(64) NOT NULL,
       `format_id` INT UNSIGNED NOT NULL COMMENT 'XA transactions that the source has prepared and not decided',
       `gtrid` VARBINARY(64) NOT NULL,
       `bqual` VARBINARY(64) NOT NULL,
       `gtid` VARCHAR(255) NOT NULL COMMENT 'of the group of events that prepared it; empty without GTIDs',
       `file` VARCHAR(255) NOT NULL COMMENT 'where that group begins',
       `position` BIGINT UNSIGNED NOT NULL,
       PRIMARY KEY (`task`, `format_id`, `gtrid`, `bqual`)
     ) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS `polarferry`.`drift` (
       `id` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
       `task` VARCHAR(64) NOT NULL,
       `table_name` VARCHAR(129) NOT NULL COMMENT 'database.table',
       `digest` BINARY(32) NOT NULL COMMENT 'SHA-256 of the key, or of the row',
       `identity` VARBINARY(1024) NOT NULL COMMENT 'its key as SQL has it; without a key, the beginning of the row',
       `found` VARCHAR(16) NOT NULL COMMENT 'missing or unexpected: the source had, or had no, such row',
       `copies` BIGINT UNSIGNED NOT NULL COMMENT 'more than one only without a key',
       `done` VARCHAR(16) NOT NULL COMMENT 'equal: the source deleted it, too; repaired; recorded: it differs until somebody, or a later change, sees to it',
       `times` BIGINT UNSIGNED NOT NULL DEFAULT 1,
       `file` VARCHAR(255) NOT NULL COMMENT 'where the batch begins that met it',
       `position` BIGINT UNSIGNED NOT NULL,
       `noted_at` TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
       UNIQUE KEY `once` (`digest`, `task`, `table_name`)
     ) ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
];

pub fn load_checkpoint(task: &str) -> String {
    format!(
        "SELECT `format`,`epoch`,`sequence`,`phase`,`source_uuid`,`gtid_set`,`file`,`position`,`committed_at` \
         FROM `polarferry`.`checkpoint` WHERE `task`={} FOR UPDATE",
        quoted(task)
    )
}

pub fn load_epoch(task: &str) -> String {
    format!("SELECT `epoch` FROM `polarferry`.`checkpoint` WHERE `task`={}", quoted(task))
}

pub fn insert_checkpoint(task: &str, checkpoint: &Checkpoint) -> String {
    format!(
        "INSERT INTO `polarferry`.`checkpoint` (`task`,`format`,`epoch`,`sequence`,`phase`,`source_uuid`,`gtid_set`,`file`,\
         `position`,`committed_at`,`build`) VALUES ({},{},{},{},{},{},{},{},{},{},{})",
        quoted(task),
        Checkpoint::FORMAT,
        checkpoint.epoch,
        checkpoint.sequence,
        quoted(checkpoint.phase.as_str()),
        quoted(&checkpoint.source_uuid),
        quoted(&checkpoint.position.gtids.to_string()),
        quoted(&checkpoint.position.file.file),
        checkpoint.position.file.offset,
        checkpoint.committed_at_micros,
        quoted(env!("CARGO_PKG_VERSION")),
    )
}

/// Moves the checkpoint; exactly one row must change, since the sequence rises.
pub fn move_checkpoint(task: &str, checkpoint: &Checkpoint) -> String {
    format!(
        "UPDATE `polarferry`.`checkpoint` SET `sequence`={},`phase`={},`source_uuid`={},`gtid_set`={},`file`={},`position`={},\
         `committed_at`={},`build`={} WHERE `task`={} AND `epoch`={} AND `sequence`={}",
        checkpoint.sequence + 1,
        quoted(checkpoint.phase.as_str()),
        quoted(&checkpoint.source_uuid),
        quoted(&checkpoint.position.gtids.to_string()),
        quoted(&checkpoint.position.file.file),
        checkpoint.position.file.offset,
        checkpoint.committed_at_micros,
        quoted(env!("CARGO_PKG_VERSION")),
        quoted(task),
        checkpoint.epoch,
        checkpoint.sequence,
    )
}

/// Takes the fence from whoever holds it.
pub fn raise_epoch(task: &str, from: u64) -> String {
    format!("UPDATE `polarferry`.`checkpoint` SET `epoch`={} WHERE `task`={} AND `epoch`={from}", from + 1, quoted(task))
}

/// Takes every table's fence along.
pub fn raise_table_epochs(task: &str, to: u64) -> String {
    format!("UPDATE `polarferry`.`tables` SET `epoch`={to} WHERE `task`={}", quoted(task))
}

pub fn load_tables(task: &str) -> String {
    format!(
        "SELECT `schema_name`,`table_name`,`state`,`upto`,`rows_copied`,`bytes_copied`,`mark_uuid`,`mark_file`,`mark_position` \
         FROM `polarferry`.`tables` WHERE `task`={}",
        quoted(task)
    )
}

/// The tables that the other tasks carry.
pub fn load_carried(task: &str) -> String {
    format!(
        "SELECT `task`,`schema_name`,`table_name` FROM `polarferry`.`tables` WHERE `task`<>{} AND `state`<>'excluded' ORDER BY 1,2,3",
        quoted(task)
    )
}

pub fn insert_table(task: &str, epoch: u64, name: &TableName) -> String {
    format!(
        "INSERT INTO `polarferry`.`tables` (`task`,`schema_name`,`table_name`,`epoch`,`state`) VALUES ({},{},{},{epoch},'pending')",
        quoted(task),
        quoted(&name.schema),
        quoted(&name.table)
    )
}

fn of_table(task: &str, name: &TableName) -> String {
    format!("`task`={} AND `schema_name`={} AND `table_name`={}", quoted(task), quoted(&name.schema), quoted(&name.table))
}

/// `changes` is a list of assignments.
pub fn change_table(task: &str, epoch: u64, name: &TableName, changes: &[u8]) -> Vec<u8> {
    let mut out = b"UPDATE `polarferry`.`tables` SET ".to_vec();
    out.extend_from_slice(changes);
    out.extend_from_slice(format!(" WHERE {} AND `epoch`={epoch}", of_table(task, name)).as_bytes());
    out
}

/// The assignments of a copy that begins and will end at the key `upto`.
pub fn copying(upto: &[u8]) -> Vec<u8> {
    let mut out = b"`state`='copying',`upto`=".to_vec();
    super::literal::write_quoted(&mut out, upto);
    out
}

/// The assignments of a copy that is complete.
pub fn complete(state: &str, mark: &Mark) -> Vec<u8> {
    format!(
        "`state`={},`mark_uuid`={},`mark_file`={},`mark_position`={}",
        quoted(state),
        quoted(&mark.server_uuid),
        quoted(&mark.file.file),
        mark.file.offset
    )
    .into_bytes()
}

/// Locks the table's fence: empty when another daemon has taken it.
pub fn hold_table(task: &str, epoch: u64, name: &TableName) -> String {
    format!("SELECT 1 FROM `polarferry`.`tables` WHERE {} AND `epoch`={epoch} FOR UPDATE", of_table(task, name))
}

pub fn insert_chunk(task: &str, name: &TableName, after: Option<&[u8]>, upto: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "INSERT INTO `polarferry`.`chunks` (`task`,`schema_name`,`table_name`,`after_key`,`upto_key`) VALUES ({},{},{},",
        quoted(task),
        quoted(&name.schema),
        quoted(&name.table)
    )
    .into_bytes();
    match after {
        Some(bound) => super::literal::write_quoted(&mut out, bound),
        None => out.extend_from_slice(b"NULL"),
    }
    out.push(b',');
    super::literal::write_quoted(&mut out, upto);
    out.push(b')');
    out
}

pub fn load_chunks(task: &str, name: &TableName) -> String {
    format!("SELECT `after_key`,`upto_key` FROM `polarferry`.`chunks` WHERE {}", of_table(task, name))
}

pub fn forget_chunks(task: &str, name: &TableName) -> String {
    format!("DELETE FROM `polarferry`.`chunks` WHERE {}", of_table(task, name))
}

/// One row that was not as it should be.
#[derive(Debug, Clone, Copy)]
pub struct DriftLine<'a> {
    /// As `database.table`.
    pub table: &'a str,
    pub row: &'a [u8],
    pub found: &'static str,
    pub copies: u64,
    pub done: &'static str,
}

/// What the column takes.
const ROW_BYTES: usize = 1024;

/// `lines` must not be empty; `before` is the checkpoint behind which the batch begins.
pub fn note_drift(task: &str, before: &Checkpoint, lines: &[DriftLine<'_>]) -> Vec<u8> {
    let mut out =
        b"INSERT INTO `polarferry`.`drift` (`task`,`table_name`,`digest`,`identity`,`found`,`copies`,`done`,`file`,`position`) VALUES "
            .to_vec();
    for (at, line) in lines.iter().enumerate() {
        let head = format!("{}({},{},", if at > 0 { "," } else { "" }, quoted(task), quoted(line.table));
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(format!("UNHEX('{}'),", super::keyless::sha2(line.row)).as_bytes());
        super::literal::write_quoted(&mut out, line.row.get(..ROW_BYTES).unwrap_or(line.row));
        let file = &before.position.file;
        let tail =
            format!(",{},{},{},{},{})", quoted(line.found), line.copies, quoted(line.done), quoted(&file.file), file.offset);
        out.extend_from_slice(tail.as_bytes());
    }
    out.extend_from_slice(
        b" ON DUPLICATE KEY UPDATE `found`=VALUES(`found`),`copies`=VALUES(`copies`),`done`=VALUES(`done`),`file`=VALUES(`file`),\
          `position`=VALUES(`position`),`times`=`times`+1,`noted_at`=CURRENT_TIMESTAMP(6)",
    );
    out
}

/// How many rows are known to differ.
pub fn count_drift(task: &str) -> String {
    format!(
        "SELECT CAST(IFNULL(SUM(`copies`),0) AS UNSIGNED) FROM `polarferry`.`drift` WHERE `task`={} AND `done`='recorded'",
        quoted(task)
    )
}
