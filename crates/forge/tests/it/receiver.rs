//! Whoever gets GitHub's webhooks: looks at once where a labelled issue comes from, as a builder does.

use std::sync::{Arc, Mutex};

use booty_bus::Bus;
use booty_events::bucket;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::world::{REPO, World};

/// The labelled issues, and whether their origin was known.
pub type Seen = Arc<Mutex<Vec<(u64, bool)>>>;

/// Points the webhooks of a world here.
pub async fn watch_labels(world: &World) -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (seen, bus) = (Seen::default(), world.bus.clone());
    let record = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (bus, record) = (bus.clone(), Arc::clone(&record));
            tokio::spawn(async move { take(stream, bus, record).await });
        }
    });
    world.sim.set_webhook(&url, "secret").unwrap();
    seen
}

async fn take(mut stream: TcpStream, bus: Bus, record: Seen) {
    loop {
        let Some(request) = read(&mut stream).await else { return };
        if request["action"] == "labeled" {
            let issue = request["issue"]["number"].as_u64().unwrap();
            let key = bucket::origin_key(&REPO.parse().unwrap(), issue);
            let known = bus.bucket(&bucket::ORIGINS).get(&key).await.unwrap().is_some();
            record.lock().unwrap().push((issue, known));
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// One request's body.
async fn read(stream: &mut TcpStream) -> Option<serde_json::Value> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let (_, after) = head.split_once("content-length: ")?;
    let length: usize = after.split("\r\n").next()?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    serde_json::from_slice(&body).ok()
}
