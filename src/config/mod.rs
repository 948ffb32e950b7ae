//! The configuration: one TOML file, over it the environment, out of it the `Settings` of each room.
//!
//! In: the file's text and the environment. Out: a `Config` in which everything is of a type that cannot
//! hold nonsense, or `Problems`, all of them, each with its remedy. Nothing is connected to or bound here,
//! so `polarferry config` may run anywhere; files that are named (passwords, certificates) must be readable.
//!
//! 1. `file` merges the two layers and remembers where each value was written.
//! 2. `section` and `kinds` take keys out of a table with a type and a range; what is left over is unknown.
//! 3. `gather` turns each section into the settings that its room declares.
//! 4. `secret` fetches passwords and the token; `render` prints everything but them.
//!
//! A room never sees `Config`, only its own settings; so the file may change its shape and rooms stay as they are.

mod environment;
mod file;
mod gather;
mod kinds;
mod problem;
mod render;
pub(crate) mod secret;
mod section;

use std::path::Path;

pub use environment::Environment;
pub use problem::{Place, Problem, Problems};

use crate::conn::Endpoint;
use crate::fault::RetrySettings;
use crate::model::{Migrate, Selection, Task};
use crate::observe::http;
use crate::throttle::Limits;
use crate::{apply, copy, logging};
use problem::Findings;

/// Everything one task runs with. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    pub task: Task,
    pub source: Endpoint,
    /// Whether a row on the source may be written.
    pub heartbeat: bool,
    pub target: Endpoint,
    pub objects: Selection,
    pub migrate: Migrate,
    pub copy: copy::Settings,
    pub apply: apply::Settings,
    pub retry: RetrySettings,
    pub throttle: Limits,
    pub http: http::Settings,
    pub log: logging::Directives,
    /// What is allowed and unwise; to be shown to the operator once.
    pub warnings: Vec<String>,
    origins: Origins,
}

/// Where the secrets came from.
#[derive(Debug, Clone)]
struct Origins {
    source: secret::Origin,
    target: secret::Origin,
    token: secret::Origin,
}

impl Config {
    /// Reads the file at `path`, with the environment over it.
    pub fn load(path: &Path, environment: &Environment) -> Result<Config, Problems> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Config::parse(&file, &text, environment),
            Err(error) => Err(Problems {
                file,
                problems: vec![Problem {
                    key: String::new(),
                    place: Place::Nowhere,
                    cause: format!("cannot be read: {error}"),
                    remedy: "name a readable TOML file with -c; config/polarferry.example.toml is a model".to_owned(),
                }],
            }),
        }
    }

    /// Reads `text`, which messages call `file`.
    pub fn parse(file: &str, text: &str, environment: &Environment) -> Result<Config, Problems> {
        let mut findings = Findings::default();
        let tree = file::read(text, environment, &mut findings);
        let config = tree.and_then(|tree| gather::gather(tree, environment, &mut findings));
        config.ok_or_else(|| Problems { file: file.to_owned(), problems: findings.problems })
    }

    /// The keys that another configuration has with other values, as `[section] key`, in the order of the file.
    pub fn differences(&self, other: &Config) -> Vec<String> {
        let (ours, theirs) = (render::pairs(&self.render()), render::pairs(&other.render()));
        let changed = |pair: &&(String, String)| !ours.contains(pair);
        let gone = ours.iter().filter(|(key, _)| theirs.iter().all(|(other, _)| other != key));
        theirs.iter().filter(changed).chain(gone).map(|(key, _)| key.clone()).collect()
    }

    /// The effective configuration as TOML, secrets hidden.
    pub fn render(&self) -> String {
        render::render(self)
    }
}

/// Every key that is read, as `section.key`, sorted. For tests that hold the example and the documents against it.
pub fn keys() -> Vec<String> {
    let mut findings = Findings::default();
    gather::gather(config::Map::new(), &Environment::default(), &mut findings);
    let known = findings.known.into_iter();
    known.filter(|key| key.contains('.') && !key.ends_with(".tls")).collect()
}

#[cfg(test)]
mod tests;
