//! A Redis server for one test, on a free port.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// A server that saves entries without waiting for the disk. Tests crash the server, not the machine.
pub(crate) struct Server {
    port: u16,
    directory: PathBuf,
    options: Vec<String>,
    process: Child,
}

impl Server {
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    pub(crate) fn start_with(name: &str, options: &[&str]) -> Self {
        let port = free_port();
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("redis-{name}"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let process = run(port, &directory, &options);
        let mut server = Self { port, directory, options, process };
        server.wait();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends the server at once, like a crash.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Deletes everything that it has saved, while it is not running.
    pub(crate) fn forget(&self) {
        fs::remove_dir_all(&self.directory).unwrap();
        fs::create_dir(&self.directory).unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.process = run(self.port, &self.directory, &self.options);
        self.wait();
    }

    /// Stops or continues the process with its connections open.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn wait(&mut self) {
        let start = Instant::now();
        while !self.answers() {
            let ended = self.process.try_wait().unwrap();
            assert_eq!(ended, None, "redis-server cannot be started on {}", self.port);
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "redis-server does not start on {}",
                self.port
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns true once the server has loaded its data.
    fn answers(&self) -> bool {
        let mut answer = [0; b"+PONG".len()];
        TcpStream::connect(("127.0.0.1", self.port)).is_ok_and(|mut stream| {
            stream.write_all(b"PING\r\n").is_ok()
                && stream.read_exact(&mut answer).is_ok()
                && answer == *b"+PONG"
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Returns a port below the range for clients, so that no client takes it before the server does. No port
/// is used twice: another test may have stopped its server and restart it later.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let of_this_process = process::id() * 100;
    (0..1000)
        .map(|_| (20_000 + (of_this_process + GIVEN.fetch_add(1, Ordering::Relaxed)) % 10_000) as u16)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free")
}

fn run(port: u16, directory: &PathBuf, options: &[String]) -> Child {
    let program = env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
    Command::new(program)
        .args(["--port", &port.to_string(), "--appendonly", "yes", "--appendfsync", "no", "--save", ""])
        .arg("--dir")
        .arg(directory)
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed, or REDIS_SERVER is its path")
}
