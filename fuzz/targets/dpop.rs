//! Proofs of DPoP-bound tokens, compared to a simple reader of RFC 9449, section 4.3 and RFC 3986, section 6.2.
//!
//! An input has these lines:
//!
//! 1. the method, the path and, if it is not [`BASE`], the public URL of the request
//! 2. the scheme of the token, and the key that it is bound to, such as `ES256`, or `none`
//! 3. the key that signs the proof
//! 4. the header of the proof, with `{ES256}` for the JWK of a key
//! 5. the payload of the proof, with `{ath}` and `{nonce}` for the right values
//!
//! Each further line is a `DPoP` header, with `{}` for the proof.
#![no_main]

use std::collections::HashMap;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderValue, Request};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Map, Value, json};
use tower_jwt_auth::AuthErrorKind::ReplayedProof;
use tower_jwt_auth::dpop::Dpop;
use tower_jwt_auth::verifiers::Scheme;
use tower_jwt_auth::{Algorithm, AuthError, Credential, Head, JwtVerifier, Verdict};
use tower_jwt_auth_fuzz::url::{is_target, origin};
use tower_jwt_auth_fuzz::{
    AUDIENCE, ISSUER, Members, NOW, SECRET, SIGNERS, Signer, base64url, bounded, hs256, verifier,
};

const BASE: &str = "https://api.example.com";
const MAX_AGE: f64 = 60.0;
const MAX_AHEAD: f64 = 5.0;
/// The longest accepted proof.
const MAX_BYTES: usize = 8 * 1024;

/// ES512 is not accepted.
const ACCEPTED: [Algorithm; 4] = [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256, Algorithm::MlDsa44];

/// A token for each key that it is bound to, and an unbound one.
static TOKENS: LazyLock<HashMap<&str, String>> = LazyLock::new(|| {
    let bound = SIGNERS.iter().map(|signer| (signer.name, token(Some(signer))));
    bound.chain([("none", token(None))]).collect()
});

/// The members of each public key, as serde_json sorts them.
static KEYS: LazyLock<HashMap<&str, Map<String, Value>>> = LazyLock::new(|| {
    let key = |signer: &Signer| {
        let mut jwk = signer.jwk();
        if signer.algorithm == Algorithm::MlDsa44 {
            jwk["alg"] = json!(signer.name);
        }
        let members = jwk.as_object().unwrap().clone();
        let required = required_members(members["kty"].as_str().unwrap());
        members.into_iter().filter(|(name, _)| required.contains(&&**name)).collect()
    };
    SIGNERS.iter().map(|signer| (signer.name, key(signer))).collect()
});

/// The nonce of this time.
static NONCE: LazyLock<String> = LazyLock::new(|| {
    let input = Input::read(include_str!("../seeds/dpop/good")).expect("the seed is an input");
    let error = input.judge(&input.verifier(true), &input.request).expect_err("the seed has no nonce");
    error.response(()).headers()["dpop-nonce"].to_str().unwrap().to_owned()
});

fn token(bound_to: Option<&Signer>) -> String {
    let mut payload = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300});
    if let Some(signer) = bound_to {
        let key = json!(KEYS[signer.name]).to_string();
        payload["cnf"] = json!({"jkt": base64url(digest(&SHA256, key.as_bytes()))});
    }
    hs256().token(hs256().header(), payload.to_string())
}

/// Returns the members that the thumbprint of a key hashes (RFC 7638, section 3.2; RFC 9964, section 6).
fn required_members(kty: &str) -> &'static [&'static str] {
    match kty {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        "AKP" => &["alg", "kty", "pub"],
        _ => &["k", "kty"],
    }
}

/// The parts of an input.
struct Input {
    request: Request<()>,
    base: String,
    scheme: String,
    bound_to: Option<&'static Signer>,
    token: &'static str,
    signed_by: &'static Signer,
    header: String,
    payload: String,
    proof: String,
}

impl Input {
    /// Returns `None` if the lines are not those of a request.
    fn read(text: &str) -> Option<Self> {
        let signer = |name| SIGNERS.iter().find(|signer| signer.name == name);
        let mut lines = text.split('\n');
        let mut request = lines.next()?.split(' ');
        let (method, path, base) = (request.next()?, request.next()?, request.next().unwrap_or(BASE));
        let (scheme, bound_to) = lines.next()?.split_once(' ')?;
        Scheme::new(scheme).ok()?;
        let (bound_to, signed_by) = (signer(bound_to), signer(lines.next()?)?);
        let token: &str = &TOKENS[bound_to.map_or("none", |key| key.name)];
        let mut header = lines.next()?.to_owned();
        for (name, key) in &*KEYS {
            header = header.replace(&format!("{{{name}}}"), &json!(key).to_string());
        }
        let mut payload = lines.next()?.replace("{ath}", &ath(token));
        if payload.contains("{nonce}") {
            payload = payload.replace("{nonce}", &NONCE);
        }
        let proof = signed_by.token(&header, &payload);
        let mut request = Request::builder().method(method).uri(path);
        for value in lines {
            request = request.header("dpop", value.replace("{}", &proof));
        }
        let request = request.body(()).ok()?;
        let (base, scheme) = (base.to_owned(), scheme.to_owned());
        Some(Self { request, base, scheme, bound_to, token, signed_by, header, payload, proof })
    }

    /// Returns a verifier whose settings fit the request, without memory of earlier inputs.
    fn verifier(&self, needs_nonce: bool) -> JwtVerifier<Value> {
        let dpop = Dpop::new(&self.base).unwrap_or_else(|_| {
            // Such a URL is no setting, but an application may return it for a request.
            let base = self.base.clone();
            Dpop::new(BASE).unwrap().public_url_from(move |_| Some(base.clone()))
        });
        let dpop = dpop.algorithms(ACCEPTED).unwrap();
        let dpop = if needs_nonce { dpop.nonces(SECRET).unwrap() } else { dpop };
        verifier(hs256().public.clone().into()).dpop(dpop)
    }

    /// Returns the verdict for the request of the input, or for one with an earlier proof.
    fn judge(&self, verifier: &JwtVerifier<Value>, request: &Request<()>) -> Result<(), AuthError> {
        let head = Head::from(request);
        let scheme = Scheme::new(&self.scheme).unwrap();
        match verifier.verify(Credential::new(scheme, self.token.as_bytes()).with_request(&head)) {
            Verdict::Ready(result) => result.map(drop),
            Verdict::Pending(_) => panic!("a verifier without a store never waits"),
        }
    }

    /// Returns the request with another proof that has the same header, and good claims.
    fn earlier(&self) -> Request<()> {
        let (method, path) = (self.request.method(), self.request.uri().path());
        let payload = json!({
            "jti": "an earlier proof", "htm": method.as_str(), "htu": format!("{}{path}", self.base),
            "iat": NOW, "ath": ath(self.token), "nonce": *NONCE,
        });
        let mut request = self.request.clone();
        let proof = self.signed_by.token(&self.header, payload.to_string());
        request.headers_mut().insert("dpop", HeaderValue::try_from(proof).unwrap());
        request
    }

    /// Returns true if the request may be accepted.
    fn is_good(&self, needs_nonce: bool) -> bool {
        let Some(key) = self.bound_to else {
            return !self.is_dpop();
        };
        let values: Vec<_> = self.request.headers().get_all("dpop").iter().collect();
        // Nobody else can sign a proof.
        self.is_dpop()
            && values == [&*self.proof]
            && self.proof.len() <= MAX_BYTES
            && self.signed_by.name == key.name
            && is_header(&self.header, key)
            && self.is_payload(needs_nonce).unwrap_or(false)
    }

    fn is_dpop(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("DPoP")
    }

    /// Checks the claims of the proof, or returns `None` if one of them is missing.
    fn is_payload(&self, needs_nonce: bool) -> Option<bool> {
        const ONCE: [&str; 8] = ["jti", "htm", "htu", "iat", "ath", "nonce", "exp", "nbf"];

        let claims = Members::read(self.payload.as_bytes()).filter(|_| is_shallow(&self.payload))?;
        let text = |name| claims.read_member::<String>(name);
        let date = |name| claims.read_member::<f64>(name);
        let is_missing_or = |name, is_good: bool| claims.get(name).is_none() || is_good;
        let (jti, htm, htu) = (text("jti")?, text("htm")?, text("htu")?);
        let (ath_of_token, iat, now) = (text("ath")?, date("iat")?, NOW as f64);
        let is_good = ONCE.iter().all(|name| claims.count(name) <= 1)
            && !jti.is_empty()
            && htm == self.request.method().as_str()
            && self.is_url(&htu)
            && ath_of_token == ath(self.token)
            && iat > now - MAX_AGE
            && iat <= now + MAX_AHEAD
            && is_missing_or("exp", date("exp").is_some_and(|exp| exp > now))
            && is_missing_or("nbf", date("nbf").is_some_and(|nbf| nbf <= now + MAX_AHEAD))
            && is_missing_or("nonce", text("nonce").is_some())
            && (!needs_nonce || text("nonce").as_deref() == Some(&**NONCE));
        Some(is_good)
    }

    fn is_url(&self, htu: &str) -> bool {
        let is_target = is_target(&self.base, self.request.uri().path(), htu);
        // A gateway or a handler may read the URLs in the other way.
        assert!(!is_target || origin(htu) == origin(&self.base), "{htu}, {}", self.base);
        is_target
    }
}

fn ath(token: &str) -> String {
    base64url(digest(&SHA256, token.as_bytes()))
}

fn is_shallow(json: &str) -> bool {
    json.bytes().filter(|byte| b"[{\\".contains(byte)).count() <= 1024
}

/// Checks the header of a proof that the key has signed.
fn is_header(header: &str, key: &Signer) -> bool {
    let Some(members) = Members::read(header.as_bytes()).filter(|_| is_shallow(header)) else {
        return false;
    };
    let is_algorithm = |name: &str| name == key.name || (name == "Ed25519" && key.name == "EdDSA");
    let jwk = members.get("jwk").and_then(|jwk| Members::read(jwk.as_bytes()));
    ["typ", "alg", "jwk"].iter().all(|name| members.count(name) == 1)
        && ["crit", "b64"].iter().all(|name| members.get(name).is_none())
        && members.read_member::<String>("typ").as_deref() == Some("dpop+jwt")
        && members.read_member::<String>("alg").is_some_and(|alg| is_algorithm(&alg))
        && ACCEPTED.contains(&key.algorithm)
        && jwk.is_some_and(|jwk| is_jwk(&jwk, key, is_algorithm))
}

/// Returns true if the JWK is the public half of this key, for signatures.
fn is_jwk(jwk: &Members<'_>, key: &Signer, is_algorithm: impl Fn(&str) -> bool) -> bool {
    const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

    let text = |name| jwk.read_member::<String>(name);
    let optional = |name, is_good: &dyn Fn(&str) -> bool| match jwk.get(name) {
        None | Some("null") => jwk.count(name) <= 1,
        Some(_) => jwk.count(name) == 1 && text(name).is_some_and(|text| is_good(&text)),
    };
    let operations = jwk.read_member::<Option<Vec<String>>>("key_ops");
    KEYS[key.name].iter().all(|(name, value)| jwk.count(name) == 1 && text(name).as_deref() == value.as_str())
        && PRIVATE.iter().all(|name| jwk.get(name).is_none())
        && optional("kid", &|_| true)
        && optional("crv", &|_| true)
        && optional("use", &|purpose| purpose == "sig")
        && optional("alg", &is_algorithm)
        && jwk.count("key_ops") <= 1
        && (jwk.get("key_ops").is_none()
            || operations.is_some_and(|names| names.is_none_or(|names| names.contains(&"verify".to_owned()))))
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(input) = std::str::from_utf8(input).ok().and_then(Input::read) else {
        return Corpus::Reject;
    };
    let len = input.proof.len() + input.request.uri().path().len();
    for needs_nonce in [false, true] {
        let is_good = input.is_good(needs_nonce);
        let verifier = input.verifier(needs_nonce);
        let judge = |verifier: &_, request: &_| input.judge(verifier, request).map_err(|error| error.kind());
        let mut first = None;
        let verdict = bounded(len, 64, || {
            let judged = judge(&verifier, &input.request);
            *first.get_or_insert(judged)
        });
        assert_eq!(verdict.is_ok(), is_good, "{verdict:?}, needs a nonce: {needs_nonce}");
        let expected = if is_good && input.is_dpop() { Err(ReplayedProof) } else { verdict };
        assert_eq!(judge(&verifier, &input.request), expected, "a second use");

        // A key that is already known does not change the verdict.
        let warm = input.verifier(needs_nonce);
        let _ = judge(&warm, &input.earlier());
        assert_eq!(judge(&warm, &input.request), verdict, "a known key");
    }
    Corpus::Keep
});
