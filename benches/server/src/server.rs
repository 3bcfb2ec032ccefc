//! The server, in a separate process.

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, process, thread};

use tokio::net::TcpListener;

use crate::app::app;

/// The argument that turns this program into the server.
pub(crate) const ARGUMENT: &str = "--serve";

/// The server process. Dropping this ends it.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start() -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        let mut process = command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| io::Error::other("the server has not started"))?;
        Ok(Self { process, address })
    }

    /// Returns the CPU time of its threads so far, if the system reports it, as Linux does.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.id())).ok()?;
        threads.map(|thread| nanoseconds(&thread.ok()?.path())).sum::<Option<u64>>().map(Duration::from_nanos)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn nanoseconds(thread: &std::path::Path) -> Option<u64> {
    fs::read_to_string(thread.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
}

/// Serves until standard input ends, which happens when the parent process ends.
pub(crate) fn serve() -> io::Result<()> {
    thread::spawn(|| {
        drop(io::stdin().read_to_end(&mut Vec::new()));
        process::exit(0);
    });
    // The load generator's runtime has one thread, so the server needs its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = thread::spawn(move || {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            println!("{}", listener.local_addr()?);
            axum::serve(listener, app()).await
        })
    });
    served.join().expect("the server does not panic")
}
