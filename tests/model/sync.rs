//! In place of `src/sync.rs`: every access is a choice of the scheduler's.

pub(crate) use shuttle::sync::*;
