//! Limits concurrent requests. The others wait in bounded queues.
//!
//! Each client has a share of the places. Its other requests wait in a queue for that client. A flood from one client
//! therefore takes neither the places nor the queue space of others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::ApiError;
use crate::per_client::{PerClient, Visit};

/// The bounds of a [`Gate`].
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Concurrent requests.
    pub(crate) places: usize,
    /// Requests that wait for a place.
    pub(crate) line: usize,
    /// Requests of one client that hold a place or wait for one: its share.
    pub(crate) share: usize,
    /// Requests of one client that wait for its share.
    pub(crate) client_line: usize,
    /// Requests of all clients that wait for their shares.
    pub(crate) client_lines: usize,
    /// Maximum time in both queues together.
    pub(crate) longest_wait: Duration,
}

/// Admits a bounded number of requests. Clones share the state.
#[derive(Clone)]
pub(crate) struct Gate {
    clients: PerClient,
    client_lines: Arc<Semaphore>,
    places: Arc<Semaphore>,
    line: Arc<Semaphore>,
    longest_wait: Duration,
}

/// An admitted request. Dropping it admits the next one.
// Fields drop in order: the last request of a client returns its share before the client is removed.
pub(crate) struct Inside {
    _place: OwnedSemaphorePermit,
    _share: OwnedSemaphorePermit,
    _visit: Visit,
}

impl Gate {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            clients: PerClient::new(bounds.share, bounds.client_line),
            client_lines: Arc::new(Semaphore::new(bounds.client_lines)),
            places: Arc::new(Semaphore::new(bounds.places)),
            line: Arc::new(Semaphore::new(bounds.line)),
            longest_wait: bounds.longest_wait,
        }
    }

    /// Admits a request, first come, first served.
    ///
    /// Rejects the request at once if the queue is full, or later if it waits too long. The error is
    /// [`ApiError::TooManyAtOnce`] if its own client is the cause, else [`ApiError::TooBusy`].
    pub(crate) async fn enter(&self, client: &str) -> Result<Inside, ApiError> {
        let deadline = Instant::now() + self.longest_wait;
        let visit = self.clients.visit(client).ok_or(ApiError::TooManyAtOnce)?;
        let share = take(visit.share(), &self.client_lines, deadline, ApiError::TooManyAtOnce).await?;
        let place = take(Arc::clone(&self.places), &self.line, deadline, ApiError::TooBusy).await?;
        Ok(Inside { _place: place, _share: share, _visit: visit })
    }
}

/// Takes a permit, if necessary after waiting in `line`.
async fn take(
    permits: Arc<Semaphore>,
    line: &Semaphore,
    deadline: Instant,
    late: ApiError,
) -> Result<OwnedSemaphorePermit, ApiError> {
    // A freed permit goes to a waiting request first, so this cannot overtake the queue.
    if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
        return Ok(permit);
    }
    let _in_line = line.try_acquire().map_err(|_| ApiError::TooBusy)?;
    timeout_at(deadline, permits.acquire_owned()).await.map_err(|_| late)?.map_err(ApiError::internal)
}

#[cfg(test)]
mod tests {
    use tokio::task::{self, JoinHandle};

    use super::*;

    const BOUNDS: Bounds = Bounds {
        places: 3,
        line: 1,
        share: 2,
        client_line: 2,
        client_lines: 3,
        longest_wait: Duration::from_secs(60),
    };

    /// Starts a request and lets it run until it waits.
    async fn ask(gate: &Gate, client: &str) -> JoinHandle<Result<Inside, ApiError>> {
        let (gate, client) = (gate.clone(), client.to_owned());
        let asked = task::spawn(async move { gate.enter(&client).await });
        settle().await;
        asked
    }

    /// Lets all ready tasks run.
    async fn settle() {
        for _ in 0..10 {
            task::yield_now().await;
        }
    }

    async fn outcome(asked: JoinHandle<Result<Inside, ApiError>>) -> &'static str {
        match asked.await.unwrap() {
            Ok(_) => "inside",
            Err(ApiError::TooManyAtOnce) => "too many at once",
            Err(ApiError::TooBusy) => "too busy",
            Err(error) => panic!("{error:?}"),
        }
    }

    #[tokio::test]
    async fn requests_wait_for_the_share_of_their_client() {
        let gate = Gate::new(BOUNDS);
        let mut inside = Vec::new();
        for _ in 0..2 {
            inside.push(ask(&gate, "a").await.await.unwrap().unwrap());
        }
        let (third, fourth) = (ask(&gate, "a").await, ask(&gate, "a").await);
        assert_eq!(outcome(ask(&gate, "a").await).await, "too many at once");
        assert_eq!(outcome(ask(&gate, "b").await).await, "inside");

        assert!(!third.is_finished() && !fourth.is_finished());
        inside.pop();
        settle().await;
        assert!(third.is_finished() && !fourth.is_finished(), "first come, first served");
        inside.clear();
        assert_eq!([outcome(third).await, outcome(fourth).await], ["inside"; 2]);
        assert!(gate.clients.is_empty());
    }

    #[tokio::test]
    async fn rejects_requests_when_queues_are_full() {
        let gate = Gate::new(BOUNDS);
        let mut inside = Vec::new();
        for client in ["a", "a", "b"] {
            inside.push(ask(&gate, client).await.await.unwrap().unwrap());
        }
        let in_line = ask(&gate, "b").await;
        assert_eq!(outcome(ask(&gate, "c").await).await, "too busy", "the queue for places is full");

        let waiting = [ask(&gate, "a").await, ask(&gate, "a").await, ask(&gate, "b").await];
        assert_eq!(outcome(ask(&gate, "b").await).await, "too busy", "the queues for shares are full");
        inside.clear();
        assert_eq!(outcome(in_line).await, "inside");
        for waiting in waiting {
            assert_eq!(outcome(waiting).await, "inside");
        }
    }

    #[tokio::test]
    async fn rejects_requests_after_the_longest_wait() {
        let gate = Gate::new(Bounds { longest_wait: Duration::ZERO, places: 2, ..BOUNDS });
        let _inside = [gate.enter("a").await.unwrap(), gate.enter("a").await.unwrap()];
        assert_eq!(outcome(ask(&gate, "a").await).await, "too many at once");
        assert_eq!(outcome(ask(&gate, "b").await).await, "too busy");
    }

    #[tokio::test]
    async fn aborted_requests_free_their_places() {
        let gate = Gate::new(BOUNDS);
        let inside = [gate.enter("a").await.unwrap(), gate.enter("a").await.unwrap()];
        for _ in 0..10 {
            let leaving = ask(&gate, "a").await;
            leaving.abort();
            assert!(leaving.await.is_err_and(|error| error.is_cancelled()));
        }
        drop(inside);
        assert!(gate.clients.is_empty());
        let permits = [&gate.places, &gate.line, &gate.client_lines].map(|all| all.available_permits());
        assert_eq!(permits, [BOUNDS.places, BOUNDS.line, BOUNDS.client_lines]);
    }
}
