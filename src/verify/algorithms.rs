//! A set of algorithms.

use std::fmt::{self, Display, Formatter};

use jsonwebtoken::Algorithm;

/// One bit for each algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Algorithms(u16);

impl Algorithms {
    pub(crate) const ALL: Self = Self(u16::MAX);

    #[inline]
    pub(crate) fn contain(self, algorithm: Algorithm) -> bool {
        self.0 & bit(algorithm) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(algorithms.into_iter().map(bit).fold(0, |all, bit| all | bit))
    }
}

impl Display for Algorithms {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let contained = KNOWN.into_iter().filter(|algorithm| self.contain(*algorithm));
        for (position, algorithm) in contained.enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}`{algorithm:?}`")?;
        }
        Ok(())
    }
}

const KNOWN: [Algorithm; 12] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

#[inline]
fn bit(algorithm: Algorithm) -> u16 {
    match algorithm {
        Algorithm::HS256 => 1,
        Algorithm::HS384 => 1 << 1,
        Algorithm::HS512 => 1 << 2,
        Algorithm::RS256 => 1 << 3,
        Algorithm::RS384 => 1 << 4,
        Algorithm::RS512 => 1 << 5,
        Algorithm::PS256 => 1 << 6,
        Algorithm::PS384 => 1 << 7,
        Algorithm::PS512 => 1 << 8,
        Algorithm::ES256 => 1 << 9,
        Algorithm::ES384 => 1 << 10,
        Algorithm::EdDSA => 1 << 11,
        // No key is made for any other.
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_what_it_was_made_of() {
        for one in KNOWN {
            let set = Algorithms::from_iter([one]);
            for other in KNOWN {
                assert_eq!(set.contain(other), one == other, "{one:?}, {other:?}");
            }
            assert_eq!(set.to_string(), format!("`{one:?}`"));
            assert!(Algorithms::ALL.contain(one));
        }
        assert!(Algorithms::from_iter([]).is_empty());
        assert_eq!(
            Algorithms::from_iter([Algorithm::EdDSA, Algorithm::HS256]).to_string(),
            "`HS256`, `EdDSA`"
        );
    }
}
