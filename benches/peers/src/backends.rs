//! Crypto providers for older jsonwebtoken versions. A process has one for each version, which may be a custom
//! mix. Here each algorithm uses the faster of the two that the crate offers.

/// Installs the crypto provider of one version.
macro_rules! install {
    ($version:ident) => {{
        use $version::Algorithm;
        use $version::crypto::{CryptoProvider, aws_lc, rust_crypto};

        let provider = CryptoProvider {
            verifier_factory: |algorithm, key| match algorithm {
                Algorithm::HS256 => (rust_crypto::DEFAULT_PROVIDER.verifier_factory)(algorithm, key),
                _ => (aws_lc::DEFAULT_PROVIDER.verifier_factory)(algorithm, key),
            },
            ..aws_lc::DEFAULT_PROVIDER.clone()
        };
        let installed = Box::leak(Box::new(provider)).install_default();
        assert!(installed.is_ok(), "there was one before");
    }};
}

/// Installs the back ends for all peers that use version 10 or 11. Version 9 supports only ring, and
/// version 12 has one back end here.
///
/// # Panics
///
/// Panics if called twice.
pub(crate) fn install() {
    install!(jsonwebtoken10);
    install!(jsonwebtoken11);
}
