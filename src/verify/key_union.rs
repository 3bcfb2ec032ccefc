//! The union of two key sources, for an issuer that publishes two sets.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use arc_swap::ArcSwap;

use super::key_set::KeySet;
use super::key_source::{KeyLookup, KeySource, KeysRef, PendingRefresh, Refresh};
use super::merged_keys::MergedKeys;
use crate::error::AuthError;

/// Two sources that each refresh their own keys.
pub(crate) struct KeyUnion {
    sources: [Arc<dyn KeySource>; 2],
    merged: ArcSwap<MergedKeys>,
}

impl KeyUnion {
    pub(crate) fn new(first: Arc<dyn KeySource>, second: Arc<dyn KeySource>) -> Self {
        // The sources are first read for the first token.
        Self { sources: [first, second], merged: ArcSwap::from_pointee(MergedKeys::none()) }
    }
}

impl KeySource for KeyUnion {
    fn current(&self) -> KeysRef<'_> {
        let parts = self.sources.each_ref().map(|source| source.current());
        let merged = self.merged.load();
        let [first, second] = &parts;
        if merged.is_of([first, second]) {
            return KeysRef::merged(merged);
        }
        let merged = MergedKeys::of([(first, first.pin()), (second, second.pin())]);
        let keys = KeysRef::from(Arc::clone(merged.keys()));
        self.merged.store(Arc::new(merged));
        keys
    }

    /// Asks both sources: either may have the key.
    fn refresh(&self, lookup: KeyLookup<'_>) -> Refresh {
        let [first, second] = self.sources.each_ref().map(|source| source.refresh(lookup));
        match (first, second) {
            (Refresh::Unchanged, other) | (other, Refresh::Unchanged) => other,
            (Refresh::Failed(error), Refresh::Failed(other)) => Refresh::Failed(sooner(error, other)),
            // If the other source does not have the key, the failed one may have it: report its error.
            (Refresh::Failed(error), Refresh::Pending(refreshed))
            | (Refresh::Pending(refreshed), Refresh::Failed(error)) => {
                Refresh::Pending(Box::pin(async move {
                    match refreshed.await {
                        Ok(()) => Err(error),
                        Err(other) => Err(sooner(error, other)),
                    }
                }))
            }
            (Refresh::Pending(first), Refresh::Pending(second)) => {
                let (sources, kid) = (self.sources.clone(), lookup.kid().map(str::to_owned));
                let is_missing = kid.is_some() && !lookup.is_replaced();
                let held = self.sources.each_ref().map(|source| pinned(&source.current()));
                let is_found = move |place: usize| match kid.as_deref() {
                    Some(kid) if is_missing => sources.iter().any(|source| source.current().has_named(kid)),
                    kid => sources[place].current().has_other(&held[place], kid),
                };
                Refresh::Pending(Box::pin(both([first, second], is_found)))
            }
        }
    }

    fn can_refresh(&self) -> bool {
        self.sources.iter().any(|source| source.can_refresh())
    }
}

/// Returns the current keys, unaffected by later changes.
fn pinned(keys: &KeysRef<'_>) -> Arc<KeySet> {
    keys.pin().unwrap_or_else(|| Arc::new(KeySet::clone(keys)))
}

/// Waits until one source may have fetched the key, or both are done. A source that hangs does not delay tokens of the other.
async fn both(refreshing: [PendingRefresh; 2], is_found: impl Fn(usize) -> bool) -> Result<(), AuthError> {
    let mut refreshing = refreshing.map(Some);
    let mut failure: Option<AuthError> = None;
    poll_fn(|cx| {
        for (number, place) in refreshing.iter_mut().enumerate() {
            let Some(source) = place else { continue };
            let Poll::Ready(result) = source.as_mut().poll(cx) else { continue };
            *place = None;
            match result {
                Ok(()) if is_found(number) => return Poll::Ready(Ok(())),
                Ok(()) => {}
                Err(error) => {
                    failure = Some(match failure.take() {
                        Some(other) => sooner(other, error),
                        None => error,
                    });
                }
            }
        }
        if refreshing.iter().any(Option::is_some) {
            return Poll::Pending;
        }
        Poll::Ready(failure.take().map_or(Ok(()), Err))
    })
    .await
}

/// Returns the failure with the shorter `Retry-After`.
fn sooner(one: AuthError, other: AuthError) -> AuthError {
    if other.retry_after() < one.retry_after() { other } else { one }
}
