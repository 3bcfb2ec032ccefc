//! JWK sets, compared to a simple reader of RFC 7517: which keys are used, and which tokens they accept.
//!
//! An input is the set. `{HS256}`, `{ES256}`, `{EdDSA}`, `{RS256}`, `{ES512}` and `{ML-DSA-44}` stand for
//! the members of a key that has signed a token.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tower_jwt_auth::keys::JwksRules;
use tower_jwt_auth::{ConfigErrorKind, JwtVerifier, KeySet};
use tower_jwt_auth_fuzz::{Members, NOW, SIGNERS, Signer, at, base64url, bounded, good_payload, judge};

/// The key material of a signer.
struct Material {
    signer: &'static str,
    members: Map<String, Value>,
}

static MATERIALS: LazyLock<Vec<Material>> = LazyLock::new(|| {
    let material = |signer: &Signer| {
        let Value::Object(mut members) = signer.jwk() else {
            unreachable!("a JWK is an object");
        };
        members.retain(|name, _| ["kty", "crv", "x", "y", "n", "e", "k", "pub"].contains(&&**name));
        Material { signer: signer.name, members }
    };
    SIGNERS.iter().map(material).collect()
});

/// Tokens with the name of their signer and their `kid`.
static TOKENS: LazyLock<Vec<(&str, Option<&str>, String)>> = LazyLock::new(|| {
    let token = |signer: &'static Signer, kid: Option<&'static str>| {
        let header = match kid {
            Some(kid) => json!({"alg": signer.name, "kid": kid}),
            None => json!({"alg": signer.name}),
        };
        (signer.name, kid, signer.token(header.to_string(), good_payload()))
    };
    SIGNERS.iter().flat_map(|signer| [Some("k1"), Some("k2"), None].map(|kid| token(signer, kid))).collect()
});

/// Signatures that pass if the key is not checked: zeros, and the neutral element of a curve.
static FORGED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let neutral = [&[1][..], &[0; 63]].concat();
    let kinds = [
        ("EdDSA", neutral),
        ("EdDSA", vec![0; 64]),
        ("ES256", vec![0; 64]),
        ("RS256", vec![0; 256]),
        ("HS256", vec![]),
        ("ES512", vec![0; 132]),
        ("ML-DSA-44", vec![0; 2420]),
    ];
    let forged = |(alg, signature): (&str, Vec<u8>)| {
        let header = json!({"alg": alg}).to_string();
        format!("{}.{}.{}", base64url(header), base64url(good_payload()), base64url(signature))
    };
    kinds.into_iter().map(forged).collect()
});

#[derive(Deserialize)]
struct Set<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// This target's reading of one key.
struct Plain {
    /// Its `kid`, if it is a string and not a duplicate.
    kid: Option<String>,
    usable: Usable,
}

enum Usable {
    No,
    /// Depends on the numbers, which this target does not check.
    IfItsNumbersAreGood,
    /// Usable, possibly as the key of the signer with this name.
    Yes(Option<&'static str>),
}

fn read(jwk: &str) -> Plain {
    let no = |kid| Plain { kid, usable: Usable::No };
    let Some(members) = Members::read(jwk.as_bytes()) else {
        return no(None);
    };
    let text = |name| members.read_member::<String>(name);
    let kid = text("kid").filter(|_| members.count("kid") == 1);
    let strings = ["kty", "crv", "kid", "alg", "use"];
    let (kty, crv, alg) = (text("kty"), text("crv"), text("alg"));
    let private = if kty.as_deref() == Some("AKP") { "priv" } else { "d" };
    let used = [&strings[..], &["key_ops", private]].concat();
    let is_there = |name| members.get(name).is_some_and(|value| value != "null");
    // Rejects lone surrogates, numbers out of range, and more than 128 levels.
    let is_readable = serde_json::from_str::<Value>(jwk).is_ok();
    if !is_readable
        || used.iter().any(|name| members.count(name) > 1)
        || strings.iter().any(|name| is_there(name) && text(name).is_none())
        || text("use").is_some_and(|usage| usage != "sig")
        || is_there(private)
    {
        return no(kid);
    }
    let operations = members.get("key_ops").filter(|_| is_there("key_ops"));
    let operations = operations.map(serde_json::from_str::<Vec<String>>);
    if operations.is_some_and(|names| !names.is_ok_and(|names| names.iter().any(|name| name == "verify"))) {
        return no(kid);
    }
    let (fitting, default, needed): (&[_], _, &[_]) = match (kty.as_deref(), crv.as_deref()) {
        (Some("RSA"), _) => {
            (&["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], Some("RS256"), &["n", "e"])
        }
        (Some("EC"), Some("P-256")) => (&["ES256"], Some("ES256"), &["x", "y"]),
        (Some("EC"), Some("P-384")) => (&["ES384"], Some("ES384"), &["x", "y"]),
        (Some("EC"), Some("P-521")) => (&["ES512"], Some("ES512"), &["x", "y"]),
        (Some("AKP"), _) => (&["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"], None, &["pub"]),
        (Some("OKP"), Some("Ed25519")) => (&["EdDSA", "Ed25519"], Some("EdDSA"), &["x"]),
        (Some("oct"), _) => (&["HS256", "HS384", "HS512"], None, &["k"]),
        _ => return no(kid),
    };
    let Some(alg) = alg.or(default.map(str::to_owned)).filter(|alg| fitting.contains(&&**alg)) else {
        return no(kid);
    };
    let numbers: Option<Vec<_>> = needed
        .iter()
        .map(|name| URL_SAFE_NO_PAD.decode(text(name).filter(|_| members.count(name) == 1)?).ok())
        .collect();
    let Some(numbers) = numbers else {
        return no(kid);
    };
    // Leading zeros of a modulus and trailing zeros of a secret do not count. Padding after text does not
    // count either.
    let len = match kty.as_deref() {
        Some("oct") if std::str::from_utf8(&numbers[0]).is_ok() => unpadded(&numbers[0]),
        Some("oct") => trimmed(&numbers[0]).len(),
        Some("RSA") => numbers[0].iter().skip_while(|byte| **byte == 0).count(),
        _ => numbers[0].len(),
    };
    let is_long_enough = match &*alg {
        "HS256" => len >= 32,
        "HS384" => len >= 48,
        "HS512" => len >= 64,
        "ES256" => numbers.iter().all(|number| number.len() == 32),
        "ES384" => numbers.iter().all(|number| number.len() == 48),
        "ES512" => numbers.iter().all(|number| number.len() == 66),
        "ML-DSA-44" => len == 1312,
        "ML-DSA-65" => len == 1952,
        "ML-DSA-87" => len == 2592,
        "EdDSA" | "Ed25519" => len == 32,
        _ => (256..=1024).contains(&len),
    };
    if !is_long_enough {
        return no(kid);
    }
    let alg = if alg == "Ed25519" { "EdDSA".to_owned() } else { alg };
    let is_own = |material: &&Material| {
        let own = &material.members;
        material.signer == alg && needed.iter().all(|name| own[*name].as_str() == text(name).as_deref())
    };
    let usable = match MATERIALS.iter().find(is_own) {
        Some(material) => Usable::Yes(Some(material.signer)),
        // A secret may be a repeated pattern or key material.
        None => Usable::IfItsNumbersAreGood,
    };
    Plain { kid, usable }
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(input) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    let json = MATERIALS.iter().fold(input.to_owned(), |json, Material { signer, members }| {
        let members = json!(members).to_string();
        json.replace(&format!("{{{signer}}}"), members.trim_matches(['{', '}']))
    });
    // serde_json would read the content of this string as JSON.
    if json.contains("$serde_json") {
        return Corpus::Reject;
    }
    let rules = JwksRules::new().allow_symmetric_keys();
    let set = bounded(json.len(), 1024, || KeySet::jwks_with(&json, &rules));

    let is_object = json.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{');
    let texts = serde_json::from_str::<Set<'_>>(&json).ok().filter(|_| is_object).map(|set| set.keys);
    let plain: Option<Vec<_>> = texts.as_ref().map(|keys| keys.iter().map(|jwk| read(jwk.get())).collect());
    let (keys, skipped) = match (&set, &plain) {
        (Err(error), None) if error.kind() == ConfigErrorKind::InvalidKey => return Corpus::Keep,
        (_, None) if is_mended(&json) => return Corpus::Keep,
        (_, None) => panic!("this is not a JWK set but was accepted: {set:?}"),
        (Ok(set), Some(_)) => (set.len(), set.skipped_keys()),
        (Err(error), Some(_)) if error.kind() == ConfigErrorKind::NoUsableKeys => (0, error.skipped_keys()),
        (Err(error), Some(_)) => panic!("this is a JWK set but was rejected: {error}"),
    };
    let plain = plain.expect("the set was accepted");

    assert_eq!(keys + skipped.len(), plain.len(), "each key is used or skipped");
    for (position, key) in plain.iter().enumerate() {
        let skipped = skipped.iter().find(|skipped| skipped.index() == position);
        match key.usable {
            Usable::No => assert!(skipped.is_some(), "key {position} is used"),
            Usable::Yes(_) => assert!(skipped.is_none(), "{}", skipped.unwrap()),
            Usable::IfItsNumbersAreGood => {}
        }
        if let Some(skipped) = skipped {
            assert_eq!(skipped.kid(), key.kid.as_deref(), "key {position}");
        }
    }

    let Ok(set) = set else {
        return Corpus::Keep;
    };
    let verifier = JwtVerifier::<Value>::new(set).insecure_any_audience().clock(|| at(NOW));
    for (signer, kid, token) in &*TOKENS {
        let is_trusted = plain.iter().any(|key| {
            matches!(key.usable, Usable::Yes(Some(name)) if name == *signer)
                && (kid.is_none() || key.kid.as_deref() == *kid)
        });
        let is_accepted = judge(&verifier, token).is_ok();
        // At most four keys are tried, and ours may not be among them.
        if is_accepted || plain.len() <= 4 {
            assert_eq!(is_accepted, is_trusted, "{signer} with kid {kid:?}");
        }
    }
    for token in &*FORGED {
        assert!(judge(&verifier, token).is_err(), "{token} is signed with nothing");
    }
    // Nobody can sign with publicly readable keys.
    let texts = texts.expect("the set was accepted");
    let jwks: Vec<_> = texts.iter().filter_map(|jwk| serde_json::from_str::<Value>(jwk.get()).ok()).collect();
    let secrets: Vec<_> = jwks.iter().filter_map(|jwk| decode(jwk["k"].as_str()?)).collect();
    for (jwk, name) in jwks.iter().take(4).flat_map(|jwk| ["x", "n", "pub", "kid"].map(|name| (jwk, name))) {
        let Some(text) = jwk[name].as_str() else {
            continue;
        };
        for known in [text.as_bytes().to_vec(), decode(text).unwrap_or_default()] {
            let forged = hs256_token(&known);
            // HMAC ignores zeros at the end of its key.
            let is_secret = secrets.iter().any(|secret| trimmed(secret) == trimmed(&known));
            assert!(is_secret || judge(&verifier, &forged).is_err(), "anyone who knows `{name}` can sign");
        }
    }
    Corpus::Keep
});

/// Returns true if a set may be read although serde_json rejects it. This is so with a byte order mark, a
/// raw control character in a key, or a name whose escape may be a lone surrogate.
fn is_mended(json: &str) -> bool {
    json.starts_with('\u{feff}') || json.contains(|c: char| c < ' ') || json.contains("\\u")
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn trimmed(key: &[u8]) -> &[u8] {
    &key[..key.len() - key.iter().rev().take_while(|byte| **byte == 0).count()]
}

fn unpadded(text: &[u8]) -> usize {
    let is_padding = |byte: &&u8| matches!(**byte, 0 | b'=') || byte.is_ascii_whitespace();
    text.len() - text.iter().rev().take_while(is_padding).count()
}

fn hs256_token(secret: &[u8]) -> String {
    // jsonwebtoken rejects an empty secret. To HMAC a zero byte is equivalent.
    let secret = if secret.is_empty() { &[0] } else { secret };
    let key = jsonwebtoken::EncodingKey::from_secret(secret).unwrap();
    let signed = format!("{}.{}", base64url(r#"{"alg":"HS256"}"#), base64url(good_payload()));
    let signature =
        jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}
