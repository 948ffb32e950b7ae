//! The ring of real servers: the real daemon between real MySQL servers, under load, killed, stopped, fed with what it must
//! refuse. Each file in `real/` asks one question.
//!
//! | variable | default | what |
//! |---|---|---|
//! | `POLARFERRY_TEST_ROWS` | 5000 | rows of each sysbench table; when it is set, the servers also run with full durability |
//! | `POLARFERRY_TEST_KILLS` | 4 | how often a daemon is killed |
//! | `POLARFERRY_TEST_SEED` | random, printed | where the random moments and changes come from |
//! | `POLARFERRY_TEST_FAR` | unset | `1`: a binlog file of more than 4 GiB, 10 GB of disk |
//! | `POLARFERRY_TEST_ALL` | unset | `1`: the kills on all pairs of servers, with GTIDs and without |
//!
//! The campaign is `POLARFERRY_TEST_ROWS=100000 POLARFERRY_TEST_KILLS=20 POLARFERRY_TEST_ALL=1 cargo test --test real`.

#![allow(clippy::panic, clippy::print_stdout, reason = "a test fails by a panic, and prints the seed that it ran with")]

mod ferry;
mod lab;

mod real {
    // What the tests stand on.
    #[macro_use]
    mod pair;
    mod rows;
    mod scale;
    mod writers;
    mod zoo;

    // The questions.
    mod cascades;
    mod contended;
    mod crash;
    mod drift;
    mod equal_documents;
    mod events;
    mod events_disk;
    mod events_far;
    mod events_lost;
    mod events_xa;
    mod extremes;
    mod failover;
    mod fence;
    mod giving_up;
    mod heartbeat;
    mod huge;
    mod json;
    mod keyless;
    mod keys;
    mod load;
    mod many;
    mod neighbours;
    mod odd_keys;
    mod partial_uniques;
    mod refusals;
    mod rotation;
    mod second_decoder;
    mod selection;
    mod settings;
    mod signals;
    mod silence;
    mod throttle;
    mod types;
    mod unhandled;
    mod unique_values;
}
