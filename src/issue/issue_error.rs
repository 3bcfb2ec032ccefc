use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

/// Why no token was issued.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum IssueError {
    /// The claims are not a JSON object ([RFC 7519, section 4](https://www.rfc-editor.org/rfc/rfc7519#section-4)).
    NotAnObject,
    /// The claims have a member that the issuer sets: `iss`, `aud`, `iat`, `exp` or `jti`.
    ReservedClaim {
        /// Its name.
        name: &'static str,
    },
    /// The claims have two members of the same name.
    ClaimTwice {
        /// The name.
        name: String,
    },
    /// A member of the claims, at any depth, has a name that begins with `$serde_json::private::`. serde_json may read another
    /// value there than the claims have, so a [`JwtVerifier`](crate::JwtVerifier) rejects the token.
    PrivateName,
    /// The claims cannot be turned into JSON.
    Serialize {
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The operating system gave no random numbers.
    NoRandomness,
}

impl Display for IssueError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("the claims are not a JSON object"),
            Self::ReservedClaim { name } => {
                write!(f, "the claims have a member `{name}`, which the issuer sets")
            }
            Self::ClaimTwice { name } => {
                write!(f, "the claims have two members `{}`", name.escape_debug())
            }
            Self::PrivateName => {
                f.write_str("the claims have a member `$serde_json::private::..`, which serde_json reads as another value")
            }
            Self::Serialize { .. } => f.write_str("the claims cannot be turned into JSON"),
            Self::NoRandomness => f.write_str("the operating system gave no random numbers"),
        }
    }
}

impl Error for IssueError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Serialize { source } => Some(source),
            _ => None,
        }
    }
}
