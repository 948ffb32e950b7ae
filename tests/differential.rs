//! The ring of the differential fuzzer: random schemas, random transactions, a daemon that is killed at random, and three servers
//! that must hold the same in the end: the source, the target, and a native replica of the source as a witness.
//!
//! | variable | default | what |
//! |---|---|---|
//! | `POLARFERRY_FUZZ_SEED` | random, printed | the first seed; it decides all that can be decided |
//! | `POLARFERRY_FUZZ_SEEDS` | 1 | how many seeds, on each route |
//! | `POLARFERRY_FUZZ_SECONDS` | 15 | how long the application of one seed writes |
//! | `POLARFERRY_FUZZ_ROUTE` | all in turn | `9.7-9.7`, `8.0-8.0` or `5.7-8.0` |
//! | `POLARFERRY_FUZZ_JOBS` | 1 | how many seeds run at the same time |
//! | `POLARFERRY_FUZZ_TRACE` | unset | `1`: a failing seed also leaves the target's log of all statements |
//!
//! A failing seed leaves its journal (the schema, every statement with what became of it) and the daemon's log below
//! `target/tmp/differential`. What this version does not carry, and the generator leaves out, is in `differential/limits.rs`.

#![allow(clippy::panic, clippy::print_stdout, reason = "a test fails by a panic, and prints the seed that it ran with")]

mod ferry;
mod lab;

mod differential {
    // What is drawn.
    mod dice;
    mod kinds;
    mod limits;
    mod statements;
    mod table;
    mod text;

    // What it is drawn for.
    mod contents;
    mod settings;
    mod stage;
    mod voyage;
    mod writers;

    // The runs.
    mod campaign;
    mod kept;
}
