//! Refusals that come out of the service inside: a layer renders them on their way out.

use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    SET_COOKIE, TRANSFER_ENCODING, VARY,
};
use http::{Method, Request, Response};

use super::grpc_form::Form;
use super::{EmptyBody, Reject};
use crate::error::AuthError;
use crate::head::OwnedHead;

/// What a [`Reject`] reads to make a response.
///
/// A handler may refuse a request after consuming it. A layer therefore keeps what its [`Reject`] reads, for each
/// request that it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reads {
    /// Nothing, because it makes no body. A layer outside, if there is one, makes the body.
    Nothing,
    /// The error only. For a refusal from inside, [`Head`](crate::Head) is that of an empty `GET /`.
    Error,
    /// The error, and the form of gRPC that the request has. For a refusal from inside, [`Head`](crate::Head) has only the method
    /// `POST` and the content type. If the request is not gRPC, it is that of an empty `GET /`.
    Grpc,
    /// The error and the request. The layer copies method, URI and headers of each request that it accepts: three to five
    /// allocations.
    Head,
}

/// The part of an accepted request that is kept in case the service inside refuses it.
pub(crate) enum Kept {
    /// Refusals from inside stay as they are.
    Nothing,
    Error,
    Grpc(Form),
    Head(Box<OwnedHead>),
}

impl Kept {
    #[inline]
    pub(crate) fn of<B>(request: &Request<B>, reads: Reads) -> Self {
        match reads {
            Reads::Nothing => Self::Nothing,
            Reads::Error => Self::Error,
            Reads::Grpc => Form::of(request.into()).map_or(Self::Error, Self::Grpc),
            Reads::Head => Self::Head(Box::new(OwnedHead::copy_without_extensions(request.into()))),
        }
    }

    /// Makes the body of a response that refuses a request, if nothing has made one yet.
    #[inline]
    pub(crate) fn render<R, B>(&self, reject: &R, response: &mut Response<B>)
    where
        R: Reject<B>,
    {
        if !matches!(self, Self::Nothing)
            && response.extensions().get::<AuthError>().is_some_and(AuthError::is_unrendered)
        {
            self.render_unrendered(reject, response);
        }
    }

    #[cold]
    fn render_unrendered<R, B>(&self, reject: &R, response: &mut Response<B>)
    where
        R: Reject<B>,
    {
        let Some(error) = response.extensions_mut().get_mut::<AuthError>() else {
            return;
        };
        error.set_unrendered(false);
        let error = error.clone();
        if has_other_body(response, &error) {
            return;
        }
        let rendered = match self {
            Self::Nothing => return,
            Self::Error => reject.reject(&error, OwnedHead::default().head()),
            Self::Grpc(form) => reject.reject(&error, of_grpc(*form).head()),
            Self::Head(request) => reject.reject(&error, request.head()),
        };
        replace(response, rendered, &error.response(()));
        response.extensions_mut().insert(error);
    }
}

/// A response without a body, for a handler outside axum. The layer that accepted the request makes the body, as its
/// [`on_reject`](crate::JwtAuthLayer::on_reject) says. For a body of your own use [`AuthError::response`].
///
/// ```
/// use http::{Request, Response};
/// use tower_jwt_auth::{AuthError, AuthErrorKind, Claims};
/// # struct User { admin: bool }
///
/// async fn purge(request: Request<String>) -> Result<Response<String>, std::convert::Infallible> {
///     match Claims::<User>::find(request.extensions()) {
///         Ok(user) if user.admin => Ok(Response::new("done".to_owned())),
///         Ok(user) => Ok(Claims::reject(user, AuthErrorKind::InsufficientScope).into()),
///         Err(error) => Ok(error.into()),
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::convert::Infallible> {
/// # let mut request = Request::new(String::new());
/// # request.extensions_mut().insert(Claims::new(User { admin: false }));
/// # assert_eq!(purge(request).await?.status(), 403);
/// # Ok(())
/// # }
/// ```
impl<B: Default> From<AuthError> for Response<B> {
    fn from(error: AuthError) -> Self {
        super::refuse(&EmptyBody, error, &mut Request::new(()))
    }
}

fn of_grpc(form: Form) -> OwnedHead {
    OwnedHead::new(Method::POST, HeaderMap::from_iter([(CONTENT_TYPE, form.content_type())]))
}

/// A middleware may have made a body of its own and kept the extensions.
fn has_other_body<B>(response: &Response<B>, error: &AuthError) -> bool {
    let headers = response.headers();
    let has_length = headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    let has_hint = error.hint(cfg!(debug_assertions)).is_some();
    response.status() != error.status() || headers.contains_key(CONTENT_TYPE) || (has_length && !has_hint)
}

/// Puts `rendered` in the place of a response that was `unrendered` at first. Headers that a handler or a layer between
/// has set or changed stay, except those that describe the old body.
fn replace<B>(response: &mut Response<B>, rendered: Response<B>, unrendered: &Response<()>) {
    let (mut parts, body) = rendered.into_parts();
    *response.body_mut() = body;
    *response.status_mut() = parts.status;
    response.extensions_mut().extend(parts.extensions);
    let headers = response.headers_mut();
    for name in OF_BODY {
        headers.remove(name);
    }
    let names: Vec<_> = parts.headers.keys().filter(|name| !is_added(name)).cloned().collect();
    for name in names {
        let values = || headers.get_all(&name).iter();
        let is_changed = values().next().is_some() && values().ne(unrendered.headers().get_all(&name));
        if is_changed {
            parts.headers.remove(&name);
        } else {
            headers.remove(&name);
        }
    }
    add(headers, parts.headers);
}

const OF_BODY: [HeaderName; 5] =
    [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, ETAG, TRANSFER_ENCODING];

/// Several layers set these, each for itself.
fn is_added(name: &HeaderName) -> bool {
    *name == SET_COOKIE || *name == VARY
}

/// Puts `more` in the place of headers of the same names.
pub(crate) fn set_headers(headers: &mut HeaderMap, more: HeaderMap) {
    for name in more.keys().filter(|name| !is_added(name)) {
        headers.remove(name);
    }
    add(headers, more);
}

fn add(headers: &mut HeaderMap, more: HeaderMap) {
    let mut current = None;
    for (name, value) in more {
        current = name.or(current);
        if let Some(name) = &current {
            headers.append(name, value);
        }
    }
}
