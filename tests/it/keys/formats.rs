//! Secrets, PEM and DER.

use tower_jwt_auth::{Algorithm, AuthErrorKind, Key, KeySet};

use super::{SECRET, assert_error, der, fixture, rejection_with, token, token_by};
use crate::support::supported;

const PRIVATE: &str =
    "a private key was given where a public key is needed; `openssl pkey -pubout` extracts the public key";
const CERTIFICATE: &str = "a certificate was given where a public key is needed; \
    `openssl x509 -noout -pubkey` extracts the public key";
const NOT_PEM: &str = "the key cannot be read: it is not a public key in PEM; it needs to begin with \
    `-----BEGIN PUBLIC KEY-----` or `-----BEGIN RSA PUBLIC KEY-----`";
const NOT_DER: &str = "the key cannot be read: it is not a public key in DER; \
    `openssl pkey -pubin -outform der` writes one";
const NOT_WHOLE: &str = "the key cannot be read: the text between its BEGIN and END lines is not a whole key; \
    copy it again";
const NOT_RSA: &str = "the key cannot be read: it is not an RSA public key";

#[tokio::test]
async fn secrets_verify_what_is_signed_with_them() {
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let keys = KeySet::hmac(algorithm, SECRET).unwrap();
        assert_eq!(rejection_with(keys, &token(algorithm, None)).await, None, "{algorithm:?}");

        let mut other = *SECRET;
        other[63] ^= 1;
        let keys = KeySet::hmac(algorithm, other).unwrap();
        let rejection = rejection_with(keys, &token(algorithm, None)).await;
        assert_eq!(rejection, Some(AuthErrorKind::InvalidSignature), "{algorithm:?}");
    }
}

#[test]
fn secrets_must_be_as_long_as_the_hash() {
    for (algorithm, needed) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
        assert!(Key::hmac(algorithm, &SECRET[..needed]).is_ok(), "{algorithm:?}");
        for got in [needed - 1, 0] {
            let expected = format!("{algorithm:?} needs a secret of at least {needed} bytes, got {got}");
            assert_error("too short", Key::hmac(algorithm, &SECRET[..got]), &expected);
        }
    }
}

#[test]
fn rejects_pem_key_as_secret() {
    for (name, what) in [
        ("rsa2048.public.pem", "a public key"),
        ("ed25519.public.pem", "a public key"),
        ("ed25519.private.pem", "a private key"),
    ] {
        let secret = Key::hmac(Algorithm::HS256, fixture(name));
        let expected = format!("HS256 cannot be used with {what} as its secret; use random bytes");
        assert_error(name, secret, &expected);
    }
}

#[test]
fn rejects_other_key_files_as_secret() {
    let public = "a public key as its secret; use random bytes";
    let ssh = "an SSH key as its secret; use random bytes";
    let jwk = "a JWK as its secret; use random bytes, or `Key::jwk` to read a JWK";
    for (name, content, what) in [
        ("a public key in DER", der(&fixture("p256.public.pem")), public),
        ("an RSA public key in DER", der(&fixture("rsa2048.pkcs1.pem")), public),
        ("OpenSSH, RSA", b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 somebody@somewhere".to_vec(), ssh),
        ("OpenSSH, Ed25519", b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKj7 somebody@somewhere".to_vec(), ssh),
        ("OpenSSH, P-256", b"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY somebody".to_vec(), ssh),
        ("a JWK", br#" { "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1" }"#.to_vec(), jwk),
    ] {
        let secret = Key::hmac(Algorithm::HS256, content);
        assert_error(name, secret, &format!("HS256 cannot be used with {what}"));
    }
    for secret in [
        "ssh-like, but a secret all the same",
        "{a secret in braces, of 32 bytes}",
        "sk-of-32-bytes-and-some-more-of-it",
    ] {
        assert!(Key::hmac(Algorithm::HS256, secret).is_ok(), "{secret}");
    }
}

#[test]
fn secrets_work_only_with_hmac() {
    for algorithm in
        [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA]
    {
        let expected = format!("{algorithm:?} cannot be used with a symmetric secret");
        assert_error("secret", Key::hmac(algorithm, SECRET), &expected);
        assert_error("PEM as a secret", Key::hmac(algorithm, fixture("rsa2048.public.pem")), &expected);
    }
}

#[tokio::test]
async fn public_keys_verify_private_key_signatures() {
    let rsa = ["rsa2048.public.pem", "rsa2048.pkcs1.pem"];
    for (algorithm, names) in [
        (Algorithm::RS256, &rsa[..]),
        (Algorithm::RS384, &rsa),
        (Algorithm::RS512, &rsa),
        (Algorithm::PS256, &rsa),
        (Algorithm::PS384, &rsa),
        (Algorithm::PS512, &rsa),
        (Algorithm::ES256, &["p256.public.pem"]),
        (Algorithm::ES384, &["p384.public.pem"]),
        (Algorithm::ES512, &["p521.public.pem"]),
        (Algorithm::EdDSA, &["ed25519.public.pem"]),
    ] {
        if !supported().any(|other| other == algorithm) {
            continue;
        }
        for name in names {
            let pem = fixture(name);
            let (as_pem, as_der) =
                (Key::pem(algorithm, &pem).unwrap(), Key::der(algorithm, der(&pem)).unwrap());
            for key in [as_pem, as_der] {
                assert_eq!(key.algorithm(), algorithm, "{name}");
                let rejection = rejection_with(KeySet::from(key), &token(algorithm, None)).await;
                assert_eq!(rejection, None, "{algorithm:?} with {name}");
            }
        }
    }
}

#[tokio::test]
async fn largest_key_verifies_longest_signature() {
    let keys = KeySet::pem(Algorithm::RS256, fixture("rsa8192.public.pem")).unwrap();
    let token = fixture("rsa8192.token.txt");
    assert_eq!(token.rsplit('.').next().unwrap().len(), 1366);
    assert_eq!(rejection_with(keys, &token).await, None);
}

#[tokio::test]
async fn rejects_signature_of_another_key() {
    let other = fixture("rsa2048-other.private.pem");
    let other = jsonwebtoken::EncodingKey::from_rsa_pem(other.as_bytes()).unwrap();
    for algorithm in [Algorithm::RS256, Algorithm::PS256] {
        let keys = KeySet::pem(algorithm, fixture("rsa2048.public.pem")).unwrap();
        let rejection = rejection_with(keys, &token_by(&other, algorithm, None)).await;
        assert_eq!(rejection, Some(AuthErrorKind::InvalidSignature), "{algorithm:?}");
    }
}

#[test]
fn reads_pem_in_each_layout() {
    let pem = fixture("p256.public.pem");
    for (name, text) in [
        ("CR LF", pem.replace('\n', "\r\n")),
        ("no line break at the end", pem.trim_end().to_owned()),
        ("empty lines around", format!("\n\n{pem}\n\n")),
        ("text before", format!("the key of 2026\n{pem}")),
    ] {
        assert!(Key::pem(Algorithm::ES256, text).is_ok(), "{name}");
    }
}

#[test]
fn rejects_pem_without_public_key() {
    let rsa = fixture("rsa2048.public.pem");
    let private = fixture("rsa2048.private.pem");
    let (first, rest) = rsa.split_at(100);
    for (name, text, expected) in [
        ("PKCS#8", private.clone(), PRIVATE),
        ("PKCS#8, encrypted", private.replace("PRIVATE", "ENCRYPTED PRIVATE"), PRIVATE),
        ("PKCS#1", fixture("rsa2048.pkcs1-private.pem"), PRIVATE),
        ("SEC 1", fixture("p256.sec1-private.pem"), PRIVATE),
        ("both halves", format!("{rsa}{private}"), PRIVATE),
        ("certificate", fixture("rsa2048.certificate.pem"), CERTIFICATE),
        ("bytes missing", format!("{first}{}", &rest[4..]), NOT_WHOLE),
        (
            "a line missing",
            rsa.lines().filter(|line| !line.ends_with("AQAB")).collect::<Vec<_>>().join("\n"),
            NOT_WHOLE,
        ),
        ("another label", rsa.replace("PUBLIC", "RSA PUBLIC"), NOT_RSA),
        ("the other label", fixture("rsa2048.pkcs1.pem").replace("RSA PUBLIC", "PUBLIC"), NOT_DER),
        ("garbage", "secret".to_owned(), NOT_PEM),
    ] {
        assert_error(name, Key::pem(Algorithm::RS256, text), expected);
    }
}

#[test]
fn rejects_der_without_public_key() {
    let rsa = der(&fixture("rsa2048.public.pem"));
    let pkcs1 = der(&fixture("rsa2048.pkcs1.pem"));
    for (name, bytes, expected) in [
        ("PKCS#8", der(&fixture("rsa2048.private.pem")), PRIVATE),
        ("PKCS#8 of P-256", der(&fixture("p256.private.pem")), PRIVATE),
        ("PKCS#8 of Ed25519", der(&fixture("ed25519.private.pem")), PRIVATE),
        ("PKCS#1", der(&fixture("rsa2048.pkcs1-private.pem")), PRIVATE),
        ("SEC 1", der(&fixture("p256.sec1-private.pem")), PRIVATE),
        ("certificate", der(&fixture("rsa2048.certificate.pem")), CERTIFICATE),
        ("cut", rsa[..rsa.len() - 1].to_vec(), NOT_DER),
        ("PKCS#1, cut", pkcs1[..pkcs1.len() - 1].to_vec(), NOT_DER),
        ("more behind", [&*rsa, &[0]].concat(), NOT_DER),
        ("PKCS#1, more behind", [&*pkcs1, &[0]].concat(), NOT_DER),
        ("garbage", vec![0x30, 0x82, 0x01], NOT_DER),
        ("empty", Vec::new(), NOT_DER),
    ] {
        assert_error(name, Key::der(Algorithm::RS256, bytes), expected);
    }
}

#[test]
fn key_type_must_match_algorithm() {
    let other_curve = "a key on a curve other than P-256, P-384 and P-521";
    let other_sort = "a key that is neither RSA, EC, Ed25519 nor ML-DSA";
    for (algorithm, name, key) in [
        (Algorithm::HS256, "rsa2048.public.pem", "an RSA key"),
        (Algorithm::HS512, "rsa2048.pkcs1.pem", "an RSA key"),
        (Algorithm::HS256, "p256.public.pem", "a P-256 key"),
        (Algorithm::HS256, "ed25519.public.pem", "an Ed25519 key"),
        (Algorithm::ES256, "rsa2048.public.pem", "an RSA key"),
        (Algorithm::EdDSA, "rsa2048.pkcs1.pem", "an RSA key"),
        (Algorithm::RS256, "p256.public.pem", "a P-256 key"),
        (Algorithm::PS256, "ed25519.public.pem", "an Ed25519 key"),
        (Algorithm::ES384, "p256.public.pem", "a P-256 key"),
        (Algorithm::ES256, "p384.public.pem", "a P-384 key"),
        (Algorithm::EdDSA, "p256.public.pem", "a P-256 key"),
        (Algorithm::ES256, "ed25519.public.pem", "an Ed25519 key"),
        (Algorithm::ES256, "p521.public.pem", "a P-521 key"),
        (Algorithm::ES512, "p384.public.pem", "a P-384 key"),
        (Algorithm::ES256, "secp256k1.public.pem", other_curve),
        // With explicit curve parameters in place of the curve's name, which an attacker could choose.
        (Algorithm::ES256, "p256-explicit.public.pem", other_curve),
        (Algorithm::EdDSA, "x25519.public.pem", other_sort),
    ] {
        let (pem, expected) = (fixture(name), format!("{algorithm:?} cannot be used with {key}"));
        assert_error(name, Key::pem(algorithm, &pem), &expected);
        assert_error(name, Key::der(algorithm, der(&pem)), &expected);
    }
}

#[test]
fn rsa_keys_need_at_least_2048_bits() {
    assert!(Key::pem(Algorithm::RS256, fixture("rsa2048.public.pem")).is_ok());
    assert!(Key::pem(Algorithm::RS256, fixture("rsa4096.public.pem")).is_ok());
    let expected = "an RSA key needs a modulus of 2048 to 8192 bits, got 1024";
    assert_error("1024", Key::pem(Algorithm::RS256, fixture("rsa1024.public.pem")), expected);
}

#[test]
fn points_must_be_whole_and_on_their_curve() {
    let numbers = "the key cannot be read: its numbers do not form a valid key of its type";
    let mut off = der(&fixture("p256.public.pem"));
    *off.last_mut().unwrap() ^= 1;
    assert_error("off the curve", Key::der(Algorithm::ES256, off), numbers);

    let length = "the key cannot be read: the point must be uncompressed and have the length of its curve";
    // `openssl ec -conv_form compressed` writes 33 bytes of bit string in place of 65.
    let whole = der(&fixture("p256.public.pem"));
    let compressed = [&[0x30, 0x39], &whole[2..23], &[0x03, 0x22, 0x00, 0x02], &whole[27..59]].concat();
    assert_error("compressed", Key::der(Algorithm::ES256, compressed), length);

    let whole = der(&fixture("ed25519.public.pem"));
    let cut = [&[0x30, 0x29], &whole[2..9], &[0x03, 0x20, 0x00], &whole[13..]].concat();
    let expected = "the key cannot be read: an Ed25519 key has 32 bytes";
    assert_error("31 bytes", Key::der(Algorithm::EdDSA, cut), expected);
}
