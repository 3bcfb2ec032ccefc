use axum::{Router, routing::get};
use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, RegisteredClaims};

struct Json;

fn app(verifier: JwtVerifier<RegisteredClaims>) -> Router {
    Router::new().route("/", get(async || "hello")).layer(JwtAuthLayer::new(verifier).on_reject(Json))
}

fn main() {}
