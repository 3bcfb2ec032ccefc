//! Limits concurrent requests. Some others wait.
//!
//! Each client has a share of both, so a flood from one client leaves room for others. A flood from many clients leaves
//! the places that are kept for users at known addresses.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::client_address::Client;
use crate::error::ApiError;
use crate::per_client::{PerClient, Visit};

/// The bounds of a [`Gate`].
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Requests of one client, running or waiting.
    pub(crate) share: usize,
    /// Requests of one client that hold a place or wait for one. The rest of its share waits for these.
    pub(crate) running: usize,
    /// Concurrent requests.
    pub(crate) places: usize,
    /// Further concurrent requests of users at known addresses.
    pub(crate) kept: usize,
    /// Requests that wait for a place, for each kind of place.
    pub(crate) line: usize,
    pub(crate) longest_wait: Duration,
}

/// Admits a bounded number of requests. Clones share the state.
#[derive(Clone)]
pub(crate) struct Gate {
    clients: PerClient,
    places: Places,
    kept: Places,
    longest_wait: Duration,
}

#[derive(Clone)]
struct Places {
    permits: Arc<Semaphore>,
    line: Arc<Semaphore>,
}

/// An admitted request. Dropping it admits the next one.
pub(crate) struct Inside {
    _place: OwnedSemaphorePermit,
    _running: Vec<OwnedSemaphorePermit>,
    _visit: Visit,
}

impl Gate {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let [places, kept] = [bounds.places, bounds.kept].map(|permits| Places {
            permits: Arc::new(Semaphore::new(permits)),
            line: Arc::new(Semaphore::new(bounds.line)),
        });
        Self {
            clients: PerClient::new(bounds.share, bounds.running),
            places,
            kept,
            longest_wait: bounds.longest_wait,
        }
    }

    /// Rejects a request if the share of its client is in use.
    pub(crate) fn visit(&self, client: &Client) -> Result<Visit, ApiError> {
        self.clients.visit(client).ok_or(ApiError::TOO_MANY_AT_ONCE)
    }

    /// Admits a request, first come, first served.
    ///
    /// Rejects it at once if the queue is full, or later if it waits too long.
    pub(crate) async fn enter(&self, visit: Visit, is_known: bool) -> Result<Inside, ApiError> {
        let deadline = Instant::now() + self.longest_wait;
        let running = timeout_at(deadline, visit.run()).await;
        let running = running.map_err(|_| ApiError::TOO_MANY_AT_ONCE)?.map_err(ApiError::internal)?;
        // A freed permit goes to a waiting request first, so this cannot overtake the queue.
        let place = match Arc::clone(&self.places.permits).try_acquire_owned() {
            Ok(place) => place,
            Err(_) if is_known => self.kept.wait(deadline).await?,
            Err(_) => self.places.wait(deadline).await?,
        };
        Ok(Inside { _place: place, _running: running, _visit: visit })
    }
}

impl Places {
    async fn wait(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, ApiError> {
        let _in_line = self.line.try_acquire().map_err(|_| ApiError::TOO_BUSY)?;
        let place = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await;
        place.map_err(|_| ApiError::TOO_BUSY)?.map_err(ApiError::internal)
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::{self, JoinHandle};

    use super::*;

    const BOUNDS: Bounds =
        Bounds { share: 3, running: 2, places: 2, kept: 1, line: 1, longest_wait: Duration::from_secs(60) };

    fn client(name: &str) -> Client {
        Client { address: name.to_owned(), network: None }
    }

    async fn enter(gate: &Gate, client: &str) -> Result<Inside, ApiError> {
        gate.enter(gate.visit(&self::client(client))?, false).await
    }

    /// Starts a request and lets it run until it waits.
    async fn ask(gate: &Gate, client: &'static str) -> JoinHandle<Result<Inside, ApiError>> {
        let gate = gate.clone();
        let asked = task::spawn(async move { enter(&gate, client).await });
        for _ in 0..10 {
            task::yield_now().await;
        }
        asked
    }

    #[tokio::test]
    async fn rejects_requests_beyond_the_bounds() {
        let gate = Gate::new(BOUNDS);
        let mut inside = vec![enter(&gate, "a").await.unwrap(), enter(&gate, "a").await.unwrap()];
        let third = ask(&gate, "a").await;
        assert!(
            enter(&gate, "a").await.is_err_and(|error| error.is(&ApiError::TOO_MANY_AT_ONCE)),
            "the share"
        );
        let waiting = ask(&gate, "b").await;
        assert!(enter(&gate, "c").await.is_err_and(|error| error.is(&ApiError::TOO_BUSY)), "the queue");
        assert!(gate.enter(gate.visit(&client("c")).unwrap(), true).await.is_ok(), "a place is kept");
        assert!(!third.is_finished() && !waiting.is_finished());
        inside.pop();
        assert!(waiting.await.unwrap().is_ok(), "first come, first served");
        inside.clear();
        assert!(third.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn rejects_requests_after_the_longest_wait() {
        let gate = Gate::new(Bounds { longest_wait: Duration::ZERO, ..BOUNDS });
        let _inside = [enter(&gate, "a").await.unwrap(), enter(&gate, "a").await.unwrap()];
        assert!(enter(&gate, "a").await.is_err_and(|error| error.is(&ApiError::TOO_MANY_AT_ONCE)));
        assert!(enter(&gate, "b").await.is_err_and(|error| error.is(&ApiError::TOO_BUSY)));
    }
}
