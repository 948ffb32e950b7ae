//! `/metrics` of the running binary: well formed, explained in the README, and with labels that cannot grow without bound.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::process::Stdio;

use super::service::{Service, Wanted, read};
use crate::lab::PROMTOOL;

/// Every label that a series may have. `task`, `version`: one value in a process. All others: enums of the program.
const LABELS: [&str; 13] =
    ["class", "code", "kind", "le", "op", "outcome", "phase", "reason", "side", "stage", "state", "task", "version"];

/// The most series that a task may have; tables are not among their labels.
const SERIES: usize = 200;

/// What the running daemon exports: each family's name with its help.
pub fn exported(text: &str) -> BTreeMap<String, String> {
    let help = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    help.map(|(name, help)| (name.to_owned(), help.to_owned())).collect()
}

/// `/metrics` of a daemon that has just started.
pub fn scrape() -> String {
    let service = Service::start(&Wanted::default());
    assert_eq!(service.told(), "READY=1");
    let (code, text) = service.get("/metrics");
    assert_eq!(code, 200, "{text}");
    text
}

#[test]
fn promtool_finds_nothing_wrong() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("metrics");
    fs::write(&path, scrape()).expect("a file");
    let mut command = PROMTOOL.command();
    command.args(["check", "metrics"]).stdin(Stdio::from(File::open(&path).expect("a file")));
    let said = super::program::succeed(&mut command);
    assert_eq!(said, "");
}

#[test]
fn the_readme_lists_what_is_exported_and_nothing_else() {
    let exported: BTreeSet<String> = exported(&scrape()).into_keys().filter(|name| name.starts_with("polarferry_")).collect();
    let readme = read("README.md");
    let section = readme.split("\n### Metrics\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section Metrics");
    let listed: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `polarferry_")?.split(['`', '{']).next())
        .map(|name| format!("polarferry_{name}"))
        .collect();
    assert_eq!(exported.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "are exported and not in the README");
    assert_eq!(listed.difference(&exported).collect::<Vec<_>>(), Vec::<&String>::new(), "are in the README and not exported");
}

#[test]
fn labels_are_closed_sets() {
    let text = scrape();
    let series: Vec<&str> = text.lines().filter(|line| line.starts_with("polarferry_")).collect();
    assert!(series.len() < SERIES, "{} series", series.len());
    for line in series {
        let Some((_, rest)) = line.split_once('{') else { continue };
        let labels = rest.split_once('}').expect("closed braces").0;
        for label in labels.split("\",") {
            let name = label.split('=').next().unwrap_or_default();
            assert!(LABELS.contains(&name), "{name} in {line}");
        }
    }
}
