//! Hostile clients: broken HTTP, stalled connections and oversized requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::http::{JSON, get_request, post_request, request_with};
use crate::site::{LONGEST_ANSWER, Site, Until, any};

struct Attack {
    what: &'static str,
    sent: Vec<u8>,
    then: Then,
    /// The allowed statuses. The server may also close the connection.
    statuses: &'static [u16],
}

#[derive(Clone, Copy)]
enum Then {
    Read,
    /// Sends one byte at a time, with pauses.
    Trickle,
    Leave,
}

use Then::{Leave, Read, Trickle};

pub(crate) async fn attack(site: Arc<Site>, seed: u64, until: Until) {
    let mut random = Rng::with_seed(seed);
    while !until.is_over() {
        let attacks = attacks(&mut random);
        let attack = &attacks[random.usize(..attacks.len())];
        let server = any(&mut random, &site.demos);
        run(&site, server, attack).await;
        sleep(Duration::from_millis(random.u64(..20))).await;
    }
}

/// Opens many connections that send nothing or half a request.
pub(crate) async fn crowd(site: Arc<Site>, seed: u64, until: Until) {
    let mut random = Rng::with_seed(seed);
    while !until.is_over() {
        let server = any(&mut random, &site.demos);
        let mut streams = Vec::new();
        for number in 0..any(&mut random, &[50, 150, 300]) {
            let Ok(mut stream) = TcpStream::connect(server).await else { continue };
            if number % 2 == 0 {
                let _ = stream.write_all(b"GET /protected/ HTTP/1.1\r\nHost: d").await;
            }
            streams.push(stream);
        }
        site.tally.count("hostile: crowd", format!("{} connections", streams.len()));
        sleep(Duration::from_millis(random.u64(..3_000))).await;
        drop(streams);
        sleep(Duration::from_millis(random.u64(..3_000))).await;
    }
}

async fn run(site: &Site, server: SocketAddr, attack: &Attack) {
    let began = Instant::now();
    let Ok(mut stream) = TcpStream::connect(server).await else {
        site.tally.fault(attack.what, "no connection");
        return;
    };
    // The server may close the connection or stop reading.
    let _ = timeout(LONGEST_ANSWER, stream.write_all(&attack.sent)).await;
    let mut answer = Vec::new();
    match attack.then {
        Leave => return site.tally.count(attack.what, "left"),
        Trickle => {
            while began.elapsed() < LONGEST_ANSWER && stream.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
        }
        Read => {}
    }
    let left = LONGEST_ANSWER.saturating_sub(began.elapsed());
    if timeout(left, stream.read_to_end(&mut answer)).await.is_err() {
        site.tally.fault(attack.what, format!("not closed after {LONGEST_ANSWER:?}"));
    }
    let statuses = statuses(&answer);
    if statuses.is_empty() {
        site.tally.count(attack.what, "closed");
    }
    for status in statuses {
        site.tally.count(attack.what, status);
        if !attack.statuses.contains(&status) {
            site.tally.fault(attack.what, status);
        }
    }
}

/// Returns the statuses of all responses on a connection.
fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers);
    let lines = text.split("HTTP/1.1 ").skip(1);
    lines.filter_map(|line| line.get(..3)?.parse().ok()).collect()
}

fn attacks(random: &mut Rng) -> Vec<Attack> {
    let of = |what, sent: &[u8], then, statuses| Attack { what, sent: sent.to_vec(), then, statuses };
    let whole = get_request("/protected/", &["Bearer garbage"]);
    let half = &whole[..random.usize(..whole.len())];
    let long = "x".repeat(100 * 1024);
    let body = post_request("/signin", JSON, long.as_bytes());
    let endless = [&body[..], &[b'x'; 1024 * 1024]].concat();
    let cookies = vec!["a=b"; 2_000].join("; ");
    let no_text =
        [b"GET /\xff\xfe HTTP/1.1\r\nX: \xc3\x28\r\nAuthorization: Bearer \xff\r\n\r\n", &whole[..]].concat();
    let pipelined = [&get_request("/protected/", &[]).repeat(20)[..], b"\0\xff garbage \r\n\r\n"].concat();
    let pipelined = String::from_utf8_lossy(&pipelined).replace("Connection: close\r\n", "").into_bytes();
    let upgrade = [
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "eHh4eHh4eHh4eHh4eHh4eA=="),
    ];
    let begun = b"POST /signin HTTP/1.1\r\nHost: demo\r\nContent-Type: application/json\r\n";
    let begun = |rest: &[u8]| [begun, rest].concat();
    vec![
        of("hostile: silence", b"", Read, &[]),
        of("hostile: half a head", half, Read, &[]),
        of("hostile: trickle", b"GET /protected/ HTTP/1.1\r\nX: ", Trickle, &[408, 431]),
        of("hostile: half a head, gone", half, Leave, &[]),
        of("hostile: gone before the response", &whole, Leave, &[]),
        of("hostile: half a body", &begun(b"Content-Length: 50\r\n\r\n{\"em"), Read, &[408]),
        of("hostile: half a body, gone", &begun(b"Content-Length: 50\r\n\r\n{\"em"), Leave, &[]),
        of("hostile: 100 KB header", &get_request("/protected/", &[&long]), Read, &[431]),
        of("hostile: 100 KB path", &get_request(&format!("/{long}"), &[]), Read, &[414, 431]),
        of("hostile: large body", &body, Read, &[413]),
        of("hostile: endless body", &endless, Read, &[413]),
        of("hostile: not UTF-8", &no_text, Read, &[400]),
        of(
            "hostile: body not UTF-8",
            &post_request("/signin", JSON, b"{\"email\":\"\xff\xfe\"}"),
            Read,
            &[400],
        ),
        of("hostile: deep JSON", &post_request("/signin", JSON, &b"["[..].repeat(8_000)), Read, &[400, 422]),
        of("hostile: many cookies", &request_with("POST", "/refresh", &[("Cookie", &cookies)]), Read, &[401]),
        of("hostile: many headers", &request_with("GET", "/", &vec![("X", "y"); 200]), Read, &[431]),
        of("hostile: pipelined, then garbage", &pipelined, Read, &[401, 400]),
        of("hostile: pipelined, gone", &pipelined, Leave, &[]),
        of("hostile: no such method", &request_with("BREW", "/signin", &[]), Read, &[405]),
        of("hostile: no such path", &request_with("GET", "/../etc/passwd", &[]), Read, &[404]),
        of("hostile: WebSocket", &request_with("GET", "/protected/", &upgrade), Read, &[401]),
        of(
            "hostile: from another site",
            &request_with("POST", "/signout", &[("Origin", "https://evil.example")]),
            Read,
            &[403],
        ),
        of("hostile: HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Read, &[400, 505]),
        of("hostile: TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", Read, &[400]),
        of(
            "hostile: two lengths",
            &begun(b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}{}"),
            Read,
            &[400],
        ),
        of(
            "hostile: length and chunks",
            &begun(b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET"),
            Read,
            &[400],
        ),
        of("hostile: broken chunks", &begun(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"), Read, &[400]),
    ]
}
