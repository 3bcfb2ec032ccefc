//! Starts the demo on a free port and talks to it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum_demo::{Clock, SettingError, Settings, app, listen, serve};
use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::http::{self, Answer, JSON, SIGNIN_BODY, get_request, post_request, request_with, signin_request};

pub(crate) const SECRET: &str = "a secret for tests, of 32+ bytes";

/// A running demo.
pub(crate) struct Demo {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Demo {
    /// With its users in memory.
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
        Self { address, stop, served }
    }

    /// Tells it to stop; what is returned ends when it has.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.served
    }

    pub(crate) async fn send(&self, request: &[u8]) -> TcpStream {
        http::send(self.address, request).await
    }

    pub(crate) async fn exchange(&self, request: &[u8]) -> Answer {
        http::answer(self.send(request).await).await
    }

    pub(crate) async fn signin(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password }).to_string();
        self.exchange(&signin_request(JSON, body.as_bytes())).await
    }

    /// As if a proxy had forwarded it from this address.
    pub(crate) async fn signin_from(&self, address: &str, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password }).to_string();
        let content_type = format!("{JSON}\r\nX-Forwarded-For: {address}");
        self.exchange(&signin_request(&content_type, body.as_bytes())).await
    }

    pub(crate) async fn signup(&self, email: &str, password: &str) -> Answer {
        self.exchange(&signup_request(email, password, "Ada", "Lovelace")).await
    }

    /// A sign-in that the server is at work on: it has asked for the body, which is `SIGNIN_BODY`.
    pub(crate) async fn begin_signin(&self) -> TcpStream {
        let length = SIGNIN_BODY.len();
        let head = format!(
            "POST /signin HTTP/1.1\r\nHost: demo\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        );
        let mut stream = self.send(head.as_bytes()).await;
        let mut asked = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream
    }

    /// The credential of the first user.
    pub(crate) async fn bearer(&self) -> String {
        self.sign_in().await.bearer()
    }

    /// Of the first user.
    pub(crate) async fn sign_in(&self) -> Answer {
        let answer = self.signin("eze@example.com", "okon").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    pub(crate) async fn refresh(&self, cookie: &str) -> Answer {
        self.exchange(&request_with("POST", "/refresh", &[("Cookie", cookie)])).await
    }

    /// Signs out by this path.
    pub(crate) async fn sign_out(&self, path: &str, authorization: &str) -> Answer {
        self.exchange(&request_with("POST", path, &[("Authorization", authorization)])).await
    }

    /// `GET /protected/`, with as many Authorization headers as there are values.
    pub(crate) async fn protected(&self, authorization: &[&str]) -> Answer {
        self.exchange(&get_request("/protected/", authorization)).await
    }
}

/// Settings on a free port.
pub(crate) fn settings(database: &str) -> Settings {
    read(&[("DEMO_ADDR", "127.0.0.1:0"), ("JWT_SECRET", SECRET), ("DATABASE_URL", database)]).unwrap()
}

/// The same, behind a proxy.
pub(crate) fn proxied_settings(database: &str) -> Settings {
    read(&[
        ("DEMO_ADDR", "127.0.0.1:0"),
        ("JWT_SECRET", SECRET),
        ("DATABASE_URL", database),
        ("TRUSTED_PROXIES", "1"),
    ])
    .unwrap()
}

/// The settings from these variables alone.
pub(crate) fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingError> {
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
    Settings::read(|name| find(name).map(|(_, value)| value.into()))
}

pub(crate) fn signup_request(email: &str, password: &str, first_name: &str, last_name: &str) -> Vec<u8> {
    let body = json!({
        "email": email,
        "password": password,
        "first_name": first_name,
        "last_name": last_name,
    });
    post_request("/signup", JSON, body.to_string().as_bytes())
}

/// A clock that stands still, but for what tests put it forward.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn set_into(settings: &mut Settings) -> Self {
        let ahead = Self(Arc::default());
        let clock = ahead.clone();
        let start = SystemTime::now();
        settings.clock = Clock::new(move || start + Duration::from_secs(clock.0.load(Ordering::Relaxed)));
        ahead
    }

    pub(crate) fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

/// Changes a database behind the demo's back.
pub(crate) async fn change(url: &str, sql: &'static str) {
    let mut database = SqliteConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
}

/// The place of a file that is not there yet, and is gone after the test; one test only may use a name.
pub(crate) struct ScratchFile(pub(crate) PathBuf);

impl ScratchFile {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("{}-{name}", process::id());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    /// As a database.
    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.0.display())
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.0.clone().into_os_string();
            path.push(suffix);
            // It is no failure if the test did not make it.
            let _ = fs::remove_file(path);
        }
    }
}
