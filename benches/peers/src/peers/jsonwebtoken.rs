//! `jsonwebtoken::decode` alone, without a request.

use http::{HeaderValue, StatusCode};
use jsonwebtoken::{DecodingKey, Validation};

use crate::peer::{Peer, read};
use crate::tokens::{Issuer, User};

pub(super) fn open(issuer: &Issuer) -> Box<dyn Peer> {
    let (key, validation) = issuer.decoding();
    Box::new(Decode { key, validation, headers: Vec::new() })
}

struct Decode {
    key: DecodingKey,
    validation: Validation,
    headers: Vec<HeaderValue>,
}

impl Peer for Decode {
    fn load(&mut self, authorization: &HeaderValue) {
        self.headers.push(authorization.clone());
    }

    fn answer(&mut self) -> StatusCode {
        let header = self.headers.pop().expect("a header is ready");
        let token = &header.as_bytes()["Bearer ".len()..];
        match jsonwebtoken::decode::<User>(token, &self.key, &self.validation) {
            Ok(data) => read(&data.claims.email),
            Err(_) => StatusCode::UNAUTHORIZED,
        }
    }
}
