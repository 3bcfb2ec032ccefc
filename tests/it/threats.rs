//! Attacks known from other libraries that no other module covers. `SECURITY.md` lists all.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, Key, KeySet, Verdict};

use crate::keys::{assert_error, der, fixture, jwk_of, jwk_with, read_set, set_of, signer};
use crate::support::*;

fn verifier_with(keys: KeySet) -> JwtVerifier<Value> {
    JwtVerifier::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW))
}

/// Returns a token with these header members, signed with an unknown key.
fn signed_by_unknown_key(header: &Value) -> String {
    let secret = EncodingKey::from_secret(b"of a stranger, who has it of himself").unwrap();
    let signed = format!("{}.{}", base64url(header.to_string()), base64url(good_claims().to_string()));
    let signature =
        jsonwebtoken::crypto::sign(signed.as_bytes(), &secret, for_oracle(Algorithm::HS256)).unwrap();
    format!("{signed}.{signature}")
}

/// Returns a token that contains its own key, in one of the ways of RFC 7515, section 4.1.
fn with_its_own_key(place: &str) -> String {
    let mut header = Header { kid: Some("own".into()), ..Header::new(for_oracle(Algorithm::RS256)) };
    match place {
        "jwk" => header.jwk = serde_json::from_value(jwk_of(Algorithm::RS256)).unwrap(),
        "jku" => header.jku = Some("https://evil.example/jwks.json".into()),
        "x5u" => header.x5u = Some("https://evil.example/chain.pem".into()),
        "x5c" => header.x5c = Some(vec![STANDARD.encode(der(&fixture("rsa2048.certificate.pem")))]),
        _ => {}
    }
    jsonwebtoken::encode(&header, &good_claims(), &signer(Algorithm::RS256)).unwrap()
}

#[tokio::test]
async fn ignores_keys_inside_the_token() {
    let pem = |name| KeySet::pem(Algorithm::RS256, fixture(name)).unwrap();
    let named = jwk_with(Algorithm::EdDSA, json!({ "kid": "k1" }));
    for place in ["nothing", "jwk", "jku", "x5u", "x5c"] {
        let token = with_its_own_key(place);
        // The token is good in every other respect.
        let trusted = verifier_with(pem("rsa2048.public.pem"));
        assert_eq!(rejection(&trusted, &token).await, None, "{place}");
        let other = verifier_with(pem("rsa2048-other.public.pem"));
        assert_eq!(rejection(&other, &token).await, Some(InvalidSignature), "{place}");
        let named = verifier_with(KeySet::jwks(set_of(std::slice::from_ref(&named))).unwrap());
        assert_eq!(rejection(&named, &token).await, Some(UnknownKey), "{place}");
    }
}

#[tokio::test]
async fn kid_is_only_compared() {
    let verifier = verifier_with(Key::hmac(Algorithm::HS256, SECRET).unwrap().with_kid("k1").into());
    for kid in [
        "/dev/null",
        "../../../../etc/passwd",
        "k1' OR '1'='1",
        "k1; rm -rf /",
        "https://evil.example/k1",
        "k1\0",
        " k1",
        "",
    ] {
        let token = signed_by_unknown_key(&json!({ "alg": "HS256", "kid": kid }));
        assert_eq!(rejection(&verifier, &token).await, Some(UnknownKey), "{kid:?}");
        let token = token_of(&json!({ "alg": "HS256", "kid": kid }).to_string(), &good_claims().to_string());
        assert_eq!(rejection(&verifier, &token).await, Some(UnknownKey), "{kid:?}, although well signed");
    }
    let token = signed_by_unknown_key(&json!({ "alg": "HS256", "kid": "k1" }));
    assert_eq!(rejection(&verifier, &token).await, Some(InvalidSignature));
}

#[tokio::test]
async fn rejects_empty_and_constant_signatures() {
    for (algorithm, alg, len) in [
        (Algorithm::HS256, "HS256", 32),
        (Algorithm::HS512, "HS512", 64),
        (Algorithm::ES256, "ES256", 64),
        (Algorithm::ES384, "ES384", 96),
        (Algorithm::EdDSA, "EdDSA", 64),
        (Algorithm::RS256, "RS256", 256),
        (Algorithm::PS256, "PS256", 256),
    ] {
        let header = base64url(json!({ "alg": alg, "kid": "k1" }).to_string());
        let signed = format!("{header}.{}", base64url(good_claims().to_string()));
        let verifier =
            verifier_with(read_set(set_of(&[jwk_with(algorithm, json!({ "kid": "k1" }))])).unwrap());
        for signature in [vec![], vec![0], vec![0; len], vec![1; len], vec![0xff; len], vec![0; len + 1]] {
            let token = format!("{signed}.{}", base64url(&signature));
            let rejection = rejection(&verifier, &token).await;
            assert_eq!(rejection, Some(InvalidSignature), "{alg}, {signature:?}");
        }
    }
}

#[tokio::test]
async fn rejects_other_jws_serializations() {
    let good = good_token();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("it has three parts");
    };
    let forged = base64url(claims_with("sub", json!("1")).to_string());
    let flattened = json!({ "protected": header, "payload": payload, "signature": signature });
    let general =
        json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] });
    // Some libraries read this as JSON, others split it at the dots.
    let both = format!(
        r#"{{"  {header}.{forged}.":"","protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#
    );
    // Without a dot that would split it.
    let claims = good_claims().to_string().replace('.', "\\u002e");
    for (name, token, expected) in [
        ("flattened", flattened.to_string(), MalformedToken),
        ("general", general.to_string(), MalformedToken),
        ("both at once", both, MalformedToken),
        ("unencoded", sign_parts(&format!(r#"{{"alg":"HS256"}}.{claims}"#)), MalformedToken),
        ("unencoded claims", sign_parts(&format!("{header}.{claims}")), MalformedToken),
        ("detached", format!("{header}..{signature}"), InvalidSignature),
        ("with disclosures", format!("{good}~{payload}~"), MalformedToken),
        ("four parts", sign_parts(&format!("{header}.{payload}.{payload}")), MalformedToken),
        ("five parts", sign_parts(&format!("{header}.{payload}.{payload}.{payload}")), UnsupportedToken),
    ] {
        assert_eq!(rejection(&verifier(), &token).await, Some(expected), "{name}");
    }
}

#[tokio::test]
async fn rejects_encrypted_and_compressed_tokens() {
    for alg in ["RSA-OAEP", "RSA1_5", "dir", "A256KW", "ECDH-ES", "PBES2-HS256+A128KW"] {
        let header = json!({ "alg": alg, "enc": "A256GCM", "zip": "DEF", "p2c": u32::MAX }).to_string();
        let expected = Some(UnsupportedAlgorithm);
        assert_eq!(rejection(&verifier(), &token_of(&header, "{}")).await, expected, "{alg}, three parts");
        let five = format!("{}.a.b.c.d", base64url(&header));
        assert_eq!(rejection(&verifier(), &five).await, Some(UnsupportedToken), "{alg}, five parts");
    }
    // `zip` has no meaning in a signed token. Decompressed, these claims would be good: they are one stored
    // DEFLATE block (RFC 1951, section 3.2.4).
    let claims = good_claims().to_string();
    let len = u16::try_from(claims.len()).unwrap();
    let deflated = [&[1][..], &len.to_le_bytes(), &(!len).to_le_bytes(), claims.as_bytes()].concat();
    let signed =
        sign_parts(&format!("{}.{}", base64url(r#"{"alg":"HS256","zip":"DEF"}"#), base64url(deflated)));
    assert_eq!(rejection(&verifier(), &signed).await, Some(InvalidClaims));
}

#[tokio::test]
async fn rejects_invalid_utf8() {
    let header = base64url(r#"{"alg":"HS256"}"#);
    let payload = base64url(good_claims().to_string());
    let utf_16 = |text: &str| base64url(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
    let with = |name: &[u8]| {
        let claims = good_claims().to_string();
        base64url([&claims.as_bytes()[..claims.len() - 1], br#","name":""#, name, br#""}"#].concat())
    };
    for (name, signed, expected) in [
        ("UTF-8", format!("{header}.{}", with("é".as_bytes())), None),
        ("Latin-1", format!("{header}.{}", with(b"\xe9")), Some(InvalidClaims)),
        ("overlong", format!("{header}.{}", with(b"\xc0\xaf")), Some(InvalidClaims)),
        ("half of a pair", format!("{header}.{}", with(b"\xed\xa0\x80")), Some(InvalidClaims)),
        ("claims in UTF-16", format!("{header}.{}", utf_16(&good_claims().to_string())), Some(InvalidClaims)),
        ("header in UTF-16", format!("{}.{payload}", utf_16(r#"{"alg":"HS256"}"#)), Some(MalformedToken)),
        (
            "header in Latin-1",
            format!("{}.{payload}", base64url(b"{\"alg\":\"HS256\",\"x\":\"\xe9\"}")),
            Some(MalformedToken),
        ),
        (
            "mark at the start",
            format!("{header}.{}", base64url(format!("\u{feff}{}", good_claims()))),
            Some(InvalidClaims),
        ),
    ] {
        assert_eq!(rejection(&verifier(), &sign_parts(&signed)).await, expected, "{name}");
    }
}

#[tokio::test]
async fn rejection_reveals_no_right_signature() {
    let good = good_token();
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{unsigned}.{}", base64url([7; 32]));
    let error = verifier().verify(&forged).await.unwrap_err();
    let response = ask(&JwtAuthLayer::new(verifier()), bearer(&forged)).await;
    let mut shown = format!("{error} {error:?} {error:#?} {response:?}").to_lowercase();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        shown += &format!("{error} {error:?}").to_lowercase();
        cause = error.source();
    }
    let right = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let hexadecimal: String = right[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{:?}", &right[..4]);
    for part in [
        &signature[..12],
        &forged[..12],
        &STANDARD.encode(&right)[..12],
        &hexadecimal,
        list.trim_matches(['[', ']']),
        "eze@example.com",
        "42",
        "a secret of",
    ] {
        assert!(!shown.contains(&part.to_lowercase()), "{part} in {shown}");
    }
}

#[test]
fn many_dots_cost_nothing() {
    let verifier = verifier();
    for token in [".".repeat(16 * 1024), format!("a{}", ".a".repeat(8000))] {
        let measured = allocation_counter::measure(|| {
            let Verdict::Ready(Err(error)) = verifier.verify(&token) else { panic!("it is not a token") };
            assert!(matches!(error.kind(), MalformedToken | UnsupportedToken), "{error:?}");
        });
        // The allocations of any other rejection, and not one for each dot.
        assert!(measured.count_total <= 2 && measured.bytes_total < 1024, "{measured:?}");
    }
}

#[test]
fn rejects_pem_as_secret_after_any_prefix() {
    for before in ["", " ", "\n", "\r\n\t ", "\u{b}", "\u{c}", "\u{a0}", "\u{feff}", "# the key\n"] {
        for name in ["rsa2048.public.pem", "rsa2048.pkcs1.pem", "p256.public.pem", "ed25519.public.pem"] {
            let secret = Key::hmac(Algorithm::HS256, format!("{before}{}", fixture(name)));
            assert_error(
                name,
                secret,
                "HS256 cannot be used with a public key as its secret; use random bytes",
            );
        }
    }
}

/// Returns true if a function of this name is a test, or is listed in a macro that makes tests.
fn is_test(code: &str, name: &str) -> bool {
    let mut lines = code.lines().map(str::trim);
    let mut is_marked = false;
    lines.any(|line| {
        let is_function = line.contains(&format!("fn {name}(")) || line.contains(&format!("fn {name}<"));
        let is_listed = line.trim_end_matches([',', ';']) == name;
        let is_here = (is_function && is_marked) || is_listed;
        is_marked =
            line.starts_with("#[") && line.contains("test") || is_marked && line.starts_with(['#', '/']);
        is_here
    })
}

/// Returns true if there is a test with this path, such as `threats::kid_is_only_compared`.
pub(crate) fn test_exists(path: &str) -> bool {
    let Some((module, name)) = path.rsplit_once("::") else {
        return false;
    };
    let (root, module) = (env!("CARGO_MANIFEST_DIR"), module.replace("::", "/"));
    ["tests/it/{}.rs", "src/{}.rs", "src/{}/mod.rs"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(format!("{root}/{}", file.replace("{}", &module))).ok())
        .any(|code| is_test(&code, name))
}

/// `SECURITY.md` must not name tests that no longer exist.
#[test]
fn security_page_names_existing_tests() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md")).unwrap();
    let threats: Vec<_> = page.split("\n#### ").skip(1).collect();
    assert!(threats.len() > 50, "only {} threats", threats.len());
    for threat in threats {
        let (_, tests) = threat.split_once("\nTests:\n").unwrap_or_else(|| panic!("no tests: {threat}"));
        assert!(tests.starts_with('-'), "no tests: {threat}");
        for test in tests.lines().take_while(|line| !line.is_empty()) {
            let name = test.strip_prefix("- `").and_then(|test| test.strip_suffix('`'));
            let is_there = test_exists(name.unwrap_or_else(|| panic!("no test: {test}")));
            assert!(is_there, "{test} is not there");
        }
    }
}
