//! A PostgreSQL server for one test.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::redis_server::free_port;

/// A running server. Dropping it stops the server and deletes its files.
pub(crate) struct PostgresServer {
    folder: PathBuf,
    port: u16,
}

impl PostgresServer {
    pub(crate) fn start() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let name = format!("axum_demo-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // The user `postgres` may have no access to the target folder.
        let folder = env::temp_dir().join(name);
        let mut server = Self { folder, port: 0 };
        let folder = server.folder.to_str().unwrap();
        run(
            "initdb",
            &["-D", folder, "-U", "demo", "--auth", "trust", "--no-sync", "--no-locale", "-E", "UTF8"],
        );
        // Another process may take the port in the meantime.
        server.port = free_port();
        server.start_again();
        server
    }

    pub(crate) fn start_again(&self) {
        let folder = self.folder.to_str().unwrap();
        let options = format!("-p {} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off", self.port);
        let log = self.folder.join("log");
        run("pg_ctl", &["-D", folder, "-w", "-o", &options, "-l", log.to_str().unwrap(), "start"]);
    }

    pub(crate) fn stop(&self) {
        run("pg_ctl", &["-D", self.folder.to_str().unwrap(), "-m", "immediate", "stop"]);
    }

    /// Returns the database URL.
    pub(crate) fn url(&self) -> String {
        format!("postgres://demo@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let folder = self.folder.to_str().unwrap();
        // The server may have stopped already.
        let _ = command("pg_ctl", &["-D", folder, "-m", "immediate", "stop"]).output();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let mut command = command(program, arguments);
    // A server started by the command would keep a pipe open.
    let status = command.stdout(process::Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// Runs the command as the user `postgres` if this is root, because the server does not run as root.
fn command(program: &str, arguments: &[&str]) -> Command {
    let program = find(program);
    let id = Command::new("id").arg("-u").output().unwrap();
    let mut command = if id.stdout == b"0\n" {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(arguments).current_dir(env::temp_dir());
    command
}

/// Finds a program on the path or in the directory of the Debian package.
fn find(program: &str) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = env::split_paths(&path).chain(versions.map(|version| version.path().join("bin")));
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.exists())
        .unwrap_or_else(|| panic!("{program} of PostgreSQL must be installed"))
        .into()
}
