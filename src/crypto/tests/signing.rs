//! Every enabled back end signs the same messages, and the active one checks them.

use std::fs;

use crate::algorithm::Algorithm;
#[cfg(feature = "aws-lc-rs")]
use crate::crypto::aws_lc;
#[cfg(all(feature = "graviola", any(target_arch = "x86_64", target_arch = "aarch64")))]
use crate::crypto::graviola;
#[cfg(feature = "rust-crypto")]
use crate::crypto::rust_crypto;
use crate::crypto::{Material, PrivateMaterial, Sign};
use crate::issue::private_key::{Form, from_der, from_pem};
use crate::verify::Key;

const PRIVATE: [(Algorithm, &str); 13] = [
    (Algorithm::RS256, "rsa2048"),
    (Algorithm::RS384, "rsa2048"),
    (Algorithm::RS512, "rsa2048"),
    (Algorithm::PS256, "rsa2112"),
    (Algorithm::PS384, "rsa2048"),
    (Algorithm::PS512, "rsa2048-other"),
    (Algorithm::ES256, "p256"),
    (Algorithm::ES384, "p384"),
    (Algorithm::ES512, "p521"),
    (Algorithm::EdDSA, "ed25519"),
    (Algorithm::MlDsa44, "mldsa44"),
    (Algorithm::MlDsa65, "mldsa65"),
    (Algorithm::MlDsa87, "mldsa87"),
];

fn fixture(name: &str) -> String {
    fs::read_to_string(format!("{}/tests/fixtures/{name}.private.pem", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn signs<K: Sign>(of: &str) {
    for (algorithm, name) in PRIVATE {
        let (form, document) = from_pem(fixture(name).as_bytes()).unwrap();
        let Ok(material) = from_der(&form, &document) else { panic!("{of}, {name}") };
        if K::supports(algorithm).is_err() {
            assert!(K::prepare(algorithm, &material).is_none(), "{of}, {algorithm:?}");
            continue;
        }
        let key = K::prepare(algorithm, &material).unwrap_or_else(|| panic!("{of}, {algorithm:?}, {name}"));
        assert_signs(of, algorithm, &key, &material);
    }
}

fn generates<K: Sign>(of: &str, algorithms: &[Algorithm]) {
    for &algorithm in algorithms {
        if K::supports(algorithm).is_err() {
            assert!(K::generate(algorithm).is_none(), "{of}, {algorithm:?}");
            continue;
        }
        let der = K::generate(algorithm).unwrap_or_else(|| panic!("{of}, {algorithm:?}"));
        let Ok(material) = from_der(&Form::Pkcs8, &der) else { panic!("{of}, {algorithm:?}") };
        let key = K::prepare(algorithm, &material).unwrap_or_else(|| panic!("{of}, {algorithm:?}"));
        assert_signs(of, algorithm, &key, &material);
    }
    assert!(K::generate(Algorithm::HS256).is_none(), "{of}");
}

fn assert_signs<K: Sign>(of: &str, algorithm: Algorithm, key: &K, material: &PrivateMaterial<'_>) {
    let public = key.public();
    let public = match (material, &public) {
        (PrivateMaterial::Rsa(key), None) => {
            Material::Rsa { n: key.modulus.as_bytes(), e: key.public_exponent.as_bytes() }
        }
        (PrivateMaterial::Ec(curve, _), Some(point)) => Material::Ec(*curve, point),
        (PrivateMaterial::Ed25519(_), Some(key)) => Material::Ed25519(key),
        (PrivateMaterial::MlDsa { set, .. }, Some(key)) => Material::MlDsa(*set, key),
        _ => panic!("{of}, {algorithm:?}: no public key, or one too many"),
    };
    let public = Key::from_jwk(algorithm, None, public).unwrap();
    for length in [0, 1, 1000] {
        let message = vec![7; length];
        let signature = key.sign(&message).unwrap();
        assert!(public.verify(&message, &signature), "{of}, {algorithm:?}, {length}");
        assert!(!public.verify(&[message, vec![7]].concat(), &signature), "{of}, {algorithm:?}, {length}");
    }
}

const QUICK: [Algorithm; 7] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::ES512,
    Algorithm::EdDSA,
    Algorithm::MlDsa44,
    Algorithm::MlDsa65,
    Algorithm::MlDsa87,
];

#[cfg(feature = "aws-lc-rs")]
#[test]
fn aws_lc_signs() {
    signs::<aws_lc::PrivateKey>("aws-lc-rs");
    generates::<aws_lc::PrivateKey>("aws-lc-rs", &QUICK);
    generates::<aws_lc::PrivateKey>("aws-lc-rs", &[Algorithm::RS256]);
}

#[cfg(feature = "rust-crypto")]
#[test]
fn rust_crypto_signs() {
    signs::<rust_crypto::PrivateKey>("rust-crypto");
    // Without optimization it takes long to find RSA keys.
    generates::<rust_crypto::PrivateKey>("rust-crypto", &QUICK);
}

#[cfg(all(feature = "graviola", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[test]
fn graviola_signs() {
    signs::<graviola::PrivateKey>("graviola");
    generates::<graviola::PrivateKey>("graviola", &QUICK);
    generates::<graviola::PrivateKey>("graviola", &[Algorithm::RS256]);
}
