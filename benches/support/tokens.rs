//! Tokens and their issuers.

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower_jwt_auth::keys::KeySource;
use tower_jwt_auth::policy::{Scopes, has_scope};
use tower_jwt_auth::{Algorithm, JwtVerifier, Key, KeySet};

use super::requests::Email;

pub(crate) const ISSUER: &str = "https://id.example.com/realms/shop";
const AUDIENCE: &str = "https://api.example.com/orders";
const KID: &str = "2026-07";
const YEAR_2020: u64 = 1_577_836_800;
const YEAR_2100: u64 = 4_102_444_800;

/// The length of header, dot and payload of every token.
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

impl Email for User {
    fn email(&self) -> &String {
        &self.email
    }
}

/// Claims for a service that requires scopes.
#[derive(Deserialize)]
pub(crate) struct ScopedUser {
    scope: Scopes,
    email: String,
}

impl Email for ScopedUser {
    fn email(&self) -> &String {
        &self.email
    }
}

has_scope!(ScopedUser.scope);

/// Signs tokens and provides the key to check them.
pub(crate) struct Issuer {
    pub(crate) algorithm: Algorithm,
    signing: EncodingKey,
    /// The secret, or the public key in PEM.
    pub(crate) key: &'static [u8],
}

impl Issuer {
    pub(crate) fn all() -> [Self; 4] {
        [Self::hs256(), Self::rs256(), Self::es256(), Self::eddsa()]
    }

    pub(crate) fn hs256() -> Self {
        Self::with_secret(b"a secret for the benches, 32 byt")
    }

    /// Signs like [`hs256`](Self::hs256), but with another secret.
    pub(crate) fn forger() -> Self {
        Self::with_secret(b"another secret, just as many byt")
    }

    fn with_secret(secret: &'static [u8; 32]) -> Self {
        Self {
            algorithm: Algorithm::HS256,
            signing: EncodingKey::from_secret(secret).expect("it is not empty"),
            key: secret,
        }
    }

    pub(crate) fn rs256() -> Self {
        let pem = include_bytes!("../../tests/fixtures/rsa2048.private.pem");
        Self {
            algorithm: Algorithm::RS256,
            signing: EncodingKey::from_rsa_pem(pem).expect("the fixture is an RSA key"),
            key: include_bytes!("../../tests/fixtures/rsa2048.public.pem"),
        }
    }

    pub(crate) fn es256() -> Self {
        let pem = include_bytes!("../../tests/fixtures/p256.private.pem");
        Self {
            algorithm: Algorithm::ES256,
            signing: EncodingKey::from_ec_pem(pem).expect("the fixture is an EC key"),
            key: include_bytes!("../../tests/fixtures/p256.public.pem"),
        }
    }

    fn eddsa() -> Self {
        let pem = include_bytes!("../../tests/fixtures/ed25519.private.pem");
        Self {
            algorithm: Algorithm::EdDSA,
            signing: EncodingKey::from_ed_pem(pem).expect("the fixture is an Ed25519 key"),
            key: include_bytes!("../../tests/fixtures/ed25519.public.pem"),
        }
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.algorithm == Algorithm::HS256
    }

    /// Returns a verifier without a cache, since most benches measure the check.
    pub(crate) fn verifier(&self) -> JwtVerifier<User> {
        self.verifier_into()
    }

    /// Returns a verifier that reads the claims into another type.
    pub(crate) fn verifier_into<C>(&self) -> JwtVerifier<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let key = match self.algorithm {
            Algorithm::HS256 => Key::hmac(self.algorithm, self.key),
            _ => Key::pem(self.algorithm, self.key),
        };
        self.verifier_of(KeySet::from(key.expect("the fixture is a key").with_kid(KID)))
    }

    /// Returns a verifier with another key source.
    pub(crate) fn verifier_of<C>(&self, keys: impl KeySource + 'static) -> JwtVerifier<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        JwtVerifier::new(keys).issuer(ISSUER).audience(AUDIENCE).without_cache()
    }

    /// Returns the public key as a provider publishes it.
    pub(crate) fn jwks(&self) -> Vec<u8> {
        let jwk = Jwk::from_encoding_key(&self.signing, for_peer(self.algorithm));
        let mut jwk = jwk.expect("the fixture is a key");
        jwk.common.key_id = Some(KID.to_owned());
        serde_json::to_vec(&JwkSet { keys: vec![jwk] }).expect("a key is JSON")
    }

    /// Returns the arguments of `jsonwebtoken::decode`, with the same checks on.
    pub(crate) fn decoding(&self) -> (DecodingKey, Validation) {
        let key = match self.algorithm {
            Algorithm::HS256 => DecodingKey::from_secret(self.key),
            Algorithm::RS256 => DecodingKey::from_rsa_pem(self.key),
            Algorithm::ES256 => DecodingKey::from_ec_pem(self.key),
            _ => DecodingKey::from_ed_pem(self.key),
        };
        let mut validation = Validation::new(for_peer(self.algorithm));
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.validate_nbf = true;
        (key.expect("the fixture is a key"), validation)
    }

    /// Returns 1,024 different tokens. A single repeated token would train the branch predictor.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.some_tokens(1024)
    }

    pub(crate) fn some_tokens(&self, count: usize) -> Vec<String> {
        self.tokens_until(YEAR_2100, count)
    }

    pub(crate) fn expired_tokens(&self) -> Vec<String> {
        self.tokens_until(YEAR_2020, 1024)
    }

    /// Returns tokens that are bound to the key with this thumbprint.
    pub(crate) fn bound_tokens(&self, jkt: &str, count: usize) -> Vec<String> {
        let token = |n| {
            let mut claims = serde_json::to_value(claims(n, YEAR_2100)).expect("claims are JSON");
            claims["cnf"] = json!({ "jkt": jkt });
            self.signed(&claims)
        };
        (0..count).map(token).collect()
    }

    fn tokens_until(&self, exp: u64, count: usize) -> Vec<String> {
        (0..count).map(|n| self.token(&claims(n, exp))).collect()
    }

    fn token(&self, claims: &User) -> String {
        let token = self.signed(claims);
        assert_eq!(token.rfind('.'), Some(SIGNED_LEN));
        token
    }

    fn signed(&self, claims: &impl Serialize) -> String {
        let mut header = Header::new(for_peer(self.algorithm));
        header.kid = Some(KID.to_owned());
        jsonwebtoken::encode(&header, claims, &self.signing).expect("the key can sign")
    }
}

/// Converts the algorithm to the type of jsonwebtoken.
pub(crate) fn for_peer(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.as_str().parse().expect("both have the same names")
}

/// Returns the claims of the `n`th user. Their lengths differ, and `jti` makes up for the difference.
fn claims(n: usize, exp: u64) -> User {
    let name = ["ada", "eze", "grace", "konrad", "margaret"][n % 5];
    let sub = format!("google-oauth2|{}", n * n);
    let jti_len = 62 - name.len() - sub.len();
    User {
        iss: ISSUER.to_owned(),
        sub,
        aud: AUDIENCE.to_owned(),
        exp,
        iat: YEAR_2020 - 3600,
        nbf: YEAR_2020 - 3600,
        jti: format!("{n:0jti_len$x}"),
        scope: "openid profile orders:read orders:write".to_owned(),
        email: format!("{name}@example.com"),
    }
}
