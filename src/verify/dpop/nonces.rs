//! Nonces that need no memory: each contains its time and a MAC over it (RFC 9449, section 9).

use std::time::Duration;

use http::HeaderValue;

use crate::algorithm::Algorithm;
use crate::config_error::ConfigError;
use crate::crypto::secret::{self, Secret};
use crate::verify::base64url::{Buffer, encode};

/// Issues and checks nonces with a secret that all processes share.
#[derive(Clone)]
pub(super) struct Nonces(Secret);

/// The state of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    /// Valid, but in the second half of its lifetime.
    Ending,
    /// Too old, or not from this service.
    Invalid,
}

/// Separates the MAC from other uses of the secret.
const CONTEXT: &[u8] = b"DPoP-Nonce ";
/// The clocks of two processes may differ by this much.
const CLOCK_SKEW: Duration = Duration::from_secs(60);
const TIME: usize = size_of::<u64>();
/// The length of a nonce, and the extra room of the decoder.
const USUAL_NONCE: usize = TIME + 32 + 2;

impl Nonces {
    pub(super) fn new(secret: &[u8]) -> Result<Self, ConfigError> {
        const ALGORITHM: Algorithm = Algorithm::HS256;
        secret::check(secret, ALGORITHM)?;
        let secret = Secret::prepare(ALGORITHM, secret).expect("HMAC takes keys of any length");
        Ok(Self(secret))
    }

    /// Returns the nonce of this time, since 1970.
    pub(super) fn issue(&self, now: Duration) -> HeaderValue {
        let time = now.as_secs().to_be_bytes();
        let nonce = [&time, &*self.0.sign(&message(time))].concat();
        HeaderValue::try_from(encode(&nonce)).expect("base64url is valid in a header")
    }

    pub(super) fn age(&self, nonce: &str, lifetime: Duration, now: Duration) -> Age {
        let mut buffer = Buffer::<USUAL_NONCE>::new();
        let Some(bytes) = buffer.decode(nonce.as_bytes()) else {
            return Age::Invalid;
        };
        let Some((time, mac)) = bytes.split_first_chunk::<TIME>() else {
            return Age::Invalid;
        };
        if !self.0.verify(&message(*time), mac) {
            return Age::Invalid;
        }
        let issued = Duration::from_secs(u64::from_be_bytes(*time));
        if issued > now.saturating_add(CLOCK_SKEW) {
            return Age::Invalid;
        }
        match now.saturating_sub(issued) {
            age if age >= lifetime => Age::Invalid,
            age if age >= lifetime / 2 => Age::Ending,
            _ => Age::Fresh,
        }
    }
}

fn message(time: [u8; TIME]) -> [u8; CONTEXT.len() + TIME] {
    let mut message = [0; CONTEXT.len() + TIME];
    let (context, rest) = message.split_at_mut(CONTEXT.len());
    context.copy_from_slice(CONTEXT);
    rest.copy_from_slice(&time);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn nonce_ages_with_its_time() {
        let nonces = Nonces::new(b"a secret of thirty-two bytes ...").unwrap();
        let other = Nonces::new(b"another secret of thirty-two ...").unwrap();
        let issued = Duration::from_secs(1_800_000_000);
        let nonce = nonces.issue(issued);
        let nonce = nonce.to_str().unwrap();
        for (passed, expected) in
            [(0, Age::Fresh), (149, Age::Fresh), (150, Age::Ending), (299, Age::Ending), (300, Age::Invalid)]
        {
            let now = issued + Duration::from_secs(passed);
            assert_eq!(nonces.age(nonce, 5 * MINUTE, now), expected, "{passed}");
            assert_eq!(other.age(nonce, 5 * MINUTE, now), Age::Invalid, "{passed}");
        }
        assert_eq!(nonces.age(nonce, 5 * MINUTE, issued - MINUTE), Age::Fresh);
        assert_eq!(nonces.age(nonce, 5 * MINUTE, issued - MINUTE - MINUTE / 60), Age::Invalid);
    }

    #[test]
    fn rejects_every_changed_nonce() {
        let nonces = Nonces::new(b"a secret of thirty-two bytes ...").unwrap();
        let now = Duration::from_secs(1_800_000_000);
        let nonce = nonces.issue(now).to_str().unwrap().to_owned();
        for position in 0..nonce.len() {
            let mut changed = nonce.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(nonces.age(&changed, MINUTE, now), Age::Invalid, "{changed}");
        }
        for text in ["", "AAAA", &nonce[..nonce.len() - 1], &nonce[..11], &format!("{nonce}A"), "é"] {
            assert_eq!(nonces.age(text, MINUTE, now), Age::Invalid, "{text}");
        }
    }
}
