//! `polarferry run`: loads the configuration and hands over to `main`, which starts the daemon.

use std::path::PathBuf;

use super::{ConfigFile, Exit, Failure};
use crate::config::{Config, Environment};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// What the daemon starts with; path and environment are for loading again on SIGHUP.
#[derive(Debug)]
pub struct Launch {
    pub config: Config,
    pub path: PathBuf,
    pub environment: Environment,
}

pub(super) fn run(
    arguments: Arguments,
    environment: Environment,
    carry: impl FnOnce(Launch) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let config = arguments.file.load(&environment)?;
    carry(Launch { config, path: arguments.file.path, environment })?;
    Ok(Exit::Done)
}
