//! A million revocations in Redis: how long a process needs from a cold start until it holds all of them,
//! and how much memory. Starts its own `redis-server`, and stops with a message if there is none.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, thread};

use tower_jwt_auth::revocation::{RedisStore, Revocation, RevocationStore, SharedRevocations};

const ENTRIES: usize = 1_000_000;
const FOLLOW: &str = "TOWER_JWT_AUTH_BENCH_FOLLOW";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "it prints figures")]
async fn main() {
    if let Ok(url) = env::var(FOLLOW) {
        return follow(&url).await;
    }
    let Some((mut server, url)) = start() else {
        println!("redis-server is not installed: nothing measured");
        return;
    };
    let store = RedisStore::new(&url).expect("an address");
    let idle = memory(server.id());
    let start = Instant::now();
    let expires_at = SystemTime::now() + Duration::from_secs(900);
    let entries: Vec<_> = (0..ENTRIES).collect();
    for batch in entries.chunks(500) {
        // The length of 128 random bits in hexadecimal.
        let session =
            |n: &usize| Revocation::session("https://id.example.com", format!("{n:032x}"), expires_at);
        store.write(batch.iter().map(session).collect()).await.expect("it is written");
    }
    println!("writing {ENTRIES} sessions: {:.1} s", start.elapsed().as_secs_f64());
    println!("the server has grown by {} MB", (memory(server.id()) - idle) / 1_000_000);
    for _ in 0..3 {
        let program = env::current_exe().expect("the bench has a path");
        let before = processor_time(server.id());
        let ended = Command::new(program).env(FOLLOW, &url).status().expect("the bench runs again");
        assert!(ended.success());
        println!("for which the server worked {:.1} s", processor_time(server.id()) - before);
    }
    server.kill().expect("the server runs");
    let _ = server.wait();
}

/// Runs one process from its start until it holds all revocations.
#[expect(clippy::print_stdout, reason = "it prints figures")]
async fn follow(url: &str) {
    let start = Instant::now();
    let store = RedisStore::new(url).expect("an address");
    let revocations = SharedRevocations::new(store).ready_timeout(Duration::MAX).start().expect("a runtime");
    revocations.ready().await.expect("it is read");
    let elapsed = start.elapsed();
    assert_eq!(revocations.len(), ENTRIES);
    println!(
        "a process holds them after {:.2} s, in {} MB in all",
        elapsed.as_secs_f64(),
        memory(std::process::id()) / 1_000_000
    );
}

fn start() -> Option<(Child, String)> {
    let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    let mut server = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--save", ""])
        .stdout(Stdio::null())
        .spawn()
        .ok()?;
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some((server, format!("redis://127.0.0.1:{port}")));
        }
        thread::sleep(Duration::from_millis(50));
    }
    let _ = server.kill();
    None
}

/// Returns the resident memory of a process in bytes, or 0 if the system does not report it.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}

/// Returns the CPU time of a process in seconds, or 0 if the system does not report it.
fn processor_time(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // User and system time, in hundredths of a second.
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
