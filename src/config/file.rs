//! The two layers, file under environment, merged into one tree whose values know where they came from.
//!
//! The crate `config` merges; it leaves every environment value a string (its own parsing would turn the
//! password `1e3` into the number 1000), and `section` reads strings as numbers only when they came from
//! there. The file is parsed a second time for its line numbers, which `config` does not keep.

use std::collections::HashMap;

use config::{FileFormat, Map, Value, ValueKind};
use toml::de::{DeTable, DeValue};

use super::environment::Environment;
use super::problem::{Findings, Place};

/// `POLARFERRY__SOURCE__HOST` is `source.host`. Two underscores after the prefix as well, so that
/// `POLARFERRY_LOG` and `POLARFERRY_TOKEN` are not taken for keys.
const PREFIX: &str = "POLARFERRY";
const SEPARATOR: &str = "__";

pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{SEPARATOR}{}", key.replace('.', SEPARATOR).to_uppercase())
}

/// Whether the value came from the environment; `config` names no origin for text that it was handed.
pub(super) fn from_environment(value: &Value) -> bool {
    value.origin().is_some()
}

/// The merged tree; none for a file that is not TOML, since every key would be reported as missing.
pub(super) fn read(text: &str, environment: &Environment, findings: &mut Findings) -> Option<Map<String, Value>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let place = error.span().map_or(Place::Nowhere, |span| Place::Line(line(text, span.start)));
        // Only the message: the error's own display quotes the line, and the line may hold a password.
        let cause = format!("is not TOML: {}", error.message().replace('\n', ", "));
        findings.problem("", place, cause, "correct the line; text values need quotes");
    }
    if !errors.is_empty() {
        return None;
    }
    mark(text, "", document.get_ref(), &mut findings.lines);

    let variables = variables(environment, findings);
    let tree = config::Config::builder()
        .add_source(config::File::from_str(text, FileFormat::Toml))
        .add_source(
            config::Environment::with_prefix(PREFIX).prefix_separator(SEPARATOR).separator(SEPARATOR).source(Some(variables)),
        )
        .build()
        .map(|merged| merged.cache.kind);
    match tree {
        Ok(ValueKind::Table(tree)) => Some(tree),
        // The text parsed a moment ago, so this is a contradiction between two parsers.
        Ok(_) | Err(_) => {
            let cause = "cannot be merged with the environment";
            findings.problem("", Place::Nowhere, cause, "report this file, without its secrets");
            None
        }
    }
}

/// Our variables; the ones that cannot be read are reported instead.
fn variables(environment: &Environment, findings: &mut Findings) -> Map<String, String> {
    let mut ours = Map::new();
    for (name, value) in environment.iter() {
        let Some(key) = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(SEPARATOR)) else {
            continue;
        };
        let place = Place::Variable(name.to_owned());
        if value.contains(Environment::UNREADABLE) {
            findings.problem("", place, "is not UTF-8", "set the variable anew, in UTF-8");
        } else if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            // `config` would read brackets as an index.
            findings.problem("", place, "names no key", format!("write {}", variable("section.key")));
        } else {
            ours.insert(name.to_owned(), value.to_owned());
        }
    }
    ours
}

fn mark(text: &str, prefix: &str, table: &DeTable<'_>, lines: &mut HashMap<String, usize>) {
    for (name, value) in table {
        let key = join(prefix, name.get_ref());
        lines.insert(key.clone(), line(text, name.span().start));
        if let DeValue::Table(inner) = value.get_ref() {
            mark(text, &key, inner, lines);
        }
    }
}

pub(super) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn line(text: &str, offset: usize) -> usize {
    let before = text.bytes().take(offset);
    before.filter(|byte| *byte == b'\n').count() + 1
}
