//! The process's environment as a value, so that tests bring their own and never set a variable.

use std::collections::HashMap;

#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// What a byte that is not UTF-8 becomes. A value that contains it is refused where it is used:
    /// `std::env::vars` would panic over any such variable, also one that is none of ours.
    pub(super) const UNREADABLE: char = char::REPLACEMENT_CHARACTER;

    pub fn of_process() -> Environment {
        std::env::vars_os()
            .map(|(name, value)| {
                let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
                (text(name), text(value))
            })
            .collect()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let owned = |(name, value): (N, V)| (name.into(), value.into());
        Environment(pairs.into_iter().map(owned).collect())
    }
}

/// Names only: any value may be a secret.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
