//! Running the program, and a provider on a loopback port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;
use std::{fs, iter, thread};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;

/// The result of a run.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Checks that the output has these parts, and prints everything otherwise.
    #[track_caller]
    pub(crate) fn assert(&self, code: i32, parts: &[&str]) -> &Self {
        let all = format!("{}{}", self.stdout, self.stderr);
        for part in parts {
            assert!(all.contains(part), "no `{part}` in:\n{all}");
        }
        assert_eq!(self.code, code, "{all}");
        self
    }

    /// Checks that the output has nothing that a terminal would obey.
    #[track_caller]
    pub(crate) fn assert_harmless(&self) -> &Self {
        let is_harmful = |character: &char| {
            *character != '\n' && (character.is_control() || ('\u{202a}'..='\u{202e}').contains(character))
        };
        for text in [&self.stdout, &self.stderr] {
            assert_eq!(text.chars().find(is_harmful), None, "{text:?}");
        }
        self
    }
}

/// Runs the program without input.
pub(crate) fn doctor<S: AsRef<str>>(arguments: &[S]) -> Run {
    doctor_with(arguments, &[], "")
}

/// Runs the program with environment variables and input.
pub(crate) fn doctor_with<S: AsRef<str>>(arguments: &[S], variables: &[(&str, &str)], input: &str) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jwt-doctor"));
    command.args(arguments.iter().map(AsRef::as_ref));
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    let piped = command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
    // It may end without reading its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
}

pub(crate) const SECRET: &str = "a secret of thirty-two bytes ...";
pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const AUDIENCE: &str = "https://api.example.com";

/// Writes a file for this test and returns its path.
pub(crate) fn file(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Signs a header and a payload with [`SECRET`].
pub(crate) fn signed(header: &str, payload: &str) -> String {
    let text = unsigned(header, payload);
    let key = EncodingKey::from_secret(SECRET.as_bytes()).unwrap();
    let signature =
        jsonwebtoken::crypto::sign(text.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{text}.{signature}")
}

/// Returns the first two parts of a token.
pub(crate) fn unsigned(header: &str, payload: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// A provider that serves fixed responses by path. Every other path gets 404.
pub(crate) struct Provider {
    pub(crate) issuer: String,
}

/// The path of a document, the status with further headers, and the body. `ISSUER` stands for the URL of the provider.
pub(crate) type Page<'a> = (&'a str, &'a str, String);

pub(crate) const OPENID: &str = "/.well-known/openid-configuration";
pub(crate) const OAUTH: &str = "/.well-known/oauth-authorization-server";
pub(crate) const OK: &str = "200 OK";

impl Provider {
    pub(crate) fn new(pages: &[Page<'_>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let complete = |(path, head, body): &Page<'_>| {
            let body = body.replace("ISSUER", &issuer);
            let length = body.len();
            let response =
                format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            ((*path).to_owned(), response)
        };
        let pages: Vec<_> = pages.iter().map(complete).collect();
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &pages);
            }
        });
        Self { issuer }
    }

    /// Serves a discovery document with this issuer, and these keys.
    pub(crate) fn of(issuer: &str, jwks: &str) -> Self {
        Self::new(&[(OPENID, OK, metadata(issuer)), ("/jwks", OK, jwks.to_owned())])
    }
}

pub(crate) fn metadata(issuer: &str) -> String {
    format!(r#"{{"issuer": "{issuer}", "jwks_uri": "ISSUER/jwks"}}"#)
}

fn answer(mut stream: TcpStream, pages: &[(String, String)]) {
    let mut request = BufReader::new(&stream);
    let mut next = || {
        let mut line = String::new();
        request.read_line(&mut line).unwrap();
        line.trim_end().to_ascii_lowercase()
    };
    let first = next();
    let headers: Vec<_> = iter::from_fn(|| Some(next()).filter(|line| !line.is_empty())).collect();
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    // A socket that is closed with unread bytes loses the response.
    request.read_exact(&mut vec![0; length.unwrap_or(0)]).unwrap();
    let path = first.split(' ').nth(1).unwrap();
    let page = pages.iter().find(|(other, _)| other == path).map(|(_, response)| response.as_str());
    let missing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(page.unwrap_or(missing).as_bytes()).unwrap();
}
