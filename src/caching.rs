//! Headers that a layer adds to responses.

use std::sync::Arc;

use http::Response;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, VARY};

use crate::reject::set_headers;
use crate::token_source::TokenSource;

/// The headers that a layer adds to a response: caching headers, and those of the verifier.
///
/// Shared caches do not reuse a response to a request with `Authorization` (RFC 9111, section 3.5). They do not know
/// that a cookie, another header or a query parameter may be a credential too.
#[derive(Clone, Default)]
pub(crate) struct Added {
    /// Headers that may contain a token, except `Authorization`.
    vary: Vec<HeaderName>,
    is_private: bool,
    of_verifier: Option<Box<HeaderMap>>,
}

impl Added {
    /// Creates the headers for requests with a token from `sources`. `None` if only `Authorization` may contain one.
    pub(crate) fn with_token(sources: &[TokenSource]) -> Option<Self> {
        let others = || sources.iter().filter(|source| !source.is_in_authorization());
        others().next()?;
        let mut vary: Vec<HeaderName> = Vec::new();
        for name in others().flat_map(TokenSource::header_names) {
            if *name != AUTHORIZATION && !vary.contains(name) {
                vary.push(name.clone());
            }
        }
        Some(Self { vary, is_private: true, of_verifier: None })
    }

    /// Creates the headers for requests without a token. Caches may reuse these responses for others without a token.
    pub(crate) fn without_token(sources: &[TokenSource]) -> Option<Self> {
        let with_token = Self::with_token(sources)?;
        (!with_token.vary.is_empty()).then_some(Self { is_private: false, ..with_token })
    }

    /// Adds the headers that the verifier wants for this request.
    #[cold]
    pub(crate) fn with_headers(caching: Option<Arc<Self>>, headers: Box<HeaderMap>) -> Arc<Self> {
        let caching = caching.map(Arc::unwrap_or_clone).unwrap_or_default();
        Arc::new(Self { of_verifier: Some(headers), ..caching })
    }

    /// Adds the headers to a response.
    ///
    /// Caching headers are left out if the inner service has set them, or upgrades the connection: the response to an
    /// upgrade is never cached.
    #[cold]
    pub(crate) fn add_to<B>(&self, response: &mut Response<B>) {
        let is_upgrade = response.status().is_informational();
        let headers = response.headers_mut();
        if let Some(of_verifier) = &self.of_verifier {
            set_headers(headers, HeaderMap::clone(of_verifier));
        }
        if !is_upgrade {
            self.add_caching(headers);
        }
    }

    fn add_caching(&self, headers: &mut HeaderMap) {
        if self.is_private && !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        }
        for name in &self.vary {
            if !varies_by(headers, name) {
                headers.append(VARY, HeaderValue::from(name.clone()));
            }
        }
    }
}

fn varies_by(headers: &HeaderMap, name: &HeaderName) -> bool {
    let lines = headers.get_all(VARY).iter();
    let mut names =
        lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    names.any(|other| other == b"*" || other.eq_ignore_ascii_case(name.as_str().as_bytes()))
}
