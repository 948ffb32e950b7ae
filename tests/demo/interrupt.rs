//! Ctrl-C, which must not leave servers behind.

use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::oneshot;

use crate::lab::Failure;

/// Resolves at the first signal that asks the demonstration to end.
pub fn listen() -> Result<oneshot::Receiver<()>, Failure> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))?;
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            let _ = sender.send(());
        }
    });
    Ok(receiver)
}
