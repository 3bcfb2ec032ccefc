//! Responses to requests that are refused.

mod grpc;
mod grpc_form;
mod inner;
mod problem_json;

use std::sync::Arc;

use http::header::CACHE_CONTROL;
use http::{Request, Response};

pub use self::grpc::Grpc;
pub use self::inner::Reads;
pub(crate) use self::inner::{Kept, set_headers};
pub use self::problem_json::ProblemJson;

use crate::error::{AuthError, NO_STORE};
use crate::head::Head;

/// Makes the response to a request that is refused.
///
/// The default is [`EmptyBody`]; there are [`ProblemJson`] and [`Grpc`], and a closure of the same form implements it
/// too. Whatever it returns, the layer adds the [`AuthError`] to the response's extensions, and `Cache-Control: no-store`
/// where the response says nothing of caches.
///
/// # Refusals from inside
///
/// Handlers and extractors refuse requests as well, with an [`AuthError`]. Its response has no body. On the way out, the
/// layer that accepted the request makes the body with its `Reject`. It does the same for a
/// [`RequireLayer`](crate::RequireLayer), a [`PrincipalLayer`](crate::PrincipalLayer) or a `JwtAuthLayer` inside that has the
/// default. Headers that a handler or a layer between has set or changed stay, such as a `WWW-Authenticate` of another scheme. A
/// response with another status, a `Content-Type` or a `Content-Length` has a body of its own, and is left as it is. For a body
/// without these headers start from [`AuthError::response`], not from `Response::from`.
///
/// The request is gone by then, so the layer keeps the parts that [`reads`](Self::reads) names. Closures get a copy of
/// method, URI and headers, as the service inside saw them.
///
/// # Uploads
///
/// The layer refuses a request before its body is read. With HTTP/1.1 the server then closes the connection. A client
/// that sends the whole body before it reads the response, such as Python's `http.client`, sees a broken pipe instead of
/// the 401. (curl, reqwest and Python's `requests` read the response all the same.) Any one of these helps:
///
/// - A client that reads the response after the error: with `http.client`, catch `BrokenPipeError` and call `getresponse()`.
///   On a slow network the response may be lost.
/// - A reverse proxy that reads the request before it passes it on. nginx does, unless `proxy_request_buffering` is `off`.
/// - A client that sends `Expect: 100-continue`, as curl does with large bodies, or that uses HTTP/2.
/// - Reading the rest of the body, within limits, before the refusal: see the example `upload`. Any stranger can use up
///   that bandwidth.
///
/// `Connection: close` in the response does not help.
///
/// # Example
///
/// ```
/// use http::{Request, Response};
/// use tower_jwt_auth::reject::{Reads, Reject};
/// use tower_jwt_auth::{AuthError, Head};
///
/// #[derive(Clone)] // as a layer needs it to be
/// struct PlainText;
///
/// impl<B: From<String>> Reject<B> for PlainText { // whatever the bodies are: axum's, a `String`
///     fn reject(&self, error: &AuthError, _: Head<'_>) -> Response<B> {
///         error.response(format!("{}\n", error.kind()).into())
///     }
///
///     fn reads(&self) -> Reads { // no request, so the layer copies none
///         Reads::Error
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot make a response with a body of type `{B}`",
    note = "the inner service sets the type of the body; in axum it is `axum::body::Body`",
    note = "`EmptyBody` needs `{B}: Default`, `ProblemJson` needs `{B}: From<String>`",
    note = "for other bodies, write `.reject_with(|error, _| error.response(your_body))`; for hyper's `Incoming`, box the \
            bodies of the inner service first, as `http_body_util::BodyExt::boxed` does"
)]
pub trait Reject<B> {
    /// Makes the response to a request that is refused because of `error`.
    fn reject(&self, error: &AuthError, request: Head<'_>) -> Response<B>;

    /// Says what [`reject`](Self::reject) reads. A layer keeps that of each request that it accepts, for handlers and
    /// extractors that refuse it. [`Reads::Error`] spares the layer the copy that the default needs.
    fn reads(&self) -> Reads {
        Reads::Head
    }

    /// Returns the body, if it is the same for every error and request.
    ///
    /// A layer that refuses a request then makes [`AuthError::response`] with it, in the memory of the request's headers, and does
    /// not call [`reject`](Self::reject).
    fn constant_body(&self) -> Option<B> {
        None
    }
}

impl<B, F> Reject<B> for F
where
    F: Fn(&AuthError, Head<'_>) -> Response<B>,
{
    fn reject(&self, error: &AuthError, request: Head<'_>) -> Response<B> {
        self(error, request)
    }
}

impl<B, R: Reject<B> + ?Sized> Reject<B> for Arc<R> {
    fn reject(&self, error: &AuthError, request: Head<'_>) -> Response<B> {
        (**self).reject(error, request)
    }

    fn reads(&self) -> Reads {
        (**self).reads()
    }

    fn constant_body(&self) -> Option<B> {
        (**self).constant_body()
    }
}

/// The default [`Reject`]: status and headers as [`AuthError::response`] sets them, and an empty body.
///
/// Inside another layer it leaves the body to the [`Reject`] of that layer.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it is written as a value, and has nothing to set")]
pub struct EmptyBody;

impl<B: Default> Reject<B> for EmptyBody {
    fn reject(&self, error: &AuthError, _: Head<'_>) -> Response<B> {
        error.response(B::default())
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn constant_body(&self) -> Option<B> {
        Some(B::default())
    }
}

/// Makes the response with `reject`, adds what every refusal has, and has it logged and counted. The request ends here.
pub(crate) fn refuse<R, B, T>(reject: &R, mut error: AuthError, request: &mut Request<T>) -> Response<B>
where
    R: Reject<B>,
{
    error.report();
    let mut response = match reject.constant_body() {
        // The memory of the request's headers serves the response: two allocations fewer.
        Some(body) => error.response_in(request.headers_mut(), body),
        None => {
            let mut response = reject.reject(&error, (&*request).into());
            response.headers_mut().entry(CACHE_CONTROL).or_insert(NO_STORE);
            response
        }
    };
    let extensions = response.extensions_mut();
    if extensions.is_empty() {
        // The memory of the request's extensions serves the response: two allocations fewer.
        std::mem::swap(extensions, request.extensions_mut());
        extensions.clear();
    }
    error.set_unrendered(reject.reads() == Reads::Nothing);
    extensions.insert(error);
    response
}
