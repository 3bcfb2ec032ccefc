use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, KeySet};

struct User {
    sub: String,
}

fn layer(keys: KeySet) {
    let _ = JwtAuthLayer::new(JwtVerifier::<User>::new(keys));
}

fn main() {}
