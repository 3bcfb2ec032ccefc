//! Proofs of possession ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).

#[cfg(feature = "redis")]
pub use crate::verify::dpop::RedisReplayStore;
pub use crate::verify::dpop::{ProofId, ReplayFuture, ReplayStore};
