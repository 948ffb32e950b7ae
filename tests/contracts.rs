//! The ring of contracts: what others hold on to, held to the running binary. The unit file and the way the daemon speaks with
//! systemd; the names in `/metrics`, the dashboards, the alert rules and the README.
//!
//! Some of it needs a program of the machine: `systemd-analyze` (package systemd), `promtool` and `prometheus` (package prometheus).
//! One that is missing fails its tests with one line that says so.

#![allow(clippy::panic, reason = "a test fails by a panic")]

mod ferry;
mod lab;

mod contracts {
    // What the tests stand on.
    mod program;
    mod service;

    // The contracts.
    mod boards;
    mod live;
    mod metrics;
    mod rules;
    mod signals;
    mod unit;
}
