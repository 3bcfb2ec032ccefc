//! Counts what each client has under way, and gives it a share. Some of that may run at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

/// The clients with something under way. Clones share it.
#[derive(Clone)]
pub(crate) struct PerClient {
    share: usize,
    running: usize,
    clients: Arc<Mutex<HashMap<String, Client>>>,
}

struct Client {
    visits: usize,
    running: Arc<Semaphore>,
}

/// A part of a client's share, until it is dropped.
pub(crate) struct Visit {
    clients: PerClient,
    client: String,
    /// One permit for each visit of the client that may run.
    pub(crate) running: Arc<Semaphore>,
}

impl PerClient {
    pub(crate) fn new(share: usize, running: usize) -> Self {
        Self { share, running, clients: Arc::default() }
    }

    /// Returns `None` if the client's share is in use.
    pub(crate) fn visit(&self, client: &str) -> Option<Visit> {
        let mut clients = self.clients();
        let known = clients
            .entry(client.to_owned())
            .or_insert_with(|| Client { visits: 0, running: Arc::new(Semaphore::new(self.running)) });
        if known.visits >= self.share {
            return None;
        }
        known.visits += 1;
        let running = Arc::clone(&known.running);
        Some(Visit { clients: self.clone(), client: client.to_owned(), running })
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, Client>> {
        // Nothing under the lock can panic.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut clients = self.clients.clients();
        match clients.get_mut(&self.client) {
            Some(client) if client.visits > 1 => client.visits -= 1,
            _ => drop(clients.remove(&self.client)),
        }
    }
}
