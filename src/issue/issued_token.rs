use std::fmt::{self, Formatter};
use std::time::SystemTime;

/// A token that has just been issued.
///
/// Anyone who reads the token can use it, so do not log it. There is no `Display`, and `Debug` does not show the token:
/// [`as_str`](Self::as_str) and [`into_string`](Self::into_string) give access to it.
///
/// ```
/// use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
/// use tower_jwt_auth::Algorithm;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let issuer = TokenIssuer::new(SigningKey::generate(Algorithm::EdDSA)?, "https://id.example.com");
/// let token = issuer.issue(&serde_json::json!({"sub": "42"}))?;
/// assert_eq!(token.as_str().split('.').count(), 3);
/// assert!(!format!("{token:?}").contains(token.as_str()));
/// # Ok(())
/// # }
/// ```
///
/// This does not compile:
///
/// ```compile_fail,E0277
/// # fn log(token: tower_jwt_auth::issue::IssuedToken) {
/// println!("{token}");
/// # }
/// ```
#[derive(Clone)]
pub struct IssuedToken {
    pub(crate) token: String,
    pub(crate) jti: String,
    pub(crate) expires_at: SystemTime,
}

impl IssuedToken {
    /// The token in compact serialisation ([RFC 7515, section 7.1](https://www.rfc-editor.org/rfc/rfc7515#section-7.1)).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.token
    }

    /// The same, as a string of one's own.
    #[must_use]
    pub fn into_string(self) -> String {
        self.token
    }

    /// Its `jti`, which no other token has: 128 random bits in base64url. Who keeps it can revoke the token.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// Its `exp`: when it ends, in whole seconds.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("jti", &self.jti)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
