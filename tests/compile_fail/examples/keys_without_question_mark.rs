use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};

fn verifier(secret: &[u8]) -> JwtVerifier<RegisteredClaims> {
    JwtVerifier::new(KeySet::hmac(Algorithm::HS256, secret))
}

fn main() {}
