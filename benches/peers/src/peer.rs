//! What all who are compared have in common: a request goes in, a status comes out.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode};
use tower::{Service, service_fn};

pub(crate) trait Peer {
    /// Makes a request with this header ready, outside of what is timed.
    fn load(&mut self, authorization: &HeaderValue);

    /// Answers one of the requests that are ready. This is what is timed.
    fn answer(&mut self) -> StatusCode;
}

/// A layer with a service inside it, and the requests that are ready for it.
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
    /// A request of six headers.
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

/// The service inside: it finds the claims in the request's extensions and reads the email there.
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

/// What a service does with an email. The answer is 200 only if it is one of those that the tokens hold.
pub(crate) fn read(email: &str) -> StatusCode {
    if black_box(email).ends_with("@example.com") {
        StatusCode::OK
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

/// What comes of a future that waits for nothing. None of the peers needs a runtime where its keys are at hand.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing has to be waited for"),
    }
}
