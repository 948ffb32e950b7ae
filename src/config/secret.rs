//! Where secrets come from: a file, a systemd credential, or (discouraged) the configuration itself.
//!
//! systemd hands credentials to a service as files in `$CREDENTIALS_DIRECTORY`, readable by that service
//! alone (systemd.exec(5), "Credentials"); they are those of the service's start, so a new one needs a restart, unless a newer
//! systemd is told to refresh them. A secret never appears in a message, in `Debug`, or in `render`.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::environment::Environment;
use super::section::Section;
pub(crate) use crate::conn::password::read;

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
    /// Where it was read, and may be read again.
    pub file: Option<PathBuf>,
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
        return Found { secret: Some(secret), file: None, origin: Origin::Inline };
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
            return Found { secret: None, file: None, origin: Origin::Absent };
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
    Found { secret, file: Some(path), origin }
}
