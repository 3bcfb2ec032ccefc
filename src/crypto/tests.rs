//! Known good signatures and slightly wrong ones, with every back end that is enabled.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING,
    ML_DSA_87_SIGNING, PqdsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, jwk};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde::Deserialize;
use serde_json::Value;

use super::{Check, Material, VerifyingKey};
use crate::algorithm::Algorithm;
use crate::config_error::ConfigError;
use crate::key_type::{Curve, KeyType, ParameterSet};
use crate::verify::{JwksRules, Key};

macro_rules! with_every_back_end {
    ($($test:ident)*) => {
        #[cfg(feature = "aws-lc-rs")]
        mod with_aws_lc {
            use crate::crypto::aws_lc::PublicKey;
            $(#[test] fn $test() { super::$test::<PublicKey>(); })*
        }

        #[cfg(all(feature = "graviola", any(target_arch = "x86_64", target_arch = "aarch64")))]
        mod with_graviola {
            use crate::crypto::graviola::PublicKey;
            $(#[test] fn $test() { super::$test::<PublicKey>(); })*
        }

        #[cfg(feature = "rust-crypto")]
        mod with_rust_crypto {
            use crate::crypto::rust_crypto::PublicKey;
            $(#[test] fn $test() { super::$test::<PublicKey>(); })*
        }
    };
}

#[cfg(feature = "issue")]
mod signing;
mod wycheproof;

with_every_back_end! {
    accepts_rfc_examples
    rejects_rfc_examples_with_other_keys
    accepts_jsonwebtoken_signatures
    rejects_tampered_jsonwebtoken_signatures
    rejects_odd_signatures
}

/// A back end and the keys that it does not support.
trait BackEnd: Check {
    /// [Signers](signers) by name, and the errors for their public keys.
    const LACKING: &[(&str, &str)] = &[];

    fn lacks(algorithm: Algorithm) -> bool {
        Self::LACKING.iter().any(|(name, _)| *name == algorithm.as_str())
    }
}

#[cfg(feature = "aws-lc-rs")]
impl BackEnd for super::aws_lc::PublicKey {}

#[cfg(all(feature = "graviola", any(target_arch = "x86_64", target_arch = "aarch64")))]
impl BackEnd for super::graviola::PublicKey {
    const LACKING: &[(&str, &str)] = &LACKING_IN_GRAVIOLA;
}

#[cfg(feature = "rust-crypto")]
impl BackEnd for super::rust_crypto::PublicKey {
    const LACKING: &[(&str, &str)] = &[
        ("ML-DSA-44", "rust-crypto does not support ML-DSA-44; enable the feature `aws-lc-rs`"),
        ("ML-DSA-65", "rust-crypto does not support ML-DSA-65; enable the feature `aws-lc-rs`"),
        ("ML-DSA-87", "rust-crypto does not support ML-DSA-87; enable the feature `aws-lc-rs`"),
    ];
}

#[cfg_attr(not(feature = "graviola"), expect(dead_code, reason = "the other back ends lack nothing"))]
const LACKING_IN_GRAVIOLA: [(&str, &str); 6] = [
    ("ES512", "graviola does not support ES512; enable the feature `aws-lc-rs` or `rust-crypto`"),
    ("ML-DSA-44", "graviola does not support ML-DSA-44; enable the feature `aws-lc-rs`"),
    ("ML-DSA-65", "graviola does not support ML-DSA-65; enable the feature `aws-lc-rs`"),
    ("ML-DSA-87", "graviola does not support ML-DSA-87; enable the feature `aws-lc-rs`"),
    ("RS256 of 2049 bits", "graviola needs an RSA modulus of a multiple of 64 bits for RS256, got 2049"),
    ("PS256 of 2049 bits", "graviola needs an RSA modulus of a multiple of 64 bits for PS256, got 2049"),
];

/// The signatures of RFC 7515, 7520, 8037 and 9964, without repetitions. Keys have only their public
/// members.
const RFC_SIGNATURES: &str = include_str!("../../tests/fixtures/rfc-signatures.json");

/// Signatures made with the private keys below, by rules that differ slightly from RFC 7518.
const ODD_SIGNATURES: &str = include_str!("../../tests/fixtures/odd-signatures.json");

const SECRET: &[u8; 64] = b"correct horse battery staple, and as many as HS512 asks for: 64.";
const RSA_2048: &[u8] = include_bytes!("../../tests/fixtures/rsa2048.private.pem");
/// A modulus of whole words, but an odd number of them.
const RSA_2112: &[u8] = include_bytes!("../../tests/fixtures/rsa2112.private.pem");
/// A modulus of whole bytes and one bit. PSS then encodes into one byte less (RFC 8017, section 8.1.1).
const RSA_2049: &[u8] = include_bytes!("../../tests/fixtures/rsa2049.private.pem");
const P256: &[u8] = include_bytes!("../../tests/fixtures/p256.private.pem");
const P384: &[u8] = include_bytes!("../../tests/fixtures/p384.private.pem");
const P521: &[u8] = include_bytes!("../../tests/fixtures/p521.private.pem");
const ED25519: &[u8] = include_bytes!("../../tests/fixtures/ed25519.private.pem");
const ML_DSA_44: &[u8] = include_bytes!("../../tests/fixtures/mldsa44.private.pem");
const ML_DSA_65: &[u8] = include_bytes!("../../tests/fixtures/mldsa65.private.pem");
const ML_DSA_87: &[u8] = include_bytes!("../../tests/fixtures/mldsa87.private.pem");

fn accepts_rfc_examples<P: BackEnd>() {
    for row in rows(RFC_SIGNATURES) {
        if P::lacks(row.alg) {
            continue;
        }
        let key: VerifyingKey<P> = key_of(row.alg, &row.jwk).unwrap();
        assert_sound(&row.name, &key, row.message(), &row.signature());
    }
}

fn rejects_rfc_examples_with_other_keys<P: BackEnd>() {
    for row in rows(RFC_SIGNATURES) {
        if P::lacks(row.alg) {
            continue;
        }
        let fits = |algorithm, jwk: &Value| {
            key_of::<P>(algorithm, jwk).is_ok_and(|key| key.verify(row.message(), &row.signature()))
        };
        for &algorithm in Algorithm::ALL {
            let good = fits(algorithm, &row.jwk);
            assert_eq!(good, algorithm == row.alg, "{} as {algorithm:?}", row.name);
        }
        for other in rows(RFC_SIGNATURES) {
            let good = fits(row.alg, &other.jwk);
            assert_eq!(good, other.jwk == row.jwk, "{} with that of {}", row.name, other.name);
        }
    }
}

#[test]
fn reads_keys_of_rfc_examples_as_jwk() {
    for row in rows(RFC_SIGNATURES) {
        if <super::PublicKey as BackEnd>::lacks(row.alg) {
            continue;
        }
        // The keys of RFC 7520 have no `alg`.
        let rules = match row.alg.key_type() {
            KeyType::Rsa => JwksRules::new().rsa_algorithm(row.alg),
            _ => JwksRules::new().allow_symmetric_keys(),
        };
        let mut signature = row.signature();
        let key = Key::jwk_with(row.jwk.to_string(), &rules).unwrap();
        assert_eq!(key.algorithm(), row.alg, "{}", row.name);
        assert!(key.verify(row.message(), &signature), "{}", row.name);
        signature[0] ^= 1;
        assert!(!key.verify(row.message(), &signature), "{}", row.name);
    }
}

fn accepts_jsonwebtoken_signatures<P: BackEnd>() {
    for (Signer { name, algorithm, key }, public) in supported_signers::<P>() {
        let message = b"header.payload";
        assert_sound(&name, &public, message, &key.sign(algorithm, message));
    }
}

fn rejects_tampered_jsonwebtoken_signatures<P: BackEnd>() {
    for (Signer { name, algorithm, key }, public) in supported_signers::<P>() {
        let message = b"header.payload";
        let signature = key.sign(algorithm, message);
        assert!(public.verify(message, &signature), "{name}");

        let len = signature.len();
        let mut runner = TestRunner::new(Config {
            cases: 1000,
            rng_seed: RngSeed::Fixed(7515),
            failure_persistence: None,
            ..Config::default()
        });
        let change = (0..6, any::<Index>(), 1..=255_u8, 1..=u64::MAX);
        let result = runner.run(&change, |(sort, place, mask, noise)| {
            let (mut message, mut signature) = (message.to_vec(), signature.clone());
            match sort {
                0 => *place.get_mut(&mut message) ^= mask,
                1 => *place.get_mut(&mut signature) ^= mask,
                2 => signature.truncate(place.index(len)),
                3 => signature.insert(place.index(len + 1), mask),
                4 => signature.rotate_left(1 + place.index(len - 1)),
                _ => signature
                    .iter_mut()
                    .zip(noise.to_le_bytes().iter().cycle())
                    .for_each(|(byte, noise)| *byte ^= noise),
            }
            prop_assert!(!public.verify(&message, &signature));
            Ok(())
        });
        assert!(result.is_ok(), "{name}: {result:?}");
    }
}

fn rejects_odd_signatures<P: Check>() {
    for row in rows(ODD_SIGNATURES) {
        let (key, message, signature) = (signer(row.alg), row.message(), row.signature());
        let public: VerifyingKey<P> = key.public(row.alg).unwrap();
        assert!(public.verify(message, &key.sign(row.alg, message)), "{}: good", row.name);
        assert!(!public.verify(message, &signature), "{}", row.name);
        // This one lacks only a zero byte.
        let good = public.verify(message, &[&[0], &*signature].concat());
        assert_eq!(good, row.name == "RSA, without its leading zero", "{}", row.name);
    }
}

/// Asserts that the key accepts this signature of this message, and none that differs slightly.
#[track_caller]
fn assert_sound<P: Check>(name: &str, key: &VerifyingKey<P>, message: &[u8], signature: &[u8]) {
    assert!(key.verify(message, signature), "{name}: good");

    // Every bit of a short signature. Otherwise every seventh, which still touches every byte.
    let step = if signature.len() < 64 { 1 } else { 7 };
    for bit in (0..signature.len() * 8).step_by(step) {
        let mut flipped = signature.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.verify(message, &flipped), "{name}: bit {bit} of the signature");
    }
    for place in (0..message.len()).step_by(7) {
        let mut changed = message.to_vec();
        changed[place] ^= 1;
        assert!(!key.verify(&changed, signature), "{name}: byte {place} of the message");
    }

    let last = signature.len() - 1;
    for (change, other) in [
        ("empty", vec![]),
        ("cut at the end", signature[..last].to_vec()),
        ("cut at the start", signature[1..].to_vec()),
        ("half", signature[..signature.len() / 2].to_vec()),
        ("zero at the end", [signature, &[0]].concat()),
        ("zero at the start", [&[0], signature].concat()),
        ("twice", signature.repeat(2)),
        ("all zeros", vec![0; signature.len()]),
        ("all ones", vec![0xff; signature.len()]),
    ] {
        assert!(!key.verify(message, &other), "{name}: signature {change}");
    }
    assert!(!key.verify(&[], signature), "{name}: message empty");
    let longer = [message, b"."].concat();
    assert!(!key.verify(&longer, signature), "{name}: message longer");
}

/// A row in a table of signatures.
#[derive(Deserialize)]
struct Row {
    name: String,
    alg: Algorithm,
    #[serde(default)]
    jwk: Value,
    signed: String,
    signature: String,
}

impl Row {
    fn message(&self) -> &[u8] {
        self.signed.as_bytes()
    }

    fn signature(&self) -> Vec<u8> {
        decode(&self.signature)
    }
}

fn rows(table: &str) -> Vec<Row> {
    serde_json::from_str(table).unwrap()
}

struct Signer {
    name: String,
    algorithm: Algorithm,
    key: PrivateHalf,
}

/// A private key of a library other than the one under test. AWS-LC has those that jsonwebtoken lacks.
enum PrivateHalf {
    Jsonwebtoken(EncodingKey),
    P521(EcdsaKeyPair),
    MlDsa(ParameterSet, PqdsaKeyPair),
}

impl PrivateHalf {
    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Jsonwebtoken(key) => {
                decode(&jsonwebtoken::crypto::sign(message, key, for_signer(algorithm)).unwrap())
            }
            Self::P521(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::MlDsa(_, key) => {
                let mut signature = vec![0; key.algorithm().signature_len()];
                key.sign(message, &mut signature).unwrap();
                signature
            }
        }
    }

    fn public<P: Check>(&self, algorithm: Algorithm) -> Result<VerifyingKey<P>, ConfigError> {
        match self {
            Self::Jsonwebtoken(key) => {
                let jwk = jwk::Jwk::from_encoding_key(key, for_signer(algorithm)).unwrap();
                key_of(algorithm, &serde_json::to_value(jwk).unwrap())
            }
            Self::P521(key) => {
                VerifyingKey::prepare(algorithm, Material::Ec(Curve::P521, key.public_key().as_ref()))
            }
            Self::MlDsa(set, key) => {
                VerifyingKey::prepare(algorithm, Material::MlDsa(*set, key.public_key().as_ref()))
            }
        }
    }
}

/// Returns the signers whose keys the back end supports, each with its public half. Asserts that it rejects
/// exactly the others.
fn supported_signers<P: BackEnd>() -> Vec<(Signer, VerifyingKey<P>)> {
    let supported = signers().into_iter().filter_map(|signer| {
        let lacking = P::LACKING.iter().find(|(name, _)| *name == signer.name);
        match signer.key.public(signer.algorithm) {
            Ok(public) => {
                assert_eq!(lacking, None, "{} is taken", signer.name);
                Some((signer, public))
            }
            Err(error) => {
                assert_eq!(Some(&*error.to_string()), lacking.map(|(_, error)| *error), "{}", signer.name);
                None
            }
        }
    });
    supported.collect()
}

/// Returns a signer for every algorithm, and RSA signers with moduli of odd lengths.
fn signers() -> Vec<Signer> {
    let ordinary = Algorithm::ALL.iter().map(|&algorithm| Signer {
        name: algorithm.to_string(),
        algorithm,
        key: signer(algorithm),
    });
    let uneven = [(2049, RSA_2049), (2112, RSA_2112)].into_iter().flat_map(|(bits, pem)| {
        [Algorithm::RS256, Algorithm::PS256].map(|algorithm| Signer {
            name: format!("{algorithm} of {bits} bits"),
            algorithm,
            key: PrivateHalf::Jsonwebtoken(EncodingKey::from_rsa_pem(pem).unwrap()),
        })
    });
    ordinary.chain(uneven).collect()
}

fn signer(algorithm: Algorithm) -> PrivateHalf {
    let key = match algorithm.key_type() {
        KeyType::Secret => EncodingKey::from_secret(SECRET),
        KeyType::Rsa => EncodingKey::from_rsa_pem(RSA_2048),
        KeyType::Ec(Curve::P256) => EncodingKey::from_ec_pem(P256),
        KeyType::Ec(Curve::P384) => EncodingKey::from_ec_pem(P384),
        KeyType::Ec(Curve::P521) => {
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_FIXED_SIGNING, &der(P521));
            return PrivateHalf::P521(key.unwrap());
        }
        KeyType::Ed25519 => EncodingKey::from_ed_pem(ED25519),
        KeyType::MlDsa(set) => {
            let (parameters, pem) = match set {
                ParameterSet::MlDsa44 => (&ML_DSA_44_SIGNING, ML_DSA_44),
                ParameterSet::MlDsa65 => (&ML_DSA_65_SIGNING, ML_DSA_65),
                ParameterSet::MlDsa87 => (&ML_DSA_87_SIGNING, ML_DSA_87),
            };
            return PrivateHalf::MlDsa(set, PqdsaKeyPair::from_pkcs8(parameters, &der(pem)).unwrap());
        }
    };
    PrivateHalf::Jsonwebtoken(key.unwrap())
}

/// Returns the DER in a PEM file.
fn der(pem: &[u8]) -> Vec<u8> {
    let pem = std::str::from_utf8(pem).unwrap();
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with("-----")).collect::<String>()).unwrap()
}

/// Converts the algorithm to the type of jsonwebtoken, which signs.
fn for_signer(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.as_str().parse().unwrap()
}

/// Reads a JWK without the code under test.
fn key_of<P: Check>(algorithm: Algorithm, jwk: &Value) -> Result<VerifyingKey<P>, ConfigError> {
    let number = |name: &str| decode(jwk[name].as_str().unwrap());
    let point = || [&[4], &*number("x"), &*number("y")].concat();
    match jwk.get("crv").unwrap_or(&jwk["kty"]).as_str().unwrap() {
        "oct" => VerifyingKey::prepare(algorithm, Material::Secret(&number("k"))),
        "RSA" => VerifyingKey::prepare(algorithm, Material::Rsa { n: &number("n"), e: &number("e") }),
        "P-256" => VerifyingKey::prepare(algorithm, Material::Ec(Curve::P256, &point())),
        "P-384" => VerifyingKey::prepare(algorithm, Material::Ec(Curve::P384, &point())),
        "P-521" => VerifyingKey::prepare(algorithm, Material::Ec(Curve::P521, &point())),
        "Ed25519" => VerifyingKey::prepare(algorithm, Material::Ed25519(&number("x"))),
        "AKP" => {
            let of: Algorithm = jwk["alg"].as_str().unwrap().parse().unwrap();
            let KeyType::MlDsa(set) = of.key_type() else { panic!("{of} has no AKP key") };
            VerifyingKey::prepare(algorithm, Material::MlDsa(set, &number("pub")))
        }
        other => panic!("no row has a key of {other}"),
    }
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}
