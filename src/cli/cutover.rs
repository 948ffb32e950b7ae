//! `polarferry cutover`: its arguments are settled, its room is not built yet.

use super::{ConfigFile, Exit, Failure};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Do everything but stop writes and seal
    #[arg(long)]
    pub rehearse: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(_: &Arguments) -> Result<Exit, Failure> {
    let remedy = "stop writes on the source, wait until every check of GET /cutover but the last is ok, compare \
                  the rows of both clusters, stop the daemon, and point the application at the target";
    Err(Failure::new(Exit::Internal, "this version has no cutover command yet", remedy))
}
