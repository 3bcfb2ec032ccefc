//! Private keys in every form, and the errors for everything else.

use serde_json::json;
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::issue::SigningKey;

use super::{issuer_of, signing_key, verifier_of};
use crate::keys::{GRAVIOLA, SECRET, assert_error, der, fixture};
use crate::support::{base64url, is_hmac, rejection, supported};

const PRIVATE: [(Algorithm, &str, &str); 10] = [
    (Algorithm::RS256, "rsa2048.private.pem", "rsa2048.public.pem"),
    (Algorithm::PS256, "rsa2048.pkcs1-private.pem", "rsa2048.public.pem"),
    (Algorithm::ES256, "p256.private.pem", "p256.public.pem"),
    (Algorithm::ES256, "p256.sec1-private.pem", "p256.public.pem"),
    (Algorithm::ES384, "p384.private.pem", "p384.public.pem"),
    (Algorithm::ES512, "p521.private.pem", "p521.public.pem"),
    (Algorithm::EdDSA, "ed25519.private.pem", "ed25519.public.pem"),
    (Algorithm::MlDsa44, "mldsa44.private.pem", "mldsa44.public.pem"),
    (Algorithm::MlDsa65, "mldsa65.private.pem", "mldsa65.public.pem"),
    (Algorithm::MlDsa87, "mldsa87.private.pem", "mldsa87.public.pem"),
];

#[tokio::test]
async fn reads_private_keys_in_every_form() {
    for (algorithm, name, public) in PRIVATE {
        if !supported().any(|other| other == algorithm) {
            continue;
        }
        let pem = fixture(name);
        for (form, key) in [
            ("PEM", SigningKey::pem(algorithm, &pem)),
            ("PEM with CRLF", SigningKey::pem(algorithm, pem.replace('\n', "\r\n"))),
            ("PEM in a gap", SigningKey::pem(algorithm, format!("\n\n{pem}\n\n"))),
            ("DER", SigningKey::der(algorithm, der(&pem))),
        ] {
            let key = key.unwrap_or_else(|error| panic!("{name}, {form}: {error}"));
            assert_eq!(key.algorithm(), algorithm);
            let token = issuer_of(key.with_kid("k")).issue(&json!({})).unwrap();
            let public = tower_jwt_auth::KeySet::pem(algorithm, fixture(public)).unwrap();
            let verifier = tower_jwt_auth::JwtVerifier::new(public).insecure_any_audience();
            let verifier = verifier.clock(|| crate::support::at(crate::support::NOW));
            assert_eq!(rejection(&verifier, token.as_str()).await, None, "{name}, {form}");
        }
    }
    // OpenSSL writes the curve first.
    let curve = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let pem = format!("{curve}{}", fixture("p256.sec1-private.pem"));
    assert!(SigningKey::pem(Algorithm::ES256, pem).is_ok());
}

fn is_rsa(algorithm: Algorithm) -> bool {
    algorithm.as_str().starts_with(['R', 'P'])
}

#[test]
fn explains_unusable_private_keys() {
    use Algorithm::*;

    const PUBLIC: &str = "a public key was given where a private key is needed; only a private key can sign";
    const NO_PEM: &str = "the key cannot be read: it is not a private key in PEM; it needs to begin with \
        `-----BEGIN PRIVATE KEY-----`, `-----BEGIN RSA PRIVATE KEY-----` or `-----BEGIN EC PRIVATE KEY-----`";
    const NO_DER: &str =
        "the key cannot be read: it is not a private key in DER; `openssl pkey -outform der` writes one";
    const ENCRYPTED: &str = "the key cannot be read: it is encrypted; `openssl pkey` decrypts it";
    for (algorithm, name, expected) in [
        (RS256, "rsa2048.public.pem", PUBLIC),
        (RS256, "rsa2048.pkcs1.pem", PUBLIC),
        (RS256, "rsa2048.certificate.pem", PUBLIC),
        (ES256, "p256.public.pem", PUBLIC),
        (EdDSA, "ed25519.public.pem", PUBLIC),
        (RS256, "p256.private.pem", "RS256 cannot be used with a P-256 key"),
        (ES256, "rsa2048.private.pem", "ES256 cannot be used with an RSA key"),
        (ES384, "p256.private.pem", "ES384 cannot be used with a P-256 key"),
        (ES256, "p256.sec1-private.pem", "accepted"),
        (ES384, "p256.sec1-private.pem", "ES384 cannot be used with a P-256 key"),
        (ES256, "p384.private.pem", "ES256 cannot be used with a P-384 key"),
        (ES256, "ed25519.private.pem", "ES256 cannot be used with an Ed25519 key"),
        (EdDSA, "p256.private.pem", "EdDSA cannot be used with a P-256 key"),
        (HS256, "ed25519.private.pem", "HS256 cannot be used with an Ed25519 key"),
        (HS256, "rsa2048.private.pem", "HS256 cannot be used with an RSA key"),
        (RS256, "rsa1024.private.pem", "an RSA key needs a modulus of 2048 to 8192 bits, got 1024"),
        (
            ES256,
            "secp256k1.private.pem",
            "ES256 cannot be used with a key on a curve other than P-256, P-384 and P-521",
        ),
        (
            EdDSA,
            "x25519.private.pem",
            "EdDSA cannot be used with a key that is neither RSA, EC, Ed25519 nor ML-DSA",
        ),
        (EdDSA, "ed25519.encrypted-private.pem", ENCRYPTED),
    ] {
        let pem = fixture(name);
        let key = SigningKey::pem(algorithm, &pem);
        match expected {
            "accepted" => assert!(key.is_ok(), "{name}"),
            expected => assert_error(name, key, expected),
        }
        match expected {
            "accepted" => {}
            expected => assert_error(name, SigningKey::der(algorithm, der(&pem)), expected),
        }
    }
    for (name, text) in [("words", "a key"), ("a secret", std::str::from_utf8(SECRET).unwrap())] {
        assert_error(name, SigningKey::pem(ES256, text), NO_PEM);
        assert_error(name, SigningKey::der(ES256, text), NO_DER);
    }
    assert_error("nothing", SigningKey::der(ES256, ""), NO_DER);
}

#[test]
fn signing_secrets_follow_verification_rules() {
    use Algorithm::*;

    for (algorithm, secret, expected) in [
        (HS256, &SECRET[..31], "HS256 needs a secret of at least 32 bytes, got 31"),
        (HS384, &SECRET[..47], "HS384 needs a secret of at least 48 bytes, got 47"),
        (HS512, &SECRET[..63], "HS512 needs a secret of at least 64 bytes, got 63"),
        (RS256, &SECRET[..], "RS256 cannot be used with a symmetric secret"),
        (EdDSA, &SECRET[..], "EdDSA cannot be used with a symmetric secret"),
    ] {
        assert_error(&format!("{algorithm:?}"), SigningKey::hmac(algorithm, secret), expected);
    }
    let pem = fixture("rsa2048.private.pem");
    assert_error(
        "PEM",
        SigningKey::hmac(HS256, pem),
        "HS256 cannot be used with a private key as its secret; use random bytes",
    );
}

#[test]
fn rejects_mismatched_key_halves() {
    // Flips one bit of the modulus, of the first prime, and of the private exponent, which graviola
    // ignores.
    let good = der(&fixture("rsa2048.pkcs1-private.pem"));
    for place in [40, 600, 300].into_iter().take(if GRAVIOLA { 2 } else { 3 }) {
        let mut key = good.clone();
        key[place] ^= 4;
        let error = SigningKey::der(Algorithm::RS256, key).unwrap_err().to_string();
        assert!(error.starts_with("the key cannot be read: its "), "{place}: {error}");
    }
    assert!(SigningKey::der(Algorithm::RS256, good).is_ok());

    // Private numbers out of range: zero, and the order of the curve.
    let good = der(&fixture("p256.sec1-private.pem"));
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    for number in ["00".repeat(32), order.to_owned(), "ff".repeat(32)] {
        let number: Vec<_> =
            (0..32).map(|place| u8::from_str_radix(&number[2 * place..2 * place + 2], 16).unwrap()).collect();
        let mut key = good.clone();
        key[7..39].copy_from_slice(&number);
        let error = SigningKey::der(Algorithm::ES256, key).unwrap_err();
        assert_eq!(error.to_string(), "the key cannot be read: its numbers are not those of a private key");
    }
}

#[test]
fn rejects_private_keys_of_one_repeated_byte() {
    for (algorithm, name, place) in
        [(Algorithm::EdDSA, "ed25519.private.pem", 16), (Algorithm::ES256, "p256.sec1-private.pem", 7)]
    {
        let mut key = der(&fixture(name));
        assert!(SigningKey::der(algorithm, &key).is_ok());
        key[place..place + 32].fill(7);
        let expected =
            "the key cannot be read: it is one byte repeated, which anyone can guess; generate a random key";
        assert_error(name, SigningKey::der(algorithm, &key), expected);
    }
}

#[tokio::test]
async fn generates_distinct_keys_for_every_algorithm() {
    for algorithm in supported() {
        // One RSA key is enough. Without optimization, RustCrypto needs a quarter of a minute to find it.
        let slow = cfg!(all(feature = "rust-crypto", not(feature = "aws-lc-rs")));
        if is_rsa(algorithm) && (slow || algorithm != Algorithm::RS256) {
            continue;
        }
        let issuer = issuer_of(SigningKey::generate(algorithm).unwrap());
        let token = issuer.issue(&json!({})).unwrap();
        assert_eq!(rejection(&issuer.verifier(), token.as_str()).await, None, "{algorithm:?}");
        if is_hmac(algorithm) {
            assert_eq!(issuer.jwks(), r#"{"keys":[]}"#);
        } else {
            assert_eq!(rejection(&verifier_of(&issuer.jwks()), token.as_str()).await, None, "{algorithm:?}");
        }
        if !is_rsa(algorithm) {
            let other = issuer_of(SigningKey::generate(algorithm).unwrap());
            assert!(rejection(&other.verifier(), token.as_str()).await.is_some(), "{algorithm:?}");
        }
    }
}

#[test]
fn debug_and_jwks_show_no_secret() {
    let key = SigningKey::hmac(Algorithm::HS512, SECRET).unwrap();
    assert_eq!(format!("{key:?}"), "SigningKey { kid: None, algorithm: HS512, .. }");
    let issuer = issuer_of(key.with_kid("k1"));
    let token = issuer.issue(&json!({})).unwrap();
    let service = issuer.jwks_service();
    let shown = format!("{issuer:?} {issuer:#?} {token:?} {service:?} {}", issuer.jwks());
    for secret in [
        "correct horse".to_owned(),
        base64url(&SECRET[..9]),
        format!("{:?}", &SECRET[..9]).trim_end_matches(']').to_owned(),
        token.as_str().rsplit_once('.').unwrap().1.to_owned(),
    ] {
        assert!(!shown.contains(&secret), "{secret} in {shown}");
    }

    let jwks = issuer_of(signing_key(Algorithm::RS256)).jwks();
    for member in ["\"d\"", "\"p\"", "\"q\"", "\"dp\"", "\"k\""] {
        assert!(!jwks.contains(member), "{member} in {jwks}");
    }
}
