//! The result of the soak test.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::process::{Ended, Holdings, Process};
use crate::site::Site;

/// Allowed growth of the memory of a process in KiB. The allocator does not return all memory at once.
const MEMORY: u64 = 8 * 1024;

/// Allowed growth of the heap in KiB. The revocation list adds `HEAP_EACH` bytes for each ended session.
const HEAP: u64 = 512;
const HEAP_EACH: u64 = 256;

/// Database connections of a process, which may stay open for a while.
const POOL: u64 = 10;

/// Number of 1,000 requests on reused connections that may hit a closing one.
const CLOSED_OF_1000: u64 = 5;

/// Time after an outage in which a process may still log it. It checks once a second and waits 3 s for a response.
const SAID_LATE: Duration = Duration::from_secs(5);

/// Resource use of each process, after the warm-up and at the end.
pub(crate) struct Measured {
    pub(crate) before: Vec<Holdings>,
    pub(crate) after: Vec<Holdings>,
}

/// Returns the failures, one line each.
pub(crate) fn verdict(site: &Site, processes: &[Ended], measured: &Measured, is_long: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let (faults, first) = site.tally.faults();
    if faults > 0 {
        wrong.push(format!("{faults} faults, the first of each kind:\n  {}", first.join("\n  ")));
    }
    for (number, (before, after)) in measured.before.iter().zip(&measured.after).enumerate() {
        for (what, before, after, more) in [
            ("KiB of memory", before.memory, after.memory, MEMORY),
            ("KiB on the heap", before.heap, after.heap, HEAP + HEAP_EACH * site.signed_out.count() / 1024),
            ("tasks", before.tasks, after.tasks, 0),
            ("files", before.files, after.files, POOL),
            ("threads", before.threads, after.threads, 0),
        ] {
            if after > before + more {
                wrong.push(format!("process {number}: {what}: {before} before, {after} after"));
            }
        }
    }
    for (number, Ended { well, said }) in processes.iter().enumerate() {
        if !well {
            wrong.push(format!("process {number} exited with an error"));
        }
        let odd = said.iter().filter(|(moment, line)| !is_explained(site, *moment, line));
        wrong.extend(odd.map(|(_, line)| format!("process {number} on standard error: {line}")));
    }
    let closed = site.tally.too_often_closed(CLOSED_OF_1000);
    wrong.extend(closed.into_iter().map(|row| format!("closed too often: {row}")));
    for (what, outcome) in REACHED.into_iter().chain(REACHED_IN_LONG.into_iter().filter(|_| is_long)) {
        if site.tally.of(what, outcome) == 0 {
            wrong.push(format!("not reached: {what}, {outcome}"));
        }
    }
    wrong
}

/// Returns whether an outage explains this line. Nothing explains a panic.
fn is_explained(site: &Site, moment: Instant, line: &str) -> bool {
    let outages = &site.outages;
    let outage = match line {
        _ if line.starts_with("database error: ") => &outages.database,
        _ if line.starts_with("REDIS_URL: Redis ") => &outages.redis,
        _ => return false,
    };
    outage.began_and_touches(moment, moment, SAID_LATE)
}

/// Outcomes that must occur, or the soak proves too little.
const REACHED: [(&str, &str); 26] = [
    ("outages", "RedisHangs"),
    ("outages", "RedisCrashes"),
    ("outages", "RedisForgets"),
    ("outages", "DatabaseStops"),
    ("outages", "DatabaseIsLocked"),
    ("outages", "ProviderIsAway"),
    ("sign-up", "201"),
    ("sign-in", "200"),
    ("refresh", "200"),
    ("refresh, used token", "401"),
    ("refresh, signed out", "401"),
    ("sign-out", "204"),
    ("sign-out everywhere", "204"),
    ("protected, good token", "503"),
    ("protected, signed out", "401"),
    ("fetched keys, token used before", "200"),
    ("fetched keys, forged", "401"),
    ("fetched keys, unknown key", "401"),
    ("hostile: half a body", "408"),
    ("hostile: 100 KB header", "431"),
    ("hostile: many headers", "431"),
    ("hostile: large body", "413"),
    ("hostile: endless body", "413"),
    ("hostile: two lengths", "400"),
    ("hostile: not UTF-8", "400"),
    ("hostile: pipelined, then garbage", "401"),
];

const REACHED_IN_LONG: [(&str, &str); 2] =
    [("outages", "RedisIsAwayForLong"), ("protected, signed out", "503")];

/// Returns the report with all counts and measurements.
pub(crate) fn report(site: &Site, processes: &[Process], measured: &Measured, time: Duration) -> String {
    let requests = site.tally.requests();
    let mut report = format!("\n{requests} requests, {} a second\n\n", requests / time.as_secs().max(1));
    let _ = write!(report, "{}", site.tally);
    let slowest = site.signed_out.slowest();
    let _ = writeln!(
        report,
        "after a sign-out, the other process accepted the token for at most {slowest:.1?}\n"
    );
    for (number, process) in processes.iter().enumerate() {
        let _ = writeln!(report, "process {number}: keys: {}", process.ask("keys"));
        let _ = writeln!(report, "process {number}: after a fifth {}", measured.before[number]);
        let _ = writeln!(report, "process {number}: at the end    {}", measured.after[number]);
    }
    report
}
