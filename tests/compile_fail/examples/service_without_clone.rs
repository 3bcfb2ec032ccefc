use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::{Layer, Service};
use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, RegisteredClaims};

struct Orders;

impl Service<Request<String>> for Orders {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        ready(Ok(Response::new("orders".to_owned())))
    }
}

fn app(verifier: JwtVerifier<RegisteredClaims>) {
    serve(JwtAuthLayer::new(verifier).layer(Orders));
}

fn serve<S: Service<Request<String>>>(_: S) {}

fn main() {}
