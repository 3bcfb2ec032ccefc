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
