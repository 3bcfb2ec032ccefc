//! The reasons for a reader of the keys to do more than read them, in one byte: most requests only compare it with zero.

use crate::sync::atomic::{AtomicU8, Ordering};

/// A set of [`Sign`]s.
#[derive(Debug)]
pub(crate) struct Signs(AtomicU8);

#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Sign {
    /// No background task runs.
    NoTask = 1,
    /// The last refresh failed, and the held keys are still in use.
    Stale = 2,
    /// Nobody has used the keys since the task has set this sign.
    Unused = 4,
    /// The held keys were unused for long. The provider has to confirm them before their next use.
    AtRest = 8,
}

impl Signs {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(Sign::NoTask as u8))
    }

    #[inline]
    pub(crate) fn are_clear(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    pub(crate) fn has(&self, sign: Sign) -> bool {
        self.0.load(Ordering::Acquire) & sign as u8 != 0
    }

    /// Returns true if the sign was not set before.
    pub(crate) fn set(&self, sign: Sign) -> bool {
        !self.has(sign) && self.0.fetch_or(sign as u8, Ordering::AcqRel) & sign as u8 == 0
    }

    /// Returns true if the sign was set before. Writes only then, so that requests share the memory.
    pub(crate) fn clear(&self, sign: Sign) -> bool {
        self.has(sign) && self.0.fetch_and(!(sign as u8), Ordering::AcqRel) & sign as u8 != 0
    }

    pub(crate) fn put(&self, sign: Sign, is_set: bool) {
        if is_set {
            self.set(sign)
        } else {
            self.clear(sign)
        };
    }
}
