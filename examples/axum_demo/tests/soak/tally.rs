//! Counts responses and faults.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Mutex;
use std::time::Duration;

/// Number of faults that the report shows for each kind of request.
const SHOWN: usize = 3;

const FEW: u64 = 2;

#[derive(Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    rows: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// Latencies of the protected route in microseconds.
    latencies: Vec<u32>,
    faults: u64,
    first_faults: BTreeMap<&'static str, Vec<String>>,
}

impl Tally {
    pub(crate) fn count(&self, what: &'static str, outcome: impl Display) {
        let mut counts = self.0.lock().unwrap();
        *counts.rows.entry(what).or_default().entry(outcome.to_string()).or_default() += 1;
    }

    pub(crate) fn latency(&self, taken: Duration) {
        self.0.lock().unwrap().latencies.push(taken.as_micros() as u32);
    }

    pub(crate) fn fault(&self, what: &'static str, fault: impl Display) {
        let mut counts = self.0.lock().unwrap();
        counts.faults += 1;
        let first = counts.first_faults.entry(what).or_default();
        if first.len() < SHOWN {
            first.push(format!("{what}: {fault}"));
        }
    }

    /// Returns the number of requests of this kind with this outcome.
    pub(crate) fn of(&self, what: &str, outcome: &str) -> u64 {
        let counts = self.0.lock().unwrap();
        counts.rows.get(what).and_then(|row| row.get(outcome)).copied().unwrap_or(0)
    }

    /// Returns the kinds of requests that ended without a response too often: a few, plus `of_1000` of 1,000.
    pub(crate) fn too_often_closed(&self, of_1000: u64) -> Vec<String> {
        let counts = self.0.lock().unwrap();
        let closed = counts.rows.iter().filter_map(|(what, row)| {
            let (closed, all) = (*row.get("closed")?, row.values().sum::<u64>());
            (closed > FEW && closed * 1000 > all * of_1000).then(|| format!("{what}: {closed} of {all}"))
        });
        closed.collect()
    }

    pub(crate) fn requests(&self) -> u64 {
        self.0.lock().unwrap().rows.values().flat_map(BTreeMap::values).sum()
    }

    pub(crate) fn faults(&self) -> (u64, Vec<String>) {
        let counts = self.0.lock().unwrap();
        (counts.faults, counts.first_faults.values().flatten().cloned().collect())
    }
}

/// Prints a row for each kind of request.
impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut counts = self.0.lock().unwrap();
        for (what, outcomes) in &counts.rows {
            let outcomes: Vec<_> =
                outcomes.iter().map(|(outcome, count)| format!("{outcome}: {count}")).collect();
            writeln!(f, "{what:34} {}", outcomes.join(", "))?;
        }
        counts.latencies.sort_unstable();
        let quantile = |part: usize| {
            let at = (counts.latencies.len() * part / 100).min(counts.latencies.len().saturating_sub(1));
            counts.latencies.get(at).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
        };
        writeln!(
            f,
            "the protected route, a good token: p50 {:.1} ms, p99 {:.1} ms",
            quantile(50),
            quantile(99)
        )
    }
}
