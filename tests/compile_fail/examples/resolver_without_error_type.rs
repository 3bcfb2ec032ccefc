use tower_jwt_auth::{IssuerResolver, JwtVerifier, KeySet, RegisteredClaims};

fn resolver() -> IssuerResolver<RegisteredClaims> {
    IssuerResolver::new(async |issuer: String| Ok(Some(JwtVerifier::new(KeySet::new([])).issuer(issuer))))
}

fn main() {}
