//! Sessions that have ended, and those who go on trying their tokens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::time::sleep;

use crate::site::Excuse::{Busy, Database, Redis};
use crate::site::{Site, Until, any};

/// How soon the other server has to know of a sign-out: while Redis is there, and from when it is back.
const TOLD: Duration = Duration::from_secs(1);
const TOLD_AFTER_OUTAGE: Duration = Duration::from_secs(2);

/// So many that have ended last are tried as often as all others together.
const LAST: usize = 16;

#[derive(Default)]
pub(crate) struct SignedOut {
    sessions: Mutex<Vec<Arc<Gone>>>,
    slowest: Mutex<Duration>,
}

/// A session that has ended.
pub(crate) struct Gone {
    tokens: Vec<String>,
    /// If its end could be written down, so that it cannot be refreshed.
    cookie: Option<String>,
    since: Instant,
    /// Where it was ended.
    server: usize,
    /// By each server.
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

    /// The longest after a sign-out that the other server has taken a token, while Redis was there.
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
    // An outage that began when the other server had been told takes nothing back.
    let by_outage = site.outages.redis.began_and_touches(gone.since + TOLD, answer.asked, TOLD_AFTER_OUTAGE);
    if !by_outage {
        let mut slowest = site.signed_out.slowest.lock().unwrap();
        *slowest = slowest.max(after);
    }
    let was_refused = gone.refused[server].load(Ordering::Relaxed);
    if gone.server == server || was_refused || (after > TOLD && !by_outage) {
        site.tally.count(what, 200);
        site.tally.fault(what, format!("accepted {after:?} after that, refused before: {was_refused}"));
    } else {
        site.tally.count(what, if by_outage { "200 (Redis away)" } else { "200 (in a second)" });
    }
}
