//! The command line: one file per command. A command reads its arguments, asks, and prints; it decides nothing.
//!
//! Standard output carries what was asked for, standard error what went wrong, always with the remedy.
//! Passwords and tokens are never arguments, because every account on the machine can read those of a process.
//!
//! What needs the other rooms comes in as two functions from `main`: `examine` runs the prechecks,
//! `carry` runs the daemon. So every command can be tested here without a server.

mod check;
mod client;
mod config;
mod control;
mod cutover;
mod exit;
mod page;
mod papers;
mod run;
mod status;
mod text;
mod verify;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Environment};
use crate::precheck::Item;
pub use exit::{Exit, Failure};
pub use run::Launch;

/// Migrates a live Aurora MySQL cluster to PolarDB for MySQL.
#[derive(Debug, Parser)]
#[command(name = "polarferry", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check every precondition on both clusters
    Check(check::Arguments),
    /// Run the migration: check, schema, copy, stream, until stopped or sealed
    Run(run::Arguments),
    /// Show phase, progress, lag and throughput of a running daemon
    Status(status::Arguments),
    /// Compare every row of both clusters
    Verify(verify::Arguments),
    /// Move the application over, gate by gate
    Cutover(cutover::Arguments),
    /// Hold copy and apply of a running daemon
    Pause(control::Plain),
    /// Go on after pause
    Resume(control::Plain),
    /// Change the speed limits of a running daemon
    Throttle(control::Throttle),
    /// Validate the configuration and print the effective one, secrets hidden
    Config(config::Arguments),
    /// Print what a shell needs to complete our commands
    Completions(papers::Completions),
    /// Write the manual pages into a directory
    #[command(hide = true)]
    Man(papers::Pages),
}

/// The configuration file, for the commands that need one.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// Configuration file (TOML)
    #[arg(short = 'c', long = "config", value_name = "FILE", env = "POLARFERRY_CONFIG")]
    pub path: PathBuf,
}

/// The daemon's HTTP interface, for the commands that talk to one.
#[derive(Debug, Args)]
pub struct Daemon {
    /// Where the daemon listens: its [http] listen
    #[arg(long, value_name = "URL", env = "POLARFERRY_URL", default_value = "http://127.0.0.1:9187")]
    pub url: String,
}

/// Reads the arguments. Help and version are printed and end with 0, nonsense ends with 64.
pub fn parse<T: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = T>) -> Result<Command, Exit> {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => Ok(cli.command),
        Err(error) => {
            // A closed standard output leaves nobody to tell.
            let _ = error.print();
            Err(match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                _ => Exit::Usage,
            })
        }
    }
}

/// Runs one command to its end.
pub fn run(
    command: Command,
    environment: Environment,
    examine: impl AsyncFnOnce(Config) -> Result<Vec<Item>, Failure>,
    carry: impl FnOnce(Launch) -> Result<(), Failure>,
) -> Exit {
    let outcome = match command {
        Command::Check(arguments) => check::run(&arguments, &environment, examine),
        Command::Run(arguments) => run::run(arguments, environment, carry),
        Command::Status(arguments) => status::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Cutover(arguments) => cutover::run(&arguments),
        Command::Pause(arguments) => control::pause(&arguments, &environment),
        Command::Resume(arguments) => control::resume(&arguments, &environment),
        Command::Throttle(arguments) => control::throttle(&arguments, &environment),
        Command::Config(arguments) => config::run(&arguments, &environment),
        Command::Completions(arguments) => papers::completions(&arguments),
        Command::Man(arguments) => papers::pages(&arguments),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("polarferry: {failure}");
        failure.exit
    })
}

impl ConfigFile {
    /// Loads the file; all its problems are one failure.
    fn load(&self, environment: &Environment) -> Result<Config, Failure> {
        let failure = |problems: crate::config::Problems| Failure::new(Exit::Configuration, problems.to_string(), "");
        Config::load(&self.path, environment).map_err(failure)
    }
}

/// Prints to standard output, at once. A reader that has gone away (`| head`) ends the command quietly,
/// as SIGPIPE, which Rust ignores, ends any other tool. Never for the daemon, which prints nothing.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            let cause = format!("cannot write to standard output: {error}");
            Err(Failure::new(Exit::Internal, cause, "see where the output goes"))
        }
    }
}

fn warn(config: &Config) {
    for warning in &config.warnings {
        eprintln!("polarferry: warning: {warning}");
    }
}

/// Waits for one future on this thread: enough for a command that asks and prints.
fn wait<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Failure::new(Exit::Internal, format!("cannot start: {error}"), "free file descriptors or memory"))?;
    runtime.block_on(future)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn exit(line: &str) -> Result<Command, Exit> {
        parse(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_contract_is_understood() {
        for line in [
            "polarferry check -c f --json",
            "polarferry run --config f",
            "polarferry status --url http://h:1 --json --watch",
            "polarferry verify -c f --table a.b --table c.d --repair --json",
            "polarferry cutover -c f --rehearse --json",
            "polarferry pause --url http://h:1 --token-file t",
            "polarferry resume --token-file t",
            "polarferry throttle --copy-rows-per-second 5 --stream-bytes-per-second 0 --token-file t",
            "polarferry config -c f",
            "polarferry completions bash",
            "polarferry man d",
        ] {
            assert!(exit(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for line in [
            "polarferry",
            "polarferry chek",
            "polarferry check -c",
            "polarferry throttle --token-file t",
            "polarferry throttle --copy-rows-per-second fast",
            "polarferry pause --token abc",
            "polarferry verify -c f --table mysql.user",
        ] {
            assert_eq!(exit(line).unwrap_err(), Exit::Usage, "{line}");
        }
        assert_eq!(exit("polarferry --help").unwrap_err(), Exit::Done);
        assert_eq!(exit("polarferry --version").unwrap_err(), Exit::Done);
    }
}
