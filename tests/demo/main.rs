//! The demonstration: `cargo demo` moves a live shop from one real MySQL server to another, while a
//! writer keeps trading in it, and proves that both ends are equal.
//!
//! Nothing is simulated and nothing is installed. The servers come from the tests' lab, the daemon
//! is the binary that operators run, and the proof at the end is computed by the servers without it.
//! The acts are the lines of `demonstrate`, in their order. Whatever happens, a failure, a panic or
//! Ctrl-C, the servers, the writer and the daemon end with this program, because each is held by a
//! value whose drop ends it.
//!
//! Exit code 0: all tables are equal. 1: they are not, or an act failed. 130: interrupted.

#![allow(clippy::print_stdout, reason = "what it prints is what the demonstration is for")]

#[path = "../lab/mod.rs"]
mod lab;

mod arguments;
mod binary;
mod daemon;
mod http;
mod interrupt;
mod proof;
mod rehearsal;
mod screen;
mod shop;
mod status;
mod summary;
mod watch;
mod writer;

use std::process::ExitCode;
use std::time::Duration;

use arguments::Arguments;
use daemon::Daemon;
use interrupt::Interrupt;
use lab::{Failure, Options, Server};
use shop::Sizes;
use summary::Summary;
use writer::Writer;

/// What a fetch or a build that was interrupted gets to end.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments = Arguments::of_process();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Failure::new(format!("cannot start: {error}"))),
    };
    let code = runtime.block_on(async {
        let interrupt = match Interrupt::listen() {
            Ok(interrupt) => interrupt,
            Err(error) => return failed(&Failure::new(format!("cannot listen: {error}"))),
        };
        // Losing this race drops the demonstration, and with it all that it has started.
        tokio::select! {
            outcome = demonstrate(&arguments) => match outcome {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(failure) => failed(&failure),
            },
            () = interrupt.came() => {
                eprintln!("\ninterrupted; the servers and the daemon are stopped");
                ExitCode::from(130)
            }
        }
    });
    runtime.shutdown_timeout(LAST_PATIENCE);
    code
}

fn failed(failure: &Failure) -> ExitCode {
    eprintln!("demo: {failure}");
    ExitCode::FAILURE
}

/// The acts. Returns whether both ends are equal.
async fn demonstrate(arguments: &Arguments) -> Result<bool, Failure> {
    let (from, to) = (arguments.from(), arguments.to());
    println!("Moves a shop of {} rows ({} transactions/s), {from} to {to}.", screen::thousands(arguments.rows), arguments.tps);
    let binary = tokio::task::spawn_blocking(binary::build).await.map_err(|error| Failure::new(error.to_string()))??;
    let (source, target) = start_servers(arguments).await?;

    let sizes = Sizes::of(arguments.rows);
    let filled = shop::fill(&source, sizes).await?;
    println!(
        "filled {} tables with {} rows in {:.1} s",
        shop::TABLES.len(),
        screen::thousands(filled.rows),
        filled.took.as_secs_f64()
    );

    let mut writer = Writer::start(&source, sizes, arguments.tps, arguments.seed).await?;
    println!("writer: {} connections, {} transactions/s, seed {}", writer::CONNECTIONS, arguments.tps, arguments.seed);
    let mut daemon = Daemon::start(&binary, &source, &target).await?;
    println!("polarferry run: TLS is disabled here, both ends being on loopback");
    println!("status page: http://127.0.0.1:{}/\n", daemon.port());

    let seen = watch::follow(&mut daemon, &mut writer, arguments.time()).await?;
    let committed = writer.stop().await?;
    println!("\nthe writer has stopped; draining");
    let rehearsal = rehearsal::rehearse(&mut daemon, &source).await?;
    rehearsal.verdict.print();
    let proofs = proof::prove(&source, &target).await?;
    let summary = Summary {
        title: format!("MySQL {} to MySQL {}", source.release(), target.release()),
        committed,
        seen: &seen,
        rehearsal: &rehearsal,
        proofs: &proofs,
    };
    summary.print();
    Ok(summary.is_equal())
}

/// Two servers with real durability, and room in memory for a shop of the usual size.
async fn start_servers(arguments: &Arguments) -> Result<(Server, Server), Failure> {
    let options = Options::default().arg("--innodb-buffer-pool-size=256M");
    let source = Server::try_start(arguments.from(), &options).await?;
    let target = Server::try_start(arguments.to(), &options).await?;
    println!(
        "source: MySQL {} on port {}; target: MySQL {} on port {}",
        source.release(),
        source.port(),
        target.release(),
        target.port()
    );
    Ok((source, target))
}
