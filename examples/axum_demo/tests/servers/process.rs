//! Processes of the demo and the servers that they share.

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
    /// Starts the servers. Each test needs its own name.
    pub(crate) fn start(name: &str) -> Self {
        Self { postgres: PostgresServer::start(), redis: RedisServer::start(&format!("demo-{name}")) }
    }

    /// Starts a process that uses the servers, behind one proxy.
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

/// Starts a process that uses this Redis. Returns the lines of its standard error as they come.
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

/// A process of the demo. Dropping it ends the process.
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
            .expect("the demo starts; standard error has the reason if not");
        Self { child, client: Client { address } }
    }

    /// Stops the process with SIGTERM.
    pub(crate) fn stop(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}");
    }

    /// Waits until this credential is rejected as revoked, for at most a second.
    pub(crate) async fn refuses_within_a_second(&self, authorization: &str) {
        self.answers_within_a_second(authorization, 401).await;
    }

    /// Waits until this credential gets this status, for at most a second. If the machine pauses this process, each
    /// request counts as at most 20 ms.
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
            assert!(waited < Duration::from_secs(1), "after a second the status is still {}", answer.status);
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
        // On an error, the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo puts the program next to the folder of this test.
fn program() -> PathBuf {
    let test = env::current_exe().unwrap();
    let program = test.parent().unwrap().with_file_name("examples").join("axum_demo");
    assert!(
        program.exists(),
        "{} does not exist; build it with `cargo build -p axum_demo --example axum_demo`",
        program.display()
    );
    program
}
