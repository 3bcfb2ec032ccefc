//! Limits how many requests are worked on at once, and lets the others wait their turn in bounded lines.
//!
//! Each client has a share of the places. Its other requests wait in a line of their own, so that a flood from one client
//! takes neither the places nor the line of the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::ApiError;
use crate::per_client::{PerClient, Visit};

/// The bounds of a [`Gate`].
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Requests inside at once.
    pub(crate) places: usize,
    /// Requests in line for a place.
    pub(crate) line: usize,
    /// Requests of one client inside or in line for a place: its share.
    pub(crate) share: usize,
    /// Requests of one client in line for its share.
    pub(crate) client_line: usize,
    /// Requests of all clients in line for their shares.
    pub(crate) client_lines: usize,
    /// The longest wait in both lines together.
    pub(crate) longest_wait: Duration,
}

/// Lets a bounded number of requests in. Clones share it.
#[derive(Clone)]
pub(crate) struct Gate {
    clients: PerClient,
    client_lines: Arc<Semaphore>,
    places: Arc<Semaphore>,
    line: Arc<Semaphore>,
    longest_wait: Duration,
}

/// A request that was let in; dropping it lets the next one in.
// Fields drop in order: the client is forgotten only when its last request has given back its share.
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

    /// Lets a request in, first come, first served. A request that cannot wait is refused at once, another when the longest
    /// wait is over: with [`ApiError::TooManyAtOnce`] because of its own client, else with [`ApiError::TooBusy`].
    pub(crate) async fn enter(&self, client: &str) -> Result<Inside, ApiError> {
        let deadline = Instant::now() + self.longest_wait;
        let visit = self.clients.visit(client).ok_or(ApiError::TooManyAtOnce)?;
        let share = take(visit.share(), &self.client_lines, deadline, ApiError::TooManyAtOnce).await?;
        let place = take(Arc::clone(&self.places), &self.line, deadline, ApiError::TooBusy).await?;
        Ok(Inside { _place: place, _share: share, _visit: visit })
    }
}

/// Takes a permit, after a wait in `line` if need be.
async fn take(
    permits: Arc<Semaphore>,
    line: &Semaphore,
    deadline: Instant,
    late: ApiError,
) -> Result<OwnedSemaphorePermit, ApiError> {
    // A freed permit goes to the line first: this finds none while others wait.
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

    /// A request that has got as far as it can.
    async fn ask(gate: &Gate, client: &str) -> JoinHandle<Result<Inside, ApiError>> {
        let (gate, client) = (gate.clone(), client.to_owned());
        let asked = task::spawn(async move { gate.enter(&client).await });
        settle().await;
        asked
    }

    /// Has all tasks run that can.
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
    async fn clients_requests_wait_for_its_share() {
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
    async fn full_lines_refuse_as_too_busy() {
        let gate = Gate::new(BOUNDS);
        let mut inside = Vec::new();
        for client in ["a", "a", "b"] {
            inside.push(ask(&gate, client).await.await.unwrap().unwrap());
        }
        let in_line = ask(&gate, "b").await;
        assert_eq!(outcome(ask(&gate, "c").await).await, "too busy", "the line for places is full");

        let waiting = [ask(&gate, "a").await, ask(&gate, "a").await, ask(&gate, "b").await];
        assert_eq!(outcome(ask(&gate, "b").await).await, "too busy", "the lines for shares are full");
        inside.clear();
        assert_eq!(outcome(in_line).await, "inside");
        for waiting in waiting {
            assert_eq!(outcome(waiting).await, "inside");
        }
    }

    #[tokio::test]
    async fn wait_that_is_too_long_is_refused() {
        let gate = Gate::new(Bounds { longest_wait: Duration::ZERO, places: 2, ..BOUNDS });
        let _inside = [gate.enter("a").await.unwrap(), gate.enter("a").await.unwrap()];
        assert_eq!(outcome(ask(&gate, "a").await).await, "too many at once");
        assert_eq!(outcome(ask(&gate, "b").await).await, "too busy");
    }

    #[tokio::test]
    async fn requests_that_leave_keep_no_room() {
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
