//! Single JSON Web Keys.

use serde_json::{Value, json};
use tower_jwt_auth::keys::JwksRules;
use tower_jwt_auth::{Algorithm, AuthErrorKind, Key, KeySet};

use super::{SECRET, assert_error, fixture, jwk_of, jwk_with, read_jwk, rejection_with, set_of, token};
use crate::support::{base64url, is_hmac, supported};

const NOT_A_JWK: &str = "invalid JWK: expected a JSON object";
const PRIVATE: &str =
    "a private key was given where a public key is needed; `openssl pkey -pubout` extracts the public key";

#[tokio::test]
async fn each_algorithm_verifies_its_signatures() {
    for algorithm in supported() {
        let key = read_jwk(jwk_of(algorithm).to_string()).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let rejection = rejection_with(KeySet::from(key), &token(algorithm, None)).await;
        assert_eq!(rejection, None, "{algorithm:?}");
    }
}

#[test]
fn algorithm_comes_from_the_jwk() {
    let without_alg = |algorithm| jwk_with(algorithm, json!({"alg": null}));
    for (name, jwk, expected) in [
        ("RSA without alg", without_alg(Algorithm::PS512), Algorithm::RS256),
        ("P-256 without alg", without_alg(Algorithm::ES256), Algorithm::ES256),
        ("P-384 without alg", without_alg(Algorithm::ES384), Algorithm::ES384),
        ("Ed25519 without alg", without_alg(Algorithm::EdDSA), Algorithm::EdDSA),
        ("Ed25519 as RFC 9864", jwk_with(Algorithm::EdDSA, json!({"alg": "Ed25519"})), Algorithm::EdDSA),
        ("RSA with alg", jwk_of(Algorithm::PS384), Algorithm::PS384),
        ("use", jwk_with(Algorithm::ES256, json!({"use": "sig"})), Algorithm::ES256),
        ("key_ops", jwk_with(Algorithm::ES256, json!({"key_ops": ["verify"]})), Algorithm::ES256),
        (
            "more key_ops",
            jwk_with(Algorithm::HS256, json!({"key_ops": ["sign", "verify"]})),
            Algorithm::HS256,
        ),
        (
            "unknown members",
            jwk_with(Algorithm::ES256, json!({"x5c": ["MII"], "ext": true, "p": 1})),
            Algorithm::ES256,
        ),
        ("crv of no meaning", jwk_with(Algorithm::RS256, json!({"crv": "P-256"})), Algorithm::RS256),
    ] {
        assert_eq!(read_jwk(jwk.to_string()).unwrap().algorithm(), expected, "{name}");
    }
    let spaced = format!("\r\n\t {} \n", jwk_of(Algorithm::ES256));
    assert!(read_jwk(spaced).is_ok());
}

#[tokio::test]
async fn rsa_key_without_alg_serves_one_algorithm() {
    let (stated, open) = (jwk_of(Algorithm::RS256), jwk_with(Algorithm::RS256, json!({"alg": null})));
    let (usual, pss) = (JwksRules::default(), JwksRules::new().rsa_algorithm(Algorithm::PS256));
    let unknown = Some(AuthErrorKind::UnknownKey);
    for (name, jwk, rules, rs256, ps256) in [
        ("open", &open, &usual, None, unknown),
        ("open, configured", &open, &pss, unknown, None),
        ("stated", &stated, &usual, None, unknown),
        ("stated, configured", &stated, &pss, None, unknown),
    ] {
        let keys = KeySet::jwks_with(set_of(std::slice::from_ref(jwk)), rules).unwrap();
        assert_eq!(rejection_with(keys.clone(), &token(Algorithm::RS256, None)).await, rs256, "{name}");
        assert_eq!(rejection_with(keys, &token(Algorithm::PS256, None)).await, ps256, "{name}");
    }
}

#[test]
fn algorithm_for_rsa_keys_must_be_rsa() {
    let open = jwk_with(Algorithm::RS256, json!({"alg": null}));
    let rules = JwksRules::new().rsa_algorithm(Algorithm::HS256);
    assert_error(
        "HS256",
        KeySet::jwks_with(set_of(&[open]), &rules),
        "the JWK set has no usable key: key 0: HS256 cannot be used with an RSA key",
    );
}

#[test]
fn respects_the_declared_use_of_a_jwk() {
    let not_sig = "the JWK cannot be used: its `use` is not `sig`";
    let no_verify = "the JWK cannot be used: its `key_ops` do not have `verify`";
    let unused = |purpose: &str| {
        format!(
            "the JWK cannot be used: its `use` `{purpose}` is not supported; JwksRules::add_use allows it"
        )
    };
    let not_supported = |alg: &str| format!("the JWK cannot be used: its `alg` `{alg}` is not supported");
    for (name, changes, expected) in [
        ("use enc", json!({"use": "enc"}), not_sig),
        ("use of another case", json!({"use": "Sig"}), &unused("Sig")),
        ("use empty", json!({"use": ""}), &unused("")),
        ("key_ops sign", json!({"key_ops": ["sign"]}), no_verify),
        ("key_ops of another case", json!({"key_ops": ["Verify"]}), no_verify),
        ("key_ops empty", json!({"key_ops": []}), no_verify),
        ("key_ops and use", json!({"key_ops": ["verify"], "use": "enc"}), not_sig),
        ("use and key_ops", json!({"key_ops": ["encrypt"], "use": "sig"}), no_verify),
        ("alg of encryption", json!({"alg": "RSA-OAEP"}), &not_supported("RSA-OAEP")),
        ("alg none", json!({"alg": "none"}), &not_supported("none")),
        (
            "alg of another case",
            json!({"alg": "rs256"}),
            &(not_supported("rs256") + ": names are case-sensitive, `RS256` is"),
        ),
        ("alg with a space", json!({"alg": "RS256 "}), &not_supported("RS256 ")),
        ("alg empty", json!({"alg": ""}), &not_supported("")),
        ("alg ES256K", json!({"alg": "ES256K"}), &not_supported("ES256K")),
        ("alg of another kty", json!({"alg": "ES256"}), "ES256 cannot be used with an RSA key"),
        ("alg of HMAC", json!({"alg": "HS256"}), "HS256 cannot be used with an RSA key"),
        ("private", json!({"d": "AQAB"}), PRIVATE),
        ("private, with no text", json!({"d": false}), PRIVATE),
    ] {
        assert_error(name, read_jwk(jwk_with(Algorithm::RS256, changes).to_string()), expected);
    }
    for (algorithm, alg, expected) in [
        (Algorithm::ES256, "ES384", "ES384 cannot be used with a P-256 key"),
        (Algorithm::ES384, "ES256", "ES256 cannot be used with a P-384 key"),
        (Algorithm::ES256, "EdDSA", "EdDSA cannot be used with a P-256 key"),
        (Algorithm::ES256, "Ed25519", "EdDSA cannot be used with a P-256 key"),
        (Algorithm::EdDSA, "ES256", "ES256 cannot be used with an Ed25519 key"),
        (Algorithm::EdDSA, "Ed448", &not_supported("Ed448")),
        (Algorithm::HS256, "RS256", "RS256 cannot be used with a symmetric secret"),
    ] {
        assert_error(alg, read_jwk(jwk_with(algorithm, json!({"alg": alg})).to_string()), expected);
    }
}

#[test]
fn rejects_unsupported_jwk_types() {
    let kty = |kty: &str| format!("the JWK cannot be used: its `kty` `{kty}` is not supported");
    let crv = |crv: &str| format!("the JWK cannot be used: its `crv` `{crv}` is not supported");
    for (name, changes, expected) in [
        ("kty AKP", json!({"kty": "AKP"}), "ES256 cannot be used with an AKP key"),
        ("kty of another case", json!({"kty": "ec"}), &*kty("ec")),
        ("kty empty", json!({"kty": ""}), &kty("")),
        ("kty RSA", json!({"kty": "RSA"}), "the JWK cannot be used: its `n` is missing or not base64url"),
        ("kty OKP", json!({"kty": "OKP"}), &crv("P-256")),
        ("kty missing", json!({"kty": null}), "the JWK cannot be used: its `kty` is missing"),
        (
            "crv of a larger curve",
            json!({"crv": "P-521", "alg": null}),
            "the JWK cannot be used: its `x` needs 66 bytes, got 32 (RFC 7518, section 6.2.1.2)",
        ),
        ("crv secp256k1", json!({"crv": "secp256k1"}), &crv("secp256k1")),
        ("crv of another kty", json!({"crv": "Ed25519"}), &crv("Ed25519")),
        ("crv of another case", json!({"crv": "p-256"}), &crv("p-256")),
        ("crv missing", json!({"crv": null}), "the JWK cannot be used: its `crv` is missing"),
    ] {
        assert_error(name, read_jwk(jwk_with(Algorithm::ES256, changes).to_string()), expected);
    }
    for crv_of_okp in ["X25519", "Ed448", "P-256"] {
        let jwk = jwk_with(Algorithm::EdDSA, json!({"crv": crv_of_okp}));
        assert_error(crv_of_okp, read_jwk(jwk.to_string()), &crv(crv_of_okp));
    }
}

#[test]
fn symmetric_jwk_needs_alg_and_length() {
    for (name, changes, expected) in [
        ("no alg", json!({"alg": null}), "the JWK cannot be used: a symmetric key needs an `alg`"),
        ("no k", json!({"k": null}), "the JWK cannot be used: its `k` is missing or not base64url"),
        ("k empty", json!({"k": ""}), "HS256 needs a secret of at least 32 bytes, got 0"),
        (
            "k short",
            json!({"k": base64url(&SECRET[..31])}),
            "HS256 needs a secret of at least 32 bytes, got 31",
        ),
        (
            "k short for its alg",
            json!({"k": base64url(&SECRET[..63]), "alg": "HS512"}),
            "HS512 needs a secret of at least 64 bytes, got 63",
        ),
        (
            "k a public key",
            json!({"k": base64url(fixture("rsa2048.public.pem"))}),
            "HS256 cannot be used with a public key as its secret; use random bytes",
        ),
    ] {
        assert_error(name, read_jwk(jwk_with(Algorithm::HS256, changes).to_string()), expected);
    }
}

#[test]
fn rejects_malformed_jwk_members() {
    let text = jwk_of(Algorithm::EdDSA).to_string();
    let with = |member: &str| format!("{{{member},{}", &text[1..]);
    assert!(read_jwk(with(r#""kid":"k1""#)).is_ok());
    assert!(read_jwk(with(r#""n":null,"y":1"#)).is_ok(), "members of other key types are not read");
    for (name, json, reason) in [
        ("kid a number", with(r#""kid":1"#), "its `kid` is not a string"),
        ("key_ops a string", with(r#""key_ops":"verify""#), "its `key_ops` is not an array of strings"),
        ("key_ops of null", with(r#""key_ops":["verify",null]"#), "its `key_ops` is not an array of strings"),
        ("kty twice", with(r#""kty":"OKP""#), "its `kty` appears twice"),
        ("alg twice", with(r#""alg":"EdDSA""#), "its `alg` appears twice"),
        ("x twice", with(r#""x":"AQAB""#), "its `x` appears twice"),
        ("kid twice", with(r#""kid":"k1","kid":"k1""#), "its `kid` appears twice"),
        ("kid twice, once null", with(r#""kid":"k1","kid":null"#), "its `kid` appears twice"),
        ("use twice", with(r#""use":"enc","use":"sig""#), "its `use` appears twice"),
        ("d twice", with(r#""d":null,"d":null"#), "its `d` appears twice"),
        ("twice by an escape", with(r#""\u0078":"AQAB""#), "its `x` appears twice"),
        ("kty a number", text.replace(r#""OKP""#, "1"), "its `kty` is not a string"),
        ("kty an array", text.replace(r#""OKP""#, r#"["OKP"]"#), "its `kty` is not a string"),
        ("kty null", text.replace(r#""OKP""#, "null"), "its `kty` is missing"),
        ("set around it", format!(r#"{{"keys":[{text}]}}"#), "its `kty` is missing"),
        ("empty object", "{}".to_owned(), "its `kty` is missing"),
    ] {
        assert_error(name, read_jwk(json), &format!("the JWK cannot be used: {reason}"));
    }
    for (name, json) in [
        ("array of members", r#"["OKP","Ed25519","AQAB"]"#.to_owned()),
        ("array around it", format!("[{text}]")),
        ("string around it", Value::String(text.clone()).to_string()),
        ("trailing comma", text.replace('}', ",}")),
        ("cut", text[..text.len() - 1].to_owned()),
        ("more behind", format!("{text}{{}}")),
        ("byte order mark", format!("\u{feff}{text}")),
        ("null", "null".to_owned()),
        ("empty", String::new()),
        ("PEM", fixture("ed25519.public.pem")),
    ] {
        assert_error(name, read_jwk(json), NOT_A_JWK);
    }
    assert_error("not UTF-8", read_jwk([text.as_bytes(), b"\xff"].concat()), NOT_A_JWK);
    assert_error(
        "UTF-16",
        read_jwk(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        NOT_A_JWK,
    );
}

#[tokio::test]
async fn reads_keys_from_parsed_json() {
    for algorithm in supported() {
        if is_hmac(algorithm) {
            continue;
        }
        let json = jwk_with(algorithm, json!({"kid": "k1"}));
        let key = Key::try_from(&json).unwrap();
        assert_eq!(format!("{key:?}"), format!("{:?}", read_jwk(json.to_string()).unwrap()));
        assert_eq!(
            rejection_with(KeySet::from(key), &token(algorithm, Some("k1"))).await,
            None,
            "{algorithm:?}"
        );
    }
    let rsa = |changes| jwk_with(Algorithm::RS256, changes);
    for (name, jwk, expected) in [
        ("enc", rsa(json!({"use": "enc"})), "the JWK cannot be used: its `use` is not `sig`"),
        ("alg", rsa(json!({"alg": "RS1"})), "the JWK cannot be used: its `alg` `RS1` is not supported"),
        ("an array", json!([]), NOT_A_JWK),
        ("n", rsa(json!({"n": "AQ=="})), "the JWK cannot be used: its `n` is missing or not base64url"),
    ] {
        assert_error(name, Key::try_from(&jwk), expected);
    }
}
