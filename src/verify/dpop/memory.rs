//! The proofs that this process has accepted (RFC 9449, section 11.1).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
    /// The second of the last sweep of all shards.
    swept: AtomicU64,
}

#[derive(Default)]
struct Shard {
    /// Ends of proofs, by the first half of the ID, which is a hash.
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
            swept: AtomicU64::new(0),
        }
    }

    /// Records a proof until `ends`, which is since 1970 like `now`.
    pub(super) fn record(&self, proof: &ProofId, ends: Duration, now: Duration) -> Recorded {
        self.record_at(proof, ends, now, self.began.elapsed())
    }

    fn record_at(&self, proof: &ProofId, ends: Duration, now: Duration, steady: Duration) -> Recorded {
        let recorded = self.try_record(proof, ends, now, steady);
        let second = steady.as_secs();
        if recorded != Recorded::Full || self.swept.swap(second, Ordering::Relaxed) == second {
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

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use allocation_counter::measure;

    use super::*;

    const START: u64 = 1_800_000_000;

    /// A memory with both clocks, in seconds since they showed [`START`] and zero.
    struct Timed {
        memory: Memory,
        clock: i64,
        steady: u64,
    }

    impl Timed {
        fn new(max: usize) -> Self {
            Self { memory: Memory::new(max), clock: 0, steady: 0 }
        }

        /// Lets time pass on both clocks.
        fn pass(&mut self, seconds: u64) {
            self.clock += i64::try_from(seconds).unwrap();
            self.steady += seconds;
        }

        /// Records a proof that ends at this second of the system's clock.
        fn record(&self, number: u64, end: u64) -> Recorded {
            let proof = ProofId::new(&[0; 32], &number.to_string(), UNIX_EPOCH);
            let now = Duration::from_secs(START.checked_add_signed(self.clock).unwrap());
            self.memory.record_at(
                &proof,
                Duration::from_secs(START + end),
                now,
                Duration::from_secs(self.steady),
            )
        }

        /// Returns the number of proofs that are counted, which must be that of the held ones.
        fn held(&self) -> usize {
            let held = self.memory.shards.iter().map(|shard| lock(shard).proofs.len()).sum();
            assert_eq!(self.memory.held.load(Ordering::Relaxed), held);
            held
        }
    }

    #[test]
    fn proof_is_held_until_its_end() {
        let mut timed = Timed::new(1);
        assert_eq!(timed.record(1, 60), Recorded::First);
        for second in 1..60 {
            timed.pass(1);
            assert_eq!(timed.record(1, 60), Recorded::Again, "{second}");
            assert_eq!(timed.record(2, 60), Recorded::Full, "{second}");
        }
        timed.pass(1);
        assert_eq!(timed.record(2, 120), Recorded::First);
        assert_eq!(timed.held(), 1);
        assert_eq!(timed.record(1, 120), Recorded::Full, "its room is taken");
    }

    #[test]
    fn fractions_of_a_second_count_as_whole() {
        let memory = Memory::new(1);
        let proof = ProofId::new(&[0; 32], "j", UNIX_EPOCH);
        let (now, millis) = (Duration::from_secs(START), Duration::from_millis);
        let record =
            |passed: u64| memory.record_at(&proof, now + millis(1500), now + millis(passed), millis(passed));
        assert_eq!(record(0), Recorded::First);
        assert_eq!(record(1499), Recorded::Again);
        assert_eq!(record(1999), Recorded::Again);
        assert_eq!(record(2000), Recorded::First);
    }

    /// The later of both ends counts, so that no change of the system's clock lets a proof pass twice.
    #[test]
    fn changed_clock_ends_no_proof_early() {
        for (name, change, first_room) in [
            ("right", 0, 60),
            ("ahead by a minute", 60, 60),
            ("ahead by a day", 86_400, 60),
            ("back by a minute", -60, 120),
            ("back by nearly an hour", -3500, 3560),
            // The proof would be held for the day otherwise.
            ("back by a day", -86_400, 60),
        ] {
            let mut timed = Timed::new(1);
            assert_eq!(timed.record(1, 60), Recorded::First);
            timed.clock += change;
            for second in 1..first_room {
                timed.pass(1);
                assert_eq!(timed.record(1, 60), Recorded::Again, "{name}, {second}");
            }
            timed.pass(1);
            assert_eq!(timed.record(2, 1_000_000), Recorded::First, "{name}");
        }
    }

    #[test]
    fn flood_stays_within_the_maximum() {
        const MAX: u64 = 500;
        let mut timed = Timed::new(MAX as usize);
        let mut accepted = 0;
        for number in 0..20 * MAX {
            if number % 100 == 0 {
                timed.pass(1);
            }
            let end = u64::try_from(timed.clock).unwrap() + 10;
            accepted += usize::from(timed.record(number, end) == Recorded::First);
            assert!(timed.memory.held.load(Ordering::Relaxed) <= MAX as usize);
        }
        // Each period of ten seconds has room for `MAX` proofs and brings twice as many.
        assert!((9 * MAX as usize..=11 * MAX as usize).contains(&accepted), "{accepted}");
        assert_eq!(timed.held(), MAX as usize);
        timed.pass(10);
        assert_eq!(timed.record(u64::MAX, 1000), Recorded::First);
    }

    #[test]
    fn full_memory_looks_into_every_shard() {
        let mut timed = Timed::new(1000);
        (0..1000).for_each(|number| assert_eq!(timed.record(number, 60), Recorded::First));
        assert_eq!(timed.record(1000, 60), Recorded::Full);
        timed.pass(60);
        // Whichever shard it belongs to.
        assert_eq!(timed.record(1000, 120), Recorded::First);
        (1001..2000).for_each(|number| assert_eq!(timed.record(number, 120), Recorded::First, "{number}"));
        assert_eq!((timed.record(2000, 120), timed.held()), (Recorded::Full, 1000));
    }

    #[test]
    fn unused_memory_is_returned() {
        let mut timed = Timed::new(100_000);
        let capacity = |timed: &Timed| -> usize {
            timed.memory.shards.iter().map(|shard| lock(shard).proofs.capacity()).sum()
        };
        (0..10_000).for_each(|number| assert_eq!(timed.record(number, 60), Recorded::First));
        assert!(capacity(&timed) >= 10_000);
        timed.pass(60);
        (0..1000).for_each(|number| assert_eq!(timed.record(number, 120), Recorded::First));
        assert!(capacity(&timed) < 5000, "{}", capacity(&timed));
    }

    #[test]
    fn concurrent_proofs_are_counted_once() {
        const MAX: usize = 100;
        let memory = Memory::new(MAX);
        let now = Duration::from_secs(START);
        let record = |number: u64| {
            let proof = ProofId::new(&[0; 32], &number.to_string(), UNIX_EPOCH);
            memory.record_at(&proof, now + Duration::from_secs(60), now, Duration::ZERO)
        };
        let firsts = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..200 {
                        let is_first = record(number) == Recorded::First;
                        firsts.fetch_add(usize::from(is_first), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(firsts.load(Ordering::Relaxed), MAX);
        assert_eq!(memory.held.load(Ordering::Relaxed), MAX);
    }

    #[test]
    fn memory_of_no_size_accepts_nothing() {
        assert_eq!(Timed::new(0).record(1, 60), Recorded::Full);
    }

    #[test]
    fn proofs_take_at_most_documented_memory() {
        let now = Duration::from_secs(START);
        // The tables of nearly all shards have room left for the first number, and have just grown for the second.
        for (count, most) in [(200_000, 45), (235_000, 75)] {
            let memory = Memory::new(count);
            let measured = measure(|| {
                for number in 0..count {
                    let id = ProofId::new(&[0; 32], &number.to_string(), UNIX_EPOCH);
                    assert_eq!(memory.record(&id, now + Duration::from_secs(60), now), Recorded::First);
                }
            });
            let bytes = measured.bytes_current / i64::try_from(count).unwrap();
            assert!(bytes <= most, "{bytes} bytes for each of {count} proofs");
        }
    }
}
