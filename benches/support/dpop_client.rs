//! DPoP proofs of one client.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderValue, Request};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use crate::support::{HOST_NAME, PATH, request};

/// A client with an ES256 key, the one of `Issuer::es256`.
pub(crate) struct Client {
    key: EncodingKey,
    header: Header,
}

impl Client {
    pub(crate) fn new() -> Self {
        let pem = include_bytes!("../../tests/fixtures/p256.private.pem");
        let key = EncodingKey::from_ec_pem(pem).expect("the fixture is an EC key");
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).expect("the fixture is a key");
        jwk.common.key_algorithm = None;
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(jwk);
        Self { key, header }
    }

    /// Returns the `jkt` of tokens that are bound to this client.
    pub(crate) fn thumbprint(&self) -> String {
        let jwk = self.header.jwk.as_ref().expect("the header has the key");
        jwk.thumbprint(ThumbprintHash::SHA256).expect("the key has a thumbprint")
    }

    /// Returns this many different proofs, for these tokens in turn.
    pub(crate) fn proofs(&self, tokens: &[String], count: usize) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let proof = |(n, token): (usize, &String)| {
            let claims = json!({
                "jti": format!("{n:022}"),
                "htm": "GET",
                "htu": format!("https://{HOST_NAME}{PATH}"),
                "iat": now,
                "ath": BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())),
            });
            jsonwebtoken::encode(&self.header, &claims, &self.key).expect("the key can sign")
        };
        tokens.iter().cycle().take(count).enumerate().map(proof).collect()
    }
}

/// Builds a request with seven headers.
pub(crate) fn bound_request(token: &str, proof: &str) -> Request<()> {
    let header = |text: String| HeaderValue::try_from(text).expect("tokens and proofs are ASCII");
    let mut request = request(Some(&header(format!("DPoP {token}"))));
    request.headers_mut().insert("dpop", header(proof.to_owned()));
    request
}
