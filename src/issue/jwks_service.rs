use std::convert::Infallible;
use std::task::{Context, Poll};

use http::{HeaderValue, Request, Response};
use tower_service::Service;

use super::TokenIssuer;
use crate::public_json::{self, JsonFuture};

/// Serves the JWK set of a [`TokenIssuer`]. Created by [`TokenIssuer::jwks_service`].
///
/// It answers `GET` and `HEAD` with the set, and also answers `OPTIONS`.
#[derive(Clone, Debug)]
#[must_use]
pub struct JwksService {
    pub(crate) issuer: TokenIssuer,
}

impl<B> Service<Request<B>> for JwksService {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = JsonFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let cache_control = format!("public, max-age={}", self.issuer.max_age().as_secs());
        let cache_control = HeaderValue::try_from(cache_control).expect("digits are valid in a header");
        let jwks = || self.issuer.jwks();
        let media_type = "application/jwk-set+json";
        JsonFuture::new(public_json::answer(request.method(), media_type, cache_control, jwks))
    }
}
