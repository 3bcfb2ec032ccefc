//! The processes under test: their resource use and output.

use std::fmt::{self, Display, Formatter};
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs};

/// Tells this program to run as one of the servers.
pub(crate) const IS_SERVER: &str = "SOAK_IS_SERVER";

/// A process under test. Dropping it ends the process.
pub(crate) struct Process {
    child: Mutex<Child>,
    id: u32,
    talk: Mutex<Talk>,
    /// Reads standard error until the process ends.
    hearing: Mutex<Option<JoinHandle<Said>>>,
    pub(crate) demo: SocketAddr,
    pub(crate) service: SocketAddr,
}

/// Standard input and output of the process, for commands and responses.
struct Talk {
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// Lines with their times.
type Said = Vec<(Instant, String)>;

/// The exit of a process, and its lines on standard error.
pub(crate) struct Ended {
    pub(crate) well: bool,
    pub(crate) said: Said,
}

/// Resource use of a process.
#[derive(Clone, Copy)]
pub(crate) struct Holdings {
    /// Resident memory in KiB.
    pub(crate) memory: u64,
    /// Allocated heap memory in KiB.
    pub(crate) heap: u64,
    pub(crate) tasks: u64,
    pub(crate) files: u64,
    pub(crate) threads: u64,
}

impl Process {
    /// Starts this program as a server.
    pub(crate) fn start(database: &str, redis: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .env(IS_SERVER, "")
            .env("DATABASE_URL", database)
            .env("REDIS_URL", redis)
            .env_remove("PUBLIC_URL")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let errors = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let hearing = thread::spawn(move || errors.map(|line| (Instant::now(), line)).collect());
        let addresses =
            answers.next().expect("the process starts; standard error has the reason if not").unwrap();
        let (demo, service) = addresses.split_once(' ').unwrap();
        let (demo, service) = (demo.parse().unwrap(), service.parse().unwrap());
        let talk = Talk { questions: child.stdin.take().unwrap(), answers };
        let hearing = Mutex::new(Some(hearing));
        Self { id: child.id(), child: Mutex::new(child), talk: Mutex::new(talk), hearing, demo, service }
    }

    pub(crate) fn tell(&self, command: &str) {
        writeln!(self.talk.lock().unwrap().questions, "{command}").unwrap();
    }

    pub(crate) fn ask(&self, question: &str) -> String {
        let mut talk = self.talk.lock().unwrap();
        writeln!(talk.questions, "{question}").unwrap();
        talk.answers.next().unwrap().unwrap()
    }

    pub(crate) fn holdings(&self) -> Holdings {
        let folder = format!("/proc/{}", self.id);
        let status = fs::read_to_string(format!("{folder}/status")).unwrap();
        let number = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
            value.split_whitespace().next().unwrap().parse().unwrap()
        };
        Holdings {
            memory: number("VmRSS"),
            heap: self.ask("heap").parse().unwrap(),
            tasks: self.ask("tasks").parse().unwrap(),
            files: fs::read_dir(format!("{folder}/fd")).unwrap().count() as u64,
            threads: number("Threads"),
        }
    }

    /// Stops the process and waits for its end, with a time limit.
    pub(crate) fn stop(&self) -> Ended {
        self.tell("stop");
        let (mut child, told) = (self.child.lock().unwrap(), Instant::now());
        while child.try_wait().unwrap().is_none() && told.elapsed() < LONGEST_STOP {
            thread::sleep(Duration::from_millis(20));
        }
        let has_ended = child.try_wait().unwrap().is_some();
        // On an error, the process has ended already.
        let _ = child.kill();
        let well = has_ended && child.wait().unwrap().success();
        let hearing = self.hearing.lock().unwrap().take().expect("each process stops once");
        Ended { well, said: hearing.join().unwrap() }
    }
}

/// Maximum time of a shutdown. The demo allows 5 s for running requests and 5 s for closing the database.
const LONGEST_STOP: Duration = Duration::from_secs(15);

impl Drop for Process {
    fn drop(&mut self) {
        // On an error, the process has ended already.
        let child = self.child.get_mut().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Display for Holdings {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { memory, heap, tasks, files, threads } = self;
        write!(f, "{memory:7} KiB, {heap:6} on the heap {tasks:4} tasks {files:4} files {threads:3} threads")
    }
}
