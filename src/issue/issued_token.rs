use std::fmt::{self, Formatter};
use std::time::SystemTime;

/// An issued token.
///
/// Anyone who reads the token can use it, so do not log it. It has no `Display`, and `Debug` does not show the token.
/// Use [`as_str`](Self::as_str) or [`into_string`](Self::into_string).
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
    /// Returns the token in compact serialization ([RFC 7515, section 7.1][rfc]).
    ///
    /// [rfc]: https://www.rfc-editor.org/rfc/rfc7515#section-7.1
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.token
    }

    /// Returns the token as a `String`.
    #[must_use]
    pub fn into_string(self) -> String {
        self.token
    }

    /// Returns the `jti`. Keep it to revoke the token later.
    ///
    /// It is 128 random bits in base64url, unique to this token.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// Returns the expiry time (`exp`), in whole seconds.
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
