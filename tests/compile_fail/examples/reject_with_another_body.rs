use axum::{Router, routing::get};
use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, RegisteredClaims};

fn app(verifier: JwtVerifier<RegisteredClaims>) -> Router {
    let layer = JwtAuthLayer::new(verifier).reject_with(|error, _| error.response(error.to_string()));
    Router::new().route("/", get(async || "hello")).layer(layer)
}

fn main() {}
