//! Ended sessions, and clients that keep trying their tokens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::time::sleep;

use crate::site::Excuse::{Busy, Database, Redis};
use crate::site::{Site, Until, any};

/// Maximum time until the other server knows of a sign-out: normally, and after a Redis outage.
const TOLD: Duration = Duration::from_secs(1);
const TOLD_AFTER_OUTAGE: Duration = Duration::from_secs(2);

/// Number of recently ended sessions that are tried as often as all others together.
const LAST: usize = 16;

#[derive(Default)]
pub(crate) struct SignedOut {
    sessions: Mutex<Vec<Arc<Gone>>>,
    slowest: Mutex<Duration>,
}

/// An ended session.
pub(crate) struct Gone {
    tokens: Vec<String>,
    /// Set if the database stored the end, so the session cannot be refreshed.
    cookie: Option<String>,
    since: Instant,
    /// The server that ended it.
    server: usize,
    /// True for each server that rejected a token.
    refused: [AtomicBool; 2],
}

impl Gone {
    pub(crate) fn new(tokens: Vec<String>, cookie: Option<String>, since: Instant, server: usize) -> Self {
        Self { tokens, cookie, since, server, refused: Default::default() }
    }
}

impl SignedOut {
    pub(crate) fn add(&self, gone: Gone) {
        self.sessions.lock().unwrap().push(Arc::new(gone));
    }

    pub(crate) fn count(&self) -> u64 {
        self.sessions.lock().unwrap().len() as u64
    }

    /// Returns the longest time for which the other server accepted a token after sign-out, without an outage.
    pub(crate) fn slowest(&self) -> Duration {
        *self.slowest.lock().unwrap()
    }

    fn some(&self, random: &mut Rng) -> Option<Arc<Gone>> {
        let sessions = self.sessions.lock().unwrap();
        let from = if random.bool() { sessions.len().saturating_sub(LAST) } else { 0 };
        let some = sessions.get(random.usize(from..sessions.len().max(from + 1)))?;
        Some(Arc::clone(some))
    }
}

pub(crate) async fn try_again(site: Arc<Site>, seed: u64, until: Until) {
    let mut random = Rng::with_seed(seed);
    while !until.is_over() {
        sleep(Duration::from_millis(random.u64(..20))).await;
        let Some(gone) = site.signed_out.some(&mut random) else { continue };
        match &gone.cookie {
            Some(cookie) if random.u8(..8) == 0 => {
                let what = "refresh, signed out";
                let request = site.post(any(&mut random, &site.demos), "/refresh").header("Cookie", cookie);
                if let Some(answer) = site.ask(what, request).await {
                    site.judge(what, &answer, &[401], &[Busy, Database]);
                }
            }
            _ => try_token(&site, &gone, &mut random).await,
        }
    }
}

async fn try_token(site: &Site, gone: &Gone, random: &mut Rng) {
    let what = "protected, signed out";
    let server = random.usize(..2);
    let token = &gone.tokens[random.usize(..gone.tokens.len())];
    let request = site.get(site.demos[server], "/protected/").bearer_auth(token);
    let Some(answer) = site.ask(what, request).await else { return };
    if answer.status != 200 {
        if site.judge(what, &answer, &[401], &[Database, Redis]) {
            gone.refused[server].store(true, Ordering::Relaxed);
        }
        return;
    }
    let after = answer.asked - gone.since;
    // An outage that started after the other server knew is no excuse.
    let by_outage = site.outages.redis.began_and_touches(gone.since + TOLD, answer.asked, TOLD_AFTER_OUTAGE);
    if !by_outage {
        let mut slowest = site.signed_out.slowest.lock().unwrap();
        *slowest = slowest.max(after);
    }
    let was_refused = gone.refused[server].load(Ordering::Relaxed);
    if gone.server == server || was_refused || (after > TOLD && !by_outage) {
        site.tally.count(what, 200);
        site.tally
            .fault(what, format!("accepted {after:?} after the sign-out, rejected before: {was_refused}"));
    } else {
        site.tally.count(what, if by_outage { "200 (Redis away)" } else { "200 (in a second)" });
    }
}
