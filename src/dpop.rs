//! Tokens that are bound to a key of the client (RFC 9449, feature `dpop`).

#[cfg(feature = "issue")]
pub use crate::issue::dpop_key::DpopKey;
#[cfg(feature = "redis")]
pub use crate::verify::dpop::RedisReplayStore;
pub use crate::verify::dpop::{Dpop, ProofId, ReplayFuture, ReplayStore};
