//! A shared list of revocations: a token revoked by another process is never accepted, however early a
//! request comes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use shuttle::future::{block_on, yield_now};
use shuttle::thread;
use tower_jwt_auth::revocation::{
    Revocation, RevocationPage, RevocationStore, Revocations, SharedRevocations, StoreFuture,
};
use tower_jwt_auth::{AuthErrorKind, JwtVerifier, KeySet, RegisteredClaims};

use crate::{ISSUER, NEW, OLD, Signed, ask, explore};

/// A store that keeps everything.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Revocation>>>);

impl RevocationStore for Log {
    fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
        let log = self.clone();
        Box::pin(async move {
            yield_now().await;
            log.0.lock().unwrap().extend(revocations);
            yield_now().await;
            Ok(())
        })
    }

    /// Returns one entry at a time, so that the last page arrives after entries that it does not contain.
    fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
        let log = self.clone();
        Box::pin(async move {
            yield_now().await;
            let from = position.map_or(0, |position| position.parse().unwrap());
            let (next, len) = {
                let log = log.0.lock().unwrap();
                (log.get(from).cloned(), log.len())
            };
            yield_now().await;
            let to = (from + 1).min(len);
            let page = if to == len { RevocationPage::last } else { RevocationPage::with_more };
            Ok(page(next.into_iter().collect(), to.to_string()))
        })
    }
}

fn start(log: &Log) -> Revocations {
    SharedRevocations::new(log.clone()).start().unwrap()
}

fn verifier(revocations: &Revocations) -> JwtVerifier<RegisteredClaims> {
    let keys = KeySet::new([OLD.key.clone(), NEW.key.clone()]);
    JwtVerifier::new(keys).issuer(ISSUER).revocations(revocations.clone())
}

/// Asks until the list is ready.
fn first_answer(verifier: &JwtVerifier<RegisteredClaims>, signed: &Signed) -> Result<(), AuthErrorKind> {
    loop {
        let answer = ask(verifier, signed);
        if answer != Err(AuthErrorKind::RevocationsUnavailable) {
            return answer;
        }
        thread::yield_now();
    }
}

fn revocation(sid: &str) -> Revocation {
    let expires_at = SystemTime::now() + Duration::from_secs(3600);
    Revocation::session(ISSUER, sid, expires_at)
}

#[test]
fn starting_process_accepts_no_revoked_token() {
    explore(|| {
        let log = Log::default();
        log.0.lock().unwrap().extend([revocation("another"), revocation("old")]);
        let revocations = start(&log);
        let asking: Vec<_> = (0..2)
            .map(|_| {
                let verifier = verifier(&revocations);
                thread::spawn(move || first_answer(&verifier, &OLD))
            })
            .collect();
        for asking in asking {
            assert_eq!(asking.join().unwrap(), Err(AuthErrorKind::Revoked));
        }
        block_on(revocations.ready()).unwrap();
        assert_eq!(ask(&verifier(&revocations), &OLD), Err(AuthErrorKind::Revoked));
        assert_eq!(ask(&verifier(&revocations), &NEW), Ok(()));
    });
}

#[test]
fn recorded_revocation_reaches_a_starting_process() {
    explore(|| {
        let log = Log::default();
        let revoking = start(&log);
        let others: Vec<_> = ["old", "new"]
            .into_iter()
            .map(|sid| {
                let (revoking, log) = (revoking.clone(), log.clone());
                thread::spawn(move || {
                    block_on(revoking.revoke(revocation(sid)).into_future()).unwrap();
                    let signed = if sid == "old" { &OLD } else { &NEW };
                    let answer = first_answer(&verifier(&start(&log)), signed);
                    assert_eq!(answer, Err(AuthErrorKind::Revoked));
                })
            })
            .collect();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(revoking.shared_stats().unwrap().waiting(), 0);
    });
}
