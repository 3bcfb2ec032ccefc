//! Caches the delays of client addresses, so a delayed client costs no query.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::attempts::Subject;

/// Maximum number of entries. When it is reached, the cache is cleared: the database still has all delays.
const MOST: usize = 4_096;

/// The end of each delay, in milliseconds since 1970. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct HeldBack(Arc<Mutex<HashMap<Subject, i64>>>);

impl HeldBack {
    pub(crate) fn until(&self, subject: &Subject, now: i64) -> Option<i64> {
        let mut held = self.held();
        let until = held.get(subject).copied()?;
        if until <= now {
            held.remove(subject);
            return None;
        }
        Some(until)
    }

    pub(crate) fn hold(&self, subject: Subject, until: i64) {
        let mut held = self.held();
        if held.len() >= MOST {
            held.clear();
        }
        held.insert(subject, until);
    }

    pub(crate) fn release(&self, subject: &Subject) {
        self.held().remove(subject);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Subject, i64>> {
        // Nothing under the lock can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_and_drops_expired_delays() {
        let held_back = HeldBack::default();
        for number in 0..=MOST {
            held_back.hold(number.to_be_bytes().to_vec(), 10);
            assert!(held_back.held().len() <= MOST);
        }
        let last = MOST.to_be_bytes().to_vec();
        assert_eq!(held_back.until(&last, 9), Some(10));
        assert_eq!(held_back.until(&last, 10), None);
        assert!(held_back.held().is_empty());
    }
}
