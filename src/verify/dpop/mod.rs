//! Proofs of possession (RFC 9449).

#[cfg(feature = "redis")]
mod redis;
mod replay_store;

#[cfg(feature = "redis")]
pub use self::redis::RedisReplayStore;
pub use self::replay_store::{ProofId, ReplayFuture, ReplayStore};
