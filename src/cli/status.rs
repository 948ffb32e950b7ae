//! `polarferry status`: the daemon's snapshot, for a person or, with `--json`, as it came.

use std::io::{self, IsTerminal};
use std::time::Duration;

use serde_json::Value;

use super::client;
use super::{Daemon, Exit, Failure, page, say, wait};

/// How often `--watch` asks.
const BEAT: Duration = Duration::from_secs(1);

/// Cursor home, then clear to the end: redraws without the flicker of clearing first.
const HOME: &str = "\x1b[H\x1b[J";

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    daemon: Daemon,
    /// Print the daemon's JSON
    #[arg(long)]
    json: bool,
    /// Ask again every second: redraw on a terminal, one line each when piped
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    wait(async {
        if arguments.watch {
            return watch(arguments).await;
        }
        let body = fetch(&arguments.daemon.url).await?;
        let text = if arguments.json { format!("{}\n", body.trim_end()) } else { page::full(&parse(&body)?, page::LINES) };
        say(&text)?;
        Ok(Exit::Done)
    })
}

/// Lines of the terminal, less the one that the cursor ends on. It may have been resized since the last second.
fn height() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_row > 0);
    size.map_or(page::LINES, |size| usize::from(size.ws_row).saturating_sub(1))
}

/// Asks until it is interrupted. A daemon that does not answer is shown and asked again: it may be restarting.
async fn watch(arguments: &Arguments) -> Result<Exit, Failure> {
    let terminal = io::stdout().is_terminal();
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let answer = fetch(&arguments.daemon.url).await;
        let answer = answer.and_then(|body| parse(&body));
        let text = match (answer, arguments.json) {
            // A URL that can never work.
            (Err(failure), _) if failure.exit == Exit::Usage => return Err(failure),
            (Err(failure), false) if terminal => format!("{HOME}{failure}\n"),
            (Err(failure), _) => {
                eprintln!("polarferry: {}", failure.cause);
                continue;
            }
            (Ok(status), true) => format!("{status}\n"),
            (Ok(status), false) if terminal => format!("{HOME}{}", page::full(&status, height())),
            (Ok(status), false) => page::line(&status),
        };
        say(&text)?;
    }
}

async fn fetch(url: &str) -> Result<String, Failure> {
    let reply = client::request(url, "/status", None).await?;
    if reply.status == 200 {
        return Ok(reply.body);
    }
    let cause = format!("GET /status is answered with {}", reply.status);
    Err(Failure::new(Exit::Internal, cause, "see whether --url names a polarferry daemon"))
}

fn parse(body: &str) -> Result<Value, Failure> {
    let value: Option<Value> = serde_json::from_str(body).ok().filter(Value::is_object);
    value.ok_or_else(|| {
        let remedy = "see whether --url names a polarferry daemon";
        Failure::new(Exit::Internal, "GET /status is answered with something else than a status", remedy)
    })
}
