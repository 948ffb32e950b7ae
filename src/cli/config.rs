//! `polarferry config`: validates, and prints what the daemon would run with.

use super::{ConfigFile, Exit, Failure, say, warn};
use crate::config::Environment;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<Exit, Failure> {
    let config = arguments.file.load(environment)?;
    warn(&config);
    say(&config.render())?;
    Ok(Exit::Done)
}
