use std::sync::atomic::{AtomicU64, Ordering};

/// A count of tokens, in parts, so that threads that count at once seldom write to the same one.
#[derive(Default)]
pub(super) struct Count([Part; 16]);

/// As far from the next one as processors share memory by.
#[derive(Default)]
#[repr(align(128))]
struct Part(AtomicU64);

impl Count {
    #[inline]
    pub(super) fn add(&self, token: &[u8]) {
        // The last byte of a signature may be one of a few only; the one before it is as good as random.
        let part = token.iter().nth_back(1).map_or(0, |byte| usize::from(byte % 16));
        self.0[part].0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.iter().map(|part| part.0.load(Ordering::Relaxed)).sum()
    }
}
