//! The conformance test for stores finds the fault of each of several bad ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::sleep;
use tower_jwt_auth::revocation::{
    Revocation, RevocationPage, RevocationStore, StoreFuture, check_revocation_store,
};

use super::{Store, seconds};

#[tokio::test(start_paused = true)]
async fn store_test_finds_each_fault() {
    let good = Store::default();
    check_revocation_store(|| good.clone()).await;
    let shared: Arc<dyn RevocationStore> = Arc::new(Store::default());
    check_revocation_store(|| Arc::clone(&shared)).await;

    #[derive(Clone)]
    struct Wrong(Store, &'static str, Arc<AtomicU64>);
    impl RevocationStore for Wrong {
        fn write(&self, mut revocations: Vec<Revocation>) -> StoreFuture<()> {
            match self.1 {
                "loses the last of many" if revocations.len() > 5 => drop(revocations.pop()),
                "stores nothing" => return Box::pin(async { Ok(()) }),
                "keeps the first of a name" => {
                    let held = self.0.0.log.lock().unwrap();
                    let name = |one: &Revocation| {
                        let mut json = serde_json::to_value(one).unwrap();
                        json["exp"].take();
                        json
                    };
                    let names: Vec<_> = held.iter().take(150).map(name).collect();
                    revocations.retain(|one| !names.contains(&name(one)));
                }
                "drops expired entries" => {
                    revocations.retain(|one| one.expires_at().is_none_or(|end| end > SystemTime::now()))
                }
                "fails when it is busy" if self.2.fetch_add(1, Ordering::Relaxed) == 60 => {
                    return Box::pin(async { Err("too busy".into()) });
                }
                "is late" => {
                    let store = self.0.clone();
                    return Box::pin(async move {
                        tokio::spawn(async move {
                            sleep(Duration::from_millis(10)).await;
                            store.write(revocations).await
                        });
                        Ok(())
                    });
                }
                _ => {}
            }
            self.0.write(revocations)
        }

        fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
            let (name, page) = (self.1, self.0.read(position.clone()));
            let misses = Arc::clone(&self.2);
            let from = position.and_then(|at| at.parse::<usize>().ok()).unwrap_or(0);
            Box::pin(async move {
                let page = page.await?;
                let mut entries = page.revocations().to_vec();
                match name {
                    "starts over each time" => {}
                    // In the middle of many entries written at once.
                    "skips some entries" if from > 130 && !entries.is_empty() => {
                        if misses.fetch_add(1, Ordering::Relaxed) == 5 {
                            entries.clear();
                        }
                    }
                    "calls every page the last" => {
                        entries.truncate(1000);
                        let position = (from + entries.len()).to_string();
                        return Ok(RevocationPage::last(entries, position));
                    }
                    "calls no page the last" => {
                        return Ok(RevocationPage::with_more(entries, page.next_position().to_owned()));
                    }
                    "waits too long" => sleep(seconds(4)).await,
                    _ => return Ok(page),
                }
                let position = if name == "starts over each time" { "" } else { page.next_position() };
                Ok(RevocationPage::last(entries, position.to_owned()))
            })
        }
    }
    for (name, says) in [
        ("loses the last of many", "the store does not return"),
        ("stores nothing", "the store does not return"),
        ("drops expired entries", "the store does not return"),
        ("is late", "the store does not return"),
        ("keeps the first of a name", "must keep an entry that is written twice until the later expiry"),
        ("calls every page the last", "a full read returns fewer entries"),
        ("calls no page the last", "the store never returns a last page"),
        ("starts over each time", "the store returns entries after the last position"),
        ("skips some entries", "does not return all written entries in time"),
        ("waits too long", "a read without new entries takes longer"),
        ("fails when it is busy", "the store cannot be written: too busy"),
    ] {
        let store = Wrong(Store::default(), name, Arc::default());
        let panic =
            tokio::spawn(check_revocation_store(move || store.clone())).await.unwrap_err().into_panic();
        let said =
            panic.downcast_ref::<String>().cloned().or(panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        assert!(said.as_ref().is_some_and(|said| said.contains(says)), "{name}: {said:?}");
    }
}
