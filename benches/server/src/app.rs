//! The measured routes.

use std::hint::black_box;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use http::StatusCode;
use http::header::AUTHORIZATION;
use jsonwebtoken::{DecodingKey, Validation};
use tower::layer::util::Identity;
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::{Claims, JwtAuthLayer, JwtVerifier};

use crate::support::{Issuer, User};

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Route {
    /// No authentication.
    Open,
    /// No authentication, and a layer that does nothing. axum boxes the service and the future of each
    /// layer.
    EmptyLayer,
    Uncached,
    Cached,
    /// `axum::middleware::from_fn_with_state` and `jsonwebtoken::decode`, as in tutorials.
    FromFn,
}

impl Route {
    /// The first route is the baseline of the others.
    pub(crate) const ALL: [Self; 5] =
        [Self::Open, Self::EmptyLayer, Self::Cached, Self::Uncached, Self::FromFn];

    /// All names have the same length, and so have the requests.
    pub(crate) fn path(self, issuer: &Issuer) -> String {
        let name = match self {
            Self::Open => "op",
            Self::EmptyLayer => "em",
            Self::Uncached => "un",
            Self::Cached => "ca",
            Self::FromFn => "fn",
        };
        format!("/{}/{name}", issuer.algorithm)
    }
}

pub(crate) fn app() -> Router {
    let routes = Issuer::all().map(|issuer| {
        Route::ALL
            .iter()
            .fold(Router::new(), |app, route| app.route(&route.path(&issuer), handler(*route, &issuer)))
    });
    routes.into_iter().fold(Router::new(), Router::merge)
}

fn handler(route: Route, issuer: &Issuer) -> MethodRouter {
    match route {
        Route::Open => get(async || BODY),
        Route::EmptyLayer => get(async || BODY).layer(Identity::new()),
        Route::Uncached => get(claims).layer(JwtAuthLayer::new(verifier(issuer, false))),
        Route::Cached => get(claims).layer(JwtAuthLayer::new(verifier(issuer, true))),
        Route::FromFn => get(extension).layer(from_fn_with_state(Arc::new(issuer.decoding()), authorize)),
    }
}

/// The default cache, or none.
fn verifier(issuer: &Issuer, cached: bool) -> JwtVerifier<User> {
    match cached {
        true => issuer.verifier().cache(CacheSettings::new()),
        false => issuer.verifier(),
    }
}

/// All handlers have the same response.
const BODY: &str = "Hello";

async fn claims(user: Claims<User>) -> &'static str {
    black_box(&user.email);
    BODY
}

async fn extension(Extension(user): Extension<User>) -> &'static str {
    black_box(&user.email);
    BODY
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
