//! API keys whose records are looked up.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::form::Id;
use super::record::ApiKeyRecord;
use super::rules::{PresentedKey, Rules, id_text};
use crate::lookups::{Answer, Blame, Failure, LookupSettings, LookupStats, Lookups};
use crate::registered::since_epoch;
use crate::verify::Verdict;

/// Records by the ID of the key. Clones share everything.
pub(super) struct KeyLookup<C> {
    ask: Arc<Ask<C>>,
    lookups: Lookups<C>,
}

type Ask<C> = dyn Fn(String) -> Asking<C> + Send + Sync;

type Asking<C> = Pin<Box<dyn Future<Output = Result<Option<ApiKeyRecord<C>>, BoxError>> + Send>>;

type BoxError = Box<dyn Error + Send + Sync>;

const SERVICE: &str = "api_key";

impl<C> KeyLookup<C> {
    pub(super) fn new<F, Fut, E>(ask: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<ApiKeyRecord<C>>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let ask = move |id| -> Asking<C> {
            let asking = ask(id);
            Box::pin(async move { asking.await.map_err(Into::into) })
        };
        Self { ask: Arc::new(ask), lookups: Lookups::new(SERVICE, LookupSettings::new()) }
    }

    pub(super) fn set(&mut self, settings: LookupSettings) {
        self.lookups = Lookups::new(SERVICE, settings);
    }

    pub(super) fn forget(&self, id: &str) {
        self.lookups.forget(id.as_bytes());
    }

    pub(super) fn stats(&self) -> LookupStats {
        self.lookups.stats()
    }
}

impl<C: Send + Sync + 'static> KeyLookup<C> {
    /// Checks a key with its record, which is remembered by the ID: a wrong secret of a known key costs no lookup.
    pub(super) fn verify(&self, rules: &Arc<Rules>, key: PresentedKey) -> Verdict<C> {
        let (id, now) = (key.id, since_epoch(rules.now()));
        let ask = || {
            let (ask, rules) = (Arc::clone(&self.ask), Arc::clone(rules));
            async move { answer(&rules, id, ask(id_text(&id).to_owned()).await, now) }
        };
        let rules = Arc::clone(rules);
        self.lookups.verify(&id, now, ask, move |claims| rules.judge(key, Some(claims)).map(drop))
    }
}

fn answer<C: 'static>(
    rules: &Rules,
    id: Id,
    record: Result<Option<ApiKeyRecord<C>>, BoxError>,
    asked_at: Duration,
) -> Answer<C> {
    match record {
        Ok(Some(record)) if record.id != id_text(&id) => failed(OTHER_KEY.into(), Blame::Credential),
        Ok(Some(record)) => {
            let heap_bytes = record.heap_bytes(&rules.prefix);
            match record.into_claims(&rules.prefix, asked_at) {
                Ok((_, mut claims)) => {
                    claims.set_heap_bytes(heap_bytes);
                    Answer::Accepted(claims)
                }
                Err(error) => failed(error.into(), Blame::Credential),
            }
        }
        Ok(None) => Answer::Rejected(rules.unknown()),
        Err(error) => failed(error, Blame::Unclear),
    }
}

fn failed<C>(cause: BoxError, blame: Blame) -> Answer<C> {
    Answer::Failed(Failure { cause, blame, retry_after: None })
}

const OTHER_KEY: &str =
    "the lookup returned the record of a key with another ID; compare IDs exactly, with upper and lower case";

impl<C> Clone for KeyLookup<C> {
    fn clone(&self) -> Self {
        Self { ask: Arc::clone(&self.ask), lookups: self.lookups.clone() }
    }
}
