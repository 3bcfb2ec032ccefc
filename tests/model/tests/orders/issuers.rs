//! Issuers that are resolved: one question for all who wait, and an answer for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use shuttle::future::{self, block_on, yield_now};
use shuttle::thread;
use tower_jwt_auth::{AuthErrorKind, IssuerResolver, Issuers, JwtVerifier, KeySet, RegisteredClaims, Verify};

use crate::{OLD, explore, later};

/// What is asked, and how often.
#[derive(Default)]
struct Directory {
    is_down: bool,
    is_asked: AtomicBool,
    questions: AtomicUsize,
}

impl Directory {
    fn resolver(self: &Arc<Self>) -> IssuerResolver<RegisteredClaims> {
        let directory = Arc::clone(self);
        IssuerResolver::new(move |issuer: String| {
            let directory = Arc::clone(&directory);
            async move {
                let _asked = Asked::begin(&directory);
                yield_now().await;
                yield_now().await;
                if directory.is_down {
                    return Err("down");
                }
                let keys = KeySet::from(OLD.key.clone());
                Ok(Some(JwtVerifier::new(keys).issuer(issuer)))
            }
        })
    }

    fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }
}

/// A question that is being answered: there is never a second one for the same issuer.
struct Asked<'a>(&'a Directory);

impl<'a> Asked<'a> {
    fn begin(directory: &'a Directory) -> Self {
        directory.questions.fetch_add(1, Ordering::Relaxed);
        assert!(!directory.is_asked.swap(true, Ordering::Relaxed), "asked twice at once");
        Self(directory)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.is_asked.store(false, Ordering::Relaxed);
    }
}

fn issuers(resolver: IssuerResolver<RegisteredClaims>) -> Issuers<RegisteredClaims> {
    Issuers::new([]).unwrap().resolver(resolver)
}

fn ask(issuers: &Issuers<RegisteredClaims>) -> Result<(), AuthErrorKind> {
    match block_on(issuers.verify(&OLD.token).into_future()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.kind()),
    }
}

fn ask_at_once(issuers: &Issuers<RegisteredClaims>, requests: usize) -> Vec<Result<(), AuthErrorKind>> {
    let threads: Vec<_> = (0..requests)
        .map(|_| {
            let issuers = issuers.clone();
            thread::spawn(move || ask(&issuers))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn all_who_ask_share_one_question() {
    explore(|| {
        let directory = Arc::new(Directory::default());
        assert_eq!(ask_at_once(&issuers(directory.resolver()), 3), [Ok(()); 3]);
        assert_eq!(directory.questions(), 1);
    });
}

#[test]
fn all_who_ask_share_a_failure() {
    explore(|| {
        let directory = Arc::new(Directory { is_down: true, ..Directory::default() });
        let answers = ask_at_once(&issuers(directory.resolver()), 3);
        assert_eq!(answers, [Err(AuthErrorKind::KeysUnavailable); 3]);
        assert_eq!(directory.questions(), 1);
    });
}

#[test]
fn one_who_is_known_serves_while_one_request_asks_anew() {
    explore(|| {
        let directory = Arc::new(Directory::default());
        let issuers = issuers(directory.resolver().max_age(Duration::ZERO));
        assert_eq!(ask(&issuers), Ok(()));
        assert_eq!(ask_at_once(&issuers, 3), [Ok(()); 3]);
        assert!((2..=4).contains(&directory.questions()), "{}", directory.questions());
    });
}

#[test]
fn one_who_asks_anew_and_is_given_up_leaves_that_to_another() {
    explore(|| {
        let directory = Arc::new(Directory::default());
        let issuers = issuers(directory.resolver().max_age(Duration::ZERO).most_waiting(1));
        assert_eq!(ask(&issuers), Ok(()));
        let given_up = future::spawn({
            let issuers = issuers.clone();
            async move { issuers.verify(&OLD.token).await.map(|_| ()) }
        });
        later();
        given_up.abort();
        let _ = block_on(given_up);

        let questions = directory.questions();
        assert_eq!(ask(&issuers), Ok(()));
        assert_eq!(directory.questions(), questions + 1);
    });
}

#[test]
fn a_request_that_is_given_up_leaves_its_place_to_another() {
    explore(|| {
        let directory = Arc::new(Directory::default());
        let issuers = issuers(directory.resolver().most_waiting(3));
        let given_up = future::spawn({
            let issuers = issuers.clone();
            async move { issuers.verify(&OLD.token).await.map(|_| ()) }
        });
        let asking = thread::spawn({
            let issuers = issuers.clone();
            move || ask_at_once(&issuers, 2)
        });
        later();
        given_up.abort();
        assert_eq!(asking.join().unwrap(), [Ok(()); 2]);
    });
}
