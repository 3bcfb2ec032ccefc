//! Key types, with their names and sizes.

/// The type of key that an algorithm needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyType {
    Secret,
    Rsa,
    Ec(Curve),
    Ed25519,
    MlDsa(ParameterSet),
}

/// A curve of ECDSA (RFC 7518, section 6.2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

/// A parameter set of ML-DSA (FIPS 204, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterSet {
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

impl KeyType {
    /// Returns the name of the type for an error text.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Secret => "a symmetric secret",
            Self::Rsa => "an RSA key",
            Self::Ec(Curve::P256) => "a P-256 key",
            Self::Ec(Curve::P384) => "a P-384 key",
            Self::Ec(Curve::P521) => "a P-521 key",
            Self::Ed25519 => "an Ed25519 key",
            Self::MlDsa(ParameterSet::MlDsa44) => "an ML-DSA-44 key",
            Self::MlDsa(ParameterSet::MlDsa65) => "an ML-DSA-65 key",
            Self::MlDsa(ParameterSet::MlDsa87) => "an ML-DSA-87 key",
        }
    }
}

impl Curve {
    pub(crate) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// Returns the `crv` of a JWK.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Returns the length of a coordinate, which is also the length of a private key.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

impl ParameterSet {
    pub(crate) const ALL: [Self; 3] = [Self::MlDsa44, Self::MlDsa65, Self::MlDsa87];

    /// Returns the length of a public key (FIPS 204, table 2).
    pub(crate) const fn public_key_bytes(self) -> usize {
        match self {
            Self::MlDsa44 => 1312,
            Self::MlDsa65 => 1952,
            Self::MlDsa87 => 2592,
        }
    }
}
