//! The Node.js programs of this folder, which `.ci/provider` installs.

use std::env;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Returns a file of the folder with the programs.
fn installed(name: &str) -> String {
    format!("{}/{name}", env::var("PROVIDER_FOLDER").expect("PROVIDER_FOLDER is not set: run .ci/provider"))
}

pub(crate) fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A program with its argument. Its standard output is piped.
pub(crate) fn node(program: &str, argument: &Value) -> Command {
    let mut command = Command::new(installed("node_modules/.bin/node"));
    command.arg(installed(program)).arg(argument.to_string()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}
