//! `polarferry verify`: its arguments are settled, its room is not built yet.

use super::{ConfigFile, Exit, Failure};
use crate::model::selection::Glob;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Compare only this table; may be given several times
    #[arg(long = "table", value_name = "DB.T")]
    pub tables: Vec<Glob>,
    /// Write rows that differ again, from the source
    #[arg(long)]
    pub repair: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(_: &Arguments) -> Result<Exit, Failure> {
    let remedy = "stop writes on the source, wait until GET /cutover shows no backlog, and compare the \
                  rows of both clusters with a tool of your own";
    Err(Failure::new(Exit::Internal, "this version has no verify command yet", remedy))
}
