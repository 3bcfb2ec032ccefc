//! Requests, a service, and calls of the service that are polled by hand without a runtime.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::marker::PhantomData;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderValue, Request, Response};
use tower::{Layer, Service};
use tower_jwt_auth::policy::{AllScopes, HasScope, Rule, scope};
use tower_jwt_auth::services::RequireService;
use tower_jwt_auth::{Claims, JwtAuth, JwtAuthLayer, RequireLayer, Verify};

/// A service that reads claims of this type.
pub(crate) struct Inner<C>(PhantomData<fn() -> C>);

/// The claim that the service reads.
pub(crate) trait Email {
    fn email(&self) -> &String;
}

impl<C> Service<Request<()>> for Inner<C>
where
    C: Email + Send + Sync + 'static,
{
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let user = request.extensions().get::<Claims<C>>();
        black_box(user.expect("the layer has put the claims there").email());
        ready(Ok(Response::new(())))
    }
}

impl<C> Clone for Inner<C> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

/// Returns that service behind the layer.
pub(crate) fn service<V>(verifier: V) -> JwtAuth<Inner<V::Claims>, V>
where
    V: Verify + Clone,
{
    JwtAuthLayer::new(verifier).layer(Inner(PhantomData))
}

/// A route that requires a scope.
pub(crate) type Scoped<C> = RequireService<Inner<C>, C, Rule<AllScopes>>;

/// Returns the service behind the layer, with a route inside that requires a scope.
pub(crate) fn scoped_service<V>(verifier: V) -> JwtAuth<Scoped<V::Claims>, V>
where
    V: Verify + Clone,
    V::Claims: HasScope,
{
    let route = RequireLayer::new(scope("orders:write")).layer(Inner(PhantomData));
    JwtAuthLayer::new(verifier).layer(route)
}

pub(crate) const HOST_NAME: &str = "api.example.com";
pub(crate) const PATH: &str = "/orders/7";

/// Builds a request with six headers, or with five if it has no credential.
pub(crate) fn request(authorization: Option<&HeaderValue>) -> Request<()> {
    let request = Request::get(PATH)
        .header(HOST, HeaderValue::from_static(HOST_NAME))
        .header(USER_AGENT, HeaderValue::from_static("curl/8.14.1"))
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"))
        .header("x-request-id", HeaderValue::from_static("01979b3e-8d5f"));
    match authorization {
        Some(value) => request.header(AUTHORIZATION, value),
        None => request,
    }
    .body(())
    .expect("the request is well-formed")
}

/// Returns the `Authorization` header for this token.
pub(crate) fn authorization(token: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {token}")).expect("the token is ASCII")
}

/// Returns the response of the service.
pub(crate) fn send<S>(service: &mut S, request: Request<()>) -> Response<()>
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => panic!("the future must be ready at once"),
    }
}
