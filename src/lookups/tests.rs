use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{advance, sleep};

use super::*;
use crate::claims::TokenInfo;
use crate::conditions::Conditions;

/// A service that counts its calls.
#[derive(Clone)]
struct Service {
    lookups: Lookups<&'static str>,
    calls: Arc<AtomicUsize>,
    delay: Duration,
    began: Instant,
}

#[derive(Clone, Copy)]
enum Says {
    Yes,
    No,
    Fails(Blame),
}

impl Service {
    fn new(settings: LookupSettings, delay: Duration) -> Self {
        let lookups = Lookups::new("test", settings);
        Self { lookups, calls: Arc::default(), delay, began: Instant::now() }
    }

    /// Returns the time of the paused clock, as since 1970.
    fn now(&self) -> Duration {
        Duration::from_secs(1_800_000_000) + self.began.elapsed()
    }

    fn verify(&self, key: &str, says: Says) -> Verdict<&'static str> {
        let this = self.clone();
        let ask = move || async move {
            this.calls.fetch_add(1, Ordering::Relaxed);
            sleep(this.delay).await;
            match says {
                Says::Yes => Answer::Accepted(this.claims()),
                Says::No => Answer::Rejected(AuthErrorKind::InvalidToken.into()),
                Says::Fails(blame) => {
                    Answer::Failed(Failure { cause: "down".into(), blame, retry_after: None })
                }
            }
        };
        self.lookups.verify(key.as_bytes(), self.now(), ask, |_| Ok(()))
    }

    fn claims(&self) -> Claims<&'static str> {
        let (judged_at, expires_at) = (self.now(), Duration::MAX);
        let conditions = Conditions { judged_at, expires_at, ..Conditions::default() };
        Claims::verified("Eze", TokenInfo::default(), conditions)
    }

    async fn kind(&self, key: &str, says: Says) -> Option<AuthErrorKind> {
        self.verify(key, says).await.err().map(|error| error.kind())
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

const NOT_NOW: Option<AuthErrorKind> = Some(AuthErrorKind::Unavailable);
const INVALID: Option<AuthErrorKind> = Some(AuthErrorKind::InvalidToken);
const HANGS: Duration = Duration::from_secs(1_000_000);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn retry_after(verdict: Verdict<&'static str>) -> u64 {
    match verdict {
        Verdict::Ready(Err(error)) => error.retry_after().unwrap().as_secs_f64().ceil() as u64,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_answers_all_requests() {
    for (says, expected) in [(Says::Yes, None), (Says::No, INVALID), (Says::Fails(Blame::Everybody), NOT_NOW)]
    {
        let service = Service::new(LookupSettings::new(), seconds(1));
        let verdicts: Vec<_> = (0..1000).map(|_| service.verify("a", says)).collect();
        for verdict in verdicts {
            assert_eq!(verdict.await.err().map(|error| error.kind()), expected);
        }
        assert_eq!(service.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn remembers_answers_for_their_age() {
    let service = Service::new(LookupSettings::new().max_age(seconds(60)), Duration::ZERO);
    for (key, says, expected, age) in [("yes", Says::Yes, None, 60), ("no", Says::No, INVALID, 5)] {
        let before = service.calls();
        assert_eq!(service.kind(key, says).await, expected);
        advance(seconds(age) - Duration::from_millis(1)).await;
        assert!(matches!(service.verify(key, says), Verdict::Ready(_)), "{key}");
        advance(Duration::from_millis(1)).await;
        let asked_again = service.calls();
        assert!(asked_again > before);
        // A refresh ahead of time may have answered already.
        assert_eq!(service.kind(key, says).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn refreshes_used_credentials_ahead() {
    let service = Service::new(LookupSettings::new().max_age(seconds(60)), seconds(1));
    assert_eq!(service.kind("a", Says::Yes).await, None);
    for _ in 0..100 {
        advance(seconds(10)).await;
        assert!(matches!(service.verify("a", Says::Yes), Verdict::Ready(Ok(_))));
        sleep(seconds(1)).await;
    }
    assert!((15..=25).contains(&service.calls()), "{}", service.calls());
    // Revoked there: the refresh removes it here.
    service.lookups.forget(b"a");
    assert_eq!(service.kind("a", Says::Yes).await, None);
    advance(seconds(50)).await;
    assert!(matches!(service.verify("a", Says::No), Verdict::Ready(Ok(_))));
    sleep(seconds(2)).await;
    assert_eq!(service.kind("a", Says::No).await, INVALID);
}

#[tokio::test(start_paused = true)]
async fn hanging_service_leaves_remembered_alone() {
    let mut service = Service::new(LookupSettings::new(), Duration::ZERO);
    assert_eq!(service.kind("a", Says::Yes).await, None);
    service.delay = HANGS;
    let waiting = ["b", "c", "d"].map(|key| service.verify(key, Says::Yes));
    assert!(matches!(service.verify("a", Says::Yes), Verdict::Ready(Ok(_))));
    let began = Instant::now();
    for verdict in waiting {
        assert_eq!(verdict.await.unwrap_err().kind(), AuthErrorKind::Unavailable);
    }
    assert_eq!(began.elapsed(), seconds(2));
    sleep(Duration::from_millis(1)).await;
    // During the backoff nobody waits.
    for n in 0..100 {
        assert!(matches!(service.verify(&n.to_string(), Says::Yes), Verdict::Ready(Err(_))));
    }
    assert_eq!(service.calls(), 4);
    // Beyond its age nobody vouches for it.
    advance(seconds(60)).await;
    assert_eq!(service.kind("a", Says::Yes).await, NOT_NOW);
}

#[tokio::test(start_paused = true)]
async fn backoff_doubles_and_one_call_tries() {
    let service = Service::new(LookupSettings::new(), Duration::from_millis(100));
    let fails = Says::Fails(Blame::Everybody);
    let mut longest = Vec::new();
    for n in 0..8 {
        assert_eq!(service.kind(&format!("try {n}"), fails).await, NOT_NOW);
        let retry = retry_after(service.verify("other", fails));
        longest.push(retry);
        advance(seconds(retry)).await;
        let trial = service.verify(&format!("trial {n}"), fails);
        // Others do not wait for the trial.
        assert_eq!(retry_after(service.verify("other", Says::Yes)), 1);
        assert_eq!(trial.await.unwrap_err().kind(), AuthErrorKind::Unavailable);
        let again = retry_after(service.verify("other", fails));
        advance(seconds(again)).await;
    }
    assert_eq!(longest[0], 1);
    assert!(longest.iter().all(|seconds| *seconds <= 30) && longest[7] >= 22, "{longest:?}");
    // One good answer ends it.
    assert_eq!(service.kind("good", Says::Yes).await, None);
    let both = [service.verify("x", Says::Yes), service.verify("y", Says::Yes)];
    assert!(both.iter().all(|verdict| matches!(verdict, Verdict::Pending(_))));
}

#[tokio::test(start_paused = true)]
async fn odd_credentials_start_no_backoff() {
    let service = Service::new(LookupSettings::new(), Duration::ZERO);
    for n in 0..100 {
        assert_eq!(service.kind(&n.to_string(), Says::Fails(Blame::Credential)).await, NOT_NOW);
    }
    for n in 0..100 {
        assert_eq!(service.kind(&format!("odd {n}"), Says::Fails(Blame::Unclear)).await, NOT_NOW);
        assert_eq!(service.kind(&format!("good {n}"), Says::Yes).await, None);
    }
    // Three in a row do.
    for n in 0..3 {
        assert_eq!(service.kind(&format!("row {n}"), Says::Fails(Blame::Unclear)).await, NOT_NOW);
    }
    assert!(matches!(service.verify("other", Says::Yes), Verdict::Ready(Err(_))));
}

#[tokio::test(start_paused = true)]
async fn floods_are_bounded() {
    let settings = LookupSettings::new().max_waiting(100).max_in_flight(10);
    let service = Service::new(settings, HANGS);
    let mut waiting = Vec::new();
    let mut limited = 0;
    for n in 0..10_000 {
        match service.verify(&n.to_string(), Says::Yes) {
            // Every other client goes away at once.
            Verdict::Pending(verdict) if n % 2 == 0 => waiting.push(verdict),
            Verdict::Pending(_) => {}
            Verdict::Ready(result) => {
                assert_eq!(result.unwrap_err().kind(), AuthErrorKind::Unavailable);
                limited += 1;
            }
        }
    }
    assert_eq!((waiting.len(), limited), (50, 9900));
    tokio::task::yield_now().await;
    assert_eq!(service.calls(), 8, "two are reserved");
    for verdict in waiting {
        assert!(verdict.await.is_err());
    }
    sleep(seconds(3)).await;
    assert!(service.lookups.0.flights().by_key.is_empty());
    assert_eq!(service.lookups.0.places.available_permits(), 100);
    assert_eq!(service.lookups.stats().limited(), 9900 + 92);
}

#[tokio::test(start_paused = true)]
async fn floods_do_not_stop_refreshes() {
    let settings = LookupSettings::new().max_waiting(10).max_in_flight(4);
    let mut service = Service::new(settings, Duration::ZERO);
    assert_eq!(service.kind("a", Says::Yes).await, None);
    advance(seconds(50)).await;
    let calls = service.calls();
    service.delay = HANGS;
    let _flood: Vec<_> = (0..100).map(|n| service.verify(&n.to_string(), Says::Yes)).collect();
    tokio::task::yield_now().await;
    service.delay = Duration::ZERO;
    assert!(matches!(service.verify("a", Says::Yes), Verdict::Ready(Ok(_))));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(service.calls(), calls + 4);
    advance(seconds(30)).await;
    assert!(matches!(service.verify("a", Says::Yes), Verdict::Ready(Ok(_))));
}

#[tokio::test(start_paused = true)]
async fn unclear_failures_back_off_for_seconds() {
    let service = Service::new(LookupSettings::new(), Duration::ZERO);
    let fails = Says::Fails(Blame::Unclear);
    for n in 0..20 {
        let _ = service.kind(&n.to_string(), fails).await;
        if let Verdict::Ready(Err(error)) = service.verify("other", fails) {
            assert!(error.retry_after().unwrap() <= seconds(4));
            advance(error.retry_after().unwrap()).await;
        }
        sleep(seconds(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_outlive_impatient_clients() {
    let service = Service::new(LookupSettings::new(), seconds(1));
    drop(service.verify("a", Says::Yes));
    sleep(seconds(2)).await;
    assert!(matches!(service.verify("a", Says::Yes), Verdict::Ready(Ok(_))));
    assert_eq!(service.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn forgets_at_once() {
    let service = Service::new(LookupSettings::new(), seconds(1));
    assert_eq!(service.kind("a", Says::Yes).await, None);
    service.lookups.forget(b"a");
    assert_eq!(service.kind("a", Says::No).await, INVALID);
    service.lookups.forget(b"a");
    // An answer that is on its way may be too old.
    let before = service.verify("a", Says::Yes);
    service.lookups.forget(b"a");
    let after = service.verify("a", Says::No);
    assert_eq!(before.await.unwrap_err().kind(), AuthErrorKind::Unavailable);
    assert_eq!(after.await.unwrap_err().kind(), AuthErrorKind::InvalidToken);
    assert_eq!(service.kind("a", Says::Yes).await, INVALID);
}

#[tokio::test(start_paused = true)]
async fn panics_and_stops_end_the_wait() {
    let service = Service::new(LookupSettings::new(), Duration::ZERO);
    let ask = || async { panic!("a bug of the application") };
    let verdict = service.lookups.verify(b"a", service.now(), ask, |_| Ok(()));
    assert_eq!(verdict.await.unwrap_err().kind(), AuthErrorKind::Unavailable);
    assert_eq!(service.kind("a", Says::Yes).await, None);
}

#[test]
fn works_without_a_runtime_once_remembered() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let service = Service::new(LookupSettings::new(), Duration::ZERO);
    assert!(matches!(service.verify("a", Says::Yes), Verdict::Ready(Err(_))));
    assert_eq!(runtime.block_on(service.kind("a", Says::Yes)), None);
    drop(runtime);
    assert!(matches!(service.verify("a", Says::Yes), Verdict::Ready(Ok(_))));
}
