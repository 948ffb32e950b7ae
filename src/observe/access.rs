//! Who may change anything: whoever shows the token.
//!
//! Three refusals are kept apart, because their remedies differ: no token configured (403: the
//! daemon has to be configured), no token shown (401: show it), a wrong one (403: show the right
//! one). Without a configured token nothing can be changed from outside; there is no default.
//!
//! The comparison takes the same time for every wrong token of the right length, so that a token
//! cannot be guessed byte by byte from answer times. Its length is not a secret.
//!
//! The token may be replaced while we run, when it was or may have been seen by others.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// The token of the daemon, if it has one. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Token(Arc<Mutex<Option<SecretString>>>);

impl Token {
    pub fn new(token: Option<SecretString>) -> Token {
        Token(Arc::new(Mutex::new(token)))
    }

    /// From now on this one is wanted.
    pub fn replace(&self, token: Option<SecretString>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    pub(super) fn authorise(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        authorise(self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref(), headers)
    }
}

/// Why a change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotConfigured,
    Missing,
    Wrong,
}

/// Compares the shown token with the configured one. An empty configured token is none.
fn authorise(configured: Option<&SecretString>, headers: &HeaderMap) -> Result<(), Refusal> {
    let token = configured.map(SecretString::expose_secret).filter(|token| !token.is_empty()).ok_or(Refusal::NotConfigured)?;
    let header = headers.get(AUTHORIZATION).ok_or(Refusal::Missing)?;
    let shown = bearer(header.as_bytes()).ok_or(Refusal::Missing)?;
    if bool::from(shown.ct_eq(token.as_bytes())) { Ok(()) } else { Err(Refusal::Wrong) }
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().expect("a valid header"));
        headers
    }

    #[test]
    fn only_the_exact_token_passes() {
        let token = SecretString::from("s3cret");
        let check = |headers: &HeaderMap| authorise(Some(&token), headers);
        assert_eq!(check(&shown("Bearer s3cret")), Ok(()));
        assert_eq!(check(&shown("bearer  s3cret ")), Ok(()));
        for wrong in ["Bearer s3cre", "Bearer s3cret1", "Bearer S3CRET", "Bearer \t"] {
            assert_eq!(check(&shown(wrong)), Err(Refusal::Wrong), "{wrong}");
        }
        for missing in ["Basic s3cret", "s3cret", "Bearer", ""] {
            assert_eq!(check(&shown(missing)), Err(Refusal::Missing), "{missing}");
        }
        assert_eq!(check(&HeaderMap::new()), Err(Refusal::Missing));
    }

    #[test]
    fn a_token_that_was_replaced_passes_no_more() {
        let token = Token::new(Some(SecretString::from("old")));
        let other = token.clone();
        assert_eq!(token.authorise(&shown("Bearer old")), Ok(()));
        other.replace(Some(SecretString::from("new")));
        assert_eq!(token.authorise(&shown("Bearer old")), Err(Refusal::Wrong));
        assert_eq!(token.authorise(&shown("Bearer new")), Ok(()));
    }

    #[test]
    fn without_a_configured_token_nothing_passes() {
        let empty = SecretString::from("");
        for configured in [None, Some(&empty)] {
            let answer = authorise(configured, &shown("Bearer "));
            assert_eq!(answer, Err(Refusal::NotConfigured));
        }
    }
}
