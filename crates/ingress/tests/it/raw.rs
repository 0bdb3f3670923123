//! A peer that writes exactly the bytes it is told to.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longer than any limit of ingress's: a test that waits so long has found a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Sends bytes and gives back the first answer's status. 0: the connection ended without one.
pub(crate) async fn send(address: SocketAddr, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The peer may stop reading half way; what counts is what it says.
    let _ = stream.write_all(bytes).await;
    status(&mut stream).await
}

/// Reads an answer's head, and gives its status.
pub(crate) async fn status(stream: &mut TcpStream) -> u16 {
    status_of(&head(stream).await)
}

pub(crate) fn status_of(head: &str) -> u16 {
    head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok()).unwrap_or(0)
}

/// Reads until the first answer is whole (or the peer closes), and gives it as text.
pub(crate) async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match timeout(PATIENCE, stream.read(&mut chunk)).await.expect("no answer") {
            Ok(0) | Err(_) => break,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
