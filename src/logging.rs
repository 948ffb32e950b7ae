//! What is logged, and how: one line per event on standard error, which systemd's journal keeps.
//!
//! A person at a terminal gets text, anything else gets JSON with the event's fields at the top level. When it is the journal that
//! reads, each line begins with its priority as `<6>` (sd-daemon(3)), which the journal takes off: so `journalctl -p warning` works.
//!
//! The level comes from `POLARFERRY_LOG`, else from `[log] level`, in the directives of `tracing`: `info`, or
//! `info,polarferry::apply=debug`. It may be changed while we run ([`Level::change`]).
//!
//! What repeats is bounded ([`repeats`]): a source that does the same odd thing all night fills neither the disk nor the window of an
//! operator who looks for something else.

mod repeats;

use std::fmt;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt as lines, reload};

use repeats::{Repeats, Seen};

/// The variable that sets the level, whatever the file says.
pub const VARIABLE: &str = "POLARFERRY_LOG";

/// systemd's name for the journal's end of our standard error.
pub const JOURNAL: &str = "JOURNAL_STREAM";

/// What an operator needs to follow a migration and no more.
pub const LEVEL: &str = "info";

/// The directives make no filter, or the subscriber could not take them.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{key} = {directives:?} is no filter: {cause}")]
    Directives { key: &'static str, directives: String, cause: String },
    #[error("logging cannot be set: {0}")]
    Subscriber(String),
}

impl Fault {
    pub fn remedy(&self) -> &'static str {
        match self {
            Fault::Directives { .. } => REMEDY,
            Fault::Subscriber(_) => "start only one daemon in a process",
        }
    }
}

/// What belongs there.
pub const REMEDY: &str = "write a level (error, warn, info, debug, trace), or module=level, with commas between";

/// Directives that make a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives(String);

impl Default for Directives {
    fn default() -> Self {
        Self(LEVEL.to_owned())
    }
}

impl std::str::FromStr for Directives {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned())).map_err(|error| format!("is no filter: {error}"))
    }
}

impl fmt::Display for Directives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Directives {
    /// Those of the variable, if it has any, else these.
    fn or_of(&self, variable: Option<&str>) -> Result<Self, Fault> {
        let Some(text) = variable.filter(|text| !text.is_empty()) else { return Ok(self.clone()) };
        text.parse().map_err(|cause| Fault::Directives { key: VARIABLE, directives: text.to_owned(), cause })
    }
}

/// The level of the running process.
#[derive(Debug)]
pub struct Level {
    filter: reload::Handle<EnvFilter, Registry>,
    now: Directives,
}

impl Level {
    /// Takes another level from now on. `variable`: what `VARIABLE` holds.
    pub fn change(&mut self, wanted: &Directives, variable: Option<&str>) -> Result<(), Fault> {
        let wanted = wanted.or_of(variable)?;
        if wanted != self.now {
            self.filter.reload(filter(&wanted)?).map_err(|error| Fault::Subscriber(error.to_string()))?;
            self.now = wanted;
        }
        Ok(())
    }
}

/// Starts logging for this process, once. `variable` and `journal`: what `VARIABLE` and `JOURNAL` hold.
pub fn start(directives: &Directives, variable: Option<&str>, journal: Option<&str>) -> Result<Level, Fault> {
    let now = directives.or_of(variable)?;
    let (layer, handle) = reload::Layer::new(filter(&now)?);
    let journal = is_journal(journal);
    let all = lines::layer().with_writer(io::stderr);
    let all = if io::stderr().is_terminal() {
        all.event_format(Bounded::new(Format::<Full>::default(), journal, in_words)).boxed()
    } else {
        let json = Format::<Full>::default().json().flatten_event(true).with_span_list(false);
        all.fmt_fields(JsonFields::new()).event_format(Bounded::new(json, journal, in_json)).boxed()
    };
    let subscriber = tracing_subscriber::registry().with(layer).with(all);
    subscriber.try_init().map_err(|error| Fault::Subscriber(error.to_string()))?;
    Ok(Level { filter: handle, now })
}

fn filter(directives: &Directives) -> Result<EnvFilter, Fault> {
    EnvFilter::try_new(&directives.0).map_err(|error| Fault::Directives {
        key: "[log] level",
        directives: directives.0.clone(),
        cause: error.to_string(),
    })
}

/// Whether standard error is the journal's: the variable names device and inode of what it listens to (systemd.exec(5)), since
/// somebody may have redirected the output afterwards.
fn is_journal(stream: Option<&str>) -> bool {
    let named = stream.and_then(|stream| stream.split_once(':'));
    let ours = std::fs::metadata("/proc/self/fd/2").ok();
    named.zip(ours).is_some_and(|((device, inode), ours)| ours.dev().to_string() == device && ours.ino().to_string() == inode)
}

/// The priority of syslog(3) in front of a line.
fn priority(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "<3>",
        tracing::Level::WARN => "<4>",
        tracing::Level::INFO => "<6>",
        tracing::Level::DEBUG | tracing::Level::TRACE => "<7>",
    }
}

/// Another format, bounded, and with a priority for the journal.
struct Bounded<F> {
    format: F,
    journal: bool,
    /// How many lines were held back, in this format.
    told: fn(u64) -> String,
    repeats: Repeats,
}

fn in_words(held: u64) -> String {
    format!("({held} lines like the next one were held back)")
}

fn in_json(held: u64) -> String {
    format!(r#"{{"level":"INFO","message":"held back","lines":{held}}}"#)
}

impl<F> Bounded<F> {
    fn new(format: F, journal: bool, told: fn(u64) -> String) -> Self {
        Self { format, journal, told, repeats: Repeats::default() }
    }

    fn head(&self, writer: &mut Writer<'_>, level: tracing::Level) -> fmt::Result {
        if self.journal { writer.write_str(priority(level)) } else { Ok(()) }
    }
}

impl<S, N, F> FormatEvent<S, N> for Bounded<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        let held = match self.repeats.see(event.metadata().callsite(), level, Instant::now()) {
            Seen::Held => return Ok(()),
            Seen::Shown { held } => held,
        };
        if held > 0 {
            self.head(&mut writer, level)?;
            writeln!(writer, "{}", (self.told)(held))?;
        }
        self.head(&mut writer, level)?;
        self.format.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_levels_of_modules() {
        for good in ["debug", "info,polarferry::apply=trace", "off"] {
            assert!(good.parse::<Directives>().is_ok(), "{good}");
        }
        let fault = Directives::default().or_of(Some("polarferry=loud")).expect_err("no level");
        assert!(fault.to_string().contains("POLARFERRY_LOG = \"polarferry=loud\""), "{fault}");
        assert!(!fault.remedy().is_empty());
    }

    #[test]
    fn the_variable_comes_before_the_file() {
        let file: Directives = "debug".parse().expect("a level");
        for (variable, level) in [(None, "debug"), (Some(""), "debug"), (Some("warn"), "warn")] {
            assert_eq!(file.or_of(variable).expect("a level").to_string(), level);
        }
    }

    #[test]
    fn only_the_stream_that_is_named_is_the_journal() {
        let ours = std::fs::metadata("/proc/self/fd/2").expect("standard error");
        assert!(is_journal(Some(&format!("{}:{}", ours.dev(), ours.ino()))));
        for other in [None, Some(""), Some("1:1")] {
            assert!(!is_journal(other));
        }
    }
}
