//! Public JSON documents: the response to any method.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW,
    CACHE_CONTROL, CONTENT_TYPE,
};
use http::{HeaderValue, Method, Response, StatusCode};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// The response future of services with a public JSON document.
///
/// These are `JwksService` and
/// [`ProtectedResourceService`](crate::resource_metadata::ProtectedResourceService). The future is ready at once and
/// cannot fail.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct JsonFuture(Ready<Result<Response<String>, Infallible>>);

impl JsonFuture {
    pub(crate) fn new(response: Response<String>) -> Self {
        Self(ready(Ok(response)))
    }
}

impl Future for JsonFuture {
    type Output = Result<Response<String>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

/// Responds to `GET` and `HEAD` with `json`, for scripts of any origin, and to `OPTIONS`.
pub(crate) fn answer(
    method: &Method,
    content_type: &'static str,
    cache_control: HeaderValue,
    json: impl FnOnce() -> String,
) -> Response<String> {
    let (status, body, headers) = match *method {
        Method::GET | Method::HEAD => (
            StatusCode::OK,
            json(),
            vec![
                (CONTENT_TYPE, HeaderValue::from_static(content_type)),
                (CACHE_CONTROL, cache_control),
                (ACCESS_CONTROL_ALLOW_ORIGIN, ANY),
            ],
        ),
        Method::OPTIONS => (
            StatusCode::NO_CONTENT,
            String::new(),
            vec![
                (ALLOW, METHODS),
                (ACCESS_CONTROL_ALLOW_ORIGIN, ANY),
                (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
                (ACCESS_CONTROL_ALLOW_HEADERS, ANY),
            ],
        ),
        _ => (StatusCode::METHOD_NOT_ALLOWED, String::new(), vec![(ALLOW, METHODS)]),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    response
}
