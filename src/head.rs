//! The head of a request, for everything that judges it.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Uri};

/// The head of a request: method, URI, headers and extensions.
///
/// A [`Verify`](crate::Verify), a [`Policy`](crate::policy::Policy), a [`Reject`](crate::reject::Reject) and the predicates of a layer
/// see a request this way.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> Head<'a> {
    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The URI of the request, as the layer sees it. Inside axum's `nest` it lacks the part of the path that led there.
    #[must_use]
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The segment of the path with this index, percent-decoded as axum's `Path` is.
    ///
    /// Segments are counted from 0: segment 1 of `/users/42/orders` is `42`. Returns `None` if there is no such segment, or if
    /// it is not UTF-8. Do not compare the result with another `Option`: two that are missing are equal. Inside axum's
    /// `nest` the count begins after the prefix: segment 1 of `/users/42/orders/7` is `7` inside `nest("/users/{sub}", ..)`.
    ///
    /// ```
    /// use tower_jwt_auth::Head;
    ///
    /// let request = http::Request::get("/users/auth0%7C42/orders").body(()).unwrap();
    /// assert_eq!(Head::from(&request).path_segment(1).as_deref(), Some("auth0|42"));
    /// assert_eq!(Head::from(&request).path_segment(3), None);
    /// ```
    #[must_use]
    pub fn path_segment(&self, index: usize) -> Option<Cow<'a, str>> {
        let segment = self.uri.path().strip_prefix('/')?.split('/').nth(index)?;
        percent_encoding::percent_decode_str(segment).decode_utf8().ok()
    }

    /// The headers of the request. Those that carry a credential are marked sensitive.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The extensions of the request: what the server and the layers outside have added, such as the address or the TLS
    /// certificate of the peer, or axum's `MatchedPath`.
    ///
    /// They are empty for a [`Reject`](crate::reject::Reject) that makes the body of a refusal from inside.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

impl<'a> From<&'a Parts> for Head<'a> {
    fn from(request: &'a Parts) -> Self {
        Self {
            method: &request.method,
            uri: &request.uri,
            headers: &request.headers,
            extensions: &request.extensions,
        }
    }
}

/// Shows no query, which may hold a token.
impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .field("headers", self.headers)
            .finish_non_exhaustive()
    }
}

/// A head that outlives its request.
#[derive(Default)]
pub(crate) struct OwnedHead {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
}

impl OwnedHead {
    pub(crate) fn new(method: Method, headers: HeaderMap) -> Self {
        Self { method, headers, ..Self::default() }
    }

    /// Copies everything.
    #[cfg(feature = "remote-keys-core")]
    pub(crate) fn copy(request: Head<'_>) -> Self {
        Self { extensions: request.extensions.clone(), ..Self::copy_without_extensions(request) }
    }

    /// Copies method, URI and headers. Extensions may be of any size.
    pub(crate) fn copy_without_extensions(request: Head<'_>) -> Self {
        Self {
            method: request.method.clone(),
            uri: request.uri.clone(),
            headers: request.headers.clone(),
            extensions: Extensions::new(),
        }
    }

    pub(crate) fn head(&self) -> Head<'_> {
        let Self { method, uri, headers, extensions } = self;
        Head { method, uri, headers, extensions }
    }
}
