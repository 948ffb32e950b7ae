//! Every precondition, before anything is written. All of them are looked at and all are reported, each with its remedy: an operator
//! mends a list once, not a line at a time.
//!
//! Unknown is not yes: what could not be found out has failed. Nothing here writes, to either end.

mod families;
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
    /// The code of the fault that it failed for. One that passes says nothing about the precondition: it is looked at again.
    pub cause: Option<Code>,
    /// A failover may show it for a moment; a task that has begun waits for its end.
    pub in_failover: bool,
}

impl Item {
    fn pass(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Pass, detail: detail.into(), remedy: None, cause: None, in_failover: false }
    }

    fn warn(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warn, remedy: Some(remedy.into()), ..Self::pass(name, detail) }
    }

    fn fail(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, remedy: Some(remedy.into()), ..Self::pass(name, detail) }
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
        Self { cause: Some(fault.code), ..Self::fail(name, fault.detail.clone(), remedy) }
    }

    fn in_failover(self) -> Self {
        Self { in_failover: true, ..self }
    }

    /// For a task that has begun: the voyage itself waits until it is so.
    fn of_resumed(&mut self) {
        if self.in_failover && self.outcome == Outcome::Fail {
            self.outcome = Outcome::Warn;
        }
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
    if to.as_ref().is_some_and(|to| to.resumed) {
        items.iter_mut().for_each(Item::of_resumed);
    }
    if let (Some(mut from), Some(mut to)) = (from, to) {
        source::server_id(&mut from, to.resumed, wish, &mut items).await;
        tables::examine(&mut from, &mut to, wish, &mut items).await;
    }
    items
}

/// The fault of a precheck whose items failed; `None` when none did. When nothing but the world was in the way, it is a passing one.
pub fn fault(items: &[Item]) -> Option<Fault> {
    let failed: Vec<&Item> = items.iter().filter(|item| item.outcome == Outcome::Fail).collect();
    let first = failed.first()?;
    let passing = |item: &&Item| item.cause.is_some_and(|code| code.class().is_some());
    if let Some(code) = first.cause.filter(|_| failed.iter().all(passing)) {
        return Some(Fault::new(code, format!("{}: {}", first.name, first.detail)));
    }
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
    use crate::fault::Side;

    #[test]
    fn the_fault_names_the_first_failure_and_counts_the_others() {
        let items = [Item::pass("a", ""), Item::fail("b", "is off", "turn it on"), Item::fail("c", "x", "y")];
        let text = fault(&items).map(|fault| fault.detail).unwrap_or_default();
        assert_eq!(text, "b: is off (and 1 more: run `polarferry check`); turn it on");
        assert_eq!(fault(&items[..1]), None);
    }

    #[test]
    fn what_only_the_world_was_in_the_way_of_is_looked_at_again() {
        let lost = Fault::new(Code::ConnectionLost(Side::Source), "reset");
        let mut items = vec![Item::pass("a", ""), Item::of_fault("b", &lost), Item::of_fault("c", &lost)];
        assert_eq!(fault(&items).map(|fault| fault.code), Some(Code::ConnectionLost(Side::Source)));
        items.push(Item::fail("d", "x", "y"));
        assert_eq!(fault(&items).map(|fault| fault.code), Some(Code::PrecheckFailed));
    }

    #[test]
    fn a_task_that_has_begun_waits_for_the_end_of_a_failover() {
        let mut items = [Item::fail("writer", "read-only", "x").in_failover(), Item::fail("format", "MIXED", "x")];
        assert!(fault(&items[..1]).is_some());
        items.iter_mut().for_each(Item::of_resumed);
        assert_eq!(items.map(|item| item.outcome), [Outcome::Warn, Outcome::Fail]);
    }
}
