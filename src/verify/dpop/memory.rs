//! The proofs that this process has accepted (RFC 9449, section 11.1).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::replay_store::ProofId;
use crate::sync::{Mutex, MutexGuard};

/// Remembers each proof until its time has passed. A full memory accepts no other proof.
pub(super) struct Memory {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    held: AtomicUsize,
    max: usize,
    began: Instant,
}

#[derive(Default)]
struct Shard {
    /// By the first half of the ID, which is a hash.
    proofs: HashMap<[u8; 16], Ends>,
    /// The second of the last sweep.
    swept: u64,
}

/// When a proof ends, in seconds by two clocks. Both must have passed, as the system's clock may be set.
struct Ends {
    /// Since 1970.
    clock: u64,
    /// Since the memory began.
    steady: u64,
}

/// The result of recording a proof.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    First,
    Again,
    Full,
}

const SHARDS: usize = 64;
/// The system's clock was wrong if a proof ends later than this after its steady end. It is then forgotten.
const LONGEST_SETBACK: u64 = 3600;

impl Memory {
    pub(super) fn new(max: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            held: AtomicUsize::new(0),
            max,
            began: Instant::now(),
        }
    }

    /// Records a proof until `ends`, which is since 1970 like `now`.
    pub(super) fn record(&self, proof: &ProofId, ends: Duration, now: Duration) -> Recorded {
        self.record_at(proof, ends, now, self.began.elapsed())
    }

    fn record_at(&self, proof: &ProofId, ends: Duration, now: Duration, steady: Duration) -> Recorded {
        let recorded = self.try_record(proof, ends, now, steady);
        if recorded != Recorded::Full {
            return recorded;
        }
        // Other shards may hold proofs that have ended.
        for shard in &self.shards {
            self.sweep(&mut lock(shard), now, steady);
        }
        self.try_record(proof, ends, now, steady)
    }

    fn try_record(&self, proof: &ProofId, ends: Duration, now: Duration, steady: Duration) -> Recorded {
        let (id, _) = proof.as_bytes().split_first_chunk::<16>().expect("an ID has 32 bytes");
        let shard = self.hasher.hash_one(id) as usize % SHARDS;
        let mut shard = lock(&self.shards[shard]);
        self.sweep(&mut shard, now, steady);
        if shard.proofs.contains_key(id) {
            return Recorded::Again;
        }
        if self.held.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.held.fetch_sub(1, Ordering::Relaxed);
            return Recorded::Full;
        }
        let steady_end = steady.saturating_add(ends.saturating_sub(now));
        shard.proofs.insert(*id, Ends { clock: rounded_up(ends), steady: rounded_up(steady_end) });
        Recorded::First
    }

    /// Forgets proofs that have ended, at most once a second.
    fn sweep(&self, shard: &mut Shard, now: Duration, steady: Duration) {
        let (now, steady) = (now.as_secs(), steady.as_secs());
        if shard.swept == steady {
            return;
        }
        shard.swept = steady;
        let before = shard.proofs.len();
        shard.proofs.retain(|_, ends| {
            let has_ended = now >= ends.clock || ends.clock - now > LONGEST_SETBACK;
            steady < ends.steady || !has_ended
        });
        let after = shard.proofs.len();
        self.held.fetch_sub(before - after, Ordering::Relaxed);
        if after < shard.proofs.capacity() / 4 {
            shard.proofs.shrink_to(after * 2);
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rounded_up(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}
