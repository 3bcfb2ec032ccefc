//! The conformance test for stores.

use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::store::{RevocationPage, RevocationStore};
use crate::revocation::Revocation;

/// Checks that a store keeps the contract of [`RevocationStore`].
///
/// Use it in the tests of your store. Each call of `connect` returns another process's connection to the same store.
/// The store must be empty at first. The check takes some seconds.
///
/// # Panics
///
/// If the store violates the contract. The message says how.
pub async fn check_revocation_store<S: RevocationStore>(connect: impl Fn() -> S) {
    let (first, second) = (connect(), connect());
    is_empty_at_first(&first).await;
    returns_entries_to_others(&first, &second).await;
    keeps_the_later_expiry(&first, &second).await;
    continues_from_a_position(&first, &second).await;
    restarts_for_unknown_positions(&first).await;
    survives_cancellation(&first, &second).await;
    has_no_gap(&connect, &second).await;
    marks_the_last_page(&first, &connect()).await;
}

async fn is_empty_at_first(store: &dyn RevocationStore) {
    let (reader, taken) = timed(Reader::of(store).until_the_end()).await;
    assert!(reader.seen.is_empty(), "the store must be empty at first");
    assert!(taken < Duration::from_secs(3), "a read without new entries takes longer than a second");
}

async fn returns_entries_to_others(first: &dyn RevocationStore, second: &dyn RevocationStore) {
    let written = odd_revocations();
    write(first, &written).await;
    write(first, &written[..1]).await;
    write(second, &[]).await;
    let seen = Reader::of(second).until_the_end().await.seen;
    for revocation in &written {
        let text = serde_json::to_string(revocation).unwrap_or_default();
        assert!(
            seen.contains(revocation),
            "the store does not return {text:.200}, which another process has written"
        );
    }
    assert!(seen.len() == written.len(), "the store returns entries that were not written");
}

async fn keeps_the_later_expiry(first: &dyn RevocationStore, second: &dyn RevocationStore) {
    for minutes in [5, 60, 10] {
        let expires_at = in_seconds(60 * minutes);
        write(first, &[Revocation::session("https://id.example.com", "prolonged", expires_at)]).await;
    }
    let seen = Reader::of(second).until_the_end().await.seen;
    let last =
        seen.iter().filter(|one| one.sid() == Some("prolonged")).filter_map(Revocation::expires_at).max();
    let needed = in_seconds(60 * 60 - 60);
    assert!(
        last >= Some(needed),
        "the store must keep an entry that is written twice until the later expiry"
    );
}

async fn continues_from_a_position(first: &dyn RevocationStore, second: &dyn RevocationStore) {
    let mut reader = Reader::of(first).until_the_end().await;
    reader.seen.clear();
    let reader = reader.until_the_end().await;
    assert!(
        reader.seen.is_empty(),
        "the store returns entries after the last position, although none were added"
    );

    let news = session("news");
    write(second, std::slice::from_ref(&news)).await;
    // Positions must be valid for all processes.
    let reader = Reader { store: second, ..reader };
    let (reader, taken) = timed(reader.until(|seen| seen.contains(&news))).await;
    assert!(taken < Duration::from_secs(1), "a new entry is not returned within a second");
    assert_eq!(reader.seen.len(), 1, "a read from a position returns entries from before it");
}

async fn restarts_for_unknown_positions(store: &dyn RevocationStore) {
    let everything = Reader::of(store).until_the_end().await.seen;
    for position in ["", "nonsense", "-1", "18446744073709551616", "\0"] {
        let reader = Reader { position: Some(position.to_owned()), ..Reader::of(store) };
        let seen = reader.until_the_end().await.seen;
        assert!(
            seen == everything,
            "the store must start from the beginning for the unknown position {position:?}"
        );
    }
}

async fn survives_cancellation(first: &dyn RevocationStore, second: &dyn RevocationStore) {
    for limit in [0, 1, 5] {
        let limit = Duration::from_millis(limit);
        let _ = timeout(limit, first.read(None)).await;
        let _ = timeout(limit, first.write(vec![session("cancelled")])).await;
    }
    let after = session("after cancellations");
    write(first, std::slice::from_ref(&after)).await;
    let seen = Reader::of(second).until_the_end().await.seen;
    assert!(
        seen.contains(&after),
        "the store loses entries that are written after a cancelled read and write"
    );
}

/// Checks that a reader misses no entry while several tasks write.
async fn has_no_gap<S: RevocationStore>(connect: &impl Fn() -> S, store: &dyn RevocationStore) {
    const WRITERS: usize = 8;
    const BATCHES: usize = 25;
    let reader = Reader::of(store).until_the_end().await;
    let mut writers = tokio::task::JoinSet::new();
    let mut expected = HashSet::new();
    for writer in 0..WRITERS {
        let process = connect();
        let batches: Vec<Vec<_>> = (0..BATCHES)
            .map(|batch| (0..batch % 10 + 1).map(|n| session(&format!("{writer}.{batch}.{n}"))).collect())
            .collect();
        expected.extend(batches.iter().flatten().cloned());
        // The futures of a store do not borrow it, so each can be its own task.
        let writes: Vec<_> = batches.into_iter().map(|batch| process.write(batch)).collect();
        writers.spawn(async move {
            for write in writes {
                sleep(Duration::from_millis(1)).await;
                write.await.unwrap_or_else(|error| panic!("the store cannot be written: {error}"));
            }
        });
    }
    let written = async {
        while let Some(written) = writers.join_next().await {
            written.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        }
        std::future::pending().await
    };
    let reader = tokio::select! {
        reader = reader.until(|seen| expected.is_subset(seen)) => reader,
        () = written => return,
    };
    let seen = Reader::of(store).until_the_end().await.seen;
    assert!(
        reader.seen.is_subset(&seen),
        "a full read returns fewer entries than reads from position to position"
    );
}

/// Writes more entries than a page has. A process that starts must not take the first page for the whole list.
async fn marks_the_last_page(first: &dyn RevocationStore, second: &dyn RevocationStore) {
    const ENTRIES: usize = 12_000;
    let many: Vec<_> = (0..ENTRIES).map(|n| session(&format!("many {n}"))).collect();
    for batch in many.chunks(500) {
        write(first, batch).await;
    }
    let seen = Reader::of(second).until_the_end().await.seen;
    let all = many.iter().all(|one| seen.contains(one));
    assert!(all, "the store calls a page the last before it has returned all {ENTRIES} entries");
}

/// Reads from position to position.
struct Reader<'s> {
    store: &'s dyn RevocationStore,
    position: Option<String>,
    seen: HashSet<Revocation>,
}

impl<'s> Reader<'s> {
    fn of(store: &'s dyn RevocationStore) -> Self {
        Self { store, position: None, seen: HashSet::new() }
    }

    async fn until_the_end(mut self) -> Self {
        let began = Instant::now();
        while self.page().await.has_more {
            assert!(began.elapsed() < Duration::from_secs(60), "the store never returns a last page");
        }
        self
    }

    async fn until(mut self, done: impl Fn(&HashSet<Revocation>) -> bool) -> Self {
        let began = Instant::now();
        while !done(&self.seen) {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "the store does not return all written entries in time; returned so far: {}",
                self.seen.len()
            );
            self.page().await;
        }
        self
    }

    async fn page(&mut self) -> RevocationPage {
        let page = timeout(Duration::from_secs(5), self.store.read(self.position.take())).await;
        let page = page
            .unwrap_or_else(|_| panic!("a read takes longer than 5 s"))
            .unwrap_or_else(|error| panic!("the store cannot be read: {error}"));
        assert!(page.revocations.len() <= 20_000, "a page has more than 20,000 entries");
        self.position = Some(page.next_position.clone());
        if page.revocations.is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        self.seen.extend(page.revocations.iter().cloned());
        page
    }
}

/// Measures the duration of a future in ticks.
///
/// A time in which the machine does not run this process counts as one tick. So does a time in which the future blocks
/// the thread: the two cannot be distinguished.
async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    const TICK: Duration = Duration::from_millis(5);
    let mut future = pin!(future);
    let mut clock = interval_at(Instant::now() + TICK, TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut ticks = 0;
    loop {
        tokio::select! {
            biased;
            result = &mut future => return (result, TICK * ticks),
            _ = clock.tick() => ticks += 1,
        }
    }
}

async fn write(store: &dyn RevocationStore, revocations: &[Revocation]) {
    let written = store.write(revocations.to_vec()).await;
    written.unwrap_or_else(|error| panic!("the store cannot be written: {error}"));
}

fn session(sid: &str) -> Revocation {
    Revocation::session("https://id.example.com", sid, in_seconds(900))
}

/// Returns entries with unusual names, issuers and times. A store must accept all of them.
fn odd_revocations() -> Vec<Revocation> {
    let long = "x".repeat(2000);
    let names = ["", " ", "a b", "a\0b", "\n\r\t\"'\\{}%", "ö 漢 🦀", "-1", "NULL", "; DROP TABLE", &long];
    let mut revocations = Vec::new();
    for name in names {
        for issuer in ["https://id.example.com", ""] {
            revocations.push(Revocation::token(issuer, name, in_seconds(900)));
            revocations.push(Revocation::session(issuer, name, None));
            for millis in [0, 1_700_000_000_123, 253_402_300_799_000] {
                let issued_until = UNIX_EPOCH + Duration::from_millis(millis);
                // Expired less than an hour ago, so it must be kept.
                revocations.push(Revocation::subject(issuer, name, issued_until, in_seconds(-3590)));
            }
        }
    }
    revocations
}

/// Returns a time relative to now, in whole seconds.
fn in_seconds(seconds: i64) -> SystemTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    UNIX_EPOCH + Duration::from_secs(now.saturating_add_signed(seconds))
}
