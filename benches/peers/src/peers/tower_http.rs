//! `ValidateRequestHeaderLayer`, the cheapest wrapper in tower-http. It calls a closure, which calls
//! `jsonwebtoken::decode`. `AsyncRequireAuthorizationLayer` would add a future.

use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use tower::Layer;
use tower_http::validate_request::ValidateRequestHeaderLayer;

use crate::peer::{Layered, Peer, orders};
use crate::tokens::{Issuer, User};

pub(super) fn open(issuer: &Issuer) -> Box<dyn Peer> {
    let (key, validation) = issuer.decoding();
    let authorize = move |request: &mut Request<()>| {
        let value = request.headers().get(AUTHORIZATION).ok_or_else(unauthorized)?;
        let value = value.to_str().map_err(|_| unauthorized())?;
        let token = value.strip_prefix("Bearer ").ok_or_else(unauthorized)?;
        let data = jsonwebtoken::decode::<User>(token, &key, &validation).map_err(|_| unauthorized())?;
        request.extensions_mut().insert(data.claims);
        Ok(())
    };
    // The key and the validation are cloned with the layer, not with each request.
    let layer = ValidateRequestHeaderLayer::custom(authorize);
    Box::new(Layered::new(layer.layer(orders(|user: &User| &user.email))))
}

fn unauthorized() -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}
