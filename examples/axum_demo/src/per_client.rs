//! Bounds the concurrent and the waiting requests of each client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

/// The clients with at least one request. Clones share it.
#[derive(Clone)]
pub(crate) struct PerClient {
    share: usize,
    line: usize,
    clients: Arc<Mutex<HashMap<String, Client>>>,
}

struct Client {
    requests: usize,
    share: Arc<Semaphore>,
}

/// A request of a client, counted until it is dropped.
pub(crate) struct Visit {
    clients: PerClient,
    client: String,
    share: Arc<Semaphore>,
}

impl PerClient {
    pub(crate) fn new(share: usize, line: usize) -> Self {
        Self { share, line, clients: Arc::default() }
    }

    /// Returns `None` if the client's share is in use and its queue is full.
    pub(crate) fn visit(&self, client: &str) -> Option<Visit> {
        let mut clients = self.clients();
        let known = clients
            .entry(client.to_owned())
            .or_insert_with(|| Client { requests: 0, share: Arc::new(Semaphore::new(self.share)) });
        if known.requests >= self.share + self.line {
            return None;
        }
        known.requests += 1;
        let share = Arc::clone(&known.share);
        Some(Visit { clients: self.clone(), client: client.to_owned(), share })
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.clients().is_empty()
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, Client>> {
        // Nothing under the lock can panic.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit {
    /// The semaphore with one permit for each concurrent request of the client.
    pub(crate) fn share(&self) -> Arc<Semaphore> {
        Arc::clone(&self.share)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut clients = self.clients.clients();
        match clients.get_mut(&self.client) {
            Some(client) if client.requests > 1 => client.requests -= 1,
            _ => drop(clients.remove(&self.client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_clients_without_requests() {
        let clients = PerClient::new(1, 1);
        let first = clients.visit("192.0.2.1").unwrap();
        let second = clients.visit("192.0.2.1").unwrap();
        assert!(clients.visit("192.0.2.1").is_none());
        let other = clients.visit("192.0.2.2").unwrap();
        drop(first);
        assert!(clients.visit("192.0.2.1").is_some());
        drop((second, other));
        assert!(clients.is_empty());
    }
}
