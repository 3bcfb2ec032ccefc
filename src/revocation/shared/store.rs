use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::revocation::Revocation;

/// Where several processes share what is revoked. `RedisStore` (feature `redis`) is one; implement it for a database or a
/// message queue of yours, and test it with `check_revocation_store` (feature `test-util`).
///
/// It is never asked for a token: each process has a list of its own ([`Revocations`](crate::revocation::Revocations)) and follows the store. A
/// store is a log that is read from its beginning and then on, with no gap:
///
#[cfg_attr(feature = "test-util", doc = "```")]
#[cfg_attr(not(feature = "test-util"), doc = "```ignore")]
/// use std::sync::{Arc, Mutex};
/// use tower_jwt_auth::revocation::{Revocation, RevocationPage, RevocationStore, StoreFuture};
///
/// /// For the threads of one process.
/// #[derive(Clone, Default)]
/// struct Log(Arc<Mutex<Vec<Revocation>>>);
///
/// impl RevocationStore for Log {
///     fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
///         self.0.lock().unwrap().extend(revocations);
///         Box::pin(async { Ok(()) })
///     }
///
///     fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
///         let log = self.0.lock().unwrap();
///         let from = position.and_then(|position| position.parse().ok()).unwrap_or(0);
///         let page = RevocationPage::last(log[from..].to_vec(), log.len().to_string());
///         Box::pin(async { Ok(page) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let log = Log::default();
/// tower_jwt_auth::revocation::check_revocation_store(|| log.clone()).await;
/// # }
/// ```
pub trait RevocationStore: Send + Sync {
    /// Adds entries. When the future is ready, they have to be safe, as far as the store can make them so, and every read
    /// that begins from then on has to come to them. The same may be added twice. Each has to be kept until an hour
    /// after it [expires](Revocation::expires_at).
    ///
    /// There are 500 entries at most. If it takes longer than two seconds, it has failed, and is asked again.
    ///
    /// A store has to accept every entry. A name may have any characters, among them U+0000, which PostgreSQL's `text` cannot
    /// hold ([PostgreSQL, section 8.3](https://www.postgresql.org/docs/current/datatype-character.html)). Keep the JSON of
    /// the entry, which escapes them. The process that revokes tries a refused entry again every second, until its tokens
    /// have expired, and writes the others meanwhile.
    ///
    /// It may be called again before the future is ready, and the future may be dropped before it is. Neither this nor
    /// [`read`](Self::read) may block a thread.
    fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()>;

    /// Reads what comes after a position that an earlier read has given, this process's or another's; from the beginning
    /// where there is none, and also where what came after it is no longer there, or where it is none of this store's.
    ///
    /// If there is nothing more, it may wait for something to be added, up to a second, or say so at once; it is then asked
    /// again, after a tenth of a second. If it takes longer than five seconds, it has failed.
    fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage>;
}

impl<T: RevocationStore + ?Sized> RevocationStore for Arc<T> {
    fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
        (**self).write(revocations)
    }

    fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
        (**self).read(position)
    }
}

/// What a [`RevocationStore`] answers with.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, Box<dyn Error + Send + Sync>>> + Send>>;

/// A part of what a [`RevocationStore`] holds: some thousand entries, so that reading one does not keep a thread for
/// long.
#[derive(Debug)]
pub struct RevocationPage {
    pub(super) revocations: Vec<Revocation>,
    pub(super) next_position: String,
    pub(super) has_more: bool,
}

impl RevocationPage {
    /// The last page: it ends with the newest entry when the read began, or a later one.
    #[must_use]
    pub fn last(revocations: Vec<Revocation>, next_position: String) -> Self {
        Self { revocations, next_position, has_more: false }
    }

    /// A page before the last one: there may be more entries from `next_position` on.
    #[must_use]
    pub fn with_more(revocations: Vec<Revocation>, next_position: String) -> Self {
        Self { revocations, next_position, has_more: true }
    }

    /// The entries of the page.
    #[must_use]
    pub fn revocations(&self) -> &[Revocation] {
        &self.revocations
    }

    /// The position from which the next page is read, also after the last one.
    #[must_use]
    pub fn next_position(&self) -> &str {
        &self.next_position
    }

    /// Returns true if this is not the last page.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }
}
