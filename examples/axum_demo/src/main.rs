//! Starts the demo: reads the settings, listens and serves until Ctrl-C or SIGTERM.

use std::env;
use std::process::ExitCode;

use axum_demo::{SettingError, Settings, app, listen, serve};
use tokio::signal;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the address belongs on standard output")]
async fn run() -> Result<(), SettingError> {
    let settings = Settings::read(env::vars_os())?;
    let listener = listen(settings.address).await?;
    let app = app(&settings).await?;
    for notice in settings.notices().into_iter().chain(app.notice) {
        println!("{notice}");
    }
    println!("listening on http://{}", listener.local_addr().unwrap_or(settings.address));
    serve(listener, app, settings.limits, stop_signal()).await;
    Ok(())
}

/// Completes on Ctrl-C, and on Unix also on SIGTERM. Service managers and containers send SIGTERM.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM can be set");
        tokio::select! {
            _ = signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = signal::ctrl_c().await;
}
