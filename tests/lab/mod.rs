//! The lab: real MySQL servers 5.7, 8.0 and 9.7 on loopback, for tests and for the demonstration.
//!
//! `Server::start` finds the server, or fetches it once into a cache (see `fetch`), and starts it
//! with a data directory and port of its own within seconds. Nothing is installed and nothing
//! outlives the process (see `process`). What is missing is a loud failure, never a silent skip.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of the lab, and none uses all of it")]

mod accounts;
mod cache;
mod compare;
mod contents;
mod debian;
mod failure;
mod fetch;
mod maven;
mod options;
mod place;
mod process;
mod program;
mod server;
mod sysbench;
mod tool;

pub use accounts::{create as create_account, source_account, target_account};
pub use compare::{checksum_tables, count};
pub use contents::{Contents, contents, document_text, quoted};
pub use failure::{Failure, last_lines};
pub use fetch::Version;
pub use options::Options;
pub use place::{free_port, unique_id};
pub use process::{POLL, Process};
pub use program::{MYDUMPER, MYLOADER, MYSQL, MYSQLDUMP, PROMETHEUS, PROMTOOL, Program, SYSTEMD_ANALYZE};
pub use server::Server;
pub use sysbench::{Load, Report, Run, Sysbench};
