//! The store through which several processes accept a proof only once.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64_simd::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Remembers the proofs that several processes have accepted.
///
/// `RedisReplayStore` (feature `redis`) is one. Implement the trait for your database, as in this example for the threads
/// of one process:
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use std::time::{Duration, Instant};
/// use tower_jwt_auth::dpop::{ProofId, ReplayFuture, ReplayStore};
///
/// #[derive(Default)]
/// struct Proofs(Mutex<HashMap<ProofId, Instant>>);
///
/// impl ReplayStore for Proofs {
///     fn record(&self, proof: ProofId, keep: Duration) -> ReplayFuture {
///         let (mut proofs, now) = (self.0.lock().unwrap(), Instant::now());
///         proofs.retain(|_, end| now < *end);
///         let is_new = proofs.insert(proof, now + keep).is_none();
///         Box::pin(async move { Ok(is_new) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # use std::time::SystemTime;
/// let store = Proofs::default();
/// let proof = ProofId::new(&[0; 32], "e1j3V_bKic8-LAEB", SystemTime::now());
/// assert!(store.record(proof, Duration::from_secs(60)).await.unwrap());
/// assert!(!store.record(proof, Duration::from_secs(60)).await.unwrap());
/// # }
/// ```
///
/// See [RFC 9449, section 11.1](https://www.rfc-editor.org/rfc/rfc9449#section-11.1).
pub trait ReplayStore: Send + Sync {
    /// Records a proof. Returns true if nobody has recorded it before.
    ///
    /// - Of several calls for one proof at the same time, at most one may return true.
    /// - Keep the record for this duration. It is some seconds longer than verifiers accept the proof. Add more if the clocks
    ///   of your machines differ by more.
    /// - Do not block the thread: the deadline applies to the future.
    /// - Return an error if an earlier record may be lost, for example after a restart without data. Compare
    ///   [`ProofId::valid_from`] with the time of the loss.
    /// - The future may be dropped before it is ready. The proof may be recorded then or not.
    ///
    /// The request gets 503 after an error, and if the future takes too long.
    fn record(&self, proof: ProofId, keep: Duration) -> ReplayFuture;
}

impl<T: ReplayStore + ?Sized> ReplayStore for Arc<T> {
    fn record(&self, proof: ProofId, keep: Duration) -> ReplayFuture {
        (**self).record(proof, keep)
    }
}

/// The future of [`ReplayStore::record`].
pub type ReplayFuture = Pin<Box<dyn Future<Output = Result<bool, Box<dyn Error + Send + Sync>>> + Send>>;

/// Identifies a proof by its key and `jti`.
///
/// It is a SHA-256 hash, so it has a fixed length and tells nothing about the client. `Display` writes it in base64url: 43
/// characters.
#[derive(Clone, Copy)]
pub struct ProofId {
    hash: [u8; 32],
    valid_from: SystemTime,
}

impl ProofId {
    /// Creates the ID of a proof from the thumbprint of its key and its `jti`.
    ///
    /// `valid_from` is its `iat`, less the time that a client's clock may be ahead. The verifier creates the IDs. You need
    /// this to test your store.
    #[must_use]
    pub fn new(key: &[u8; 32], jti: &str, valid_from: SystemTime) -> Self {
        // The thumbprint has a fixed length, so the two parts cannot be confused.
        let hash = Sha256::new().chain_update(key).chain_update(jti).finalize().into();
        Self { hash, valid_from }
    }

    /// Returns the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Returns the time from which verifiers accept the proof.
    ///
    /// Nobody has recorded it earlier. A store that has lost all records before this time has not lost the record of this
    /// proof.
    #[must_use]
    pub const fn valid_from(&self) -> SystemTime {
        self.valid_from
    }
}

/// Compares the hashes only: a proof with the same key and `jti` is the same proof.
impl PartialEq for ProofId {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for ProofId {}

impl Hash for ProofId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl Display for ProofId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode_to_string(self.hash))
    }
}

impl fmt::Debug for ProofId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn ids_are_hashes_of_key_and_jti() {
        let now = SystemTime::now();
        let id = ProofId::new(&[1; 32], "a", now);
        // The SHA-256 of 32 bytes 0x01 and `a`.
        assert_eq!(id.to_string(), "Tcr6XAE9OmqEIwKqvSR3BtmJ29Qfk6GSs8mC9HAp_YI");
        assert_eq!(format!("{id:?}"), id.to_string());
        let mut ids = HashSet::from([id]);
        assert!(!ids.insert(ProofId::new(&[1; 32], "a", now + Duration::from_secs(1))), "another time");
        for (name, key, jti) in [
            ("another key", [2; 32], "a"),
            ("another jti", [1; 32], "b"),
            ("a longer jti", [1; 32], "aa"),
            ("no jti", [1; 32], ""),
        ] {
            assert!(ids.insert(ProofId::new(&key, jti, now)), "{name}");
        }
    }
}
