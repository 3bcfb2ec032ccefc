//! Processes of the demo, with the servers that they share.

use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, thread};

use tokio::time::sleep;

use crate::client::Client;
use crate::postgres_server::PostgresServer;
use crate::redis_server::Server as RedisServer;
use crate::support::SECRET;

pub(crate) struct Servers {
    pub(crate) postgres: PostgresServer,
    pub(crate) redis: RedisServer,
}

impl Servers {
    /// One test only may use a name.
    pub(crate) fn start(name: &str) -> Self {
        Self { postgres: PostgresServer::start(), redis: RedisServer::start(&format!("demo-{name}")) }
    }

    /// A process that uses them and is behind one proxy.
    pub(crate) fn process(&self) -> Process {
        let child = Command::new(program())
            .env("DEMO_ADDR", "127.0.0.1:0")
            .env("JWT_SECRET", SECRET)
            .env("DATABASE_URL", self.postgres.url())
            .env("REDIS_URL", self.redis.url())
            .env("TRUSTED_PROXIES", "1")
            .env_remove("PUBLIC_URL")
            .stdout(Stdio::piped())
            .spawn();
        Process::new(child.unwrap())
    }
}

/// One on its own that uses this Redis, and what it says on standard error, as it says it.
pub(crate) fn process_with_errors(redis: &RedisServer) -> (Process, Receiver<String>) {
    let mut child = Command::new(program())
        .env("DEMO_ADDR", "127.0.0.1:0")
        .env("JWT_SECRET", SECRET)
        .env("DATABASE_URL", "sqlite::memory:")
        .env("REDIS_URL", redis.url())
        .env_remove("PUBLIC_URL")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let (sender, errors) = channel();
    thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
    (Process::new(child), errors)
}

/// Ends when it is dropped.
pub(crate) struct Process {
    child: Child,
    client: Client,
}

impl Process {
    fn new(mut child: Child) -> Self {
        let output = BufReader::new(child.stdout.take().unwrap());
        let address = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on http://")?.parse().ok())
            .expect("the demo starts, or says on standard error why not");
        Self { child, client: Client { address } }
    }

    /// As a service manager does.
    pub(crate) fn stop(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}");
    }

    /// Waits until this credential is refused as revoked, for a second.
    pub(crate) async fn refuses_within_a_second(&self, authorization: &str) {
        self.answers_within_a_second(authorization, 401).await;
    }

    /// Of a time in which the machine gives this process no turn, no more counts than the longest look.
    pub(crate) async fn answers_within_a_second(&self, authorization: &str, status: u16) {
        const LONGEST_LOOK: Duration = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        loop {
            let look = Instant::now();
            let answer = self.protected(&[authorization]).await;
            if answer.status == status {
                let challenge = answer.header("www-authenticate").unwrap_or_default();
                assert_eq!(challenge.contains("the token has been revoked"), status == 401, "{challenge}");
                return;
            }
            assert!(waited < Duration::from_secs(1), "after a second it still answers {}", answer.status);
            sleep(Duration::from_millis(5)).await;
            waited += look.elapsed().min(LONGEST_LOOK);
        }
    }
}

impl Deref for Process {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // If it fails, it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo puts it beside the folder of this test.
fn program() -> PathBuf {
    let test = env::current_exe().unwrap();
    let program = test.parent().unwrap().with_file_name("examples").join("axum_demo");
    assert!(
        program.exists(),
        "{} is not there: `cargo build -p axum_demo --example axum_demo` builds it",
        program.display()
    );
    program
}
