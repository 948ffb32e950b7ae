//! The checkpoint for the operator's eyes: a small file in the state directory, for the hour when the target cannot be asked. It is
//! written and never read back; the truth is on the target.
//!
//! Written to a temporary name, synced, renamed: who reads it finds a whole file. A full disk or a missing right is logged once, and
//! the task goes on: its work does not depend on being looked at.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::observe::snapshot::Snapshot;

/// The file's writer.
#[derive(Debug)]
pub struct Mirror {
    directory: Option<PathBuf>,
    last: String,
    failed: bool,
}

impl Mirror {
    /// Without a directory nothing is written.
    pub fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, last: String::new(), failed: false }
    }

    /// Writes what has changed.
    pub fn write(&mut self, snapshot: &Snapshot) {
        let Some(directory) = &self.directory else { return };
        let text = serde_json::json!({
            "task": snapshot.task,
            "phase": snapshot.phase,
            "applied": snapshot.applied,
            "source": snapshot.source.endpoint,
            "target": snapshot.target.endpoint,
        })
        .to_string();
        if text == self.last {
            return;
        }
        match replace(directory, &text) {
            Ok(()) => {
                self.last = text;
                self.failed = false;
            }
            Err(error) => {
                if !self.failed {
                    tracing::warn!(%error, directory = %directory.display(), "the mirror of the checkpoint cannot be written");
                }
                self.failed = true;
            }
        }
    }
}

fn replace(directory: &Path, text: &str) -> io::Result<()> {
    let fresh = directory.join("checkpoint.json.new");
    let mut file = File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&fresh, directory.join("checkpoint.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_shows_the_applied_position_and_a_missing_directory_stops_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut snapshot = Snapshot::default();
        snapshot.applied.file = "b.000007".to_owned();
        let mut mirror = Mirror::new(Some(directory.path().to_owned()));
        mirror.write(&snapshot);
        let text = fs::read_to_string(directory.path().join("checkpoint.json")).expect("the file");
        assert!(text.contains("b.000007"), "{text}");
        Mirror::new(Some(directory.path().join("missing"))).write(&snapshot);
    }
}
