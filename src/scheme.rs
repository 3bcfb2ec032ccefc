//! Authentication schemes and their syntax.

use std::fmt::{self, Display, Formatter};

use crate::config_error::{ConfigError, ConfigProblem};

/// An authentication scheme: the word before the token in `Authorization`.
///
/// See [RFC 9110, section 11.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.1). Comparison ignores case.
///
/// ```
/// use tower_jwt_auth::verifiers::Scheme;
///
/// assert_eq!(Scheme::from_static("bearer"), Scheme::BEARER);
/// assert!(Scheme::new("Api Key").is_err());
/// ```
#[derive(Clone, Copy)]
pub struct Scheme<'a>(&'a str);

impl<'a> Scheme<'a> {
    /// The scheme of bearer tokens ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)).
    pub const BEARER: Scheme<'static> = Scheme("Bearer");

    /// The scheme of tokens bound to a key of the client ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).
    pub const DPOP: Scheme<'static> = Scheme("DPoP");

    /// Creates a scheme.
    ///
    /// # Errors
    ///
    /// Returns an error if `name` is empty or has an invalid character, such as a space.
    pub fn new(name: &'a str) -> Result<Self, ConfigError> {
        if !is_token(name.as_bytes()) {
            return Err(ConfigProblem::InvalidName { of: "a scheme", name: name.to_owned() }.into());
        }
        Ok(Self(name))
    }

    /// Creates a scheme from a name that has been checked.
    pub(crate) const fn trusted(name: &'a str) -> Self {
        Self(name)
    }

    /// Returns the name as it was given.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

impl Scheme<'static> {
    /// Creates a scheme from a literal.
    ///
    /// # Panics
    ///
    /// If the name is invalid, as in [`new`](Scheme::new). In a `const` this is a compile error.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        assert!(is_token(name.as_bytes()), "a scheme must be one word (RFC 9110, section 11.1)");
        Self(name)
    }
}

impl PartialEq<Scheme<'_>> for Scheme<'_> {
    #[inline]
    fn eq(&self, other: &Scheme<'_>) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for Scheme<'_> {}

impl Display for Scheme<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Scheme<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scheme").field(&self.0).finish()
    }
}

/// Checks for a `token` (RFC 9110, section 5.6.2).
pub(crate) const fn is_token(text: &[u8]) -> bool {
    let mut at = 0;
    while at < text.len() {
        if !is_token_char(text[at]) {
            return false;
        }
        at += 1;
    }
    !text.is_empty()
}

/// Checks for a `tchar` (RFC 9110, section 5.6.2).
pub(crate) const fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}
