//! Causes of rejections that concern the token's form, its header, keys or settings. They are for the log,
//! not for the client.

use std::error::Error;

use serde_json::{Value, json};
use tower_jwt_auth::verifiers::Issuers;
use tower_jwt_auth::{
    Algorithm,
    AuthErrorKind::{self, *},
    JwtAuthLayer, JwtVerifier, Key, KeySet, Verify,
};

use super::{jwk_with, read_set, set_of, signer, token};
use crate::support::{NOW, ask, at, base64url, bearer, for_oracle, secret};

fn verifier(keys: &[Value]) -> JwtVerifier<Value> {
    JwtVerifier::new(read_set(set_of(keys)).unwrap()).clock(|| at(NOW))
}

/// Returns the kind and the cause of a rejection.
async fn cause(verifier: &impl Verify<Claims = Value>, token: &str) -> (AuthErrorKind, String) {
    let error = verifier.verify(token.into()).await.err().unwrap_or_else(|| panic!("accepted: {token}"));
    (error.kind(), error.source().map(ToString::to_string).unwrap_or_default())
}

/// Returns a token with this header, signed with a key of the fixtures.
fn with_header(algorithm: Algorithm, header: &Value) -> String {
    let claims = base64url(json!({"exp": NOW + 300}).to_string());
    let signed = format!("{}.{claims}", base64url(header.to_string()));
    let signature =
        jsonwebtoken::crypto::sign(signed.as_bytes(), &signer(algorithm), for_oracle(algorithm)).unwrap();
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn cause_names_skipped_key_and_reason() {
    let odd = [
        json!({"kty": "EC", "crv": "secp256k1", "alg": "ES256K", "kid": "es256k", "x": "AA", "y": "AA"}),
        jwk_with(Algorithm::RS256, json!({"kid": "enc", "use": "enc"})),
        jwk_with(Algorithm::RS256, json!({"kid": "svid", "use": "jwt-svid"})),
        jwk_with(Algorithm::RS256, json!({"kid": "broken", "n": "A+B"})),
        jwk_with(Algorithm::RS256, json!({"kid": "again", "n": null})),
        jwk_with(Algorithm::ES256, json!({"kid": "again", "x": null})),
        jwk_with(Algorithm::ES256, json!({"kid": "good"})),
    ];
    let verifier = verifier(&odd);
    for (kid, expected) in [
        ("es256k", "key 0 (`es256k`): the JWK cannot be used: its `alg` `ES256K` is not supported"),
        ("enc", "key 1 (`enc`): the JWK cannot be used: its `use` is not `sig`"),
        (
            "svid",
            "key 2 (`svid`): the JWK cannot be used: its `use` `jwt-svid` is not supported; \
             JwksRules::add_use allows it",
        ),
        ("broken", "key 3 (`broken`): the JWK cannot be used: its `n` is missing or not base64url"),
        (
            "again",
            "key 4 (`again`): the JWK cannot be used: its `n` is missing or not base64url, \
             key 5 (`again`): the JWK cannot be used: its `x` is missing or not base64url",
        ),
    ] {
        let expected = format!("the key that the token names is skipped: {expected}");
        assert_eq!(cause(&verifier, &token(Algorithm::RS256, Some(kid))).await, (UnknownKey, expected));
    }
}

#[tokio::test]
async fn cause_names_skipped_es256k_key() {
    let odd = [
        json!({"kty": "EC", "crv": "secp256k1", "alg": "ES256K", "kid": "es256k", "x": "AA", "y": "AA"}),
        jwk_with(Algorithm::ES256, json!({"kid": "good"})),
    ];
    let verifier = verifier(&odd);
    let unsupported = "the token's `alg` is not supported by this crate; names are case-sensitive (RFC 7515, section 4.1.1)";
    let skipped = "; the key that the token names is skipped: \
                   key 0 (`es256k`): the JWK cannot be used: its `alg` `ES256K` is not supported";
    for (header, expected) in [
        (json!({"alg": "ES256K", "kid": "es256k"}), [unsupported, skipped].concat()),
        (json!({"alg": "ES256K", "kid": "good"}), unsupported.to_owned()),
        (json!({"alg": "ES256K"}), unsupported.to_owned()),
        (json!({"alg": "none", "kid": "es256k"}), "the token is not signed: its `alg` is `none`".to_owned()),
    ] {
        let found = cause(&verifier, &with_header(Algorithm::ES256, &header)).await;
        assert_eq!(found, (UnsupportedAlgorithm, expected), "{header}");
    }
}

#[test]
fn cause_formats_only_the_keys_it_shows() {
    let good = |n: usize| jwk_with(Algorithm::EdDSA, json!({"kid": n.to_string()}));
    let enc = |n: usize| jwk_with(Algorithm::EdDSA, json!({"kid": n.to_string(), "use": "enc"}));
    let token = token(Algorithm::EdDSA, Some("stranger"));
    let allocations = |number: usize| {
        let keys: Vec<_> = (0..number).map(good).chain((0..number).map(enc)).collect();
        let verifier = verifier(&keys);
        allocation_counter::measure(|| drop(verifier.verify(&token))).count_total
    };
    let (few, many) = (allocations(10), allocations(1000));
    assert!(many <= few + 4, "{few} for 10 keys, {many} for 1000");
}

#[tokio::test]
async fn cause_of_unknown_kid_lists_known_keys() {
    let named = |kid: &str| jwk_with(Algorithm::ES256, json!({"kid": kid}));
    let unknown = token(Algorithm::ES256, Some("\u{1b}[2Jmine"));
    for (name, keys, expected) in [
        ("one", vec![named("a")], "no key has the `kid` of the token; the verifier has `a` (ES256)"),
        (
            "many",
            ["a", "b", "c", "d", "e", "f", "g"].map(named).to_vec(),
            "no key has the `kid` of the token; the verifier has \
             `a` (ES256), `b` (ES256), `c` (ES256), `d` (ES256), `e` (ES256) and 2 more",
        ),
        (
            "without a name",
            vec![jwk_with(Algorithm::ES256, json!({}))],
            "no key has the `kid` of the token; the verifier has one without `kid` (ES256); \
             a key without `kid` in a JWK set serves only tokens without one",
        ),
        (
            "skipped as well",
            vec![named("a"), jwk_with(Algorithm::RS256, json!({"kid": 7}))],
            "no key has the `kid` of the token; the verifier has `a` (ES256); \
             skipped: key 1: the JWK cannot be used: its `kid` is not a string",
        ),
    ] {
        assert_eq!(cause(&verifier(&keys), &unknown).await, (UnknownKey, expected.to_owned()), "{name}");
    }
    let none = JwtVerifier::<Value>::new(KeySet::new([]));
    assert_eq!(cause(&none, &unknown).await, (UnknownKey, "the verifier has no keys".to_owned()));
}

#[tokio::test]
async fn cause_of_other_algorithm_names_key_and_setting() {
    let open = jwk_with(Algorithm::RS256, json!({"alg": null, "kid": "k1"}));
    let stated = jwk_with(Algorithm::RS256, json!({"kid": "k1"}));
    let other = "the key that the token names serves another algorithm: `k1` (RS256)";
    let setting = "; an RSA key without `alg` serves RS256, which JwksRules::rsa_algorithm sets";
    let nameless = "the token has no `kid`, and no key serves its algorithm; the verifier has `k1` (RS256)";
    let (ps256, es256) = (Algorithm::PS256, Algorithm::ES256);
    for (name, key, token, kind, expected) in [
        ("PS256, open", &open, token(ps256, Some("k1")), UnsupportedAlgorithm, [other, setting].concat()),
        ("PS256, stated", &stated, token(ps256, Some("k1")), UnsupportedAlgorithm, other.to_owned()),
        ("ES256, open", &open, token(es256, Some("k1")), UnsupportedAlgorithm, other.to_owned()),
        ("PS256, no kid, open", &open, token(ps256, None), UnknownKey, [nameless, setting].concat()),
        ("PS256, no kid, stated", &stated, token(ps256, None), UnknownKey, nameless.to_owned()),
        ("ES256, no kid", &open, token(es256, None), UnknownKey, nameless.to_owned()),
    ] {
        let verifier = verifier(std::slice::from_ref(key));
        assert_eq!(cause(&verifier, &token).await, (kind, expected), "{name}");
    }
}

#[tokio::test]
async fn cause_of_disabled_algorithm_names_the_setting() {
    let usual = verifier(&[jwk_with(Algorithm::RS256, json!({"kid": "k1"}))]);
    let two = usual.clone().algorithms([Algorithm::EdDSA, Algorithm::ES256]);
    let none = usual.clone().algorithms([]);
    let alg = |alg: &str| with_header(Algorithm::RS256, &json!({"alg": alg, "kid": "k1"}));
    let unsupported = "the token's `alg` is not supported by this crate; names are case-sensitive (RFC 7515, section 4.1.1)";
    for (verifier, token, expected) in [
        (&two, alg("RS256"), "JwtVerifier::algorithms accepts only `ES256`, `EdDSA`"),
        (
            &none,
            alg("RS256"),
            "JwtVerifier::algorithms is empty: every token is rejected; list at least one algorithm",
        ),
        (&usual, alg("none"), "the token is not signed: its `alg` is `none`"),
        (&usual, alg("NONE"), "the token is not signed: its `alg` is `none`"),
        (&usual, alg("rs256"), unsupported),
        (&two, alg("ES256K"), unsupported),
    ] {
        assert_eq!(cause(verifier, &token).await, (UnsupportedAlgorithm, expected.to_owned()));
    }
}

#[tokio::test]
async fn cause_names_the_try_limit() {
    let keys = |number: u8, kid: &str| {
        KeySet::new((0..number).map(|n| Key::hmac(Algorithm::HS256, secret::<64>(n)).unwrap().with_kid(kid)))
    };
    for (name, number, kid, expected) in [
        ("four", 4, None, ""),
        (
            "five",
            5,
            None,
            "5 keys serve the algorithm of the token, which has no `kid`: only 4 were tried, which is the limit",
        ),
        (
            "five of a name",
            5,
            Some("k1"),
            "5 keys serve the algorithm and `kid` of the token: only 4 were tried, which is the limit",
        ),
    ] {
        let verifier = JwtVerifier::<Value>::new(keys(number, "k1")).clock(|| at(NOW));
        let found = cause(&verifier, &token(Algorithm::HS256, kid)).await;
        assert_eq!(found, (InvalidSignature, expected.to_owned()), "{name}");
    }
}

#[tokio::test]
async fn cause_names_kid_shared_with_skipped_key() {
    let odd = [
        jwk_with(Algorithm::ES256, json!({"kid": "k1"})),
        jwk_with(Algorithm::ES256, json!({"kid": "k1", "use": "enc"})),
    ];
    let token = token(Algorithm::ES256, Some("k1"));
    let forged = format!("{}.{}", token.rsplit_once('.').unwrap().0, base64url([1; 64]));
    let expected = "another key with the `kid` of the token is skipped: \
                    key 1 (`k1`): the JWK cannot be used: its `use` is not `sig`";
    assert_eq!(cause(&verifier(&odd), &forged).await, (InvalidSignature, expected.to_owned()));
    assert_eq!(cause(&verifier(&odd[..1]), &forged).await, (InvalidSignature, String::new()));
}

#[tokio::test]
async fn cause_names_other_token_forms() {
    let verifier = verifier(&[jwk_with(Algorithm::ES256, json!({}))]);
    let good = token(Algorithm::ES256, None);
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let header_of = |json: &str| format!("{}.{payload}.{signature}", base64url(json));
    let members = "the token's header has no `alg`, or one of `alg`, `kid`, `typ`, `crit` and `b64` is of the wrong type \
                   or appears twice";
    let parts = "the token is not a JWT: expected three parts separated by dots";
    let extension = "unsupported token header: it has `crit` or `b64: false` (RFC 7515, RFC 7797)";
    let rows = [
        (
            "opaque",
            "2YotnFZFEjr1zCsicMWpAA".to_owned(),
            MalformedToken,
            "the token has no dots, so it is not a JWT but an opaque token: only its provider can check it (RFC 7662); \
             many providers issue a JWT if the client asks for an API or `audience`",
        ),
        ("one dot", "ya29.a0AfB".to_owned(), MalformedToken, parts),
        ("four parts", format!("{good}.x"), MalformedToken, parts),
        (
            "encrypted",
            "a.b.c.d.e".to_owned(),
            UnsupportedToken,
            "the token is encrypted (JWE, RFC 7516): it has five parts; configure the provider to issue signed tokens \
             (JWS)",
        ),
        (
            "padded",
            format!("{header}=.{payload}=.{signature}=="),
            MalformedToken,
            "the token is padded with `=`; base64url in a JWT has no padding (RFC 7515, section 2)",
        ),
        (
            "base64",
            format!("{header}.{payload}.+/{}", &signature[2..]),
            MalformedToken,
            "the token is written in base64, with `+` or `/`; a JWT is base64url (RFC 7515, section 2)",
        ),
        (
            "quoted",
            format!("\"{good}\""),
            MalformedToken,
            "the token has white space or quotation marks in it",
        ),
        (
            "line break",
            format!("{header}.\n{payload}.{signature}"),
            MalformedToken,
            "the token has white space or quotation marks in it",
        ),
        ("header", format!("~.{payload}.{signature}"), MalformedToken, "the token's header is not base64url"),
        ("signature", format!("{good}~"), MalformedToken, "the token's signature is not base64url"),
        ("not JSON", header_of("hello"), MalformedToken, "the token's header is not a JSON object"),
        ("no alg", header_of("{}"), MalformedToken, members),
        ("kid a number", header_of(r#"{"alg":"ES256","kid":1}"#), MalformedToken, members),
        ("crit", header_of(r#"{"alg":"ES256","crit":["b64"]}"#), UnsupportedToken, extension),
        ("b64", header_of(r#"{"alg":"ES256","b64":false}"#), UnsupportedToken, extension),
    ];
    let issuers = Issuers::new([verifier.clone().issuer("https://id.example.com")]).unwrap();
    for (name, token, kind, expected) in rows {
        assert_eq!(cause(&verifier, &token).await, (kind, expected.to_owned()), "{name}");
        // No issuer can be read from these.
        if token.split('.').count() != 3 {
            assert_eq!(cause(&issuers, &token).await, (kind, expected.to_owned()), "{name}, several issuers");
        }
    }
    let short = verifier.clone().max_token_bytes(10);
    let expected = "JwtVerifier::max_token_bytes allows 10 bytes".to_owned();
    assert_eq!(cause(&short, &good).await, (TokenTooLarge, expected));
}

#[tokio::test]
async fn cause_of_wrong_type_names_the_setting() {
    let usual = verifier(&[jwk_with(Algorithm::ES256, json!({}))]);
    let access = usual.clone().access_tokens_only();
    let logout = usual.clone().token_type("logout+jwt");
    let typ = |typ: &str| with_header(Algorithm::ES256, &json!({"alg": "ES256", "typ": typ}));
    let none = with_header(Algorithm::ES256, &json!({"alg": "ES256"}));
    for (verifier, token, expected) in [
        (
            &usual,
            typ("dpop+jwt"),
            "the verifier expects no `typ`, or `JWT` or `at+jwt`: JwtVerifier::token_type accepts another",
        ),
        (&access, typ("JWT"), "the verifier expects the `typ` `at+jwt`, by JwtVerifier::access_tokens_only"),
        (
            &access,
            none.clone(),
            "the verifier expects the `typ` `at+jwt`, by JwtVerifier::access_tokens_only; the token has none",
        ),
        (
            &logout,
            none,
            "the verifier expects the `typ` `logout+jwt`, by JwtVerifier::token_type; the token has none",
        ),
    ] {
        assert_eq!(cause(verifier, &token).await, (WrongTokenType, expected.to_owned()));
    }
}

#[tokio::test]
async fn client_gets_no_cause_and_log_no_token() {
    const MARK: &str = "hunter2";
    let odd = [
        jwk_with(Algorithm::RS256, json!({"kid": "published", "use": "enc"})),
        jwk_with(Algorithm::ES256, json!({"kid": "k1"})),
    ];
    let verifier = verifier(&odd).algorithms([Algorithm::ES256, Algorithm::RS256]);
    let layer = JwtAuthLayer::new(verifier.clone());
    let header = |header: Value| with_header(Algorithm::ES256, &header);
    for token in [
        token(Algorithm::RS256, Some("published")),
        token(Algorithm::ES256, Some(MARK)),
        header(json!({"alg": MARK, "kid": MARK})),
        header(json!({"alg": "HS256", "kid": MARK})),
        header(json!({"alg": "ES256", "typ": MARK})),
        header(json!({"alg": "ES256", "crit": [MARK]})),
        header(json!({"alg": "ES256", "kid": [MARK]})),
        format!("{MARK}.{MARK}"),
        MARK.to_owned(),
    ] {
        let (kind, cause) = cause(&verifier, &token).await;
        assert!(!cause.is_empty(), "{kind:?}: {token}");
        assert!(!cause.contains(MARK), "{cause}");
        let response = ask(&layer, bearer(&token)).await;
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(!challenge.contains("published") && !challenge.contains(&cause), "{challenge}");
        assert_eq!(response.body(), "");
    }
}
