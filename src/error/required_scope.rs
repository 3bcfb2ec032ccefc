//! The required scopes in a challenge (RFC 6750, section 3).

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use http::HeaderValue;

use crate::challenge::{Challenge, is_scope_list};
use crate::kind::AuthErrorKind;

/// A valid list of scopes, with its rendered challenge.
pub(crate) struct RequiredScope {
    list: Box<str>,
    /// The first challenge that was sent. It almost always is the only one of a route.
    sent: OnceLock<Sent>,
}

struct Sent {
    kind: AuthErrorKind,
    challenge: Option<Arc<Challenge>>,
    values: Vec<HeaderValue>,
}

impl RequiredScope {
    /// Returns `None` if the text is not a list of scopes.
    pub(crate) fn new(list: &str) -> Option<Self> {
        is_scope_list(list).then(|| Self { list: list.into(), sent: OnceLock::new() })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.list
    }

    /// Returns the values of `WWW-Authenticate` for an error about these scopes.
    pub(crate) fn headers(
        &self,
        kind: AuthErrorKind,
        challenge: Option<&Arc<Challenge>>,
    ) -> Cow<'_, [HeaderValue]> {
        let render = || Challenge::or_default(challenge.map(Arc::as_ref)).render(kind, Some(&self.list));
        let sent = self.sent.get_or_init(|| Sent { kind, challenge: challenge.cloned(), values: render() });
        let same_challenge = match (&sent.challenge, challenge) {
            (Some(sent), Some(asked)) => Arc::ptr_eq(sent, asked),
            (None, None) => true,
            _ => false,
        };
        if same_challenge && sent.kind == kind { Cow::Borrowed(&sent.values) } else { Cow::Owned(render()) }
    }
}
