//! A value read from a file, and read again when the file changes.

use std::error::Error;
use std::fmt::{self, Formatter};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::config_error::{ConfigError, ConfigProblem};
use crate::observe;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The time between two reads. A change is seen within 10 s, even if reading is slow.
const INTERVAL: Duration = Duration::from_secs(5);

/// A longer read is reported as a failure.
const LONGEST_READ: Duration = Duration::from_secs(10);

/// The largest file that is read.
const MAX_BYTES: u64 = 1024 * 1024;

/// A value that a file contains. Clones share it.
///
/// A background task reads the file every five seconds, compares its bytes and parses them if they have changed. If the file
/// cannot be read or parsed, the last good value stays in use. The task runs in the tokio runtime of the first use, and ends
/// with the last clone or with the runtime. The next use then starts another task. Without a runtime the value stays the first one.
///
/// The path is resolved for each read, because Kubernetes replaces symbolic links to update mounted files.
pub(crate) struct FileFollower<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Arc<State<T>>,
    task: Mutex<Option<AbortHandle>>,
}

struct State<T> {
    path: PathBuf,
    /// The path as text, for logs and metrics.
    name: Arc<str>,
    parse: Box<Parse<T>>,
    value: ArcSwap<T>,
    progress: Mutex<Progress>,
    reads: AtomicU64,
    failures: AtomicU64,
    has_task: AtomicBool,
}

type Parse<T> = dyn Fn(&[u8]) -> Result<T, ConfigError> + Send + Sync;

/// The last good content, and the failures since it was read.
struct Progress {
    content: Vec<u8>,
    failures: u32,
    error: Option<ConfigError>,
}

impl<T: Send + Sync + 'static> FileFollower<T> {
    /// Reads a file and follows it.
    ///
    /// Returns an error if the file cannot be read or parsed. This blocks: call it at set-up.
    pub(crate) fn open(
        path: impl AsRef<Path>,
        parse: impl Fn(&[u8]) -> Result<T, ConfigError> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let path = path.as_ref().to_owned();
        let content = read(&path)?;
        let value = parse(&content).map_err(|error| invalid(&path, error))?;
        let name = Arc::from(path.display().to_string());
        observe::file_read(&name, 0);
        let state = State {
            path,
            name,
            parse: Box::new(parse),
            value: ArcSwap::from_pointee(value),
            progress: Mutex::new(Progress { content, failures: 0, error: None }),
            reads: AtomicU64::new(1),
            failures: AtomicU64::new(0),
            has_task: AtomicBool::new(false),
        };
        Ok(Self(Arc::new(Shared { state: Arc::new(state), task: Mutex::new(None) })))
    }

    /// Returns the value, and starts the task if it is not running.
    #[inline]
    pub(crate) fn current(&self) -> Guard<Arc<T>> {
        if !self.0.state.has_task.load(Ordering::Acquire) {
            self.start_task();
        }
        self.0.state.value.load()
    }

    fn start_task(&self) {
        let Shared { state, task } = &*self.0;
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut task = task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = TaskGuard::begin(state) {
            *task = Some(runtime.spawn(Arc::clone(state).run(guard)).abort_handle());
        }
    }
}

impl<T> FileFollower<T> {
    pub(crate) fn path(&self) -> &Path {
        &self.0.state.path
    }

    /// Returns the number of reads, including the first and the failed ones.
    pub(crate) fn reads(&self) -> u64 {
        self.0.state.reads.load(Ordering::Relaxed)
    }

    /// Returns the number of failed reads.
    pub(crate) fn failures(&self) -> u64 {
        self.0.state.failures.load(Ordering::Relaxed)
    }

    /// Returns the error of the last read, or `None` after a success.
    pub(crate) fn last_error(&self) -> Option<ConfigError> {
        let progress = self.0.state.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.error.clone()
    }
}

impl<T: Send + Sync + 'static> State<T> {
    async fn run(self: Arc<Self>, _guard: TaskGuard<T>) {
        loop {
            let state = Arc::clone(&self);
            let mut reading = spawn_blocking(move || state.read_changed());
            let read = match timeout(LONGEST_READ, &mut reading).await {
                Ok(read) => read,
                Err(_) => {
                    let source = std::io::Error::other("the read takes more than 10 s");
                    let path = self.path.clone();
                    self.conclude(Err(ConfigProblem::UnreadableFile { path, source }.into()));
                    // Another read would hang as well.
                    reading.await
                }
            };
            match read {
                Ok(result) => self.conclude(result),
                // The value stays in use.
                Err(error) if error.is_panic() => {
                    let source = std::io::Error::other("reading its content panicked");
                    let path = self.path.clone();
                    self.conclude(Err(ConfigProblem::UnreadableFile { path, source }.into()));
                }
                // The runtime ends.
                Err(_) => {}
            }
            sleep(INTERVAL).await;
        }
    }

    /// Returns the content and its value, unless it is the last good content. This blocks.
    fn read_changed(&self) -> Result<Option<(Vec<u8>, T)>, ConfigError> {
        let content = read(&self.path)?;
        if self.progress.lock().unwrap_or_else(PoisonError::into_inner).content == content {
            return Ok(None);
        }
        let value = (self.parse)(&content).map_err(|error| invalid(&self.path, error))?;
        Ok(Some((content, value)))
    }

    fn conclude(&self, result: Result<Option<(Vec<u8>, T)>, ConfigError>) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(changed) => {
                if let Some((content, value)) = changed {
                    progress.content = content;
                    self.value.store(Arc::new(value));
                }
                let failures = std::mem::take(&mut progress.failures);
                progress.error = None;
                drop(progress);
                observe::file_read(&self.name, failures);
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                progress.failures = progress.failures.saturating_add(1);
                let is_new = progress.error.as_ref().is_none_or(|known| !is_same(known, &error));
                progress.error = Some(error.clone());
                let failures = progress.failures;
                drop(progress);
                observe::file_failed(&self.name, &error, failures, is_new);
            }
        }
    }
}

/// Reads a regular file of at most [`MAX_BYTES`]. A pipe would block, and a device may have no end.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let read = || {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let mut content = Vec::new();
        File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut content)?;
        match content.len() as u64 {
            0..=MAX_BYTES => Ok(content),
            _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB")),
        }
    };
    read().map_err(|source| ConfigProblem::UnreadableFile { path: path.into(), source }.into())
}

fn invalid(path: &Path, error: ConfigError) -> ConfigError {
    ConfigProblem::InvalidFile { path: path.into(), error }.into()
}

fn is_same(error: &ConfigError, other: &ConfigError) -> bool {
    let source = |error: &ConfigError| error.source().map(ToString::to_string);
    error.to_string() == other.to_string() && source(error) == source(other)
}

impl<T> Clone for FileFollower<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Without the value and the content, which may be secret.
impl<T> fmt::Debug for FileFollower<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileFollower").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

/// Marks the task as running. On drop, lets the next use start another task.
struct TaskGuard<T>(Arc<State<T>>);

impl<T> TaskGuard<T> {
    /// Returns `None` if a task is already running.
    fn begin(state: &Arc<State<T>>) -> Option<Self> {
        let had_task = state.has_task.swap(true, Ordering::AcqRel);
        (!had_task).then(|| Self(Arc::clone(state)))
    }
}

impl<T> Drop for TaskGuard<T> {
    fn drop(&mut self) {
        self.0.has_task.store(false, Ordering::Release);
    }
}
