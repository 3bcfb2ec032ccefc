//! Starts Chromium, with one chromedriver for each test.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use thirtyfour::{ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver};

/// A chromedriver process. Dropping it ends the process.
pub(crate) struct ChromeDriver {
    process: Child,
    port: u16,
}

impl ChromeDriver {
    /// Starts chromedriver on a free port. It exits if that port is in use for IPv6, so this tries several times.
    pub(crate) fn start() -> Self {
        (0..5).find_map(|_| Self::try_start()).expect("chromedriver finds a free port and says which")
    }

    fn try_start() -> Option<Self> {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed and starts");
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut started = Self { process, port: 0 };
        started.port = output.lines().map_while(Result::ok).find_map(|line| {
            eprintln!("chromedriver: {line}");
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        })?;
        Some(started)
    }

    /// Opens a window with empty storage.
    pub(crate) async fn browser(&self) -> WebDriver {
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        for argument in [
            "--headless=new",
            "--window-size=1100,900",
            "--lang=en-US",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
        ] {
            wanted.add_arg(argument).unwrap();
        }
        if is_root() {
            // Chromium does not run as root in its sandbox, and containers may have no other user.
            wanted.add_arg("--no-sandbox").unwrap();
        }
        let address = format!("http://127.0.0.1:{}", self.port);
        WebDriver::new(&address, wanted).await.expect("chromedriver starts chromium")
    }
}

impl Drop for ChromeDriver {
    fn drop(&mut self) {
        // On an error, the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
