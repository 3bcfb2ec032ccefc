//! So many things at once of one client, so that none of them takes all the places there are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts those who are inside, and holds nobody else. Clones share it.
#[derive(Clone)]
pub(crate) struct PerClient {
    most: usize,
    inside: Arc<Mutex<HashMap<String, usize>>>,
}

/// Counts until it is dropped.
pub(crate) struct Inside {
    clients: PerClient,
    client: String,
}

impl PerClient {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, inside: Arc::default() }
    }

    /// None if as many of the client are inside as may be.
    pub(crate) fn enter(&self, client: &str) -> Option<Inside> {
        let mut counts = self.counts();
        let count = counts.get(client).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        counts.insert(client.to_owned(), count + 1);
        Some(Inside { clients: self.clone(), client: client.to_owned() })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Nothing that panics happens under the lock.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut counts = self.clients.counts();
        match counts.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_only_those_who_are_inside() {
        let clients = PerClient::new(2);
        let first = clients.enter("192.0.2.1").unwrap();
        let second = clients.enter("192.0.2.1").unwrap();
        assert!(clients.enter("192.0.2.1").is_none());
        let other = clients.enter("192.0.2.2").unwrap();
        drop(first);
        assert!(clients.enter("192.0.2.1").is_some());
        drop((second, other));
        assert!(clients.counts().is_empty());
    }
}
