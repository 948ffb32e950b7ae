//! The heartbeat's row on the source, in a database of our own there.

use super::quoted;

/// Creates what is missing; safe to run again.
pub const CREATE: [&str; 2] = [
    "CREATE DATABASE IF NOT EXISTS `polarferry` DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS `polarferry`.`heartbeat` (
       `task` VARCHAR(64) NOT NULL PRIMARY KEY COMMENT 'one row a task',
       `at` TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
     ) ENGINE=InnoDB",
];

pub fn beat(task: &str) -> String {
    let task = quoted(task);
    format!(
        "INSERT INTO `polarferry`.`heartbeat` (`task`,`at`) VALUES ({task},CURRENT_TIMESTAMP(6)) \
         ON DUPLICATE KEY UPDATE `at`=CURRENT_TIMESTAMP(6)"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_beat_names_its_task() {
        assert!(super::beat("a'b").starts_with("INSERT INTO `polarferry`.`heartbeat` (`task`,`at`) VALUES ('a\\'b',"));
    }
}
