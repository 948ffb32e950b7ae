//! The dashboards: what they show exists, each panel explains itself, and each follows the variables at the top.

use std::collections::BTreeSet;

use serde_json::Value;

use super::metrics::{exported, scrape};
use super::service::read;

pub const BOARDS: [&str; 2] = ["grafana/polarferry-fleet.json", "grafana/polarferry-task.json"];

/// The variables at the top of each, in this order.
const VARIABLES: [&str; 4] = ["datasource", "job", "task", "instance"];

pub fn board(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

pub fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// Each query of the panels and annotations, with whose it is.
pub fn queries(board: &Value) -> Vec<(String, String)> {
    let panels = list(board, "panels").iter().flat_map(|panel| {
        let title = text(panel, "title").to_owned();
        list(panel, "targets").iter().map(move |target| (title.clone(), text(target, "expr").to_owned()))
    });
    let notes = list(&board["annotations"], "list").iter().filter(|note| !note["expr"].is_null());
    panels.chain(notes.map(|note| (text(note, "name").to_owned(), text(note, "expr").to_owned()))).collect()
}

/// The names of metrics in a text: ours, and those of the process.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_name(c)).filter(|word| word.starts_with("polarferry_") || word.starts_with("process_"));
    words.map(str::to_owned).collect()
}

fn assert_exported(exported: &BTreeSet<String>, place: &str, text: &str) {
    for name in names(text) {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        assert!(exported.contains(&name) || exported.contains(family), "{place}: nobody exports {name}");
    }
}

#[test]
fn every_metric_of_dashboards_and_rules_is_exported() {
    let exported: BTreeSet<String> = exported(&scrape()).into_keys().collect();
    for path in BOARDS {
        let board = board(path);
        for (title, expr) in queries(&board) {
            assert_exported(&exported, &format!("{path}, {title}"), &expr);
        }
        for variable in list(&board["templating"], "list") {
            assert_exported(&exported, path, text(variable, "definition"));
        }
    }
    // The file's own comments and groups begin with the same word, and are no names.
    let rules = read("grafana/alerts/polarferry.rules.yml");
    let exprs: Vec<&str> = rules.lines().filter(|line| line.contains(['(', '{', '<', '>', '='])).collect();
    assert!(exprs.len() > 20, "{}", exprs.len());
    assert_exported(&exported, "rules", &exprs.join("\n"));
}

#[test]
fn each_panel_says_what_it_shows() {
    for path in BOARDS {
        for panel in list(&board(path), "panels") {
            let title = text(panel, "title");
            assert!(!title.is_empty(), "{path}: a panel without a title");
            if text(panel, "type") == "row" {
                continue;
            }
            assert!(text(panel, "description").ends_with('.'), "{path}: {title} has no description");
            assert!(!text(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "{path}: {title} has no unit");
            assert!(!list(panel, "targets").is_empty(), "{path}: {title} asks nothing");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{path}: {title}");
        }
    }
}

#[test]
fn each_query_follows_the_variables() {
    for path in BOARDS {
        let board = board(path);
        let variables: Vec<&str> = list(&board["templating"], "list").iter().map(|variable| text(variable, "name")).collect();
        assert_eq!(variables, VARIABLES, "{path}");
        for (title, expr) in queries(&board) {
            assert!(expr.contains("job=~\"$job\", instance=~\"$instance\""), "{path}: {title} shows every job's: {expr}");
            for rate in expr.split("rate(").skip(1) {
                let window = rate.split('[').nth(1).unwrap_or_default();
                assert!(window.starts_with("$__rate_interval]"), "{path}: {title} has a rate over a fixed time: {expr}");
            }
        }
    }
}

#[test]
fn panels_have_a_place_of_their_own() {
    for path in BOARDS {
        let board = board(path);
        assert_eq!((board["schemaVersion"].as_u64(), board["editable"].as_bool()), (Some(41), Some(false)), "{path}");
        let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for panel in list(&board, "panels") {
            assert!(ids.insert(panel["id"].as_u64()), "{path}: {} has another panel's number", panel["title"]);
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            for x in at("x")..at("x") + at("w") {
                assert!(x < 24, "{path}: {} is too wide", panel["title"]);
                for y in at("y")..at("y") + at("h") {
                    assert!(cells.insert((x, y)), "{path}: {} lies on another panel", panel["title"]);
                }
            }
        }
    }
}
