//! Counters that threads do not contend for.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Hits and misses, in as many parts as there are threads, up to 16. A shared counter would make each hit wait for the cache
/// line that another core has written.
pub(super) struct Counts(Box<[Part]>);

const PARTS: usize = 16;

/// As far from the next one as cores share memory by.
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

/// The part that this thread writes to.
#[inline]
fn own_part() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static PART: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PARTS);
    // A thread that is ending may have none.
    PART.try_with(|part| *part).unwrap_or_default()
}
