//! The numbers of JSON Web Keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tower_jwt_auth::{Algorithm, Key};

use super::{GRAVIOLA, assert_error, decode, jwk_of, jwk_with, read_jwk};
use crate::support::base64url;

#[test]
fn numbers_must_be_canonical_base64url() {
    for (algorithm, member) in [
        (Algorithm::RS256, "n"),
        (Algorithm::RS256, "e"),
        (Algorithm::ES256, "x"),
        (Algorithm::ES256, "y"),
        (Algorithm::EdDSA, "x"),
        (Algorithm::HS512, "k"),
    ] {
        let expected = format!("the JWK cannot be used: its `{member}` is missing or not base64url");
        let good = jwk_of(algorithm);
        let text = good[member].as_str().unwrap();
        let bytes = decode(&good[member]);
        // The last of two characters has four spare bits, which must be zero.
        let spare_bits = format!("{}AB", &text[..text.len() / 4 * 4]);
        for (name, value) in [
            ("missing", Value::Null),
            ("padded", format!("{text}=").into()),
            ("space before", format!(" {text}").into()),
            ("space behind", format!("{text} ").into()),
            ("line break within", format!("{}\n{}", &text[..2], &text[2..]).into()),
            ("percent encoded", format!("%41{text}").into()),
            ("too few characters", format!("{text}{}", &"AAAAA"[text.len() % 4..]).into()),
            ("spare bits", spare_bits.into()),
            ("base64", STANDARD.encode([&[0xff, 0xff, 0xff], &*bytes].concat()).into()),
        ] {
            let jwk = jwk_with(algorithm, json!({ member: value }));
            assert_error(&format!("{member}, {name}"), read_jwk(jwk.to_string()), &expected);
        }
    }
}

#[test]
fn numbers_must_form_a_valid_key() {
    let malformed = |reason: &str| format!("the key cannot be read: {reason}");
    let exponent = malformed("the RSA exponent is not an odd number from 3 to 2^33");
    let coordinate = |name: &str, needed: usize, got: usize| {
        format!(
            "the JWK cannot be used: its `{name}` needs {needed} bytes, got {got} (RFC 7518, section 6.2.1.2)"
        )
    };
    let numbers = malformed("its numbers do not form a valid key of its type");
    let ed25519 = malformed("an Ed25519 key has 32 bytes");
    let size = |bits| format!("an RSA key needs a modulus of 2048 to 8192 bits, got {bits}");

    let n = decode(&jwk_of(Algorithm::RS256)["n"]);
    let even = [&n[..255], &[n[255] & 0xfe]].concat();
    let p256 = jwk_of(Algorithm::ES256);
    let (x, y) = (decode(&p256["x"]), decode(&p256["y"]));
    let off = [&y[..31], &[y[31] ^ 1]].concat();
    let p384 = jwk_of(Algorithm::ES384);
    let (x384, y384) = (decode(&p384["x"]), decode(&p384["y"]));
    let off384 = [&y384[..47], &[y384[47] ^ 1]].concat();
    let ed = decode(&jwk_of(Algorithm::EdDSA)["x"]);
    let point = |x: &[u8], y: &[u8]| json!({"x": base64url(x), "y": base64url(y)});
    for (name, algorithm, changes, expected) in [
        ("e empty", Algorithm::RS256, json!({"e": ""}), &exponent),
        ("e = 1", Algorithm::RS256, json!({"e": base64url([1])}), &exponent),
        ("e = 2", Algorithm::RS256, json!({"e": base64url([2])}), &exponent),
        ("e even", Algorithm::RS256, json!({"e": base64url([1, 0, 0])}), &exponent),
        ("e = 2^33 + 1", Algorithm::RS256, json!({"e": base64url([2, 0, 0, 0, 1])}), &exponent),
        ("e of 9 bytes", Algorithm::RS256, json!({"e": base64url([1; 9])}), &exponent),
        ("e as long as n", Algorithm::PS256, json!({"e": base64url(&n)}), &exponent),
        ("e = 0", Algorithm::RS256, json!({"e": base64url([0])}), &exponent),
        (
            "n = 0",
            Algorithm::RS256,
            json!({"n": base64url([0; 256])}),
            &malformed("the RSA modulus is empty"),
        ),
        (
            "n short after leading zeros",
            Algorithm::RS256,
            json!({"n": base64url([&[0; 32], &n[..224]].concat())}),
            &size(1792),
        ),
        ("n empty", Algorithm::RS256, json!({"n": ""}), &malformed("the RSA modulus is empty")),
        ("n even", Algorithm::RS256, json!({"n": base64url(even)}), &malformed("the RSA modulus is even")),
        ("n of 2040 bits", Algorithm::RS256, json!({"n": base64url(&n[..255])}), &size(2040)),
        ("n of 2047 bits", Algorithm::PS256, json!({"n": base64url([0x7f; 256])}), &size(2047)),
        ("n of 8193 bits", Algorithm::PS256, json!({"n": base64url([1; 1025])}), &size(8193)),
        ("x short", Algorithm::ES256, point(&x[1..], &y), &coordinate("x", 32, 31)),
        (
            "x and y swapped in part",
            Algorithm::ES256,
            point(&x[..31], &[&x[31..], &*y].concat()),
            &coordinate("x", 32, 31),
        ),
        ("y empty", Algorithm::ES256, point(&x, &[]), &coordinate("y", 32, 0)),
        ("both short", Algorithm::ES256, point(&x[1..], &y[1..]), &coordinate("x", 32, 31)),
        (
            "both long",
            Algorithm::ES256,
            point(&[&[0], &*x].concat(), &[&[0], &*y].concat()),
            &coordinate("x", 32, 33),
        ),
        ("both empty", Algorithm::ES256, point(&[], &[]), &coordinate("x", 32, 0)),
        ("both of another curve", Algorithm::ES384, point(&x, &y), &coordinate("x", 48, 32)),
        ("off the curve", Algorithm::ES256, point(&x, &off), &numbers),
        ("off the larger curve", Algorithm::ES384, point(&x384, &off384), &numbers),
        ("the wrong way round", Algorithm::ES256, point(&y, &x), &numbers),
        ("zeros", Algorithm::ES256, point(&[0; 32], &[0; 32]), &numbers),
        ("beyond the field", Algorithm::ES384, point(&[0xff; 48], &[0xff; 48]), &numbers),
        ("31 bytes", Algorithm::EdDSA, json!({"x": base64url(&ed[1..])}), &ed25519),
        ("33 bytes", Algorithm::EdDSA, json!({"x": base64url([&*ed, &[0]].concat())}), &ed25519),
        ("no bytes", Algorithm::EdDSA, json!({"x": ""}), &ed25519),
    ] {
        assert_error(name, Key::jwk(jwk_with(algorithm, changes).to_string()), expected);
    }
    for (name, changes) in [
        ("e with a leading zero", json!({"e": base64url([0, 1, 0, 1])})),
        ("e with many", json!({"e": base64url([&[0; 100][..], &[1, 0, 1]].concat())})),
        ("n with a leading zero", json!({"n": base64url([&[0], &*n].concat())})),
        ("e = 3", json!({"e": base64url([3])})),
        ("e = 2^32 - 1", json!({"e": base64url([0xff; 4])})),
        ("n of 2112 bits", json!({"n": base64url([0xff; 264])})),
        ("n of 8192 bits", json!({"n": base64url([0xff; 1024])})),
    ] {
        assert!(Key::jwk(jwk_with(Algorithm::RS256, changes).to_string()).is_ok(), "{name}");
    }
}

#[test]
fn graviola_explains_unsupported_rsa_keys() {
    let modulus = "an RSA modulus of a multiple of 64 bits";
    let exponent = "an RSA exponent of at most 32 bits";
    for (name, algorithm, changes, needed, got) in [
        ("e = 2^32 + 1", Algorithm::RS256, json!({"e": base64url([1, 0, 0, 0, 1])}), exponent, "33"),
        ("e = 2^33 - 1", Algorithm::PS512, json!({"e": base64url([1, 255, 255, 255, 255])}), exponent, "33"),
        ("n of 2049 bits", Algorithm::RS256, json!({"n": base64url([1; 257])}), modulus, "2049"),
        ("n of 3071 bits", Algorithm::PS256, json!({"n": base64url([0x7f; 384])}), modulus, "3071"),
        ("n of 8184 bits", Algorithm::RS512, json!({"n": base64url([0xff; 1023])}), modulus, "8184"),
    ] {
        let key = Key::jwk(jwk_with(algorithm, changes).to_string());
        if GRAVIOLA {
            assert_error(name, key, &format!("graviola needs {needed} for {algorithm:?}, got {got}"));
        } else {
            assert!(key.is_ok(), "{name}");
        }
    }
}

#[test]
fn rejects_keys_that_anyone_can_sign_for() {
    let y = |bytes: [u8; 32]| base64url(bytes);
    let filled = |first: u8, last: u8| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (first, last);
        y(bytes)
    };
    let (mut one, mut minus_zero) = ([0; 32], [0; 32]);
    (one[0], minus_zero[31]) = (1, 0x80);
    for (name, x) in [
        ("0", y([0; 32])),
        ("0, the other sign", y(minus_zero)),
        ("1", y(one)),
        ("-1", filled(0xec, 0x7f)),
        ("-1, the other sign", filled(0xec, 0xff)),
        ("p", filled(0xed, 0x7f)),
        ("p + 1", filled(0xee, 0x7f)),
        ("beyond p", filled(0xff, 0xff)),
        ("order 8", "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU".to_owned()),
        ("order 8, the other", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o".to_owned()),
    ] {
        let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
        let expected =
            "the key cannot be read: the Ed25519 point has small order: anyone can forge its signatures";
        assert_error(name, Key::jwk(jwk), expected);
    }
    // One in 128 good keys ends like those.
    let good = r#"{"kty":"OKP","crv":"Ed25519","x":"lTlNrMOs0VpZOeS8CGpuDq1a1bgvfp63sqqm_f78nP8"}"#;
    assert!(Key::jwk(good).is_ok());
}
