use axum::{Router, routing::get};
use tower_jwt_auth::{JwtAuthLayer, KeySet};

fn app(keys: KeySet) -> Router {
    Router::new().route("/", get(async || "hello")).layer(JwtAuthLayer::new(keys))
}

fn main() {}
