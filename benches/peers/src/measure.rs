//! Measures times and allocations.

use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode};

use crate::allocator::allocations;
use crate::check::authorization;
use crate::peer::Peer;
use crate::peers::ROWS;
use crate::tokens::Issuer;

/// Requests are built a few at a time, outside the timed part. They are as warm in the CPU cache as
/// requests that a server has just read.
const BATCH: usize = 16;

/// The cost of a request for one peer.
pub(crate) struct Cost {
    pub(crate) nanoseconds: f64,
    pub(crate) allocations: u64,
}

/// Returns the costs in the order of the rows, as medians over the rounds. In a round each peer has a turn
/// with all tokens.
pub(crate) fn measure(issuer: &Issuer, rounds: usize) -> Vec<Option<Cost>> {
    let headers: Vec<_> = issuer.tokens().iter().map(|token| authorization(token)).collect();
    let mut peers: Vec<_> = ROWS.iter().map(|row| (row.open)(issuer)).collect();
    let mut times = vec![Vec::new(); peers.len()];
    for _ in 0..rounds {
        for (peer, times) in peers.iter_mut().zip(&mut times) {
            if let Some(peer) = peer {
                times.push(turn(&mut **peer, &headers));
            }
        }
    }
    let costs = peers.iter_mut().zip(times).map(|(peer, times)| {
        let peer = peer.as_mut()?;
        peer.load(&headers[0]);
        let allocations = allocations(|| accept(&mut **peer));
        Some(Cost { nanoseconds: median(times), allocations })
    });
    costs.collect()
}

/// Returns the average nanoseconds per request.
fn turn(peer: &mut dyn Peer, headers: &[HeaderValue]) -> f64 {
    // Warms up the CPU caches, which the previous peer has used.
    batch(peer, &headers[..BATCH]);
    let time: Duration = headers.chunks(BATCH).map(|headers| batch(peer, headers)).sum();
    time.as_secs_f64() * 1e9 / headers.len() as f64
}

fn batch(peer: &mut dyn Peer, headers: &[HeaderValue]) -> Duration {
    for header in headers {
        peer.load(header);
    }
    let start = Instant::now();
    for _ in headers {
        accept(peer);
    }
    start.elapsed()
}

fn accept(peer: &mut dyn Peer) {
    assert_eq!(peer.answer(), StatusCode::OK);
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
