//! `polarferry pause`, `resume` and `throttle`: live control of a running daemon.
//!
//! The token comes from a file or from `POLARFERRY_TOKEN`, never from an argument.

use std::path::PathBuf;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::client::{self, Reply};
use super::text::plain;
use super::{Daemon, Exit, Failure, say, wait};
use crate::config::{Environment, secret};

/// Not an argument with `env`: clap would take it from the command line too.
const TOKEN: &str = "POLARFERRY_TOKEN";

#[derive(Debug, clap::Args)]
pub struct Plain {
    #[command(flatten)]
    daemon: Daemon,
    #[command(flatten)]
    token: TokenFile,
}

#[derive(Debug, clap::Args)]
struct TokenFile {
    /// File that holds the daemon's token; without it, the variable POLARFERRY_TOKEN
    #[arg(long = "token-file", value_name = "FILE", env = "POLARFERRY_TOKEN_FILE")]
    path: Option<PathBuf>,
}

/// At least one limit; what is not named stays as it is.
#[derive(Debug, clap::Args)]
pub struct Throttle {
    #[command(flatten)]
    daemon: Daemon,
    #[command(flatten)]
    token: TokenFile,
    #[command(flatten)]
    limits: Limits,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Limits {
    /// Most chunk queries a second while copying; 0 is no limit, here and below
    #[arg(long, value_name = "N")]
    copy_queries_per_second: Option<u64>,
    /// Most rows a second while copying
    #[arg(long, value_name = "N")]
    copy_rows_per_second: Option<u64>,
    /// Most bytes a second while copying
    #[arg(long, value_name = "N")]
    copy_bytes_per_second: Option<u64>,
    /// Most row changes a second while streaming
    #[arg(long, value_name = "N")]
    stream_rows_per_second: Option<u64>,
    /// Most bytes a second while streaming
    #[arg(long, value_name = "N")]
    stream_bytes_per_second: Option<u64>,
    /// Let the copy make way by itself while the clusters have too much to do
    #[arg(long, value_name = "true|false")]
    auto: Option<bool>,
    /// … from so many statements of others that run on the source at once
    #[arg(long, value_name = "N")]
    auto_threads_running: Option<u64>,
    /// … from so many milliseconds for a commit on the target
    #[arg(long, value_name = "N")]
    auto_commit_milliseconds: Option<u64>,
    /// … from so many seconds that the stream is behind
    #[arg(long, value_name = "N")]
    auto_lag_seconds: Option<u64>,
}

impl Limits {
    /// The keys of `[throttle]`, as the daemon reads them.
    fn as_json(&self) -> Value {
        let keys = [
            ("copy_queries_per_second", self.copy_queries_per_second),
            ("copy_rows_per_second", self.copy_rows_per_second),
            ("copy_bytes_per_second", self.copy_bytes_per_second),
            ("stream_rows_per_second", self.stream_rows_per_second),
            ("stream_bytes_per_second", self.stream_bytes_per_second),
            ("auto_threads_running", self.auto_threads_running),
            ("auto_commit_milliseconds", self.auto_commit_milliseconds),
            ("auto_lag_seconds", self.auto_lag_seconds),
        ];
        let given = keys.into_iter().filter_map(|(key, limit)| Some((key.to_owned(), limit?.into())));
        Value::Object(given.chain(self.auto.map(|auto| ("auto".to_owned(), auto.into()))).collect())
    }
}

pub(super) fn pause(arguments: &Plain, environment: &Environment) -> Result<Exit, Failure> {
    let nothing = Value::Object(Map::new());
    post(&arguments.daemon, &arguments.token, environment, "/pause", &nothing, "paused")
}

pub(super) fn resume(arguments: &Plain, environment: &Environment) -> Result<Exit, Failure> {
    let nothing = Value::Object(Map::new());
    post(&arguments.daemon, &arguments.token, environment, "/resume", &nothing, "resumed")
}

pub(super) fn throttle(arguments: &Throttle, environment: &Environment) -> Result<Exit, Failure> {
    let limits = arguments.limits.as_json();
    post(&arguments.daemon, &arguments.token, environment, "/throttle", &limits, "limits changed")
}

fn post(
    daemon: &Daemon,
    token: &TokenFile,
    environment: &Environment,
    route: &str,
    body: &Value,
    done: &str,
) -> Result<Exit, Failure> {
    let token = token.read(environment)?;
    let reply = wait(client::request(&daemon.url, route, Some((&token, body.to_string()))))?;
    judge(&reply, route)?;
    say(&format!("{done}\n"))?;
    Ok(Exit::Done)
}

impl TokenFile {
    fn read(&self, environment: &Environment) -> Result<SecretString, Failure> {
        let Some(path) = &self.path else {
            let token = environment.get(TOKEN).filter(|token| !token.is_empty());
            return token.map(SecretString::from).ok_or_else(|| {
                let remedy = "give --token-file FILE with the token of the daemon's [http] token_file, or set POLARFERRY_TOKEN";
                Failure::new(Exit::Usage, "no token", remedy)
            });
        };
        secret::read(path).map_err(|fault| {
            let cause = format!("--token-file {}: {fault}", path.display());
            Failure::new(Exit::Usage, cause, fault.remedy())
        })
    }
}

fn judge(reply: &Reply, route: &str) -> Result<(), Failure> {
    let said = said(&reply.body);
    match reply.status {
        200..=299 => Ok(()),
        401 | 403 => {
            let remedy = "use the token of the daemon's [http] token_file; a daemon without one refuses every change";
            Err(Failure::new(Exit::Fenced, format!("the daemon refuses POST {route}{said}"), remedy))
        }
        status => {
            let remedy = "see `polarferry status` and the daemon's log";
            Err(Failure::new(Exit::Internal, format!("the daemon answers {status} to POST {route}{said}"), remedy))
        }
    }
}

/// The daemon's own words, from `message` or `error` of a JSON answer, else the text of a short one.
fn said(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let words = ["/message", "/error/message", "/error"].iter().find_map(|at| value.pointer(at)?.as_str());
    match words.unwrap_or(body.trim()) {
        words if (1..=200).contains(&words.len()) => format!(": {}", plain(words)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn only_given_limits_are_sent() {
        let limits = Limits {
            copy_queries_per_second: None,
            copy_rows_per_second: Some(5),
            copy_bytes_per_second: None,
            stream_rows_per_second: None,
            stream_bytes_per_second: Some(0),
            auto: Some(true),
            auto_threads_running: None,
            auto_commit_milliseconds: None,
            auto_lag_seconds: Some(9),
        };
        let expected = serde_json::json!({
            "copy_rows_per_second": 5, "stream_bytes_per_second": 0, "auto": true, "auto_lag_seconds": 9
        });
        assert_eq!(limits.as_json(), expected);
    }

    #[test]
    fn a_refusal_carries_the_daemons_words() {
        let judge = |status, body: &str| judge(&Reply { status, body: body.to_owned() }, "/pause").unwrap_err();
        assert_eq!(judge(403, "no\x1b token").exit, Exit::Fenced);
        assert_eq!(judge(403, "no\x1b token").cause, "the daemon refuses POST /pause: no  token");
        let conflict = judge(409, r#"{"error":{"message":"already sealed"}}"#);
        assert_eq!(conflict.cause, "the daemon answers 409 to POST /pause: already sealed");
        assert_eq!(judge(500, "").cause, "the daemon answers 500 to POST /pause");
    }

    #[test]
    fn the_token_comes_from_a_file_or_the_environment() {
        let environment: Environment = [(TOKEN, "from-variable")].into_iter().collect();
        let none = TokenFile { path: None };
        assert_eq!(none.read(&environment).unwrap().expose_secret(), "from-variable");
        assert_eq!(none.read(&Environment::default()).unwrap_err().exit, Exit::Usage);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "from-file\n").unwrap();
        let file = TokenFile { path: Some(path) };
        assert_eq!(file.read(&environment).unwrap().expose_secret(), "from-file");
    }
}
