//! A load balancer: one address for several processes.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::client::Client;

/// Passes each connection to the next process, with the client address in `X-Forwarded-For`.
pub(crate) struct Forwarder {
    client: Client,
    connections: Arc<AtomicUsize>,
}

impl Forwarder {
    pub(crate) async fn start<const N: usize>(processes: [SocketAddr; N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client { address: listener.local_addr().unwrap() };
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                let process = processes[counted.fetch_add(1, Ordering::Relaxed) % N];
                tokio::spawn(forward(stream, peer.ip(), process));
            }
        });
        Self { client, connections }
    }

    /// Returns the number of connections so far. Each process got an equal share.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Deref for Forwarder {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Forwards one request and its response. No client of these tests sends a second one.
async fn forward(client: TcpStream, address: IpAddr, process: SocketAddr) {
    let (mut client, mut head) = (BufReader::new(client), Vec::new());
    while !head.ends_with(b"\r\n\r\n") {
        if client.read_until(b'\n', &mut head).await.unwrap() == 0 {
            return;
        }
    }
    head.truncate(head.len() - b"\r\n".len());
    head.extend_from_slice(format!("X-Forwarded-For: {address}\r\n\r\n").as_bytes());
    let mut process = TcpStream::connect(process).await.unwrap();
    process.write_all(&head).await.unwrap();
    // On an error, one side has closed. The other side should see that.
    let _ = copy_bidirectional(&mut client, &mut process).await;
}
