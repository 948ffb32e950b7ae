//! Where secrets come from: a file, a systemd credential, or (discouraged) the configuration itself.
//!
//! systemd hands credentials to a service as files in `$CREDENTIALS_DIRECTORY`, readable by that service
//! alone (systemd.exec(5), "Credentials"); they are fixed when the service starts, so a new password
//! needs a restart. A secret never appears in a message, in `Debug`, or in `render`.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::environment::Environment;
use super::section::Section;

/// systemd's name for the directory that holds a service's credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where a secret was found; what `render` shows in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Inline,
    File(PathBuf),
    Credential(String),
    Absent,
}

pub(super) struct Found {
    pub secret: Option<SecretString>,
    pub origin: Origin,
}

/// `password`, else `password_file`, else the credential `source_password` or `target_password`.
pub(super) fn password(section: &mut Section<'_>, end: &str, environment: &Environment) -> Found {
    let inline = section.text("password").map(SecretString::from);
    let file = section.text("password_file");
    let credential = format!("{end}_password");
    let both = inline.is_some() && file.is_some();
    if both {
        let remedy = "keep password_file and take password out";
        section.problem("password", "is given together with password_file", remedy);
    }
    if let Some(secret) = inline {
        let advice = "is written in the configuration; password_file or a systemd credential keeps it from \
                      whoever may read that";
        section.warn("password", advice);
        return Found { secret: Some(secret), origin: Origin::Inline };
    }
    let found = stored(section, "password_file", file, &credential, environment);
    if found.origin == Origin::Absent {
        let remedy = format!("password_file = \"…\", or LoadCredential={credential}:FILE in the systemd unit");
        section.problem("password_file", "is missing", remedy);
    }
    found
}

/// `token_file`, else the credential `http_token`. It is fine to have none.
pub(super) fn token(section: &mut Section<'_>, environment: &Environment) -> Found {
    let file = section.text("token_file");
    let found = stored(section, "token_file", file, "http_token", environment);
    let plain = |secret: &SecretString| secret.expose_secret().bytes().all(|b| b.is_ascii_graphic());
    if !found.secret.as_ref().is_none_or(plain) {
        let cause = "holds characters that no HTTP header can carry";
        let remedy = "use printable ASCII without spaces, as `openssl rand -hex 32` makes it";
        section.problem("token_file", cause, remedy);
    }
    found
}

fn stored(section: &mut Section<'_>, key: &str, file: Option<String>, credential: &str, environment: &Environment) -> Found {
    let (path, origin) = match (file, environment.get(CREDENTIALS)) {
        (Some(file), _) => (PathBuf::from(&file), Origin::File(file.into())),
        (None, Some(directory)) if Path::new(directory).join(credential).exists() => {
            (Path::new(directory).join(credential), Origin::Credential(credential.to_owned()))
        }
        (None, _) => {
            return Found { secret: None, origin: Origin::Absent };
        }
    };
    let secret = match read(&path) {
        Ok(secret) => Some(secret),
        Err(fault) => {
            // Not the file's name: it happens that somebody writes the password there.
            let cause = match &origin {
                Origin::Credential(name) => format!("from the credential {name}: {fault}"),
                _ => format!("cannot be used: {fault}"),
            };
            section.problem(key, cause, fault.remedy());
            None
        }
    };
    Found { secret, origin }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("is not UTF-8")]
    NotText,
    #[error("is empty")]
    Empty,
}

impl Unreadable {
    pub(crate) fn remedy(&self) -> &'static str {
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
pub(crate) fn read(path: &Path) -> Result<SecretString, Unreadable> {
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
