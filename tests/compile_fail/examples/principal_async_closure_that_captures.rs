use std::collections::HashMap;
use std::sync::Arc;

use axum::{Router, routing::get};
use tower_jwt_auth::{Claims, PrincipalLayer};

#[derive(serde::Deserialize)]
struct Subject {
    sub: String,
}

#[derive(Clone)]
struct User;

fn app(users: Arc<HashMap<String, User>>) -> Router {
    let layer = PrincipalLayer::new(async move |claims: Claims<Subject>| {
        Ok::<_, std::io::Error>(users.get(&claims.sub).cloned())
    });
    Router::new().route("/", get(async || "hello")).layer(layer)
}

fn main() {}
