//! polarferry moves a live Amazon Aurora MySQL cluster to PolarDB for MySQL.
//!
//! One daemon carries one *task*. It registers at the source as a replica, copies schema and rows, applies the binlog while it
//! copies, keeps its whole durable state on the target in the same transactions as the data, and tells the operator, with
//! evidence, when it is safe to move the application.
//!
//! ```text
//!     config ─► replicator (phases, tasks, shutdown)
//!                   │
//!      precheck ─► schema ─► copy ─► stream ─► apply ─► cutover
//!                     └──── source (Aurora door) ──┴── target (PolarDB door)
//!
//!     under everything, pure: model · sql · checkpoint · fault · throttle      beside everything: observe
//! ```
//!
//! Five sentences that the code keeps. A reader follows one row from Aurora to PolarDB through the rooms below, in this order.
//! Driver crates are named only at the two doors. Pure functions decide; thin async shells wait. The checkpoint never lies.
//! Unknown is not yes.
//!
//! To understand it all in less than an hour: this page, [`model::phase`], [`overlap`] (why copy and stream may write one
//! table at once), [`copy`], [`apply`], [`checkpoint`], [`replicator`].

// Words.
pub mod model;

// Rules: pure, reachable by tests without a server.
pub mod checkpoint;
pub mod fault;
pub mod sql;
pub mod throttle;

// Doors: the only rooms that know the driver.
pub mod conn;
pub mod source;
pub mod target;

// Beside the path.
pub mod observe;
pub mod overlap;

// Stages, in the order in which a task passes through them.
pub mod apply;
pub mod copy;
pub mod cutover;
pub mod precheck;
pub mod schema;
pub mod stream;

// The conductor.
pub mod replicator;

// The edge: what the operator and the host touch.
pub mod cli;
pub mod config;
pub mod logging;
pub mod mirror;
pub mod systemd;
