//! Tokens that are bound to a client certificate (RFC 8705, section 3).

use std::collections::BTreeSet;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, Request, Response};
use serde_json::{Value, json};
use tower::layer::util::Stack;
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::mtls::{ClientCertificate, ClientCertificateLayer, Mtls};
use tower_jwt_auth::token::{Binding, Thumbprint};
use tower_jwt_auth::verifiers::{AnyOf, Issuers};
use tower_jwt_auth::{AuthError, AuthErrorKind, Claims, Head, JwtAuthLayer, JwtVerifier};

use crate::support::*;

/// The certificate of RFC 8705, appendix A.
const PEM: &str = include_str!("../fixtures/rfc8705.certificate.pem");
/// The `x5t#S256` of RFC 8705, appendix A.
const THUMBPRINT: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
/// The thumbprint of a key in RFC 9449.
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

/// Returns the certificate in base64.
fn base64() -> String {
    PEM.lines().filter(|line| !line.starts_with('-')).collect()
}

fn certificate() -> ClientCertificate {
    ClientCertificate::from_der(STANDARD.decode(base64()).unwrap())
}

fn another_certificate() -> ClientCertificate {
    ClientCertificate::from_der(b"another certificate")
}

/// Returns a token with this `cnf`; `null` is none.
fn token_with(cnf: Value) -> String {
    token(&claims_with("cnf", cnf))
}

fn bound_token() -> String {
    token_with(json!({"x5t#S256": THUMBPRINT}))
}

/// Returns a request that arrives on a connection with this certificate.
fn over(certificate: Option<ClientCertificate>, mut request: Request<String>) -> Request<String> {
    if let Some(certificate) = certificate {
        request.extensions_mut().insert(certificate);
    }
    request
}

fn layer() -> JwtAuthLayer<JwtVerifier<Value>> {
    JwtAuthLayer::new(verifier().mtls(Mtls::new()))
}

fn challenge(description: &str) -> String {
    format!(r#"Bearer realm="api", error="invalid_token", error_description="{description}""#)
}

const MISSING: &str = "the token is bound to a client certificate, and the connection has none";
const WRONG: &str = "the token is bound to another client certificate";
const CONSTRAINED: &str = "the token is bound to a key and cannot be used as a bearer token";
const NOT_BOUND: &str = "the token is not bound to a key or certificate of the sender";
const MALFORMED: &str = "the claims of the token are not well-formed";

#[track_caller]
fn assert_answer(name: &str, response: &Response<String>, expected: Option<(AuthErrorKind, &str)>) {
    match expected {
        None => assert_eq!(
            (response.status().as_u16(), response.body().as_str()),
            (200, "Hello eze@example.com"),
            "{name}"
        ),
        Some((kind, description)) => {
            assert_rejected(name, response, 401, kind, &[("www-authenticate", &challenge(description))]);
        }
    }
}

#[tokio::test]
async fn bound_token_needs_its_certificate() {
    let layer = layer();
    for (name, certificate, expected) in [
        ("right certificate", Some(certificate()), None),
        ("another certificate", Some(another_certificate()), Some((WrongCertificate, WRONG))),
        ("no certificate", None, Some((MissingCertificate, MISSING))),
    ] {
        let response = ask(&layer, over(certificate, bearer(&bound_token()))).await;
        assert_answer(name, &response, expected);
    }
}

#[tokio::test]
async fn token_needs_supported_and_readable_binding() {
    let layer = layer();
    for (name, cnf, expected) in [
        ("none", json!(null), None),
        ("certificate", json!({"x5t#S256": THUMBPRINT}), None),
        ("an unknown member", json!({"x5t#S256": THUMBPRINT, "kid": "k"}), None),
        ("only unknown members", json!({"kid": "k"}), Some((SenderConstrained, CONSTRAINED))),
        ("no members", json!({}), Some((SenderConstrained, CONSTRAINED))),
        (
            "a SHA-1 thumbprint",
            json!({"x5t": "A4DtL2JmUMhAsvJj5tKyn64Sqzk"}),
            Some((SenderConstrained, CONSTRAINED)),
        ),
        ("another case", json!({"X5T#S256": THUMBPRINT}), Some((SenderConstrained, CONSTRAINED))),
        ("a key", json!({"jkt": JKT}), Some((SenderConstrained, CONSTRAINED))),
        ("both", json!({"jkt": JKT, "x5t#S256": THUMBPRINT}), Some((SenderConstrained, CONSTRAINED))),
        ("padding", json!({"x5t#S256": format!("{THUMBPRINT}=")}), Some((InvalidClaims, MALFORMED))),
        ("a line break", json!({"x5t#S256": format!("{THUMBPRINT}\n")}), Some((InvalidClaims, MALFORMED))),
        ("a space", json!({"x5t#S256": format!(" {THUMBPRINT}")}), Some((InvalidClaims, MALFORMED))),
        ("too short", json!({"x5t#S256": &THUMBPRINT[1..]}), Some((InvalidClaims, MALFORMED))),
        ("a number", json!({"x5t#S256": 7}), Some((InvalidClaims, MALFORMED))),
        ("null", json!({"x5t#S256": null}), Some((InvalidClaims, MALFORMED))),
        ("a list", json!({"x5t#S256": [THUMBPRINT]}), Some((InvalidClaims, MALFORMED))),
        ("not an object", json!(THUMBPRINT), Some((InvalidClaims, MALFORMED))),
    ] {
        let response = ask(&layer, over(Some(certificate()), bearer(&token_with(cnf)))).await;
        assert_answer(name, &response, expected);
    }
}

#[test]
fn thumbprint_is_that_of_the_rfc() {
    assert_eq!(certificate().thumbprint().to_string(), THUMBPRINT);
}

/// The last character of the thumbprint in RFC 8705, section 3.1, has two bits that belong to no byte. They must be zero in
/// base64url (RFC 4648, section 3.5), so no certificate has this thumbprint.
#[tokio::test]
async fn rejects_the_thumbprint_that_is_not_canonical() {
    let rfc = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2";
    assert!(rfc.parse::<Thumbprint>().is_err());
    let token = token_with(json!({"x5t#S256": rfc}));
    let response = ask(&layer(), over(Some(certificate()), bearer(&token))).await;
    assert_answer("section 3.1", &response, Some((InvalidClaims, MALFORMED)));

    let canonical: Thumbprint = rfc.replace("dg2", "dg0").parse().unwrap();
    assert_eq!(canonical.as_bytes()[..3], [0x6f, 0x07, 0x0a]);
}

#[tokio::test]
async fn required_rejects_bearer_tokens() {
    let layer = JwtAuthLayer::new(verifier().mtls(Mtls::new().required()));
    for (name, token, certificate, expected) in [
        ("bound", bound_token(), Some(certificate()), None),
        ("bound, without certificate", bound_token(), None, Some((MissingCertificate, MISSING))),
        ("not bound", good_token(), Some(certificate()), Some((MissingBinding, NOT_BOUND))),
        ("not bound, without certificate", good_token(), None, Some((MissingBinding, NOT_BOUND))),
    ] {
        assert_answer(name, &ask(&layer, over(certificate, bearer(&token))).await, expected);
    }
}

#[tokio::test]
async fn verifier_without_setting_rejects_bound_tokens() {
    let request = over(Some(certificate()), bearer(&bound_token()));
    let response = ask(&JwtAuthLayer::new(verifier()), request).await;
    assert_answer("no setting", &response, Some((SenderConstrained, CONSTRAINED)));
}

#[tokio::test]
async fn offers_only_bearer() {
    for mtls in [Mtls::new(), Mtls::new().required()] {
        let layer = JwtAuthLayer::new(verifier().mtls(mtls));
        let response = ask(&layer, over(Some(certificate()), Request::new(String::new()))).await;
        let header = ("www-authenticate", r#"Bearer realm="api""#);
        assert_rejected("no token", &response, 401, MissingCredential, &[header]);
        let response = ask(&layer, over(Some(certificate()), get(&format!("DPoP {}", bound_token())))).await;
        assert_rejected("scheme DPoP", &response, 401, MissingCredential, &[header]);
    }
}

/// A thief sends a token that the cache remembers from its owner.
#[tokio::test]
async fn cached_token_needs_its_certificate_each_time() {
    let verifier = verifier().mtls(Mtls::new()).cache(tower_jwt_auth::cache::CacheSettings::new());
    let layer = JwtAuthLayer::new(verifier.clone());
    let token = bound_token();
    for (name, certificate, expected) in [
        ("owner", Some(certificate()), None),
        ("thief", Some(another_certificate()), Some((WrongCertificate, WRONG))),
        ("thief without certificate", None, Some((MissingCertificate, MISSING))),
        ("owner again", Some(certificate()), None),
    ] {
        assert_answer(name, &ask(&layer, over(certificate, bearer(&token))).await, expected);
    }
    assert_eq!(verifier.cache_stats().unwrap().hits(), 3);
}

#[tokio::test]
async fn routing_verifiers_pass_the_certificate_on() {
    let bound = || verifier().mtls(Mtls::new());
    let any_of = JwtAuthLayer::new(AnyOf::new().jwt(bound()));
    let issuers = JwtAuthLayer::new(Issuers::new([bound()]).unwrap());
    for (certificate, expected) in
        [(certificate(), None), (another_certificate(), Some((WrongCertificate, WRONG)))]
    {
        let request = || over(Some(certificate), bearer(&bound_token()));
        assert_answer("AnyOf", &ask(&any_of, request()).await, expected);
        assert_answer("Issuers", &ask(&issuers, request()).await, expected);
    }
}

#[tokio::test]
async fn optional_layers_judge_the_certificate() {
    let inside = |request: &Request<String>| {
        let error = request.extensions().get::<AuthError>().map(AuthError::kind);
        format!("{}, {error:?}", hello(request))
    };
    let stolen = || over(Some(another_certificate()), bearer(&bound_token()));
    let response = ask_service(inside, &layer().optional(), stolen()).await;
    assert_answer("optional", &response, Some((WrongCertificate, WRONG)));
    let response = ask_service(inside, &layer().allow_invalid(), stolen()).await;
    assert_eq!(response.body(), "Hello stranger, Some(WrongCertificate)");
    let anonymous = over(Some(certificate()), Request::new(String::new()));
    let response = ask_service(inside, &layer().optional(), anonymous).await;
    assert_eq!(response.body(), "Hello stranger, None");
}

#[tokio::test]
async fn claims_show_the_proven_binding() {
    let binding = |request: &Request<String>| {
        let claims = Claims::<Value>::find(request.extensions()).unwrap();
        let certificate = claims.token().binding().and_then(Binding::certificate);
        certificate.map_or("not bound".to_owned(), |thumbprint| thumbprint.to_string())
    };
    for (token, expected) in [(bound_token(), THUMBPRINT), (good_token(), "not bound")] {
        let response = ask_service(binding, &layer(), over(Some(certificate()), bearer(&token))).await;
        assert_eq!(response.body(), expected);
    }
}

/// The cause is only for logs, so it is not in the response.
#[tokio::test]
async fn errors_explain_why_the_certificate_is_missing() {
    let cause = |error: &AuthError| error.source().map(ToString::to_string).unwrap_or_default();
    let error = verifier().mtls(Mtls::new()).verify(&bound_token()).await.unwrap_err();
    assert_eq!(error.kind(), MissingCertificate);
    assert!(cause(&error).contains("without a request"), "{}", cause(&error));

    let layer = Stack::new(layer(), ClientCertificateLayer::client_cert(|_| true));
    let header = |value: &str| {
        let mut request = bearer(&bound_token());
        request.headers_mut().insert("client-cert", value.parse().unwrap());
        request
    };
    for (request, expected) in [
        (bearer(&bound_token()), "the client sent no certificate"),
        (header("x"), "`Client-Cert` of the proxy is not one certificate"),
        (header(&format!(":{}:", "A".repeat(64 * 1024))), "longer than 64 KiB"),
        (header(":MAA=:"), "is not the one that the token is bound to"),
    ] {
        let response = ask(&layer, request).await;
        let cause = cause(response.extensions().get::<AuthError>().unwrap());
        assert!(cause.contains(expected), "{cause}");
    }
}

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn from_proxy(request: Head<'_>) -> bool {
    request.extensions().get::<IpAddr>() == Some(&PROXY)
}

/// Returns the percent-encoded PEM of the certificate.
fn escaped_pem() -> String {
    let escapes = [('\n', "%0A"), (' ', "%20"), ('+', "%2B"), ('/', "%2F"), ('=', "%3D")];
    escapes.iter().fold(PEM.to_owned(), |text, (character, escape)| text.replace(*character, escape))
}

fn with_headers(
    peer: IpAddr,
    mut request: Request<String>,
    headers: &[(&'static str, &str)],
) -> Request<String> {
    request.extensions_mut().insert(peer);
    for &(name, value) in headers {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}

/// Asserts who can send a header of this name, whose value has the certificate of the token.
async fn assert_header_counts_only_from_the_proxy(
    layer: ClientCertificateLayer,
    name: &'static str,
    good: &str,
) {
    let layer = Stack::new(self::layer(), layer);
    let (right, another) = (Some(certificate()), Some(another_certificate()));
    let (header, malformed, empty) = ((name, good), (name, "x"), (name, ""));
    for (case, peer, own, headers, expected) in [
        ("of the proxy", PROXY, None, vec![header], None),
        ("in place of the proxy's own", PROXY, another, vec![header], None),
        ("no header", PROXY, right, vec![], Some(MissingCertificate)),
        ("two fields", PROXY, right, vec![header, header], Some(MissingCertificate)),
        ("malformed", PROXY, right, vec![malformed], Some(MissingCertificate)),
        ("empty", PROXY, right, vec![empty], Some(MissingCertificate)),
        ("good and malformed", PROXY, right, vec![header, malformed], Some(MissingCertificate)),
        ("spoofed", STRANGER, None, vec![header], Some(MissingCertificate)),
        ("spoofed over mutual TLS", STRANGER, another, vec![header], Some(WrongCertificate)),
        ("malformed, but the stranger's own is right", STRANGER, right, vec![malformed], None),
    ] {
        let response = ask(&layer, with_headers(peer, over(own, bearer(&bound_token())), &headers)).await;
        assert_eq!(response.extensions().get().map(AuthError::kind), expected, "{name}, {case}");
    }
}

#[tokio::test]
async fn client_cert_counts_only_from_the_proxy() {
    let (layer, good) = (ClientCertificateLayer::client_cert(from_proxy), format!(":{}:", base64()));
    assert_header_counts_only_from_the_proxy(layer, "client-cert", &good).await;
}

#[tokio::test]
async fn envoys_header_counts_only_from_the_proxy() {
    let layer = || ClientCertificateLayer::x_forwarded_client_cert(from_proxy);
    let hash: String =
        certificate().thumbprint().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let cert = escaped_pem();
    for good in [format!("Hash={hash}"), format!("Cert=\"{cert}\""), format!("Hash={hash};Cert=\"{cert}\"")] {
        assert_header_counts_only_from_the_proxy(layer(), "x-forwarded-client-cert", &good).await;
    }
}

#[tokio::test]
async fn escaped_pem_counts_only_from_the_proxy() {
    let layer = ClientCertificateLayer::escaped_pem(HeaderName::from_static("ssl-client-cert"), from_proxy);
    assert_header_counts_only_from_the_proxy(layer, "ssl-client-cert", &escaped_pem()).await;
}

/// A handler may trust a header that it sees.
#[tokio::test]
async fn removes_headers_that_do_not_count() {
    let client_cert = &ClientCertificateLayer::client_cert(from_proxy);
    let envoy = &ClientCertificateLayer::x_forwarded_client_cert(from_proxy);
    let pem = &ClientCertificateLayer::escaped_pem(HeaderName::from_static("ssl-client-cert"), from_proxy);
    let hash = format!("Hash={}", "0".repeat(64));
    let escaped = escaped_pem();
    let all = [
        ("client-cert", ":MAA=:"),
        ("client-cert-chain", ":MAA=:"),
        ("x-forwarded-client-cert", &*hash),
        ("ssl-client-cert", &*escaped),
    ];
    let repeated = [&all[..], &all[..]].concat();
    let malformed = all.map(|(name, _)| (name, "x"));
    for (name, layer, peer, sent, seen) in [
        ("Client-Cert", client_cert, PROXY, &all[..], "client-cert client-cert-chain ssl-client-cert"),
        ("only the chain", client_cert, PROXY, &all[1..2], ""),
        ("malformed Client-Cert", client_cert, PROXY, &malformed, "ssl-client-cert"),
        ("two Client-Cert", client_cert, PROXY, &repeated, "ssl-client-cert"),
        ("Client-Cert of a stranger", client_cert, STRANGER, &all, "ssl-client-cert"),
        ("Envoy", envoy, PROXY, &all, "ssl-client-cert x-forwarded-client-cert"),
        ("malformed, Envoy", envoy, PROXY, &malformed, "ssl-client-cert"),
        ("Envoy's of a stranger", envoy, STRANGER, &all, "ssl-client-cert"),
        ("PEM", pem, PROXY, &all, "ssl-client-cert"),
        ("malformed PEM", pem, PROXY, &malformed, ""),
        ("PEM of a stranger", pem, STRANGER, &all, ""),
    ] {
        let names = |request: &Request<String>| {
            let names: BTreeSet<_> = request.headers().keys().map(HeaderName::as_str).collect();
            names.into_iter().collect::<Vec<_>>().join(" ")
        };
        let response = ask_service(names, layer, with_headers(peer, Request::new(String::new()), sent)).await;
        assert_eq!(response.body(), seen, "{name}");
    }
}

/// A proxy that connects with mutual TLS needs no known address.
#[tokio::test]
async fn proxy_is_recognized_by_its_certificate() {
    let is_proxy = |request: Head<'_>| request.extensions().get() == Some(&another_certificate());
    let layer = Stack::new(layer(), ClientCertificateLayer::client_cert(is_proxy));
    let request = |own| {
        let mut request = over(own, bearer(&bound_token()));
        request.headers_mut().insert("client-cert", format!(":{}:", base64()).parse().unwrap());
        request
    };
    assert_answer("proxy", &ask(&layer, request(Some(another_certificate()))).await, None);
    let response = ask(&layer, request(None)).await;
    assert_answer("stranger", &response, Some((MissingCertificate, MISSING)));
}

#[cfg(feature = "introspection")]
#[tokio::test(start_paused = true)]
async fn provider_states_the_certificate() {
    use crate::introspection::{Provider, TOKEN, active_with};

    // RFC 8705, section 3.2.
    let provider = Provider::saying(active_with("cnf", json!({"x5t#S256": THUMBPRINT})));
    let layer = JwtAuthLayer::new(provider.verifier().issuer(ISSUER).audience(AUDIENCE).mtls(Mtls::new()));
    for (name, certificate, expected) in [
        ("owner", Some(certificate()), None),
        ("thief", Some(another_certificate()), Some((WrongCertificate, WRONG))),
        ("thief without certificate", None, Some((MissingCertificate, MISSING))),
    ] {
        assert_answer(name, &ask(&layer, over(certificate, bearer(TOKEN))).await, expected);
    }
    assert_eq!(provider.requests(), 1);
}

#[cfg(feature = "dpop")]
mod with_dpop {
    use aws_lc_rs::digest::{SHA256, digest};
    use jsonwebtoken::EncodingKey;
    use tower_jwt_auth::dpop::Dpop;

    use super::*;

    /// A key of RFC 8037, appendix A.
    const KEY: &str = r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn sha256(text: &str) -> [u8; 32] {
        digest(&SHA256, text.as_bytes()).as_ref().try_into().unwrap()
    }

    /// Returns a DPoP proof for `GET https://api.example.com/orders` with a token.
    fn proof(token: &str) -> String {
        let header = base64url(format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{KEY}}}"#));
        let claims = json!({
            "jti": "a", "htm": "GET", "htu": "https://api.example.com/orders", "iat": NOW,
            "ath": base64url(sha256(token)),
        });
        let signed = format!("{header}.{}", base64url(claims.to_string()));
        // PKCS #8 with the private key of the same appendix.
        let pkcs8 = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
        let key = EncodingKey::from_ed_der(&STANDARD.decode(pkcs8).unwrap());
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::EdDSA).unwrap();
        format!("{signed}.{signature}")
    }

    #[tokio::test]
    async fn both_bindings_need_both_proofs() {
        let dpop = Dpop::new("https://api.example.com").unwrap();
        let layer = JwtAuthLayer::new(verifier().mtls(Mtls::new()).dpop(dpop));
        let jkt = base64url(sha256(KEY));
        let token = token_with(json!({"jkt": jkt, "x5t#S256": THUMBPRINT}));
        for (name, scheme, certificate, has_proof, expected) in [
            ("certificate and proof", "DPoP", Some(certificate()), true, None),
            ("only a certificate", "DPoP", Some(certificate()), false, Some(MissingProof)),
            ("only a proof", "DPoP", None, true, Some(MissingCertificate)),
            (
                "proof and another certificate",
                "DPoP",
                Some(another_certificate()),
                true,
                Some(WrongCertificate),
            ),
            ("as a bearer token", "Bearer", Some(certificate()), true, Some(SenderConstrained)),
        ] {
            let mut request = over(certificate, get(&format!("{scheme} {token}")));
            if has_proof {
                request.headers_mut().insert("dpop", proof(&token).parse().unwrap());
            }
            let response = ask(&layer, request).await;
            assert_eq!(response.extensions().get().map(AuthError::kind), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn either_binding_meets_the_requirement() {
        let dpop = Dpop::new("https://api.example.com").unwrap();
        let layer = JwtAuthLayer::new(verifier().mtls(Mtls::new().required()).dpop(dpop));
        let key_bound = token_with(json!({"jkt": base64url(sha256(KEY))}));
        let mut request = get(&format!("DPoP {key_bound}"));
        request.headers_mut().insert("dpop", proof(&key_bound).parse().unwrap());
        assert_answer("key", &ask(&layer, request).await, None);
        let request = over(Some(certificate()), bearer(&bound_token()));
        assert_answer("certificate", &ask(&layer, request).await, None);

        // The error is in the challenge of the client's scheme.
        let response = ask(&layer, over(Some(certificate()), get(&format!("DPoP {}", bound_token())))).await;
        let sent: Vec<_> = response.headers().get_all("www-authenticate").iter().collect();
        let dpop = format!(
            r#"DPoP realm="api", error="invalid_token", error_description="{NOT_BOUND}", algs="ES256 ES384 EdDSA PS256 RS256""#
        );
        assert_eq!(sent, [r#"Bearer realm="api""#, &dpop]);
    }
}
