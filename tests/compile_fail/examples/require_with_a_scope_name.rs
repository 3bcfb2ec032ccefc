use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, RegisteredClaims};

fn layer(verifier: JwtVerifier<RegisteredClaims>) {
    let _ = JwtAuthLayer::new(verifier).require("orders:read");
}

fn main() {}
