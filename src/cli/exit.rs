//! How a command ends: an exit code that scripts and units rely on, and a line that says cause and remedy.

use std::fmt;
use std::process::ExitCode;

/// Exit codes, after sysexits.h. The unit restarts on 70 and 75; 64, 65, 77 and 78 need a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Usage = 64,
    /// A failed precheck, or drift.
    Data = 65,
    /// No daemon answers at the URL.
    Unavailable = 69,
    Internal = 70,
    /// A passing error outlasted its retry window.
    Temporary = 75,
    /// Fenced by another instance, sealed, or refused for want of a token.
    Fenced = 77,
    Configuration = 78,
}

impl Exit {
    /// The exit with this code; a code that is none of ours is an internal error.
    pub fn of_code(code: u8) -> Self {
        [Self::Done, Self::Usage, Self::Data, Self::Unavailable, Self::Temporary, Self::Fenced, Self::Configuration]
            .into_iter()
            .find(|exit| exit.code() == code)
            .unwrap_or(Self::Internal)
    }

    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    pub cause: String,
    /// Empty when the cause carries its own, as a list of configuration problems does.
    pub remedy: String,
}

impl Failure {
    pub fn new(exit: Exit, cause: impl Into<String>, remedy: impl Into<String>) -> Failure {
        Failure { exit, cause: cause.into(), remedy: remedy.into() }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        if self.remedy.is_empty() {
            return Ok(());
        }
        write!(f, "\nremedy: {}", self.remedy)
    }
}
