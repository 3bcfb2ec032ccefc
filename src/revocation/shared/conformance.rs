//! What every store has to keep to, as a test that its makers can run.

use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::store::{RevocationPage, RevocationStore};
use crate::revocation::Revocation;

/// Holds a store against what [`RevocationStore`] demands: for the tests of one's own.
///
/// Each call of `connect` gives what one more process would have of the same store, which has to be empty at first. It takes
/// some seconds.
///
/// # Panics
///
/// If the store does not keep to it, with a sentence that says in what.
pub async fn check_revocation_store<S: RevocationStore>(connect: impl Fn() -> S) {
    let (first, second) = (connect(), connect());
    is_empty_at_first(&first).await;
    holds_what_it_is_told(&first, &second).await;
    prolongs_what_is_given_again(&first, &second).await;
    goes_on_from_a_position(&first, &second).await;
    begins_anew_where_it_cannot_go_on(&first).await;
    survives_those_who_do_not_wait(&first, &second).await;
    has_no_gap(&connect, &second).await;
    says_which_page_is_the_last(&first, &connect()).await;
}

async fn is_empty_at_first(store: &dyn RevocationStore) {
    let (reader, taken) = timed(Reader::of(store).until_the_end()).await;
    assert!(reader.seen.is_empty(), "the store has to be empty at first");
    assert!(taken < Duration::from_secs(3), "a read of nothing takes longer than a second");
}

async fn holds_what_it_is_told(first: &dyn RevocationStore, second: &dyn RevocationStore) {
    let written = odd_revocations();
    write(first, &written).await;
    write(first, &written[..1]).await;
    write(second, &[]).await;
    let seen = Reader::of(second).until_the_end().await.seen;
    for revocation in &written {
        let text = serde_json::to_string(revocation).unwrap_or_default();
        assert!(
            seen.contains(revocation),
            "the store was given {text:.200}, and does not tell another process"
        );
    }
    assert!(seen.len() == written.len(), "the store tells more than it was given");
}

async fn prolongs_what_is_given_again(first: &dyn RevocationStore, second: &dyn RevocationStore) {
    for minutes in [5, 60, 10] {
        let expires_at = in_seconds(60 * minutes);
        write(first, &[Revocation::session("https://id.example.com", "prolonged", expires_at)]).await;
    }
    let seen = Reader::of(second).until_the_end().await.seen;
    let last =
        seen.iter().filter(|one| one.sid() == Some("prolonged")).filter_map(Revocation::expires_at).max();
    let needed = in_seconds(60 * 60 - 60);
    assert!(last >= Some(needed), "what is given twice, the store has to keep until the later time");
}

async fn goes_on_from_a_position(first: &dyn RevocationStore, second: &dyn RevocationStore) {
    let mut reader = Reader::of(first).until_the_end().await;
    reader.seen.clear();
    let reader = reader.until_the_end().await;
    assert!(
        reader.seen.is_empty(),
        "after the last position there is nothing new, but the store tells something"
    );

    let news = session("news");
    write(second, std::slice::from_ref(&news)).await;
    // A position is the store's, not the process's.
    let reader = Reader { store: second, ..reader };
    let (reader, taken) = timed(reader.until(|seen| seen.contains(&news))).await;
    assert!(taken < Duration::from_secs(1), "what is new is not told within a second");
    assert_eq!(reader.seen.len(), 1, "from a position on, the store tells what was before it");
}

async fn begins_anew_where_it_cannot_go_on(store: &dyn RevocationStore) {
    let everything = Reader::of(store).until_the_end().await.seen;
    for position in ["", "nonsense", "-1", "18446744073709551616", "\0"] {
        let reader = Reader { position: Some(position.to_owned()), ..Reader::of(store) };
        let seen = reader.until_the_end().await.seen;
        assert!(
            seen == everything,
            "with the position {position:?}, which it never gave, the store has to begin anew"
        );
    }
}

async fn survives_those_who_do_not_wait(first: &dyn RevocationStore, second: &dyn RevocationStore) {
    for limit in [0, 1, 5] {
        let limit = Duration::from_millis(limit);
        let _ = timeout(limit, first.read(None)).await;
        let _ = timeout(limit, first.write(vec![session("given up")])).await;
    }
    let after = session("after others have given up");
    write(first, std::slice::from_ref(&after)).await;
    let seen = Reader::of(second).until_the_end().await.seen;
    assert!(
        seen.contains(&after),
        "after a read and a write that were given up, the store holds nothing more"
    );
}

/// While many write at once, one that only goes from position to position misses nothing.
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
        // The futures of a store need not borrow it, so that each can be a task.
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
    assert!(reader.seen.is_subset(&seen), "from the beginning, less is read than was on the way");
}

/// More than a page has: a process that starts must not take the first one for all.
async fn says_which_page_is_the_last(first: &dyn RevocationStore, second: &dyn RevocationStore) {
    const ENTRIES: usize = 12_000;
    let many: Vec<_> = (0..ENTRIES).map(|n| session(&format!("many {n}"))).collect();
    for batch in many.chunks(500) {
        write(first, batch).await;
    }
    let seen = Reader::of(second).until_the_end().await.seen;
    let all = many.iter().all(|one| seen.contains(one));
    assert!(all, "of {ENTRIES} entries not all have come when the store says that it was the last page");
}

/// Who reads from position to position.
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
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the store never says that a page is the last"
            );
        }
        self
    }

    async fn until(mut self, done: impl Fn(&HashSet<Revocation>) -> bool) -> Self {
        let began = Instant::now();
        while !done(&self.seen) {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "the store does not tell, or not in time, all that was written; of it there came {}",
                self.seen.len()
            );
            self.page().await;
        }
        self
    }

    async fn page(&mut self) -> RevocationPage {
        let page = timeout(Duration::from_secs(5), self.store.read(self.position.take())).await;
        let page = page
            .unwrap_or_else(|_| panic!("a read takes longer than five seconds"))
            .unwrap_or_else(|error| panic!("the store cannot be read: {error}"));
        assert!(page.revocations.len() <= 20_000, "a page has more than some thousand entries");
        self.position = Some(page.next_position.clone());
        if page.revocations.is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        self.seen.extend(page.revocations.iter().cloned());
        page
    }
}

/// What comes of a future, and how long that takes. A time in which the machine gives this process no turn counts as
/// one tick, and so does one in which the future blocks the thread, which is not to be told from it.
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

/// Names, issuers and times of every sort.
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
                // Expired, but not for an hour.
                revocations.push(Revocation::subject(issuer, name, issued_until, in_seconds(-3590)));
            }
        }
    }
    revocations
}

/// From now, in whole seconds.
fn in_seconds(seconds: i64) -> SystemTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    UNIX_EPOCH + Duration::from_secs(now.saturating_add_signed(seconds))
}
