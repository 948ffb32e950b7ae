//! What is logged, and how: one line per event on standard error, which systemd's journal keeps.
//!
//! A person at a terminal gets text, anything else gets JSON with the event's fields at the top level.
//! The level comes from `POLARFERRY_LOG`, in the directives of `tracing`: `info`, or `info,polarferry::apply=debug`.

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// The variable that sets the level.
pub const VARIABLE: &str = "POLARFERRY_LOG";

/// What an operator needs to follow a migration and no more.
pub const LEVEL: &str = "info";

/// The directives make no filter, or the subscriber could not take them.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{VARIABLE} = {directives:?} is no filter: {cause}")]
    Directives { directives: String, cause: String },
    #[error("logging cannot be set: {0}")]
    Subscriber(String),
}

impl Fault {
    pub fn remedy(&self) -> &'static str {
        match self {
            Fault::Directives { .. } => "write a level (error, warn, info, debug, trace), or module=level, with commas between",
            Fault::Subscriber(_) => "start only one daemon in a process",
        }
    }
}

/// Starts logging for this process, once. Empty directives mean `LEVEL`.
pub fn start(directives: &str) -> Result<(), Fault> {
    let filter = filter(directives)?;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines =
        if io::stderr().is_terminal() { lines.boxed() } else { lines.json().flatten_event(true).with_span_list(false).boxed() };
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    subscriber.try_init().map_err(|error| Fault::Subscriber(error.to_string()))
}

fn filter(directives: &str) -> Result<EnvFilter, Fault> {
    let directives = if directives.is_empty() { LEVEL } else { directives };
    EnvFilter::try_new(directives)
        .map_err(|error| Fault::Directives { directives: directives.to_owned(), cause: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_levels_of_modules() {
        for good in ["", "debug", "info,polarferry::apply=trace", "off"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        let fault = filter("polarferry=loud").unwrap_err();
        assert!(fault.to_string().contains("POLARFERRY_LOG = \"polarferry=loud\""), "{fault}");
        assert!(!fault.remedy().is_empty());
    }
}
