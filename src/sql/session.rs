//! The statements by which a task's sessions on the target are known as its own: named locks of the server.

use super::quoted;

/// What a session is known by. The number tells the sessions of one task apart.
fn name(task: &str, number: usize) -> String {
    // A lock's name has 64 characters at most, as many as this has.
    format!("SHA2(CONCAT('polarferry ',{},' {number}'),256)", quoted(task))
}

/// Takes the name, waiting `seconds` for whoever has it: 1 when it is ours.
pub fn take(task: &str, number: usize, seconds: u64) -> String {
    format!("SELECT GET_LOCK({},{seconds})", name(task, number))
}

/// One row: the number under which the target knows the session itself, and of each name the session that has it, NULL where none has.
pub fn own_and_holders(task: &str, numbers: usize) -> String {
    let holders: Vec<String> = (0..numbers).map(|number| format!("IS_USED_LOCK({})", name(task, number))).collect();
    format!("SELECT CONNECTION_ID(),{}", holders.join(","))
}

/// The sessions that the account may see: its own, at least.
pub const SESSIONS: &str = "SHOW PROCESSLIST";

pub fn kill(connection: u64) -> String {
    format!("KILL {connection}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_and_numbers_have_names_of_their_own() {
        assert_eq!(take("a'b", 2, 5), "SELECT GET_LOCK(SHA2(CONCAT('polarferry ','a\\'b',' 2'),256),5)");
        assert_eq!(own_and_holders("a", 2).matches("IS_USED_LOCK").count(), 2);
    }
}
