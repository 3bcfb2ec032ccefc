//! Whole tokens, compared to a simple reader of the header, to `jsonwebtoken`, and to repeated
//! verification: cached state must not change a verdict.
//!
//! An input is a token, in which `{HS256}` stands for the good one of that algorithm, and `{HS256.0}`,
//! `{HS256.1}` and `{HS256.2}` for its parts. Or it is the name of an algorithm, a line break, and a
//! header, which the target signs.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{AlgorithmFamily, DecodingKey, Validation};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use tower_jwt_auth::AuthErrorKind::{self, *};
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::{JwtVerifier, KeySet};
use tower_jwt_auth_fuzz::{
    AUDIENCE, ISSUER, Members, SECRET, SIGNERS, Signer, bounded, good_payload, judge, keys, verifier,
};

/// Good tokens, one for each algorithm. They are files because ECDSA signatures are random.
static SIGNED: [&str; 6] = [
    include_str!("../seeds/jws/token-hs256"),
    include_str!("../seeds/jws/token-es256"),
    include_str!("../seeds/jws/token-eddsa"),
    include_str!("../seeds/jws/token-rs256"),
    include_str!("../seeds/jws/token-es512"),
    include_str!("../seeds/jws/token-ml-dsa-44"),
];

/// Keys that remember token headers, and a verifier with a cache.
static WARM: LazyLock<(KeySet, JwtVerifier<Value>)> = LazyLock::new(|| {
    let keys = keys();
    let (warm, cached) =
        (verifier::<Value>(keys.clone()), verifier(keys.clone()).cache(CacheSettings::new()));
    for token in SIGNED {
        judge(&warm, token).unwrap();
        judge(&cached, token).unwrap();
    }
    (keys, cached)
});

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(input) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    let made = input.split_once('\n').map(|(name, header)| {
        let signer = SIGNERS.iter().find(|signer| signer.name == name);
        signer.map(|signer| (signer, header, signer.token(header, good_payload())))
    });
    let token = match &made {
        None => &filled(input),
        Some(Some((.., token))) => token,
        Some(None) => return Corpus::Reject,
    };

    let fresh = verifier::<Value>(keys());
    let verdict = bounded(token.len(), 64, || judge(&fresh, token).map(|claims| (*claims).clone()));

    // Neither cached state nor an earlier verification changes the verdict.
    let (warm_keys, cached) = &*WARM;
    let warm = verifier::<Value>(warm_keys.clone());
    for (name, verifier) in [("once more", &fresh), ("warm", &warm), ("cached", cached), ("cached", cached)] {
        assert_eq!(judge(verifier, token).map(|claims| (*claims).clone()), verdict, "{name}");
    }

    match &made {
        Some(Some((signer, header, token))) => {
            let is_too_large = token.len() > 16 * 1024;
            let expected =
                if is_too_large { Some(TokenTooLarge) } else { rejection(signer, header.as_bytes()) };
            assert_eq!(verdict.as_ref().err(), expected.as_ref(), "{header}");
        }
        _ => {
            // The second signature of the same ECDSA token, `(r, n - s)`, is not found by chance.
            assert_eq!(verdict.is_ok(), SIGNED.contains(&&**token), "{verdict:?}");
        }
    }
    if verdict.is_ok() {
        for other in respelled(token) {
            assert!(judge(&fresh, &other).is_err(), "{other} was not signed");
        }
    }
    if let Some(theirs) = jsonwebtoken_accepts(token) {
        match verdict {
            Ok(_) => assert!(theirs || has_ignored_member(token), "jsonwebtoken rejects what we accept"),
            // Checks that jsonwebtoken does not make, or makes in another way.
            Err(
                TokenTooLarge | MalformedToken | UnsupportedToken | WrongTokenType | UnknownKey
                | UnsupportedAlgorithm,
            ) => {}
            Err(kind) => assert!(!theirs, "jsonwebtoken accepts what we reject: {kind}"),
        }
    }
    Corpus::Keep
});

/// Returns the token that an input describes.
fn filled(input: &str) -> String {
    let mut token = input.to_owned();
    for (signer, good) in SIGNERS.iter().zip(SIGNED) {
        token = token.replace(&format!("{{{}}}", signer.name), good);
        for (position, part) in good.split('.').enumerate() {
            token = token.replace(&format!("{{{}.{position}}}", signer.name), part);
        }
    }
    token
}

/// Returns the token with another last letter in a part. A lenient decoder accepts some of these as the
/// same.
fn respelled(token: &str) -> Vec<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    let ends = token.match_indices('.').map(|(dot, _)| dot).chain([token.len()]);
    let respelled = ends.flat_map(|end| {
        let value = ALPHABET.iter().position(|letter| *letter == token.as_bytes()[end - 1]);
        (1..16).map(move |bits| {
            let letter = char::from(ALPHABET[value.expect("the letter is in the alphabet") ^ bits]);
            format!("{}{letter}{}", &token[..end - 1], &token[end..])
        })
    });
    respelled.collect()
}

/// Returns why a token with this header and a good signature of this signer is rejected, or `None`.
fn rejection(signer: &Signer, header: &[u8]) -> Option<AuthErrorKind> {
    const MEMBERS: [&str; 5] = ["alg", "kid", "typ", "crit", "b64"];

    let Some(members) = Members::read(header).filter(|_| std::str::from_utf8(header).is_ok()) else {
        return Some(MalformedToken);
    };
    let text = |name| members.read_member::<String>(name);
    let is_odd = |name| members.get(name).is_some_and(|value| value != "null") && text(name).is_none();
    let b64 = members.get("b64").map(|_| members.read_member::<bool>("b64"));
    if MEMBERS.iter().any(|name| members.count(name) > 1)
        || ["kid", "typ"].into_iter().any(is_odd)
        || b64 == Some(None)
    {
        return Some(MalformedToken);
    }
    let Some(alg) = text("alg") else {
        return Some(MalformedToken);
    };
    if members.get("crit").is_some() || b64 == Some(Some(false)) {
        return Some(UnsupportedToken);
    }
    let typ = text("typ").map(|typ| typ.to_ascii_lowercase());
    if typ.is_some_and(|typ| !["jwt", "at+jwt"].contains(&typ.strip_prefix("application/").unwrap_or(&typ))) {
        return Some(WrongTokenType);
    }
    let known = [
        "HS384",
        "HS512",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES384",
        "Ed25519",
        "ML-DSA-65",
        "ML-DSA-87",
    ];
    let of_alg =
        SIGNERS.iter().find(|signer| signer.name == alg || (alg == "Ed25519" && signer.name == "EdDSA"));
    let of_kid = text("kid").map(|kid| SIGNERS.iter().find(|signer| signer.name == kid));
    match (of_alg, of_kid) {
        (None, _) if !known.contains(&&*alg) => Some(UnsupportedAlgorithm),
        (_, Some(None)) | (None, None) => Some(UnknownKey),
        (None, Some(Some(_))) => Some(UnsupportedAlgorithm),
        (Some(alg), Some(Some(kid))) if alg.name != kid.name => Some(UnsupportedAlgorithm),
        (Some(key), _) => (key.name != signer.name).then_some(InvalidSignature),
    }
}

/// Returns true if `jsonwebtoken` accepts the token, or `None` if its header names no algorithm of ours.
fn jsonwebtoken_accepts(token: &str) -> Option<bool> {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
    let alg = Members::read(&header)?.read_member::<String>("alg")?;
    let algorithm: jsonwebtoken::Algorithm = alg.parse().ok()?;
    let key = match algorithm.family() {
        AlgorithmFamily::Hmac => DecodingKey::from_secret(SECRET).ok()?,
        AlgorithmFamily::Rsa => {
            DecodingKey::from_rsa_pem(include_bytes!("../../tests/fixtures/rsa2048.public.pem")).ok()?
        }
        AlgorithmFamily::Ec => {
            DecodingKey::from_ec_pem(include_bytes!("../../tests/fixtures/p256.public.pem")).ok()?
        }
        AlgorithmFamily::Ed => {
            DecodingKey::from_ed_pem(include_bytes!("../../tests/fixtures/ed25519.public.pem")).ok()?
        }
    };
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    // The good tokens are valid in the year 2027.
    validation.validate_exp = false;
    Some(jsonwebtoken::decode::<Value>(token, &key, &validation).is_ok())
}

/// Returns true if the header has a member that `jsonwebtoken` reads and that we ignore, as RFC 7515,
/// section 4 says. It also reads unknown members, and cannot read all numbers.
fn has_ignored_member(token: &str) -> bool {
    let header = token.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    let header = header.unwrap_or_default();
    let is_read = serde_json::from_slice::<Value>(&header).is_ok();
    !is_read
        || Members::read(&header).is_some_and(|members| {
            let known = ["cty", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "url", "nonce", "enc", "zip"];
            known.iter().any(|name| members.get(name).is_some())
        })
}
