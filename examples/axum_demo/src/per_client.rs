//! Counts what each client has under way, and gives it a share. Some of that may run at the same time.
//!
//! An IPv6 /48 network gets twice the share of a /64. It may belong to one attacker, or to many households.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::client_address::Client;

/// The clients with something under way. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct PerClient {
    share: usize,
    running: usize,
    /// By address and by network.
    clients: Arc<Mutex<HashMap<String, UnderWay>>>,
}

#[derive(Debug)]
struct UnderWay {
    visits: usize,
    running: Arc<Semaphore>,
}

/// A part of a client's share, until it is dropped.
pub(crate) struct Visit(Vec<Part>);

/// A part of the share of an address or a network.
struct Part {
    clients: PerClient,
    name: String,
    running: Arc<Semaphore>,
}

impl PerClient {
    pub(crate) fn new(share: usize, running: usize) -> Self {
        Self { share, running, clients: Arc::default() }
    }

    /// Returns `None` if the client's share is in use.
    pub(crate) fn visit(&self, client: &Client) -> Option<Visit> {
        let address = self.part(&client.address, 1)?;
        let network = match &client.network {
            Some(network) => Some(self.part(network, 2)?),
            None => None,
        };
        Some(Visit([address].into_iter().chain(network).collect()))
    }

    fn part(&self, name: &str, factor: usize) -> Option<Part> {
        let mut clients = self.clients();
        let known = clients.entry(name.to_owned()).or_insert_with(|| UnderWay {
            visits: 0,
            running: Arc::new(Semaphore::new(self.running * factor)),
        });
        if known.visits >= self.share * factor {
            return None;
        }
        known.visits += 1;
        let running = Arc::clone(&known.running);
        Some(Part { clients: self.clone(), name: name.to_owned(), running })
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, UnderWay>> {
        // Nothing under the lock can panic.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit {
    /// Waits until the visit may run.
    pub(crate) async fn run(&self) -> Result<Vec<OwnedSemaphorePermit>, AcquireError> {
        let mut running = Vec::with_capacity(self.0.len());
        for part in &self.0 {
            running.push(Arc::clone(&part.running).acquire_owned().await?);
        }
        Ok(running)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut clients = self.clients.clients();
        match clients.get_mut(&self.name) {
            Some(client) if client.visits > 1 => client.visits -= 1,
            _ => drop(clients.remove(&self.name)),
        }
    }
}
