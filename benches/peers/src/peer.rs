//! The interface of all peers: a request goes in, a status comes out.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode};
use tower::{Service, service_fn};

pub(crate) trait Peer {
    /// Prepares a request with this header, outside the timed part.
    fn load(&mut self, authorization: &HeaderValue);

    /// Answers one of the prepared requests. This part is timed.
    fn answer(&mut self) -> StatusCode;
}

/// A layer around a service, and the requests prepared for it.
pub(crate) struct Layered<S, B> {
    service: S,
    requests: Vec<Request<B>>,
}

impl<S, B> Layered<S, B> {
    pub(crate) fn new(service: S) -> Self {
        Self { service, requests: Vec::new() }
    }
}

impl<S, B, R> Peer for Layered<S, B>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    B: Default,
{
    /// Builds a request with six headers.
    fn load(&mut self, authorization: &HeaderValue) {
        let request = Request::get("/orders/7")
            .header(HOST, HeaderValue::from_static("api.example.com"))
            .header(USER_AGENT, HeaderValue::from_static("curl/8.14.1"))
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"))
            .header("x-request-id", HeaderValue::from_static("01979b3e-8d5f"))
            .header(AUTHORIZATION, authorization)
            .body(B::default());
        self.requests.push(request.expect("the request is well-formed"));
    }

    fn answer(&mut self) -> StatusCode {
        let request = self.requests.pop().expect("a request is ready");
        let mut context = Context::from_waker(Waker::noop());
        assert!(self.service.poll_ready(&mut context).is_ready());
        let Ok(response) = now(self.service.call(request));
        response.status()
    }
}

/// Returns the inner service. It finds the claims in the request's extensions and reads the email.
pub(crate) fn orders<B, C, R>(
    email: impl Fn(&C) -> &str + Clone + Send + Sync + 'static,
) -> impl Service<
    Request<B>,
    Response = Response<R>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<R>, Infallible>> + Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static
where
    B: 'static,
    C: Send + Sync + 'static,
    R: Default + Send + 'static,
{
    service_fn(move |request: Request<B>| {
        let claims = request.extensions().get::<C>();
        let status = read(email(claims.expect("the layer has put the claims there")));
        let mut response = Response::new(R::default());
        *response.status_mut() = status;
        ready(Ok(response))
    })
}

/// Stands for the work of a service with an email. Returns 200 only for an email from one of the tokens.
pub(crate) fn read(email: &str) -> StatusCode {
    if black_box(email).ends_with("@example.com") {
        StatusCode::OK
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

/// Polls a future that is ready at once. No peer needs a runtime if its keys are in memory.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future must be ready at once"),
    }
}
