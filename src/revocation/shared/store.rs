use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::revocation::Revocation;

/// A store through which several processes share their revocations.
///
/// `RedisStore` (feature `redis`) is one. Implement the trait for your database or message queue, and test it with
/// `check_revocation_store` (feature `test-util`).
///
/// A store is a log that is read from the beginning and then followed without gaps. It is never queried for a token:
/// each process has its own list ([`Revocations`](crate::revocation::Revocations)) and follows the store.
///
#[cfg_attr(feature = "test-util", doc = "```")]
#[cfg_attr(not(feature = "test-util"), doc = "```ignore")]
/// use std::sync::{Arc, Mutex};
/// use tower_jwt_auth::revocation::{Revocation, RevocationPage, RevocationStore, StoreFuture};
///
/// /// A log for the threads of one process.
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
    /// Adds entries, at most 500.
    ///
    /// - When the future is ready, the entries must be durable, as far as the store can make them so. Every read that
    ///   begins later must return them.
    /// - Keep each entry until an hour after it [expires](Revocation::expires_at). The same entry may be added twice.
    /// - A write that takes longer than two seconds counts as failed, and is retried.
    /// - The method may be called again before the future is ready, and the future may be dropped earlier.
    /// - Neither this nor [`read`](Self::read) may block a thread.
    /// - Accept every entry. A name may contain any characters, including U+0000, which PostgreSQL's `text` cannot hold
    ///   ([PostgreSQL, section 8.3](https://www.postgresql.org/docs/current/datatype-character.html)). Store the JSON
    ///   of the entry, which escapes them.
    ///
    /// If the store rejects an entry, the process retries it every second until its tokens have expired. It writes the
    /// other entries meanwhile.
    fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()>;

    /// Reads the entries after a position.
    ///
    /// The position is from an earlier read, by this or another process. Read from the beginning if the position is
    /// `None`, is unknown to this store, or if entries after it are gone.
    ///
    /// If there are no new entries, respond at once, or wait up to a second for one. After an empty response the next
    /// read follows after a tenth of a second. A read that takes longer than five seconds counts as failed.
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

/// The future that the methods of [`RevocationStore`] return.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, Box<dyn Error + Send + Sync>>> + Send>>;

/// A part of the entries of a [`RevocationStore`].
///
/// Return at most some thousand entries, so that processing a page does not block a thread for long.
#[derive(Debug)]
pub struct RevocationPage {
    pub(super) revocations: Vec<Revocation>,
    pub(super) next_position: String,
    pub(super) has_more: bool,
}

impl RevocationPage {
    /// Creates the last page.
    ///
    /// It ends with the entry that was newest when the read began, or with a later one.
    #[must_use]
    pub fn last(revocations: Vec<Revocation>, next_position: String) -> Self {
        Self { revocations, next_position, has_more: false }
    }

    /// Creates a page before the last one.
    ///
    /// There may be more entries from `next_position` on.
    #[must_use]
    pub fn with_more(revocations: Vec<Revocation>, next_position: String) -> Self {
        Self { revocations, next_position, has_more: true }
    }

    /// Returns the entries of the page.
    #[must_use]
    pub fn revocations(&self) -> &[Revocation] {
        &self.revocations
    }

    /// Returns the position to read from next. The last page has one too.
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
