//! The head of a request.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Uri};

/// The head of a request: method, URI, headers and extensions.
///
/// It is the view of a request in [`Verify`](crate::Verify), [`Policy`](crate::policy::Policy),
/// [`Reject`](crate::reject::Reject) and the predicates of a layer.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> Head<'a> {
    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Returns the URI as the layer sees it.
    ///
    /// Inside axum's `nest` the prefix is missing from the path.
    #[must_use]
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Returns a segment of the path, percent-decoded like axum's `Path`.
    ///
    /// The index starts at 0: segment 1 of `/users/42/orders` is `42`. Returns `None` if there is no such segment, or
    /// if it is not UTF-8.
    ///
    /// ```
    /// use tower_jwt_auth::Head;
    ///
    /// let request = http::Request::get("/users/auth0%7C42/orders").body(()).unwrap();
    /// assert_eq!(Head::from(&request).path_segment(1).as_deref(), Some("auth0|42"));
    /// assert_eq!(Head::from(&request).path_segment(3), None);
    /// ```
    ///
    /// Do not compare the result with another `Option`: two missing values are equal.
    ///
    /// Inside axum's `nest` the index starts after the prefix. For example segment 1 of `/users/42/orders/7` is `7`
    /// inside `nest("/users/{sub}", ..)`.
    #[must_use]
    pub fn path_segment(&self, index: usize) -> Option<Cow<'a, str>> {
        let segment = self.uri.path().strip_prefix('/')?.split('/').nth(index)?;
        percent_encoding::percent_decode_str(segment).decode_utf8().ok()
    }

    /// Returns the headers. Those with a credential are marked as sensitive.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns the extensions, which the server and outer layers have added.
    ///
    /// Examples are the address or TLS certificate of the peer, and axum's `MatchedPath`. They are empty for a
    /// [`Reject`](crate::reject::Reject) that creates the body of a rejection from inside.
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

/// Omits the query, which may contain a token.
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
    pub(crate) fn copy(request: Head<'_>) -> Self {
        Self { extensions: request.extensions.clone(), ..Self::copy_without_extensions(request) }
    }

    /// Copies method, URI and headers, but not the extensions, which may be large.
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
