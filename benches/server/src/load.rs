//! A load generator: HTTP/1.1 over plain sockets, with requests built beforehand.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::str;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

const CONNECTIONS: usize = 16;
/// The longest time to wait for requests in flight at the end.
const GRACE: Duration = Duration::from_secs(5);
const RESPONSE_MAX_BYTES: usize = 4096;

/// Requests to send in turn.
pub(crate) struct Requests {
    bytes: Vec<Vec<u8>>,
    sent: AtomicUsize,
}

impl Requests {
    pub(crate) fn new(path: &str, tokens: &[String]) -> Self {
        let bytes = tokens.iter().map(|token| request(path, Some(token))).collect();
        Self { bytes, sent: AtomicUsize::new(0) }
    }

    fn next(&self) -> &[u8] {
        &self.bytes[self.sent.fetch_add(1, Ordering::Relaxed) % self.bytes.len()]
    }
}

/// Builds a request with six headers, or with five if it has no token.
pub(crate) fn request(path: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\n\
         host: api.example.com\r\n\
         user-agent: curl/8.14.1\r\n\
         accept: application/json\r\n\
         accept-encoding: gzip, br\r\n\
         x-request-id: 01979b3e-8d5f\r\n\
         {authorization}\r\n"
    )
    .into_bytes()
}

/// The number of responses and the time they took.
pub(crate) struct Answered {
    pub(crate) count: u64,
    pub(crate) time: Duration,
}

/// Sends requests for this long.
///
/// # Errors
///
/// Fails if a response is not 200 or is late.
pub(crate) async fn send(
    address: SocketAddr,
    requests: &Arc<Requests>,
    time: Duration,
) -> io::Result<Answered> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(address).await?);
    }
    let start = Instant::now();
    let senders: JoinSet<_> = connections
        .into_iter()
        .map(|connection| connection.send_until(start + time, Arc::clone(requests)))
        .collect();
    let counts = timeout(time + GRACE, senders.join_all()).await?;
    let time = start.elapsed();
    Ok(Answered { count: counts.into_iter().sum::<io::Result<_>>()?, time })
}

/// A connection with one request in flight.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: [u8; RESPONSE_MAX_BYTES],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: [0; RESPONSE_MAX_BYTES] })
    }

    async fn send_until(mut self, end: Instant, requests: Arc<Requests>) -> io::Result<u64> {
        let mut answered = 0;
        while Instant::now() < end {
            let status = self.status(requests.next()).await?;
            if status != 200 {
                return Err(io::Error::other(format!("the response is {status}")));
            }
            answered += 1;
        }
        Ok(answered)
    }

    /// Sends a request and returns the status of the response.
    pub(crate) async fn status(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            if let Some(status) = status_of(&self.buffer[..filled])? {
                return Ok(status);
            }
        }
    }
}

/// Returns the status of a response, or `None` if it is not complete yet.
fn status_of(response: &[u8]) -> io::Result<Option<u16>> {
    let Some(end) = response.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = str::from_utf8(&response[..end]).map_err(io::Error::other)?;
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<usize>().ok());
    match (number(head.get(9..12)), number(length)) {
        (Some(status), Some(length)) if response.len() == end + 4 + length => Ok(Some(status as u16)),
        (Some(_), Some(length)) if response.len() < end + 4 + length => Ok(None),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}
