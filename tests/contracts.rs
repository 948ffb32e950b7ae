//! The ring of contracts: what others hold on to, held to the running binary. The unit file and the way the daemon speaks with
//! systemd; the names in `/metrics`, the dashboards, the alert rules and the README.
//!
//! Some of it needs `systemd-analyze`, `promtool` and `prometheus`: the machine's own, or Debian's, which the lab unpacks into its cache.

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
    mod same;
    mod signals;
    mod unit;
}
