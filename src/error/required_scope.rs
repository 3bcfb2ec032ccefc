//! The scopes that a refusal asks for (RFC 6750, section 3).

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use http::HeaderValue;

use crate::challenge::{Challenge, is_scope_list};
use crate::kind::AuthErrorKind;

/// A list of scopes that can stand in a challenge.
pub(crate) struct RequiredScope {
    list: Box<str>,
    /// The challenge that was sent first; a route has the same one nearly always.
    sent: OnceLock<Sent>,
}

struct Sent {
    kind: AuthErrorKind,
    challenge: Option<Arc<Challenge>>,
    values: Vec<HeaderValue>,
}

impl RequiredScope {
    /// `None` if it is no list of scopes.
    pub(crate) fn new(list: &str) -> Option<Self> {
        is_scope_list(list).then(|| Self { list: list.into(), sent: OnceLock::new() })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.list
    }

    /// The values of `WWW-Authenticate` for a refusal that is about these scopes.
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
