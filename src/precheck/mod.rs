//! Every precondition, before anything is written. All of them are looked at and all are reported, each with its remedy: an operator
//! mends a list once, not a line at a time.
//!
//! Unknown is not yes: what could not be found out has failed. Nothing here writes, to either end.

mod source;
mod tables;
mod target;

use crate::conn::Endpoint;
use crate::fault::{Code, Fault};
use crate::model::selection::Selection;
use crate::model::task::Migrate;

/// How one precondition came out. Unknown is not yes: what could not be found out is `Fail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Pass,
    Warn,
    Fail,
}

/// One precondition, with what was found and, unless it passed, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub name: &'static str,
    pub outcome: Outcome,
    pub detail: String,
    pub remedy: Option<String>,
}

impl Item {
    fn pass(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Pass, detail: detail.into(), remedy: None }
    }

    fn warn(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Warn, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    fn fail(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Fail, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    /// Passes when `ok`, else fails with the remedy.
    fn demand(name: &'static str, ok: bool, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        if ok { Self::pass(name, detail) } else { Self::fail(name, detail, remedy) }
    }

    fn of_fault(name: &'static str, fault: &Fault) -> Self {
        // The code's own remedy speaks of attempts to come, and a precheck makes one.
        let remedy = match fault.code {
            Code::ConnectionLost(_) => "check host and port, the firewalls and security groups between, and that the server runs",
            code => code.remedy(),
        };
        Self::fail(name, fault.detail.clone(), remedy)
    }
}

/// What is to be migrated.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    pub task: &'a str,
    pub server_id: u32,
    pub selection: &'a Selection,
    pub migrate: Migrate,
}

/// Looks at everything.
pub async fn examine(source: &Endpoint, target: &Endpoint, wish: &Wish<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    let from = source::examine(source, wish, &mut items).await;
    let to = target::examine(target, wish, from.as_ref(), &mut items).await;
    if let (Some(mut from), Some(mut to)) = (from, to) {
        source::server_id(&from, to.resumed, wish, &mut items);
        tables::examine(&mut from, &mut to, wish, &mut items).await;
    }
    items
}

/// The fault of a precheck whose items failed; `None` when none did.
pub fn fault(items: &[Item]) -> Option<Fault> {
    let failed: Vec<&Item> = items.iter().filter(|item| item.outcome == Outcome::Fail).collect();
    let first = failed.first()?;
    let more = match failed.len() {
        1 => String::new(),
        count => format!(" (and {} more: run `polarferry check`)", count - 1),
    };
    let remedy = first.remedy.as_deref().unwrap_or("see `polarferry check`");
    Some(Fault::new(Code::PrecheckFailed, format!("{}: {}{more}; {remedy}", first.name, first.detail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fault_names_the_first_failure_and_counts_the_others() {
        let items = [Item::pass("a", ""), Item::fail("b", "is off", "turn it on"), Item::fail("c", "x", "y")];
        let text = fault(&items).map(|fault| fault.detail).unwrap_or_default();
        assert_eq!(text, "b: is off (and 1 more: run `polarferry check`); turn it on");
        assert_eq!(fault(&items[..1]), None);
    }
}
