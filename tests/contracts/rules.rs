//! The alert rules: sound, tested both ways, and each with a place in the README that says what to do.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::program::succeed;
use super::service::read;
use crate::lab::PROMTOOL;

const RULES: &str = "grafana/alerts/polarferry.rules.yml";
const TESTS: &str = "grafana/alerts/polarferry.rules.test.yml";

fn path(inside: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(inside)
}

/// Each alert with the text of its rule.
fn alerts() -> Vec<(String, String)> {
    let text = read(RULES);
    let rules = text.split("\n      - alert: ").skip(1);
    rules.map(|rule| rule.split_once('\n').map(|(name, rule)| (name.to_owned(), rule.to_owned())).expect("a rule")).collect()
}

fn value<'t>(rule: &'t str, key: &str) -> &'t str {
    let prefix = format!("{key}: ");
    let line = rule.lines().find_map(|line| line.trim().strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("{key} is missing in\n{rule}")).trim_matches('"')
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    succeed(PROMTOOL.command().args(["check", "rules", "--lint=all", "--lint-fatal"]).arg(path(RULES)));
    succeed(PROMTOOL.command().args(["check", "config"]).arg(path("grafana/prometheus.yml")));
}

#[test]
fn each_alert_fires_and_is_silent_when_it_should() {
    succeed(PROMTOOL.command().args(["test", "rules"]).arg(path(TESTS)));
    let tests = read(TESTS);
    let cases: Vec<&str> = tests.split("\n  - name: ").skip(1).collect();
    for (alert, _) in alerts() {
        let of = |silent: bool| {
            let named = format!("alertname: {alert}\n");
            cases.iter().filter(|case| case.contains(&named) && case.contains("exp_alerts: []") == silent).count()
        };
        assert!(of(false) > 0, "no test sees {alert} fire");
        assert!(of(true) > 0, "no test sees {alert} silent");
    }
}

#[test]
fn each_alert_says_how_bad_it_is_and_where_to_read_on() {
    let readme = read("README.md");
    let headings: BTreeSet<&str> = readme.lines().filter_map(|line| line.strip_prefix("#### Polarferry")).collect();
    let mut named = BTreeSet::new();
    for (alert, rule) in alerts() {
        assert!(["critical", "warning", "info"].contains(&value(&rule, "severity")), "{alert}");
        assert!(!value(&rule, "summary").is_empty() && value(&rule, "description").ends_with('.'), "{alert}");
        assert_eq!(value(&rule, "runbook_url"), format!("README.md#{}", alert.to_lowercase()));
        named.insert(alert.strip_prefix("Polarferry").expect("our prefix").to_owned());
    }
    assert_eq!(headings.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), named, "the runbook's headings, and the alerts");
}
