//! Weak secrets, and keys given as secrets.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;
use tower_jwt_auth::issue::SigningKey;
use tower_jwt_auth::{Algorithm, Key, KeySet};

use super::{SECRET, assert_error, der, fixture, jwk_of, read_jwk, set_of};
use crate::support::base64url;

/// Passes a secret to every constructor that takes one.
#[track_caller]
fn assert_rejected(name: &str, secret: &[u8], expected: &str) {
    let jwk = json!({"kty": "oct", "alg": "HS256", "k": base64url(secret)}).to_string();
    assert_error(name, Key::hmac(Algorithm::HS256, secret), expected);
    assert_error(name, KeySet::hmac(Algorithm::HS256, secret), expected);
    assert_error(name, read_jwk(jwk), expected);
    assert_error(name, SigningKey::hmac(Algorithm::HS256, secret), expected);
}

#[test]
fn secret_length_ignores_zeros_and_repetitions() {
    let padded = |secret: &[u8], len: usize| [secret, &vec![0; len - secret.len()]].concat();
    for (name, secret, got) in [
        ("zeros", vec![0; 32], 0),
        ("more zeros than a block", vec![0; 100], 0),
        ("one zero at the end", padded(&SECRET[..31], 32), 31),
        ("a short secret in a block", padded(b"changeme", 64), 8),
        ("one byte", vec![7; 32], 1),
        ("one byte, of any length", vec![b'x'; 100], 1),
        ("one byte, padded", padded(&[7; 32], 64), 1),
        ("a short pattern", b"abc".repeat(20), 3),
        ("a pattern that ends early", b"changemechangemechangemechangemecha".to_vec(), 8),
        ("a secret twice", SECRET[..16].repeat(2), 16),
    ] {
        let len = secret.len();
        let expected = format!(
            "HS256 needs a secret of at least 32 bytes, got {got} of {len}: white space, `=` and zero bytes at the end, \
             and repetitions, do not count; use random bytes"
        );
        assert_rejected(name, &secret, &expected);
    }
    for (name, secret) in [
        ("zeros after enough bytes", padded(&SECRET[..32], 64)),
        ("zeros in front", [&[0; 8], &SECRET[..32]].concat()),
        ("a long pattern", SECRET[..32].repeat(2)),
        ("equal ends", [&SECRET[..16], &SECRET[32..48], &SECRET[..15]].concat()),
    ] {
        assert!(Key::hmac(Algorithm::HS256, secret).is_ok(), "{name}");
    }
    assert_error(
        "HS512",
        Key::hmac(Algorithm::HS512, SECRET[..48].repeat(2)),
        "HS512 needs a secret of at least 64 bytes, got 48 of 96: white space, `=` and zero bytes at the end, and \
         repetitions, do not count; use random bytes",
    );
}

#[test]
fn secret_length_ignores_text_padding() {
    let with_end = |secret: &[u8], end: &str| [secret, end.as_bytes()].concat();
    for (name, secret, got) in [
        ("base64 of 32 zeros", STANDARD.encode([0; 32]).into_bytes(), 1),
        ("one character and LF", with_end(&[b'x'; 32], "\n"), 1),
        ("a pattern and CR LF", with_end(&b"changeme".repeat(4), "\r\n"), 8),
        ("zeros and LF", with_end(&[0; 32], "\n"), 0),
        ("one byte and LF", with_end(&[0xff; 32], "\n"), 1),
        ("spaces after a short secret", with_end(b"changeme", &" ".repeat(24)), 8),
        ("spaces after one that is not ASCII", with_end("pässword".as_bytes(), &" ".repeat(24)), 9),
        ("spaces and zeros", with_end(b"changeme", &" \0".repeat(12)), 8),
        ("exactly long enough with LF", with_end(&SECRET[..31], "\n"), 31),
        ("exactly long enough with padding", with_end(&SECRET[..31], "="), 31),
    ] {
        let len = secret.len();
        let expected = format!(
            "HS256 needs a secret of at least 32 bytes, got {got} of {len}: white space, `=` and zero bytes at the end, \
             and repetitions, do not count; use random bytes"
        );
        assert_rejected(name, &secret, &expected);
    }
    let random: Vec<_> = (0..31).map(|n| 255 - 7 * n).collect();
    for (name, secret) in [
        ("base64 of 32 bytes", STANDARD.encode(&SECRET[..32]).into_bytes()),
        ("32 bytes and LF", with_end(&SECRET[..32], "\n")),
        ("random bytes that end in LF", with_end(&random, "\n")),
        ("random bytes that end in a space", with_end(&random, " ")),
        ("random bytes that end in `=`", with_end(&random, "=")),
    ] {
        assert!(Key::hmac(Algorithm::HS256, secret).is_ok(), "{name}");
    }
}

#[test]
fn rejects_key_material_in_more_notations() {
    let spki = der(&fixture("rsa2048.public.pem"));
    let base64 = STANDARD.encode(&spki);
    let certificate = STANDARD.encode(der(&fixture("rsa2048.certificate.pem")));
    let modulus = STANDARD.encode(&spki[33..289]);
    let list = |bytes: &[u8], show: fn(&u8) -> String| bytes.iter().map(show).collect::<Vec<_>>();
    let decimal = list(&spki, u8::to_string);
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc";
    let rows = [
        (
            "an RSA key in XML",
            format!("<RSAKeyValue><Modulus>{modulus}</Modulus><Exponent>AQAB</Exponent></RSAKeyValue>"),
        ),
        ("a certificate in XML", format!("<ds:X509Certificate>{certificate}</ds:X509Certificate>")),
        ("hex with hyphens", hex(&spki, "-").to_uppercase()),
        ("hex in C", list(&spki, |byte| format!("0x{byte:02x}")).join(", ")),
        (
            "hex in C with braces",
            format!("{{ {} }};", list(&spki, |byte| format!("0x{byte:02X}")).join(",\n")),
        ),
        ("hex escapes", list(&spki, |byte| format!("\\x{byte:02x}")).concat()),
        ("bytes in JSON", format!("[{}]", decimal.join(","))),
        ("a buffer of Node.js", format!(r#"{{"type":"Buffer","data":[{}]}}"#, decimal.join(","))),
        ("signed bytes", format!("[{}]", list(&spki, |byte| byte.cast_signed().to_string()).join(", "))),
        ("a data URL", format!("data:application/x-pem-file;base64,{base64}")),
        ("a prefix", format!("base64:{base64}")),
        ("a variable", format!("PUBLIC_KEY={base64}")),
        ("a variable of base64url in quotes", format!("PUBLIC_KEY='{}'\n", URL_SAFE_NO_PAD.encode(&spki))),
        ("a member of YAML", format!("key: {}\n", wrapped(&base64, 64, "\n  "))),
        ("a member of JSON", json!({"key": base64, "alg": "RS256"}).to_string()),
        ("a variable of hex", format!("PUBLIC_KEY={}", hex(&spki, ""))),
        ("PEM without dashes", format!("BEGIN PUBLIC KEY\n{base64}\nEND PUBLIC KEY\n")),
        ("PEM without spaces", format!("-----BEGINPUBLICKEY-----{base64}")),
        ("PEM without its beginning", format!("{}\n-----END PUBLIC KEY-----\n", &base64[64..])),
        ("a certificate without dashes", format!("BEGIN CERTIFICATE {}", &certificate[..200])),
        ("a JWK in YAML", format!("kty: RSA\nn: {n}\ne: AQAB\n")),
        ("a JWK in JavaScript", format!(r#"{{kty:"RSA", n:"{n}", e:"AQAB"}}"#)),
        ("a JWK without kty", format!(r#"{{"n":"{n}","e":"AQAB"}}"#)),
        ("the same in a string", json!(format!(r#"{{"n":"{n}","e":"AQAB"}}"#)).to_string()),
        ("a JWK of Python without kty", format!("{{'n': '{n}', 'e': 'AQAB'}}")),
    ];
    let ed448 = ssh_key(&[b"ssh-ed448", &[0x5a; 57]]);
    let rows = rows.into_iter().map(|(name, text)| (name, text.into_bytes()));
    for (name, secret) in rows.chain([("a binary Ed448 key of SSH", ed448)]) {
        let error = Key::hmac(Algorithm::HS256, &secret).map(|_| "accepted").unwrap_err().to_string();
        assert!(error.starts_with("HS256 cannot be used with a"), "{name}: {error}");
        assert!(Key::hmac(Algorithm::HS256, STANDARD.encode(&secret)).is_err(), "base64 of {name}");
    }
}

#[test]
fn generated_secrets_are_accepted() {
    // One in 256 random secrets ends in a zero.
    for _ in 0..3000 {
        SigningKey::generate(Algorithm::HS256).unwrap();
    }
}

fn utf16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes_of).collect()
}

fn hex(bytes: &[u8], separator: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator)
}

fn wrapped(text: &str, width: usize, line_end: &str) -> String {
    let lines: Vec<_> = text.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
    lines.join(line_end)
}

/// Returns the bytes in every usual encoding.
fn encodings(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let base64 = STANDARD.encode(bytes);
    let mut texts = vec![
        ("base64", base64.clone()),
        ("base64 with no padding", STANDARD_NO_PAD.encode(bytes)),
        ("base64url", URL_SAFE_NO_PAD.encode(bytes)),
        ("base64url with padding", URL_SAFE.encode(bytes)),
        ("base64 in lines", wrapped(&base64, 64, "\n") + "\n"),
        ("base64 in lines with CR LF", wrapped(&base64, 76, "\r\n")),
        ("base64 in escaped lines", wrapped(&base64, 64, "\\n")),
        ("base64 in quotes", format!("\"{base64}\"")),
        ("base64 twice", STANDARD.encode(&base64)),
        ("base64, zero-padded", format!("{base64}{}", "\0".repeat(30))),
        ("an array", format!(r#"["{base64}","{base64}"]"#)),
        ("hex", hex(bytes, "")),
        ("hex with 0x", format!("0x{}", hex(bytes, ""))),
        ("hex in upper case with colons", hex(bytes, ":").to_uppercase()),
    ];
    if let Some(text) = str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')) {
        texts.push(("text", text.to_owned()));
        texts.push(("text in a JSON string", json!(text).to_string()));
        texts.push(("percent-encoded", percent_encoding(text)));
    }
    let utf16s = |(name, text): &(_, String)| {
        let marked = format!("\u{feff}{text}");
        [
            (*name, text.clone().into_bytes()),
            (*name, marked.clone().into_bytes()),
            (*name, utf16(text, u16::to_le_bytes)),
            (*name, utf16(text, u16::to_be_bytes)),
            (*name, utf16(&marked, u16::to_le_bytes)),
            (*name, utf16(&marked, u16::to_be_bytes)),
        ]
    };
    let mut all: Vec<_> = texts.iter().flat_map(utf16s).collect();
    all.push(("as it is", bytes.to_vec()));
    all.push(("base64 of UTF-16", STANDARD.encode(utf16(&texts[0].1, u16::to_le_bytes)).into_bytes()));
    all
}

fn percent_encoding(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// Encodes an OpenSSH key: parts with length prefixes (RFC 4253, section 6.6).
fn ssh_key(parts: &[&[u8]]) -> Vec<u8> {
    parts
        .iter()
        .flat_map(|part| [&u32::try_from(part.len()).unwrap().to_be_bytes(), *part].concat())
        .collect()
}

#[test]
fn rejects_key_material_in_every_encoding() {
    let number = &[0x5a; 40][..];
    let mut materials = vec![
        ("a PKCS #7 file", "a PKCS #7 or PKCS #12 file", pkcs7()),
        ("a PKCS #12 file", "a PKCS #7 or PKCS #12 file", pkcs12()),
        (
            "a PGP key",
            "a PGP key",
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ3u0ShYJKwYBBAHaRw8BAQdA\n=a3wQ\n".to_vec(),
        ),
        (
            "SSH2",
            "an SSH key",
            b"---- BEGIN SSH2 PUBLIC KEY ----\nComment: me\nAAAAB3NzaC1yc2E\n---- END SSH2 PUBLIC KEY ----\n".to_vec(),
        ),
        ("a private key of PuTTY", "an SSH key", b"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n".to_vec()),
        (
            "a private key of OpenSSH",
            "an SSH key",
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
                .to_vec(),
        ),
        ("its body", "an SSH key", b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none\0\0\0\0\0\0\0\x01".to_vec()),
        ("a request", "a PEM", b"-----BEGIN CERTIFICATE REQUEST-----\nMIICijCCAXICAQAwRTELMAkGA1UEBhMC\n".to_vec()),
        ("a JWK of Python", "a JWK", b"{'kty': 'RSA', 'n': 'AQABAQABAQABAQABAQAB', 'e': 'AQAB'}".to_vec()),
    ];
    for name in
        ["rsa2048.public", "rsa2048.pkcs1", "p256.public", "p521.public", "ed25519.public", "x25519.public"]
    {
        let pem = fixture(&format!("{name}.pem"));
        materials.push((name, "a public key", der(&pem)));
        materials.push((name, "a public key", pem.into_bytes()));
    }
    for name in [
        "rsa2048.private",
        "rsa2048.pkcs1-private",
        "p256.private",
        "p256.sec1-private",
        "ed25519.private",
        "ed25519.encrypted-private",
    ] {
        let pem = fixture(&format!("{name}.pem"));
        materials.push((name, "a private key", der(&pem)));
        materials.push((name, "a private key", pem.into_bytes()));
    }
    for name in ["rsa2048.certificate", "tls-ca"] {
        let pem = fixture(&format!("{name}.pem"));
        materials.push((name, "a certificate", der(&pem)));
        materials.push((name, "a certificate", pem.into_bytes()));
    }
    for kind in [
        "ssh-rsa",
        "ssh-dss",
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "ssh-ed25519-cert-v01@openssh.com",
    ] {
        let key = ssh_key(&[kind.as_bytes(), number]);
        let line = format!("{kind} {} me@example.com\n", STANDARD.encode(&key));
        materials.push((kind, "an SSH key", line.into_bytes()));
        materials.push((kind, "an SSH key", key));
    }
    for &algorithm in Algorithm::ALL {
        let jwk = jwk_of(algorithm);
        materials.push(("a JWK", "a JWK", serde_json::to_vec_pretty(&jwk).unwrap()));
        materials.push(("a JWK set", "a JWK", set_of(&[jwk]).into_bytes()));
    }
    for (name, what, material) in materials {
        for (encoding, secret) in encodings(&material) {
            let error = Key::hmac(Algorithm::HS256, &secret).map(|_| "accepted").unwrap_err().to_string();
            let expected = format!("HS256 cannot be used with {what} as its secret; use random bytes");
            assert!(error.starts_with(&expected), "{name} as {encoding}: {error}");
        }
    }
}

fn pkcs7() -> Vec<u8> {
    let signed = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x15\x30\x13\x02\x01\x01some signed data";
    [&[0x30, signed.len() as u8], &signed[..]].concat()
}

fn pkcs12() -> Vec<u8> {
    let content =
        b"\x02\x01\x03\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x0d\x04\x0bsome bytes.";
    [&[0x30, content.len() as u8], &content[..]].concat()
}

#[test]
fn names_a_certificate_given_as_secret() {
    let expected = "HS256 cannot be used with a certificate as its secret; use random bytes";
    let x5c = STANDARD.encode(der(&fixture("rsa2048.certificate.pem")));
    assert_rejected("x5c", x5c.as_bytes(), expected);
}

#[test]
fn accepts_secrets_that_resemble_keys() {
    for secret in [
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A and no more",
        "/etc/secrets/the-one-of-the-api.pem",
        "4f2c:9d01:77ab:e0c3:5b6d:1f88:20aa:93fe:6c47",
        "https://id.example.com/%7Eme?secret=a%20b%20c",
        "ssh-rsa-is-not-what-this-passphrase-is-about",
        "{\"secret\": \"correct horse battery staple\"}",
        "SECRET=0vx7agoebGcQSuuPiLJXZptN9nndrQmb",
        "[17, 204, 91, 3, 250, 66, 129, 8, 77, 31, 9, 1]",
        "<secret>correct horse battery staple</secret>",
        "the keyboard: qwerty and: so forth, until the end of it",
        "IN THE BEGINNING AND THE END WAS A PUBLIC KEY",
    ] {
        assert!(Key::hmac(Algorithm::HS256, secret).is_ok(), "{secret}");
        assert!(Key::hmac(Algorithm::HS256, utf16(secret, u16::to_le_bytes)).is_ok(), "{secret} in UTF-16");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepts_random_secrets_in_every_encoding(secret in prop::collection::vec(any::<u8>(), 32..100), last in 1..=255_u8) {
        let secret = [secret, vec![last]].concat();
        for text in [STANDARD.encode(&secret), URL_SAFE_NO_PAD.encode(&secret), hex(&secret, ""), hex(&secret, ":")] {
            prop_assert!(Key::hmac(Algorithm::HS256, &text).is_ok(), "{}", text);
            prop_assert!(Key::hmac(Algorithm::HS256, utf16(&text, u16::to_le_bytes)).is_ok(), "{} in UTF-16", text);
        }
        prop_assert!(Key::hmac(Algorithm::HS256, &secret).is_ok(), "{:?}", secret);
    }

    #[test]
    fn accepts_random_secrets_that_begin_like_der(secret in prop::collection::vec(any::<u8>(), 30..130)) {
        let secret = [&[0x30, secret.len() as u8], &*secret, &[1]].concat();
        prop_assert!(Key::hmac(Algorithm::HS256, &secret).is_ok(), "{:?}", secret);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepts_random_secrets_in_other_notations(secret in prop::collection::vec(any::<u8>(), 33..100)) {
        let base64 = STANDARD.encode(&secret);
        let decimal = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        for text in [
            format!("SECRET={base64}"),
            format!("base64:{base64}\n"),
            hex(&secret, "-"),
            format!("\\x{}", hex(&secret, "\\x")),
            format!("[{decimal}]"),
        ] {
            prop_assert!(Key::hmac(Algorithm::HS256, &text).is_ok(), "{}", text);
        }
    }
}
