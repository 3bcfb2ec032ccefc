//! Counters without contention between threads.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Hits and misses, in separate counters for up to 16 threads. With a shared counter, each hit would wait for the cache
/// line that another core has written.
pub(super) struct Counts(Box<[Part]>);

const PARTS: usize = 16;

/// Aligned so that no two parts share a cache line.
#[derive(Default)]
#[repr(align(128))]
struct Part {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self((0..PARTS).map(|_| Part::default()).collect())
    }

    #[inline]
    pub(super) fn add(&self, is_hit: bool) {
        let part = &self.0[own_part()];
        if is_hit { &part.hits } else { &part.misses }.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn hits(&self) -> u64 {
        self.0.iter().map(|part| part.hits.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn misses(&self) -> u64 {
        self.0.iter().map(|part| part.misses.load(Ordering::Relaxed)).sum()
    }
}

/// Returns the index of the part of this thread.
#[inline]
fn own_part() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static PART: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PARTS);
    // A terminating thread may have lost its index.
    PART.try_with(|part| *part).unwrap_or_default()
}
