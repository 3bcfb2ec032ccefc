//! A function used as a layer through `axum::middleware::from_fn_with_state`, as in tutorials. Keys and
//! validation are created once and shared. It runs without a router.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::StatusCode;
use http::header::AUTHORIZATION;
use jsonwebtoken::{DecodingKey, Validation};
use tower::Layer;

use crate::peer::{Layered, Peer, orders};
use crate::tokens::{Issuer, User};

pub(super) fn open(issuer: &Issuer) -> Box<dyn Peer> {
    let layer = from_fn_with_state(Arc::new(issuer.decoding()), authorize);
    Box::new(Layered::<_, Body>::new(layer.layer(orders::<_, _, Body>(|user: &User| &user.email))))
}

async fn authorize(
    State(decoding): State<Arc<(DecodingKey, Validation)>>,
    mut request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    let value = request.headers().get(AUTHORIZATION).ok_or(StatusCode::UNAUTHORIZED)?;
    let value = value.to_str().map_err(|_| StatusCode::UNAUTHORIZED)?;
    let token = value.strip_prefix("Bearer ").ok_or(StatusCode::UNAUTHORIZED)?;
    let (key, validation) = &*decoding;
    let data = jsonwebtoken::decode::<User>(token, key, validation).map_err(|_| StatusCode::UNAUTHORIZED)?;
    request.extensions_mut().insert(data.claims);
    Ok(next.run(request).await)
}
