//! Ctrl-C, which must not leave servers behind.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the demonstration to end.
pub struct Interrupt([Signal; 3]);

impl Interrupt {
    /// From now on these signals no longer end the process by themselves.
    pub fn listen() -> io::Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]))
    }

    /// Resolves at the first of them.
    pub async fn came(self) {
        let Self([mut interrupt, mut terminate, mut hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
