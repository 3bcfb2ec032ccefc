//! Responses to rejected requests.

mod grpc;
mod grpc_form;
mod inner;
mod problem_json;
#[cfg(feature = "axum")]
mod respond_with;

use std::sync::Arc;

use http::header::CACHE_CONTROL;
use http::{Request, Response};

pub use self::grpc::Grpc;
pub use self::inner::Reads;
pub(crate) use self::inner::{Kept, set_headers};
pub use self::problem_json::ProblemJson;
#[cfg(feature = "axum")]
pub use self::respond_with::RespondWith;

use crate::error::{AuthError, NO_STORE};
use crate::head::Head;

/// Creates the response to a rejected request.
///
/// The default is [`EmptyBody`]. Others are [`ProblemJson`], [`Grpc`], `RespondWith` (feature `axum`), closures with the
/// signature of [`reject`](Self::reject), and your own types:
///
/// ```
/// use http::{Request, Response};
/// use tower_jwt_auth::reject::{Reads, Reject};
/// use tower_jwt_auth::{AuthError, Head};
///
/// #[derive(Clone)] // A layer requires this.
/// struct PlainText;
///
/// impl<B: From<String>> Reject<B> for PlainText { // For any body type: the one of axum, a `String`.
///     fn reject(&self, error: &AuthError, _: Head<'_>) -> Response<B> {
///         error.response(format!("{}\n", error.kind()).into())
///     }
///
///     fn reads(&self) -> Reads { // Only the error, so the layer need not copy requests.
///         Reads::Error
///     }
/// }
/// ```
///
/// The layer adds the [`AuthError`] to the extensions of every response. It adds `Cache-Control: no-store` if the
/// response has no `Cache-Control`.
///
/// # Rejections by handlers
///
/// Handlers and extractors also reject requests, with an [`AuthError`]. Its response has no body. The layer that
/// accepted the request then creates the body with its `Reject`. It does the same for a
/// [`RequireLayer`](crate::RequireLayer), a [`PrincipalLayer`](crate::PrincipalLayer) or a `JwtAuthLayer` inside it
/// that uses the default.
///
/// - Headers set or changed by a handler or by a layer in between stay, such as a `WWW-Authenticate` of another scheme.
/// - A response with another status, a `Content-Type` or a `Content-Length` has its own body. The layer does not change
///   it. To send a body without these headers, create the response with [`AuthError::response`], not with
///   `Response::from`.
/// - The error in the extensions of such a response marks it. A clone of the error does not. An error that you take out
///   with `remove` and insert into another response marks that one.
/// - The handler has consumed the request by then. The layer therefore keeps the parts that [`reads`](Self::reads)
///   names. Closures get a copy of the method, URI and headers, as the inner service received them.
///
/// # Uploads
///
/// The layer rejects a request before its body is read. Some clients then see a broken pipe instead of the 401. The
/// guide lists [solutions](../guide/error_responses/index.html#uploads).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot make a response with a body of type `{B}`",
    note = "the inner service sets the type of the body; in axum it is `axum::body::Body`",
    note = "`EmptyBody` needs `{B}: Default`, `ProblemJson` needs `{B}: From<String>`",
    note = "for other bodies, write `.reject_with(|error, _| error.response(your_body))`; for hyper's `Incoming`, box the \
            bodies of the inner service first, as `http_body_util::BodyExt::boxed` does"
)]
pub trait Reject<B> {
    /// Creates the response to a request that was rejected with `error`.
    fn reject(&self, error: &AuthError, request: Head<'_>) -> Response<B>;

    /// Returns the parts that [`reject`](Self::reject) reads. The default is [`Reads::Head`].
    ///
    /// The layer keeps these parts of each accepted request, for rejections by handlers and extractors.
    /// [`Reads::Error`] saves the copy that the default needs.
    fn reads(&self) -> Reads {
        Reads::Head
    }

    /// Returns the body, if it is the same for every error and request.
    ///
    /// The layer then calls [`AuthError::response`] with this body instead of [`reject`](Self::reject), and reuses the
    /// memory of the request headers.
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

/// The default [`Reject`]: the response of [`AuthError::response`] with an empty body.
///
/// Inside another layer, the [`Reject`] of that layer creates the body.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it is used as a value and has no settings")]
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

/// Creates the response with `reject`, adds the common headers and extensions, and logs and counts the rejection.
pub(crate) fn refuse<R, B, T>(reject: &R, mut error: AuthError, request: &mut Request<T>) -> Response<B>
where
    R: Reject<B>,
{
    error.report();
    let mut response = match reject.constant_body() {
        // Reuses the memory of the request headers, which saves two allocations.
        Some(body) => error.response_in(request.headers_mut(), body),
        None => {
            let mut response = reject.reject(&error, (&*request).into());
            response.headers_mut().entry(CACHE_CONTROL).or_insert(NO_STORE);
            response
        }
    };
    let extensions = response.extensions_mut();
    if extensions.is_empty() {
        // Reuses the memory of the request extensions, which saves two allocations.
        std::mem::swap(extensions, request.extensions_mut());
        extensions.clear();
    }
    error.set_unrendered(reject.reads() == Reads::Nothing);
    extensions.insert(error);
    response
}
