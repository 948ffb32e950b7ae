//! A password that may change while we run.
//!
//! A rotation takes two steps, at the server and here, in either order, and between them every new session is refused. So
//! * a password that comes from a file is read again for each session: nobody has to send a signal, and what is in memory is never
//!   older than the last session. While the file cannot be read, because it is being replaced, the last one read is used;
//! * what a server has once accepted and refuses now is no reason to stop at once: see [`Code::AccessChanged`].
//!
//! systemd's credentials are files, too, but those of the service's start.
//!
//! [`Code::AccessChanged`]: crate::fault::Code::AccessChanged

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;

/// Cheap to clone; all clones are the same. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Password {
    file: Option<PathBuf>,
    last: Arc<Mutex<SecretString>>,
    accepted: Arc<AtomicBool>,
}

impl Password {
    /// Read from `file` as `first`, and from there again.
    pub fn of_file(file: PathBuf, first: SecretString) -> Self {
        Self { file: Some(file), ..Self::from(first) }
    }

    /// What is to be used for a session that begins now, and why the file could not be read, if so.
    pub fn now(&self) -> (SecretString, Option<Unreadable>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = match self.file.as_deref().map(read) {
            Some(Ok(fresh)) => {
                *last = fresh;
                None
            }
            Some(Err(unreadable)) => Some(unreadable),
            None => None,
        };
        (last.clone(), unread)
    }

    /// A server has let us in.
    pub(super) fn accepted(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    pub(super) fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl From<SecretString> for Password {
    fn from(fixed: SecretString) -> Self {
        Self { file: None, last: Arc::new(Mutex::new(fixed)), accepted: Arc::default() }
    }
}

impl From<&str> for Password {
    fn from(fixed: &str) -> Self {
        SecretString::from(fixed).into()
    }
}

/// Why a file holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("is not UTF-8")]
    NotText,
    #[error("is empty")]
    Empty,
}

impl Unreadable {
    pub fn remedy(&self) -> &'static str {
        match self {
            Unreadable::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "let the account that runs polarferry read it, or use a systemd credential"
            }
            Unreadable::Io(error) if error.kind() == io::ErrorKind::NotFound => "create the file, or correct the path",
            Unreadable::Io(_) => "make it a readable file",
            Unreadable::NotText | Unreadable::Empty => "write the secret into it, as one line of UTF-8",
        }
    }
}

/// Reads a file that holds one secret. Editors and `echo` end it with a newline, which is not part of the secret.
pub fn read(path: &Path) -> Result<SecretString, Unreadable> {
    let mut text = String::from_utf8(std::fs::read(path)?).map_err(|_| Unreadable::NotText)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(Unreadable::Empty);
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_file_is_read_for_each_session_and_its_absence_changes_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("password");
        fs::write(&path, "first\n").expect("a file");
        let password = Password::of_file(path.clone(), read(&path).expect("a secret"));
        let now = || password.now().0.expose_secret().to_owned();
        assert_eq!(now(), "first");
        fs::write(&path, "second").expect("a file");
        assert_eq!(now(), "second");
        fs::write(&path, "").expect("a file");
        assert!(matches!(password.now().1, Some(Unreadable::Empty)));
        fs::remove_file(&path).expect("no file");
        assert_eq!(now(), "second");
        assert!(matches!(password.now().1, Some(Unreadable::Io(_))));
        assert!(!format!("{password:?}").contains("second"));
    }

    #[test]
    fn clones_know_what_one_of_them_was_told() {
        let password = Password::from("x");
        let clone = password.clone();
        assert!(!clone.was_accepted());
        password.accepted();
        assert!(clone.was_accepted());
    }
}
