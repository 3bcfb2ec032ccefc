//! Rounds in which all routes take turns.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tower_jwt_auth::Algorithm;

use crate::app::Route;
use crate::load::{self, Requests};
use crate::server::Server;
use crate::support::{Issuer, median};

const TOKENS: usize = 1_000;
const ROUNDS: usize = 40;
/// How long a route runs in a round.
const SLICE: Duration = Duration::from_millis(250);

/// The results for one algorithm, with the routes in the order of [`Route::ALL`].
pub(crate) struct Column {
    pub(crate) algorithm: Algorithm,
    pub(crate) costs: Vec<Cost>,
}

/// The medians of all rounds.
pub(crate) struct Cost {
    pub(crate) throughput: f64,
    /// Relative to the first route.
    pub(crate) ratio: f64,
    pub(crate) cpu_time: Option<f64>,
}

/// The results of one route in one round.
struct Slice {
    requests_per_second: f64,
    cpu_microseconds: Option<f64>,
}

pub(crate) async fn measure(issuer: &Issuer) -> io::Result<Column> {
    let server = Server::start()?;
    let tokens = issuer.some_tokens(TOKENS);
    let requests = Route::ALL.map(|route| Arc::new(Requests::new(&route.path(issuer), &tokens)));
    // Fills the CPU caches.
    round(&server, &requests).await?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round(&server, &requests).await?);
    }
    let costs = (0..requests.len()).map(|route| cost(&rounds, route)).collect();
    Ok(Column { algorithm: issuer.algorithm, costs })
}

async fn round(server: &Server, requests: &[Arc<Requests>]) -> io::Result<Vec<Slice>> {
    let mut slices = Vec::new();
    for requests in requests {
        slices.push(slice(server, requests).await?);
    }
    Ok(slices)
}

async fn slice(server: &Server, requests: &Arc<Requests>) -> io::Result<Slice> {
    let before = server.cpu_time();
    let answered = load::send(server.address, requests, SLICE).await?;
    let cpu_time = server.cpu_time().zip(before).map(|(after, before)| after - before);
    Ok(Slice {
        requests_per_second: answered.count as f64 / answered.time.as_secs_f64(),
        cpu_microseconds: cpu_time.map(|time| time.as_secs_f64() * 1e6 / answered.count as f64),
    })
}

fn cost(rounds: &[Vec<Slice>], route: usize) -> Cost {
    let throughputs = rounds.iter().map(|slices| slices[route].requests_per_second);
    let ratios =
        rounds.iter().map(|slices| slices[route].requests_per_second / slices[0].requests_per_second);
    let cpu_times: Option<_> = rounds.iter().map(|slices| slices[route].cpu_microseconds).collect();
    Cost {
        throughput: median(throughputs.collect()),
        ratio: median(ratios.collect()),
        cpu_time: cpu_times.map(median),
    }
}
