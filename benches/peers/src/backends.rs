//! The back ends of jsonwebtoken. An application has one for the whole process, and may put one together: here each
//! algorithm has the faster of the two that the crate brings.

use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::{CryptoProvider, aws_lc, rust_crypto};
use jsonwebtoken10::crypto as crypto10;

/// For all peers that are built on version 10 or 11. Version 9 knows ring alone.
///
/// # Panics
///
/// Panics if it is called twice.
pub(crate) fn install() {
    let provider = CryptoProvider {
        verifier_factory: |algorithm, key| match algorithm {
            Algorithm::HS256 => (rust_crypto::DEFAULT_PROVIDER.verifier_factory)(algorithm, key),
            _ => (aws_lc::DEFAULT_PROVIDER.verifier_factory)(algorithm, key),
        },
        ..aws_lc::DEFAULT_PROVIDER.clone()
    };
    let installed = Box::leak(Box::new(provider)).install_default();
    assert!(installed.is_ok(), "there was one before");

    let provider = crypto10::CryptoProvider {
        verifier_factory: |algorithm, key| match algorithm {
            jsonwebtoken10::Algorithm::HS256 => {
                (crypto10::rust_crypto::DEFAULT_PROVIDER.verifier_factory)(algorithm, key)
            }
            _ => (crypto10::aws_lc::DEFAULT_PROVIDER.verifier_factory)(algorithm, key),
        },
        ..crypto10::aws_lc::DEFAULT_PROVIDER.clone()
    };
    let installed = Box::leak(Box::new(provider)).install_default();
    assert!(installed.is_ok(), "there was one before");
}
