//! The steps about the sender of a token: `cnf`, `certificate` and `proof`.

use http::{Method, Request};
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::dpop::{Dpop, DpopKey};
use tower_jwt_auth::explain::{Explanation, Outcome};
use tower_jwt_auth::mtls::{ClientCertificate, Mtls};
use tower_jwt_auth::verifiers::Scheme;
use tower_jwt_auth::{Algorithm, Credential, Head, JwtVerifier};

use super::{assert_agreeing, assert_rows, step};
use crate::support::*;

const URL: &str = "https://api.example.com/orders";

/// Returns a key of a client whose clock shows [`NOW`].
fn client() -> DpopKey {
    DpopKey::generate(Algorithm::ES256).unwrap().clock(|| at(NOW))
}

fn dpop() -> Dpop {
    Dpop::new(AUDIENCE).unwrap()
}

/// Returns a token that is bound to the key.
fn bound_to(key: &DpopKey) -> String {
    token(&claims_with("cnf", json!({"jkt": key.thumbprint().to_string()})))
}

/// Explains a token of a request for the path `/orders`, with these proofs.
async fn sent(
    verifier: &JwtVerifier<Value>,
    scheme: Scheme<'_>,
    token: &str,
    proofs: &[String],
) -> Explanation<Value> {
    let mut request = Request::get("/orders?page=2");
    for proof in proofs {
        request = request.header("dpop", proof);
    }
    let request = request.body(()).unwrap();
    let head = Head::from(&request);
    let report = verifier.explain(Credential::new(scheme, token.as_bytes()).with_request(&head)).await;
    for proof in proofs.iter().filter(|proof| proof.len() > 20) {
        let signature = proof.rsplit('.').next().unwrap();
        assert!(!format!("{report:?}{report}").contains(signature), "{report}");
    }
    report
}

/// Returns a proof with other claims or another `typ`, and a signature that is not checked.
fn changed(proof: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let parts: Vec<_> = proof.split('.').collect();
    let read = |part: &str| serde_json::from_slice::<Value>(&from_base64url(part)).unwrap();
    let (mut header, mut claims) = (read(parts[0]), read(parts[1]));
    change(&mut header, &mut claims);
    format!("{}.{}.{}", base64url(header.to_string()), base64url(claims.to_string()), parts[2])
}

fn from_base64url(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[tokio::test]
async fn explains_each_proof_failure() {
    let key = client();
    let bound = bound_to(&key);
    let bound = bound.as_str();
    let verifier = || verifier().dpop(dpop());
    let proof_of = |method: Method, url: &str| key.proof(&method, url, Some(bound), None).unwrap();
    let good = || proof_of(Method::GET, URL);
    let by = |key: &DpopKey| key.proof(&Method::GET, URL, Some(bound), None).unwrap();
    let with = async |proof: String| sent(&verifier(), Scheme::DPOP, bound, &[proof]).await;
    let with_claim = async |name: &str, value: Value| {
        with(changed(&good(), |_, claims| {
            let claims = claims.as_object_mut().unwrap();
            match value {
                Value::Null => claims.remove(name),
                value => claims.insert(name.to_owned(), value),
            };
        }))
        .await
    };
    let old = key.clone().clock(|| at(NOW - 600));
    let required = verifier().dpop(dpop().nonces(SECRET).unwrap());
    let replayed = verifier();
    let again = good();
    drop(sent(&replayed, Scheme::DPOP, bound, std::slice::from_ref(&again)).await);
    let full = JwtVerifier::dpop(verifier(), dpop().max_proofs(0));
    let rows = vec![
        (
            "missing",
            sent(&verifier(), Scheme::DPOP, bound, &[]).await,
            MissingProof,
            "proof",
            [
                "GET https://api.example.com/orders",
                "no readable proof",
                "no `DPoP` header",
                "send a DPoP proof",
            ],
        ),
        (
            "no request",
            verifier().explain(Credential::new(Scheme::DPOP, bound.as_bytes())).await,
            MissingProof,
            "proof",
            ["", "", "without its request", "DPoP"],
        ),
        (
            "two",
            sent(&verifier(), Scheme::DPOP, bound, &[good(), good()]).await,
            MalformedProof,
            "proof",
            ["GET ", "made at 1800000000", "several `DPoP` headers", "DPoP library"],
        ),
        ("no JWT", with("x".to_owned()).await, MalformedProof, "proof", ["", "no readable", "not a JWT", ""]),
        (
            "access token",
            with(changed(&good(), |header, _| header["typ"] = json!("at+jwt"))).await,
            MalformedProof,
            "proof",
            ["", "", "`at+jwt`, not `dpop+jwt`", "access token in `Authorization`"],
        ),
        (
            "no ath",
            with_claim("ath", Value::Null).await,
            MalformedProof,
            "proof",
            ["", URL, "no `ath`, like one for the token endpoint", "with the hash of the access token"],
        ),
        (
            "no jti",
            with_claim("jti", Value::Null).await,
            MalformedProof,
            "proof",
            ["", "", "no `jti`", "section 4.2"],
        ),
        (
            "method",
            with(proof_of(Method::POST, URL)).await,
            WrongProofRequest,
            "proof",
            [
                "GET https://api.example.com/orders",
                "POST https://api.example.com/orders",
                "for the method `POST`, and the request is `GET`",
                "the method of the request",
            ],
        ),
        (
            "host",
            with(proof_of(Method::GET, "https://orders.example.com/v1/orders")).await,
            WrongProofRequest,
            "proof",
            [
                "https://api.example.com/orders",
                "https://orders.example.com/v1/orders",
                "not the URL of this request",
                "at `https://orders.example.com/v1`, set Dpop::new to this URL",
            ],
        ),
        (
            "path",
            with(proof_of(Method::GET, "https://api.example.com/other")).await,
            WrongProofRequest,
            "proof",
            ["", "/other", "`https://api.example.com/other`", "axum's `nest`"],
        ),
        (
            "token",
            with(key.proof(&Method::GET, URL, Some("another"), None).unwrap()).await,
            WrongProofToken,
            "proof",
            ["", "", "not the hash of this token", "`ath`"],
        ),
        (
            "old",
            with(by(&old)).await,
            WrongProofTime,
            "proof",
            ["", "made at 1799999400", "600 s old", "Dpop::max_age"],
        ),
        (
            "milliseconds",
            with_claim("iat", json!(NOW * 1000)).await,
            WrongProofTime,
            "proof",
            ["", "1800000000000", "in milliseconds", "seconds since 1970"],
        ),
        (
            "nonce",
            sent(&required, Scheme::DPOP, bound, &[good()]).await,
            WrongProofNonce,
            "proof",
            ["", "", "no `nonce`", "`DPoP-Nonce`"],
        ),
        (
            "signature",
            with_claim("jti", json!("another")).await,
            InvalidProofSignature,
            "proof",
            ["", "", "has not signed it", "sign the proof"],
        ),
        ("key", with(by(&client())).await, WrongProofKey, "proof", ["", "", "thumbprint", "requested with"]),
        (
            "replay",
            sent(&replayed, Scheme::DPOP, bound, &[again]).await,
            ReplayedProof,
            "proof",
            ["", "", "accepted before", "a new `jti`"],
        ),
        (
            "full",
            sent(&full, Scheme::DPOP, bound, &[good()]).await,
            Unavailable,
            "proof",
            ["", "", "Dpop::max_proofs", "raise Dpop::max_proofs"],
        ),
    ];
    for (_, report, ..) in &rows {
        assert_agreeing(report, bound);
    }
    assert_rows(rows);
}

#[tokio::test]
async fn explains_each_binding() {
    let key = client();
    let (bound, plain) = (bound_to(&key), good_token());
    let certificate = ClientCertificate::from_der("a certificate");
    let x5t = certificate.thumbprint().to_string();
    let certified = token(&claims_with("cnf", json!({"x5t#S256": x5t})));
    let malformed = token(&claims_with("cnf", json!({"jkt": "x"})));
    let other = token(&claims_with("cnf", json!({"kid": "x"})));
    let with_dpop = verifier().dpop(dpop());
    let with_mtls = verifier().mtls(Mtls::new());
    let rows = vec![
        (
            "unsupported",
            verifier().explain(&bound).await,
            SenderConstrained,
            "cnf",
            [
                "none",
                "bound to a key, `jkt` ",
                "a key by DPoP (RFC 9449), and the verifier does not support",
                "set JwtVerifier::dpop",
            ],
        ),
        (
            "unsupported certificate",
            with_dpop.explain(&certified).await,
            SenderConstrained,
            "cnf",
            [
                "none, or a key (DPoP)",
                "bound to a certificate, `x5t#S256` ",
                "a client certificate",
                "set JwtVerifier::mtls",
            ],
        ),
        (
            "other member",
            with_dpop.explain(&other).await,
            SenderConstrained,
            "cnf",
            ["none, or a key (DPoP)", "kid", "another member of `cnf`", "plain bearer tokens"],
        ),
        (
            "malformed",
            with_dpop.explain(&malformed).await,
            InvalidClaims,
            "cnf",
            ["", "jkt", "`jkt` and `x5t#S256` must be SHA-256 hashes", "RFC 9449"],
        ),
        (
            "as bearer",
            with_dpop.explain(&bound).await,
            SenderConstrained,
            "cnf",
            [
                "none, or a key (DPoP)",
                "bound to a key",
                "sent as a bearer token",
                "`Authorization: DPoP TOKEN`",
            ],
        ),
        (
            "not bound",
            sent(&with_dpop, Scheme::DPOP, &plain, &[]).await,
            MissingBinding,
            "cnf",
            ["none, or a key (DPoP)", "none", "sent with the scheme `DPoP`", "when it requests the token"],
        ),
        (
            "no setting",
            sent(&verifier(), Scheme::DPOP, &plain, &[]).await,
            MissingBinding,
            "cnf",
            ["none", "none", "sent with the scheme `DPoP`", "when it requests the token"],
        ),
        (
            "required",
            verifier().dpop(dpop().required()).explain(&plain).await,
            MissingBinding,
            "cnf",
            ["a key (DPoP)", "none", "requires a bound one", "when it requests the token"],
        ),
        (
            "certificate as DPoP",
            connected(&with_dpop.clone().mtls(Mtls::new()), Scheme::DPOP, &certified, "a certificate").await,
            MissingBinding,
            "cnf",
            [
                "none, or a key (DPoP), or a certificate (mutual TLS)",
                "bound to a certificate",
                "not to a key",
                "with the client certificate",
            ],
        ),
        (
            "no certificate",
            with_mtls.explain(&certified).await,
            MissingCertificate,
            "certificate",
            ["the thumbprint", "", "without a request", "ClientCertificateLayer"],
        ),
    ];
    for (_, report, ..) in &rows {
        assert_agreeing(report, "");
    }
    assert_rows(rows);
}

/// Explains a token of a request over a connection with this client certificate.
async fn connected(
    verifier: &JwtVerifier<Value>,
    scheme: Scheme<'_>,
    token: &str,
    certificate: &str,
) -> Explanation<Value> {
    let mut request = Request::get("/").body(()).unwrap();
    request.extensions_mut().insert(ClientCertificate::from_der(certificate));
    let head = Head::from(&request);
    verifier.explain(Credential::new(scheme, token.as_bytes()).with_request(&head)).await
}

#[tokio::test]
async fn compares_certificate_of_connection() {
    let certificate = ClientCertificate::from_der("a certificate");
    let bound = token(&claims_with("cnf", json!({"x5t#S256": certificate.thumbprint().to_string()})));
    let verifier = verifier().mtls(Mtls::new());
    for (shown, expected) in [("a certificate", None), ("another one", Some(WrongCertificate))] {
        let report = connected(&verifier, Scheme::BEARER, &bound, shown).await;
        assert_eq!(step(&report, "certificate").error_kind(), expected, "{report}");
        assert_agreeing(&report, &bound);
    }
}

#[tokio::test]
async fn shows_the_request_of_a_good_proof() {
    let key = client();
    let bound = bound_to(&key);
    let proof = key.proof(&Method::GET, URL, Some(&bound), None).unwrap();
    let verifier = verifier().dpop(dpop());
    let report = sent(&verifier, Scheme::DPOP, &bound, &[proof]).await;
    assert!(report.is_accepted(), "{report}");
    assert_agreeing(&report, &bound);
    let proof = step(&report, "proof");
    assert_eq!(
        proof.received(),
        Some("GET https://api.example.com/orders, made at 1800000000 (2027-01-15T08:00:00Z)")
    );
    assert_eq!(proof.expected(), Some("GET https://api.example.com/orders"));
    let received = format!("bound to a key, `jkt` {}", key.thumbprint());
    assert_eq!(step(&report, "cnf").received(), Some(received.as_str()));
}

#[tokio::test]
async fn checks_proofs_of_rejected_tokens() {
    let key = client();
    let claims = claims_with("cnf", json!({"jkt": key.thumbprint().to_string()}));
    let mut expired = claims;
    expired["exp"] = json!(NOW - 600);
    let expired = token(&expired);
    let verifier = verifier().dpop(dpop());
    for (url, outcome) in [(URL, Outcome::Passed), ("https://api.example.com/", Outcome::Failed)] {
        let proof = key.proof(&Method::GET, url, Some(&expired), None).unwrap();
        let report = sent(&verifier, Scheme::DPOP, &expired, &[proof]).await;
        assert_eq!(report.error().unwrap().kind(), Expired);
        assert_eq!(step(&report, "proof").outcome(), outcome, "{report}");
    }
    let plain = sent(&verifier, Scheme::BEARER, &good_token(), &[]).await;
    assert_eq!(step(&plain, "proof").outcome(), Outcome::Skipped);
    assert!(plain.is_accepted());
}
