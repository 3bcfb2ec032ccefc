//! Starts the demo on a free port.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum_demo::{Clock, SettingError, Settings, app, listen, serve};
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::Client;

pub(crate) const SECRET: &str = "a secret for tests, of 32+ bytes";

/// A running demo.
pub(crate) struct Demo {
    client: Client,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Demo {
    /// Starts with a database in memory.
    pub(crate) async fn start() -> Self {
        Self::start_with(settings("sqlite::memory:")).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        let listener = listen(settings.address).await.unwrap();
        Self::start_on(listener, settings).await
    }

    pub(crate) async fn start_on(listener: TcpListener, settings: Settings) -> Self {
        let address = listener.local_addr().unwrap();
        let app = app(&settings).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener, app, settings.limits, async { stopped.await.unwrap() }));
        Self { client: Client { address }, stop, served }
    }

    /// Starts the shutdown. The returned task ends with the server.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.served
    }
}

/// Gives access to the client.
impl Deref for Demo {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Settings with a free port.
pub(crate) fn settings(database: &str) -> Settings {
    read(&[("DEMO_ADDR", "127.0.0.1:0"), ("JWT_SECRET", SECRET), ("DATABASE_URL", database)]).unwrap()
}

/// Settings with a free port, behind one proxy.
pub(crate) fn proxied_settings(database: &str) -> Settings {
    read(&[
        ("DEMO_ADDR", "127.0.0.1:0"),
        ("JWT_SECRET", SECRET),
        ("DATABASE_URL", database),
        ("TRUSTED_PROXIES", "1"),
    ])
    .unwrap()
}

/// Reads settings from these variables only. Time limits are long enough for a busy machine.
pub(crate) fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingError> {
    let mut settings = Settings::read(variables.iter().map(|(name, value)| (name.into(), value.into())))?;
    settings.limits.request = Duration::from_secs(60);
    settings.limits.shutdown = Duration::from_secs(60);
    // All clients of a test have the same address.
    settings.limits.connections_of_a_peer = settings.limits.connections;
    Ok(settings)
}

/// A clock that only advances when a test calls `forward`. It starts with a minute, and so with a window of the limits.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn set_into(settings: &mut Settings) -> Self {
        let ahead = Self(Arc::default());
        let clock = ahead.clone();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let start = UNIX_EPOCH + Duration::from_secs(now / 60 * 60);
        settings.clock = Clock::new(move || start + Duration::from_secs(clock.0.load(Ordering::Relaxed)));
        ahead
    }

    pub(crate) fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn back(&self, seconds: u64) {
        self.0.fetch_sub(seconds, Ordering::Relaxed);
    }
}

/// Changes a database without the demo.
pub(crate) async fn change(url: &str, sql: &'static str) {
    install_default_drivers();
    let mut database = AnyConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
}

/// The path of a file that does not exist yet and is deleted after the test. Each test needs its own name.
pub(crate) struct ScratchFile(pub(crate) PathBuf);

impl ScratchFile {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("{}-{name}", process::id());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    /// Returns the file as a database URL.
    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.0.display())
    }

    /// Returns the path of a file that SQLite creates next to it.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.0.clone().into_os_string();
        path.push(suffix);
        path.into()
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            // The test may not have created it.
            let _ = fs::remove_file(self.beside(suffix));
        }
    }
}
