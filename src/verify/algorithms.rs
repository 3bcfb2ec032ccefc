//! A set of algorithms.

use std::fmt::{self, Display, Formatter};

use crate::algorithm::Algorithm;

const _: () = assert!(Algorithm::ALL.len() <= u16::BITS as usize);

/// A set of algorithms with one bit for each.
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
        let contained = Algorithm::ALL.iter().filter(|algorithm| self.contain(**algorithm));
        for (position, algorithm) in contained.enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}`{algorithm}`")?;
        }
        Ok(())
    }
}

#[inline]
fn bit(algorithm: Algorithm) -> u16 {
    1 << algorithm as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_contains_only_its_algorithms() {
        for &one in Algorithm::ALL {
            let set = Algorithms::from_iter([one]);
            for &other in Algorithm::ALL {
                assert_eq!(set.contain(other), one == other, "{one}, {other}");
            }
            assert_eq!(set.to_string(), format!("`{one}`"));
            assert!(Algorithms::ALL.contain(one));
        }
        assert!(Algorithms::from_iter([]).is_empty());
        assert_eq!(
            Algorithms::from_iter([Algorithm::EdDSA, Algorithm::HS256]).to_string(),
            "`HS256`, `EdDSA`"
        );
    }
}
