use axum::{Router, routing::get};
use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, KeySet};

#[derive(serde::Deserialize)]
struct User<'a> {
    sub: &'a str,
}

fn app(keys: KeySet) -> Router {
    let verifier = JwtVerifier::<User>::new(keys);
    Router::new().route("/", get(async || "hello")).layer(JwtAuthLayer::new(verifier))
}

fn main() {}
