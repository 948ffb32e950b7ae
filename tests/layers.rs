//! The house rules that a program can check: who may import whom, where the driver is named, how long a file is, that each
//! begins with a header, and which words no type ends with. `ROOMS` is the table of layers.
//!
//! Rules are for the code that ships: what follows `#[cfg(test)]` in a file, and files that are tests altogether, may reach
//! anywhere.

#![allow(clippy::panic, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a room stands; a room imports from below, as `may_import` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// Our nouns. Pure.
    Words,
    /// What decides: no clock, no socket, no driver.
    Rules,
    /// The two ends of the line: the only rooms that know the driver.
    Doors,
    /// Beside everything: what the task shows of itself.
    Side,
    /// One room per step of a migration. They meet through the words, never through each other.
    Stages,
    /// The only room that knows all of those above.
    Conductor,
    /// Operator and host: arguments, files, signals, logs.
    Edge,
}

use Layer::{Conductor, Doors, Edge, Rules, Side, Stages, Words};

/// Every room of `src/`, from the bottom to the top: a room imports only rooms that stand before it, so none goes in circles.
/// A new room is entered here.
const ROOMS: [(&str, Layer); 25] = [
    ("model", Words),
    ("fault", Rules),
    ("checkpoint", Rules),
    ("sql", Rules),
    ("throttle", Rules),
    ("conn", Doors),
    ("source", Doors),
    ("target", Doors),
    ("observe", Side),
    ("overlap", Side),
    ("precheck", Stages),
    ("schema", Stages),
    ("copy", Stages),
    ("stream", Stages),
    ("apply", Stages),
    ("verify", Stages),
    ("cutover", Stages),
    ("replicator", Conductor),
    ("logging", Edge),
    ("config", Edge),
    ("cli", Edge),
    ("mirror", Edge),
    ("systemd", Edge),
    ("lib", Edge),
    ("main", Edge),
];

/// From which layers a room of one layer imports. (What is in the same room is not imported.)
fn may_import(importer: Layer, imported: Layer) -> bool {
    match importer {
        Words => false,
        Rules => matches!(imported, Words | Rules),
        Doors => matches!(imported, Words | Rules | Doors),
        Side => matches!(imported, Words | Rules),
        Stages => matches!(imported, Words | Rules | Doors | Side),
        Conductor => matches!(imported, Words | Rules | Doors | Side | Stages),
        Edge => true,
    }
}

/// Files inside higher rooms that decide and must stay reachable without a server and without a runtime: they import as the
/// rules do.
const PURE_FILES: &[&str] = &[
    "apply/merge.rs",
    "apply/drift.rs",
    "apply/family.rs",
    "apply/render.rs",
    "stream/assemble.rs",
    "apply/undecided.rs",
    "stream/hold.rs",
];

/// The crates that only the doors name.
const DRIVERS: [&str; 1] = ["mysql_async"];

/// What needs a runtime or a socket, and has no place in words, rules and pure files.
const IMPURE: [&str; 4] = ["tokio", "tokio_util", "futures_util", "hyper"];

/// Lines of code in one file; 300 are the aim.
const LONGEST: usize = 500;

/// Words that say nothing: `copy::Worker`, not `CopyManager`.
const EMPTY_WORDS: [&str; 10] = ["Manager", "Handler", "Helper", "Util", "Common", "Base", "Impl", "Info", "Data", "Processor"];

/// One file of `src/`.
struct Source {
    /// Below `src/`, as `copy/worker.rs`.
    path: String,
    text: String,
    /// The words and symbols of the code that ships, without comments, texts and tests.
    tokens: Vec<String>,
}

impl Source {
    /// The room that the file belongs to: `copy` for `copy/worker.rs` and for `copy.rs`.
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn layer(&self) -> Layer {
        layer_of(self.room()).unwrap_or_else(|| panic!("{}: the room {} is not in the table of layers", self.path, self.room()))
    }

    fn is_pure(&self) -> bool {
        matches!(self.layer(), Words | Rules) || PURE_FILES.contains(&self.path.as_str())
    }

    /// The rooms that it imports: what follows `crate::` (`polarferry::` in `main.rs`), or enough `super::` to reach the root.
    fn imports(&self) -> BTreeSet<String> {
        let mut rooms = BTreeSet::new();
        let mut rest = self.tokens.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            let path = match first.as_str() {
                "crate" | "polarferry" => after,
                "super" => match self.climbs_to_root(after) {
                    Some(path) => path,
                    None => continue,
                },
                _ => continue,
            };
            if let Some(path) = path.strip_prefix(&[":".to_owned(), ":".to_owned()]) {
                rooms.extend(heads(path));
            }
        }
        rooms.remove(self.room());
        rooms
    }

    /// What follows after as many `super`s as there are modules above this one; `after` follows the first.
    fn climbs_to_root<'t>(&self, after: &'t [String]) -> Option<&'t [String]> {
        let parts = self.path.split('/').count();
        let depth = if self.path.ends_with("/mod.rs") { parts - 1 } else { parts };
        let step = [":", ":", "super"].map(str::to_owned);
        (1..depth).try_fold(after, |rest, _| rest.strip_prefix(&step))
    }

    /// The types that it defines.
    fn types(&self) -> impl Iterator<Item = &str> {
        let defines = |pair: &&[String]| ["struct", "enum", "union", "trait", "type"].contains(&pair[0].as_str());
        let pairs = self.tokens.windows(2).filter(defines);
        pairs.map(|pair| pair[1].as_str()).filter(|name| name.starts_with(char::is_uppercase))
    }

    fn names(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token == word)
    }

    /// Lines that are neither empty nor only a comment, up to the tests.
    fn lines(&self) -> usize {
        let code = |line: &&str| !line.is_empty() && !line.starts_with("//");
        shipped(&self.text).lines().map(str::trim).filter(code).count()
    }
}

fn layer_of(room: &str) -> Option<Layer> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, layer)| *layer)
}

fn height(room: &str) -> Option<usize> {
    ROOMS.iter().position(|(name, _)| *name == room)
}

/// The first names of a path or of a group of paths: `a` of `a::b`, `a` and `b` of `{a::{x, y}, b}`.
fn heads(path: &[String]) -> Vec<String> {
    if path.first().is_none_or(|token| token != "{") {
        return path.first().cloned().into_iter().collect();
    }
    let (mut heads, mut depth, mut fresh) = (Vec::new(), 0, false);
    for token in path {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if fresh && depth == 1 && token.starts_with(char::is_alphabetic) {
            heads.push(token.clone());
        }
        fresh = depth == 1 && (token == "{" || token == ",");
    }
    heads
}

/// The text up to its tests.
fn shipped(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod ").map_or(text, |tests| &text[..tests])
}

/// Words and single symbols; comments, texts and characters are left out.
fn tokens(text: &str) -> Vec<String> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let used = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            '"' => text_end(rest),
            'r' | 'b' if raw_end(rest).is_some() => raw_end(rest).unwrap_or(1),
            '\'' => character_end(rest),
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                tokens.push(rest[..end].to_owned());
                end
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                c.len_utf8()
            }
        };
        rest = &rest[used..];
    }
    tokens
}

/// The length of a text in quotes, escapes and all.
fn text_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw text, if one begins here: `r"…"`, `r#"…"#`, `br"…"`.
fn raw_end(text: &str) -> Option<usize> {
    let marks = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = marks.len() - marks.trim_start_matches('#').len();
    let begin = text.len() - marks.len() + hashes + 1;
    let body = marks[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&close).map_or(text.len(), |at| begin + at + close.len()))
}

/// The length of a character, or 1 where a lifetime begins.
fn character_end(text: &str) -> usize {
    let mut inside = text[1..].chars();
    match (inside.next(), inside.next()) {
        (Some('\\'), Some(escaped)) => {
            let after = 2 + escaped.len_utf8();
            text[after..].find('\'').map_or(text.len(), |at| after + at + 1)
        }
        (Some(c), Some('\'')) => c.len_utf8() + 2,
        _ => 1,
    }
}

/// All files of `src/` that ship.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no file in {}", root.display());
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.strip_prefix(&root).expect("it was found there").display().to_string();
        Source { tokens: tokens(shipped(&text)), path, text }
    };
    paths.iter().map(read).collect()
}

fn walk(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, paths);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            paths.push(path);
        }
    }
}

/// # Panics
/// With all the breaches of one rule at once.
fn assert_none(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}

#[test]
fn every_room_imports_only_from_below() {
    let mut breaches = Vec::new();
    for source in sources() {
        for room in source.imports() {
            // Names that are no rooms come from the root itself, which has none of its own.
            let Some(imported) = layer_of(&room) else {
                breaches.push(format!("{} imports {room}, which is in no layer", source.path));
                continue;
            };
            let circle = height(&room) > height(source.room()) && source.layer() != Edge;
            if circle || !may_import(source.layer(), imported) {
                breaches.push(format!("{} ({:?}) imports {room} ({imported:?})", source.path, source.layer()));
            }
        }
    }
    assert_none("a room imports from below only", &breaches);
}

#[test]
fn what_decides_is_pure() {
    let (mut breaches, sources) = (Vec::new(), sources());
    for path in PURE_FILES {
        assert!(sources.iter().any(|source| source.path == *path), "{path} is not there any more");
    }
    for source in sources.iter().filter(|source| source.is_pure()) {
        for name in IMPURE.iter().filter(|name| source.names(name)) {
            breaches.push(format!("{} names {name}", source.path));
        }
        for room in source.imports() {
            if layer_of(&room).is_some_and(|layer| !matches!(layer, Words | Rules)) {
                breaches.push(format!("{} imports {room}", source.path));
            }
        }
    }
    assert_none("words, rules and the pure files of stages need neither runtime nor server", &breaches);
}

#[test]
fn only_the_doors_name_the_driver() {
    let mut breaches = Vec::new();
    for source in sources().iter().filter(|source| source.layer() != Doors) {
        for driver in DRIVERS.iter().filter(|driver| source.names(driver)) {
            breaches.push(format!("{} names {driver}", source.path));
        }
    }
    assert_none("drivers are named at the doors only", &breaches);
}

#[test]
fn no_file_is_too_long() {
    let sources = sources();
    let long = sources.iter().filter(|source| source.lines() > LONGEST);
    let breaches: Vec<String> = long.map(|source| format!("{} has {}", source.path, source.lines())).collect();
    assert_none(&format!("no file has more than {LONGEST} lines of code"), &breaches);
}

#[test]
fn every_file_begins_with_its_header() {
    let sources = sources();
    let bare = sources.iter().filter(|source| !source.text.starts_with("//!"));
    let breaches: Vec<String> = bare.map(|source| source.path.clone()).collect();
    assert_none("a file begins with //! and what it is for", &breaches);
}

#[test]
fn no_type_ends_with_an_empty_word() {
    let mut breaches = Vec::new();
    for source in &sources() {
        let empty = |name: &&str| EMPTY_WORDS.iter().any(|word| name.ends_with(word));
        breaches.extend(source.types().filter(empty).map(|name| format!("{} in {}", name, source.path)));
    }
    assert_none("a type is named for what it is", &breaches);
}

#[test]
fn the_reader_of_imports_understands_rust() {
    let source = |path: &str, text: &str| Source { path: path.into(), tokens: tokens(shipped(text)), text: text.into() };
    let imports = |path: &str, text: &str| source(path, text).imports().into_iter().collect::<Vec<_>>();
    assert_eq!(imports("copy/mod.rs", "use crate::{sql::{dml, probe}, model::Phase, conn};"), ["conn", "model", "sql"]);
    assert_eq!(imports("copy/mod.rs", "fn f(x: crate::fault::Fault) { crate::copy::g() }"), ["fault"]);
    assert_eq!(imports("copy/plan.rs", "use super::super::config; use super::worker;"), ["config"]);
    assert_eq!(imports("copy/mod.rs", "use super::config; use self::worker::x;"), ["config"]);
    assert_eq!(imports("checkpoint.rs", "use super::model;"), ["model"]);
    assert_eq!(imports("main.rs", "use polarferry::cli::{self, Exit};"), ["cli"]);
    let quiet = "//! crate::config\n/* crate::config */ let a = \"crate::config \\\" crate::cli\"; let b = r#\"crate::\"cli\"#; \
                 let c = '\"'; let d: &'static str = '\\''; use crate::sql;\n#[cfg(test)]\nmod tests { use crate::config; }";
    assert_eq!(imports("copy/mod.rs", quiet), ["sql"]);
    let types = source("x.rs", "pub struct RowData<'a>; enum E {} // struct Helper\ntype TaskInfo = u8; struct Database;");
    assert_eq!(types.types().collect::<Vec<_>>(), ["RowData", "E", "TaskInfo", "Database"]);
}
