use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

/// The reason that a token was not issued or a proof was not signed.
#[derive(Clone, Debug)]
pub struct IssueError {
    kind: IssueErrorKind,
    /// The claim named in the text.
    claim: Option<Cow<'static, str>>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The category of an [`IssueError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IssueErrorKind {
    /// The claims are not a JSON object ([RFC 7519, section 4](https://www.rfc-editor.org/rfc/rfc7519#section-4)).
    NotAnObject,
    /// The claims have a member that the issuer sets: `iss`, `aud`, `iat`, `exp`, `jti`, or `cnf` of a bound token.
    ReservedClaim,
    /// The claims have two members of the same name.
    DuplicateClaim,
    /// A member at any depth has a name that begins with `$serde_json::private::`.
    ///
    /// serde_json may read it as another value, so a [`JwtVerifier`](crate::JwtVerifier) rejects the token.
    ReservedName,
    /// The claims cannot be serialized. The error's source is the error of serde_json.
    Serialization,
    /// The operating system returned no random numbers.
    NoRandomness,
}

impl IssueError {
    pub(crate) fn new(kind: IssueErrorKind) -> Self {
        Self { kind, claim: None, source: None }
    }

    pub(crate) fn claim(kind: IssueErrorKind, name: impl Into<Cow<'static, str>>) -> Self {
        Self { claim: Some(name.into()), ..Self::new(kind) }
    }

    pub(crate) fn serialization(source: serde_json::Error) -> Self {
        Self { source: Some(Arc::new(source)), ..Self::new(IssueErrorKind::Serialization) }
    }

    /// Returns the category of the error.
    #[must_use]
    pub fn kind(&self) -> IssueErrorKind {
        self.kind
    }
}

impl Display for IssueError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let claim = self.claim.as_deref().unwrap_or_default().escape_debug();
        match self.kind {
            IssueErrorKind::NotAnObject => f.write_str("the claims are not a JSON object"),
            IssueErrorKind::ReservedClaim => {
                write!(f, "reserved claim `{claim}`: the issuer sets it; remove it from your claims")
            }
            IssueErrorKind::DuplicateClaim => write!(f, "duplicate claim `{claim}`"),
            IssueErrorKind::ReservedName => {
                f.write_str("the claims have a member `$serde_json::private::..`, which serde_json reads as another value")
            }
            IssueErrorKind::Serialization => f.write_str("the claims cannot be serialized as JSON"),
            IssueErrorKind::NoRandomness => f.write_str("the operating system returned no random numbers"),
        }
    }
}

impl Error for IssueError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
