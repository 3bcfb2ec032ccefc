use axum::{Router, routing::get};
use tower_jwt_auth::RequireLayer;
use tower_jwt_auth::policy::scope;

fn app() -> Router {
    Router::new().route("/", get(async || "hello")).layer(RequireLayer::new(scope("orders:read")))
}

fn main() {}
