//! Tokens as an identity provider issues them, and bad ones. The good ones are byte for byte those of the
//! library's own benches.

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use tower_jwt_auth::Algorithm;

pub(crate) const ISSUER: &str = "https://id.example.com/realms/shop";
pub(crate) const AUDIENCE: &str = "https://api.example.com/orders";
pub(crate) const KID: &str = "2026-07";
const YEAR_2020: u64 = 1_577_836_800;
const YEAR_2100: u64 = 4_102_444_800;
const YEAR_2101: u64 = 4_133_980_800;

/// The length of header, dot and payload of every good token.
const SIGNED_LEN: usize = 442;

/// The claims, all owned. `Clone` is required by the extensions of a request.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct User {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    iat: u64,
    nbf: u64,
    jti: String,
    scope: String,
    pub(crate) email: String,
}

/// The fault of a token that must be rejected.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    Forged,
    OtherAlgorithm,
    Expired,
    NotYetValid,
    OtherIssuer,
    OtherAudience,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] = [
        Self::Forged,
        Self::OtherAlgorithm,
        Self::Expired,
        Self::NotYetValid,
        Self::OtherIssuer,
        Self::OtherAudience,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::OtherAlgorithm => "other algorithm",
            Self::Expired => "expired",
            Self::NotYetValid => "not yet valid",
            Self::OtherIssuer => "other issuer",
            Self::OtherAudience => "other audience",
        }
    }
}

/// Signs tokens and provides the key to check them.
pub(crate) struct Issuer {
    pub(crate) algorithm: Algorithm,
    signing: EncodingKey,
    /// The secret, or the public key in PEM.
    pub(crate) key: &'static str,
}

impl Issuer {
    pub(crate) fn all() -> [Self; 4] {
        [Self::hs256(), Self::rs256(), Self::es256(), Self::eddsa()]
    }

    fn hs256() -> Self {
        let secret = "a secret for the benches, 32 byt";
        Self {
            algorithm: Algorithm::HS256,
            signing: EncodingKey::from_secret(secret.as_bytes()).expect("it is not empty"),
            key: secret,
        }
    }

    fn rs256() -> Self {
        let pem = include_bytes!("../../../tests/fixtures/rsa2048.private.pem");
        Self {
            algorithm: Algorithm::RS256,
            signing: EncodingKey::from_rsa_pem(pem).expect("the fixture is an RSA key"),
            key: include_str!("../../../tests/fixtures/rsa2048.public.pem"),
        }
    }

    fn es256() -> Self {
        let pem = include_bytes!("../../../tests/fixtures/p256.private.pem");
        Self {
            algorithm: Algorithm::ES256,
            signing: EncodingKey::from_ec_pem(pem).expect("the fixture is an EC key"),
            key: include_str!("../../../tests/fixtures/p256.public.pem"),
        }
    }

    fn eddsa() -> Self {
        let pem = include_bytes!("../../../tests/fixtures/ed25519.private.pem");
        Self {
            algorithm: Algorithm::EdDSA,
            signing: EncodingKey::from_ed_pem(pem).expect("the fixture is an Ed25519 key"),
            key: include_str!("../../../tests/fixtures/ed25519.public.pem"),
        }
    }

    /// Returns the algorithm's name in tokens and keys.
    pub(crate) fn alg(&self) -> &'static str {
        self.algorithm.as_str()
    }

    /// Returns the arguments of `jsonwebtoken::decode`, with all checks on.
    pub(crate) fn decoding(&self) -> (DecodingKey, Validation) {
        let key = self.key.as_bytes();
        let key = match self.algorithm {
            Algorithm::HS256 => DecodingKey::from_secret(key),
            Algorithm::RS256 => DecodingKey::from_rsa_pem(key),
            Algorithm::ES256 => DecodingKey::from_ec_pem(key),
            _ => DecodingKey::from_ed_pem(key),
        };
        let mut validation = Validation::new(for_jsonwebtoken(self.algorithm));
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.validate_nbf = true;
        (key.expect("the fixture is a key"), validation)
    }

    /// Returns the key as a JWK set, for peers that accept nothing else.
    pub(crate) fn jwks(&self) -> String {
        let jwk = Jwk::from_encoding_key(&self.signing, for_jsonwebtoken(self.algorithm));
        let mut jwk = jwk.expect("the fixture is a key");
        jwk.common.key_id = Some(KID.to_owned());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        serde_json::to_string(&JwkSet { keys: vec![jwk] }).expect("a JWK set is JSON")
    }

    /// Returns 1,024 different tokens. A single repeated token would train the branch predictor.
    pub(crate) fn tokens(&self) -> Vec<String> {
        (0..1024)
            .map(|n| {
                let token = self.sign(&claims(n));
                assert_eq!(token.rfind('.'), Some(SIGNED_LEN));
                token
            })
            .collect()
    }

    pub(crate) fn bad_token(&self, fault: Fault) -> String {
        let good = claims(7);
        match fault {
            Fault::Forged => self.forged(),
            Fault::OtherAlgorithm => self.signed_otherwise(&good),
            Fault::Expired => self.sign(&User { exp: YEAR_2020, ..good }),
            Fault::NotYetValid => self.sign(&User { nbf: YEAR_2100, exp: YEAR_2101, ..good }),
            Fault::OtherIssuer => {
                self.sign(&User { iss: "https://id.example.com/realms/shop2".to_owned(), ..good })
            }
            Fault::OtherAudience => {
                self.sign(&User { aud: "https://api.example.com/orders2".to_owned(), ..good })
            }
        }
    }

    fn sign(&self, claims: &User) -> String {
        encode(self.algorithm, claims, &self.signing)
    }

    /// Returns the claims of one token with the signature of another.
    fn forged(&self) -> String {
        let (token, other) = (self.sign(&claims(7)), self.sign(&claims(8)));
        let signature = &other[SIGNED_LEN..];
        format!("{}{signature}", &token[..SIGNED_LEN])
    }

    /// Signs with the same secret but HS384, or with the public key as a secret.
    fn signed_otherwise(&self, claims: &User) -> String {
        let key = EncodingKey::from_secret(self.key.as_bytes()).expect("it is not empty");
        let algorithm = match self.algorithm {
            Algorithm::HS256 => Algorithm::HS384,
            _ => Algorithm::HS256,
        };
        encode(algorithm, claims, &key)
    }
}

/// Converts the algorithm to the type of jsonwebtoken.
fn for_jsonwebtoken(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.as_str().parse().expect("both have the same names")
}

fn encode(algorithm: Algorithm, claims: &User, key: &EncodingKey) -> String {
    let mut header = Header::new(for_jsonwebtoken(algorithm));
    header.kid = Some(KID.to_owned());
    jsonwebtoken::encode(&header, claims, key).expect("the key can sign")
}

/// Returns the claims of the `n`th user. Their lengths differ, and `jti` makes up for the difference.
fn claims(n: usize) -> User {
    let name = ["ada", "eze", "grace", "konrad", "margaret"][n % 5];
    let sub = format!("google-oauth2|{}", n * n);
    let jti_len = 62 - name.len() - sub.len();
    User {
        iss: ISSUER.to_owned(),
        sub,
        aud: AUDIENCE.to_owned(),
        exp: YEAR_2100,
        iat: YEAR_2020 - 3600,
        nbf: YEAR_2020 - 3600,
        jti: format!("{n:0jti_len$x}"),
        scope: "openid profile orders:read orders:write".to_owned(),
        email: format!("{name}@example.com"),
    }
}
