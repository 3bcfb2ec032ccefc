use std::fmt::{self, Display, Formatter};

use super::ConfigError;

/// A key of a JWK set that is not used, with the reason.
#[derive(Clone, Debug)]
pub struct SkippedKey {
    index: usize,
    kid: Option<String>,
    reason: ConfigError,
}

impl SkippedKey {
    pub(crate) fn new(index: usize, kid: Option<String>, reason: ConfigError) -> Self {
        Self { index, kid, reason }
    }

    /// Returns the index in the set, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the `kid`, if it is readable.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Returns the reason that the key is not used.
    #[must_use]
    pub fn reason(&self) -> &ConfigError {
        &self.reason
    }
}

impl Display for SkippedKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.index)?;
        if let Some(kid) = &self.kid {
            write!(f, " ({})", quoted(kid))?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Quotes and shortens a text from a JWK, for an error text.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}..`", text[..end].escape_debug()),
        None => format!("`{}`", text.escape_debug()),
    }
}
