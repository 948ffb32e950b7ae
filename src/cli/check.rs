//! `polarferry check`: every precondition, one line each, with the remedy under what did not pass.

use std::fmt::Write;

use serde_json::json;

use super::text::{plain, wrap};
use super::{ConfigFile, Exit, Failure, say, wait, warn};
use crate::config::{Config, Environment};
use crate::precheck::{Item, Outcome};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: &Environment,
    examine: impl AsyncFnOnce(Config) -> Result<Vec<Item>, Failure>,
) -> Result<Exit, Failure> {
    let config = arguments.file.load(environment)?;
    warn(&config);
    let items = wait(examine(config))?;
    say(&if arguments.json { as_json(&items) } else { as_table(&items) })?;
    Ok(verdict(&items))
}

fn count(items: &[Item], outcome: Outcome) -> usize {
    items.iter().filter(|item| item.outcome == outcome).count()
}

/// No item at all is no pass: unknown is not yes.
fn verdict(items: &[Item]) -> Exit {
    if items.is_empty() || count(items, Outcome::Fail) > 0 { Exit::Data } else { Exit::Done }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Warn => "warn",
        Outcome::Fail => "fail",
    }
}

fn as_json(items: &[Item]) -> String {
    let list: Vec<_> = items
        .iter()
        .map(|item| {
            json!({
                "name": item.name,
                "outcome": word(item.outcome),
                "detail": item.detail,
                "remedy": item.remedy,
            })
        })
        .collect();
    let ready = verdict(items) == Exit::Done;
    format!("{:#}\n", json!({ "ready": ready, "items": list }))
}

/// Longer names push only their own line to the right.
const NAME: usize = 26;

fn as_table(items: &[Item]) -> String {
    let longest = items.iter().map(|item| item.name.len()).max().unwrap_or(0);
    let width = longest.min(NAME);
    let mut page = String::new();
    for item in items {
        let first = format!("{}  {:width$}  ", word(item.outcome), plain(item.name));
        let mut lines = wrap(&first, &item.detail);
        if let Some(remedy) = &item.remedy {
            lines += "\n";
            lines += &wrap("      remedy: ", remedy);
        }
        writeln!(page, "{lines}").expect("a String takes any text");
    }
    let [pass, warn, fail] = [Outcome::Pass, Outcome::Warn, Outcome::Fail].map(|o| count(items, o));
    let verdict = if verdict(items) == Exit::Done { "ready to run" } else { "not ready" };
    page + &format!("\n{pass} passed, {warn} with a warning, {fail} failed: {verdict}\n")
}

#[cfg(test)]
mod tests {
    use super::super::text::WIDTH;
    use super::*;

    fn items() -> Vec<Item> {
        let item = |name, outcome, detail: &str, remedy: Option<&str>| Item {
            name,
            outcome,
            detail: detail.to_owned(),
            remedy: remedy.map(str::to_owned),
            cause: None,
            in_failover: false,
        };
        vec![
            item("source.binlog_format", Outcome::Pass, "ROW", None),
            item(
                "source.binlog_retention",
                Outcome::Warn,
                "24 hours are kept; a copy that takes longer could lose its place in the binlog",
                Some("CALL mysql.rds_set_configuration('binlog retention hours', 168)"),
            ),
            item(
                "target.privileges",
                Outcome::Fail,
                "'ferry'@'%' lacks INSERT, UPDATE, DELETE on `shop`.*",
                Some("GRANT INSERT, UPDATE, DELETE ON `shop`.* TO 'ferry'@'%'"),
            ),
        ]
    }

    #[test]
    fn the_table_fits_and_says_what_to_do() {
        let page = as_table(&items());
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
        assert!(page.contains("fail  target.privileges        'ferry'@'%' lacks"), "{page}");
        assert!(page.contains("      remedy: GRANT INSERT"), "{page}");
        assert!(page.ends_with("\n1 passed, 1 with a warning, 1 failed: not ready\n"), "{page}");
    }

    #[test]
    fn only_a_failure_or_nothing_at_all_is_not_ready() {
        let mut items = items();
        assert_eq!(verdict(&items), Exit::Data);
        items.pop();
        assert_eq!(verdict(&items), Exit::Done);
        assert_eq!(verdict(&[]), Exit::Data);
    }

    #[test]
    fn json_carries_the_same() {
        let value: serde_json::Value = serde_json::from_str(&as_json(&items())).unwrap();
        assert_eq!(value["ready"], false);
        assert_eq!(value["items"][2]["outcome"], "fail");
        assert_eq!(value["items"][0]["remedy"], serde_json::Value::Null);
    }
}
