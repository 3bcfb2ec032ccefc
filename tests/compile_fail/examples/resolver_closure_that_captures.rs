use std::collections::HashMap;
use std::sync::Arc;

use tower_jwt_auth::verifiers::IssuerResolver;
use tower_jwt_auth::{ConfigError, JwtVerifier, KeySet, RegisteredClaims};

fn resolver(keys: Arc<HashMap<String, KeySet>>) -> IssuerResolver<RegisteredClaims> {
    IssuerResolver::new(async move |issuer: String| {
        let keys = keys.get(&issuer).cloned();
        Ok::<_, ConfigError>(keys.map(|keys| JwtVerifier::new(keys).issuer(issuer)))
    })
}

fn main() {}
