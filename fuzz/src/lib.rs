//! Shared by all targets: keys and good tokens, requests through a layer, and JSON read member by member.
//!
//! Inputs are readable text, both the seeds and what the fuzzer finds. `{}` stands for a good token, so
//! that the fuzzer gets past the signature.

pub mod url;

use std::convert::Infallible;
use std::fmt::{self, Formatter};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ML_DSA_44_SIGNING, PqdsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::Jwk;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tower::{Layer, Service, ServiceExt};
use tower_jwt_auth::verifiers::Scheme;
use tower_jwt_auth::{
    Algorithm, AuthErrorKind, Claims, Credential, JwtVerifier, Key, KeySet, TokenSource, Verdict,
};

/// The current time in all targets, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;
pub const SECRET: &[u8; 32] = b"a secret of thirty-two bytes ...";
pub const ISSUER: &str = "https://id.example.com";
pub const AUDIENCE: &str = "https://api.example.com";

pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of each type, with its private half for signing.
pub struct Signer {
    pub algorithm: Algorithm,
    /// The `kid` of the key and the `alg` of its tokens.
    pub name: &'static str,
    private: Private,
    pub public: Key,
}

/// AWS-LC signs for the algorithms that jsonwebtoken lacks.
enum Private {
    Jsonwebtoken(EncodingKey),
    Es512(EcdsaKeyPair),
    MlDsa44(PqdsaKeyPair),
}

/// Returns the DER in a PEM file.
fn der(pem: &[u8]) -> Vec<u8> {
    let pem = std::str::from_utf8(pem).unwrap();
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with("-----")).collect::<String>()).unwrap()
}

pub static SIGNERS: LazyLock<[Signer; 6]> = LazyLock::new(|| {
    macro_rules! pem {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/fixtures/", $name, ".pem"))
        };
    }
    let signer_by = |algorithm: Algorithm, private, public: Result<Key, _>| {
        let name = algorithm.as_str();
        Signer { algorithm, name, private, public: public.unwrap().with_kid(name) }
    };
    let signer = |algorithm, private: Result<_, _>, public| {
        signer_by(algorithm, Private::Jsonwebtoken(private.unwrap()), public)
    };
    let p521 = EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_FIXED_SIGNING, &der(pem!("p521.private")));
    let ml_dsa = PqdsaKeyPair::from_pkcs8(&ML_DSA_44_SIGNING, &der(pem!("mldsa44.private")));
    let (rsa, ec, ed) = (pem!("rsa2048.private"), pem!("p256.private"), pem!("ed25519.private"));
    [
        signer(Algorithm::HS256, EncodingKey::from_secret(SECRET), Key::hmac(Algorithm::HS256, SECRET)),
        signer(
            Algorithm::ES256,
            EncodingKey::from_ec_pem(ec),
            Key::pem(Algorithm::ES256, pem!("p256.public")),
        ),
        signer(
            Algorithm::EdDSA,
            EncodingKey::from_ed_pem(ed),
            Key::pem(Algorithm::EdDSA, pem!("ed25519.public")),
        ),
        signer(
            Algorithm::RS256,
            EncodingKey::from_rsa_pem(rsa),
            Key::pem(Algorithm::RS256, pem!("rsa2048.public")),
        ),
        signer_by(
            Algorithm::ES512,
            Private::Es512(p521.unwrap()),
            Key::pem(Algorithm::ES512, pem!("p521.public")),
        ),
        signer_by(
            Algorithm::MlDsa44,
            Private::MlDsa44(ml_dsa.unwrap()),
            Key::pem(Algorithm::MlDsa44, pem!("mldsa44.public")),
        ),
    ]
});

/// Converts the algorithm to the type of jsonwebtoken, the oracle.
fn for_oracle(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.as_str().parse().unwrap()
}

impl Signer {
    /// Returns a token with exactly this header and payload.
    pub fn token(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(payload));
        let message = signed.as_bytes();
        let signature = match &self.private {
            Private::Jsonwebtoken(key) => {
                jsonwebtoken::crypto::sign(message, key, for_oracle(self.algorithm)).unwrap()
            }
            Private::Es512(key) => base64url(key.sign(&SystemRandom::new(), message).unwrap()),
            Private::MlDsa44(key) => {
                let mut signature = vec![0; ML_DSA_44_SIGNING.signature_len()];
                key.sign(message, &mut signature).unwrap();
                base64url(signature)
            }
        };
        format!("{signed}.{signature}")
    }

    /// Returns the public half as a JWK, or the secret for HS256.
    pub fn jwk(&self) -> Value {
        match &self.private {
            Private::Jsonwebtoken(key) => {
                json!(Jwk::from_encoding_key(key, for_oracle(self.algorithm)).unwrap())
            }
            Private::Es512(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(66);
                json!({"kty": "EC", "crv": "P-521", "x": base64url(x), "y": base64url(y)})
            }
            Private::MlDsa44(key) => json!({"kty": "AKP", "pub": base64url(key.public_key())}),
        }
    }

    /// Returns the usual header of its tokens.
    pub fn header(&self) -> String {
        json!({"alg": self.name, "typ": "JWT", "kid": self.name}).to_string()
    }
}

/// Returns the HS256 signer, for targets that are not about keys.
pub fn hs256() -> &'static Signer {
    &SIGNERS[0]
}

/// Returns the public halves of all keys.
pub fn keys() -> KeySet {
    KeySet::new(SIGNERS.iter().map(|signer| signer.public.clone()))
}

/// Returns a verifier that requires issuer and audience.
pub fn verifier<C: DeserializeOwned + Send + Sync + 'static>(keys: KeySet) -> JwtVerifier<C> {
    JwtVerifier::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW)).without_cache()
}

/// Returns the payload of a token that [`verifier`] accepts.
pub fn good_payload() -> String {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "42", "exp": NOW + 300}).to_string()
}

pub static GOOD_TOKEN: LazyLock<String> = LazyLock::new(|| hs256().token(hs256().header(), good_payload()));

/// Returns a source that finds the good token in every request.
pub fn good_source() -> TokenSource {
    TokenSource::custom([], |_| Some(GOOD_TOKEN.as_str().into()))
}

/// Returns the verdict of a verifier with local keys.
pub fn judge<C>(verifier: &JwtVerifier<C>, token: &str) -> Result<Claims<C>, AuthErrorKind>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    match verifier.verify(token) {
        Verdict::Ready(result) => result.map_err(|error| error.kind()),
        Verdict::Pending(_) => panic!("a verifier with local keys never waits"),
    }
}

/// Replaces `{}` in an input by the good token.
pub fn filled(input: &[u8]) -> Vec<u8> {
    let mut filled = Vec::new();
    let mut rest = input;
    while let Some(place) = rest.windows(2).position(|pair| pair == b"{}") {
        filled.extend_from_slice(&rest[..place]);
        filled.extend_from_slice(GOOD_TOKEN.as_bytes());
        rest = &rest[place + 2..];
    }
    filled.extend_from_slice(rest);
    filled
}

/// Returns the headers in an input, one per line. Returns `None` if a line is not a valid header.
pub fn header_lines(input: &[u8]) -> Option<Vec<HeaderValue>> {
    let lines = input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| HeaderValue::from_bytes(&filled(line)).ok()).collect()
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome<S = Vec<Vec<u8>>> {
    /// The values of the header, or the address, as seen by the inner service. `None` if the request did
    /// not reach it.
    pub inside: Option<S>,
    /// True if the request had claims.
    pub claims: bool,
    pub status: u16,
    pub challenge: Option<String>,
}

/// Sends a request with these values of one header through a layer.
pub fn ask<L>(layer: &L, name: &HeaderName, values: &[HeaderValue]) -> Outcome
where
    L: Layer<Inside>,
    L::Service: Service<Request<()>, Response = Response<Option<Request<()>>>, Error = Infallible>,
{
    let mut request = Request::new(());
    for value in values {
        request.headers_mut().append(name, value.clone());
    }
    // Each line counts as in RFC 9113, section 6.5.2.
    let len = values.iter().map(|value| value.len() + 32).sum();
    send(layer, &request, len, |request| {
        let seen = request.headers().get_all(name);
        assert!(seen.iter().all(HeaderValue::is_sensitive), "the rest of a credential is marked sensitive");
        seen.iter().map(|value| value.as_bytes().to_vec()).collect()
    })
}

/// Sends a request for this address through a layer.
pub fn ask_for<L>(layer: &L, uri: &Uri) -> Outcome<String>
where
    L: Layer<Inside>,
    L::Service: Service<Request<()>, Response = Response<Option<Request<()>>>, Error = Infallible>,
{
    let mut request = Request::new(());
    *request.uri_mut() = uri.clone();
    let len = uri.query().unwrap_or_default().len();
    send(layer, &request, len, |request| request.uri().to_string())
}

/// `len` is the amount of text in the request.
fn send<L, S>(
    layer: &L,
    request: &Request<()>,
    len: usize,
    seen: impl FnOnce(&Request<()>) -> S,
) -> Outcome<S>
where
    L: Layer<Inside>,
    L::Service: Service<Request<()>, Response = Response<Option<Request<()>>>, Error = Infallible>,
{
    let service = || layer.layer(tower::service_fn(inside as fn(_) -> _));
    let answer = bounded(len, 64, || service().oneshot(request.clone()).now_or_never());
    let Ok(response) = answer.expect("the service is ready at once");
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, challenge) = (response.status().as_u16(), header("www-authenticate"));
    let stored = header("cache-control");
    let Some(request) = response.into_body() else {
        assert_eq!(stored.as_deref(), Some("no-store"), "a rejection must not be stored");
        return Outcome { inside: None, claims: false, status, challenge };
    };
    let claims = request.extensions().get::<Claims<Value>>().is_some();
    Outcome { inside: Some(seen(&request)), claims, status, challenge }
}

/// The inner service. It returns the request.
pub type Inside = tower::util::ServiceFn<
    fn(Request<()>) -> std::future::Ready<Result<Response<Option<Request<()>>>, Infallible>>,
>;

fn inside(request: Request<()>) -> std::future::Ready<Result<Response<Option<Request<()>>>, Infallible>> {
    std::future::ready(Ok(Response::new(Some(request))))
}

/// The target's own reading of the token sources in a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading<'a> {
    Nothing,
    /// No single token of the form in RFC 6750, section 2.1.
    Broken,
    Several,
    Token(&'a [u8]),
}

impl Reading<'_> {
    /// Reads a `b64token`, or returns `Broken`.
    pub fn token(text: &[u8]) -> Reading<'_> {
        let end = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
        let (body, padding) = text.split_at(end);
        let is_body = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
        if !body.is_empty() && body.iter().all(is_body) && padding.iter().all(|byte| *byte == b'=') {
            Reading::Token(text)
        } else {
            Reading::Broken
        }
    }

    /// Returns the expected status and challenge.
    pub fn answer(&self) -> (u16, Option<String>) {
        let rejection = |code: &str, kind: AuthErrorKind| {
            Some(format!(r#"Bearer realm="api", error="{code}", error_description="{kind}""#))
        };
        match self {
            Self::Token(token) if *token == GOOD_TOKEN.as_bytes() => (200, None),
            Self::Nothing => (401, Some(r#"Bearer realm="api""#.to_owned())),
            Self::Broken => (400, rejection("invalid_request", AuthErrorKind::MalformedCredential)),
            Self::Several => (400, rejection("invalid_request", AuthErrorKind::MultipleCredentials)),
            Self::Token(token) => {
                let Verdict::Ready(Err(error)) = HS256.verify(Credential::new(Scheme::BEARER, token)) else {
                    panic!("the layer accepts or waits for a token other than the good one");
                };
                (401, rejection("invalid_token", error.kind()))
            }
        }
    }
}

static HS256: LazyLock<JwtVerifier<Value>> = LazyLock::new(|| verifier(hs256().public.clone().into()));

/// The members of a JSON object in their order, with duplicates and unread values.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Returns `None` if the text is not a JSON object.
    pub fn read(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    pub fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|(other, _)| other == name).count()
    }

    /// Returns the text of the first member with this name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.get())
    }

    /// Returns the member if it can be read as this type.
    pub fn read_member<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(|value| serde_json::from_str(value).ok())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// The shortest time to read a KiB of JSON with this build on this machine.
static KIB: LazyLock<Duration> = LazyLock::new(|| {
    let json = format!("[{}1]", "1,".repeat(511));
    let read = |_| {
        let start = Instant::now();
        std::hint::black_box(serde_json::from_str::<Value>(&json).unwrap());
        start.elapsed()
    };
    (0..100).map(read).min().unwrap()
});

/// Asserts that judging `len` bytes of input takes proportionate time, and at most `share` bytes of memory
/// at once for each byte.
///
/// The limit is 25 times the time to read that much JSON plus one KiB. The slowest good inputs take a tenth of
/// that: claims with many members, and tokens with an RSA signature. Quadratic work exceeds it from a few KiB
/// on. A busy machine may pause for as long, so only work that is slow every time counts.
pub fn bounded<T>(len: usize, share: usize, mut judge: impl FnMut() -> T) -> T {
    let time = KIB.mul_f64(25.0 * (1.0 + len as f64 / 1024.0));
    let bytes = 64 * 1024 + share * len;
    let mut result = None;
    for _ in 0..50 {
        let start = Instant::now();
        let used = allocation_counter::measure(|| result = Some(judge()));
        assert!(used.bytes_max <= bytes as u64, "{} bytes at once for {len}", used.bytes_max);
        if start.elapsed() <= time {
            return result.expect("at least one run");
        }
    }
    panic!("{len} bytes take longer than {time:?} every time");
}
