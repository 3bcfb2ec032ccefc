//! Synchronization types. The concurrency tests in `tests/model` replace them with instrumented ones.

pub(crate) use std::sync::*;
