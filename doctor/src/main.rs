//! `jwt-doctor`: checks providers, explains rejected tokens, and makes tokens and API keys for development.

mod api_key;
mod cli;
mod client;
mod duration;
mod escape;
mod explain;
mod files;
mod mint;
mod outcome;
mod provider;
mod screen;
mod settings_file;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::Parser;

use self::cli::{Cli, Command};
use self::outcome::{Failure, Outcome};
use self::screen::Screen;

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    match run(command) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            if !is_closed_pipe(&failure) {
                // Nothing can be done if standard error is closed, too.
                let _ = Screen::stderr().failure(&*failure);
            }
            outcome::SET_UP_ERROR.into()
        }
    }
}

fn run(command: Command) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = Screen::stdout();
    match command {
        Command::Provider(arguments) => runtime.block_on(provider::run(&arguments, &mut out)),
        Command::ApiKey(arguments) => api_key::run(&arguments, &mut out, &mut Screen::stderr()),
        Command::Explain(arguments) => {
            runtime.block_on(explain::run(&arguments, &mut out, &mut Screen::stderr()))
        }
        Command::Mint(arguments) => mint::run(&arguments, &mut out, &mut Screen::stderr()),
    }
}

/// Returns true if the reader has ended, such as `head`.
fn is_closed_pipe(failure: &Failure) -> bool {
    failure.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
