//! The credentials that a service has rejected a short time ago.

use std::hash::RandomState;
use std::sync::Arc;

use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::error::AuthError;

/// Rejections by key, each until a time. The oldest make room for new ones.
pub(super) struct Rejections(Cache<Arc<[u8]>, (AuthError, Instant), UnitWeighter, RandomState>);

impl Rejections {
    pub(super) fn new(entries: usize) -> Self {
        let entries = entries.max(1);
        Self(Cache::with(entries, entries as u64, UnitWeighter, RandomState::new(), Default::default()))
    }

    pub(super) fn get(&self, key: &[u8], now: Instant) -> Option<AuthError> {
        let (error, _) = self.0.get(key).filter(|(_, until)| now < *until)?;
        Some(error)
    }

    pub(super) fn insert(&self, key: &Arc<[u8]>, error: AuthError, until: Instant) {
        self.0.insert(Arc::clone(key), (error, until));
    }

    pub(super) fn remove(&self, key: &[u8]) -> Option<AuthError> {
        self.0.remove(key).map(|(_, (error, _))| error)
    }
}
