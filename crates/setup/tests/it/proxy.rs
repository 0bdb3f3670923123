//! The proxy alone, over its socket, against servers of the test's own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use booty_setup::{Host, Proxy, ProxyLimits, Reach, Upstream, Why};
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream},
    sync::Mutex,
};

/// A server that keeps what it is told and answers each connection with the same.
struct Server {
    host: Host,
    heard: Arc<Mutex<Vec<String>>>,
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Host::new("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let keep = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let keep = Arc::clone(&keep);
                tokio::spawn(async move {
                    let mut said = vec![0; 64 * 1024];
                    let length = stream.read(&mut said).await.unwrap_or(0);
                    keep.lock().await.push(String::from_utf8_lossy(&said[..length]).into());
                    let _ = stream.write_all(ANSWER.as_bytes()).await;
                });
            }
        });
        Self { host, heard }
    }
}

fn start(hosts: &[(&Host, Reach)], limits: ProxyLimits) -> Proxy {
    let hosts: BTreeMap<Host, Reach> = hosts.iter().map(|(h, r)| ((*h).clone(), *r)).collect();
    Proxy::start(hosts, limits, Upstream::default()).unwrap()
}

async fn say(proxy: &Proxy, what: &str) -> String {
    let mut stream = UnixStream::connect(proxy.socket()).await.unwrap();
    stream.write_all(what.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    String::from_utf8_lossy(&heard).into()
}

#[tokio::test]
async fn an_allowed_host_is_reached_and_counted() {
    let server = Server::start().await;
    let host = &server.host;
    let proxy = start(&[(host, Reach::Anywhere)], ProxyLimits::default());
    let heard = say(&proxy, &format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\nhello")).await;
    assert_eq!(heard, format!("HTTP/1.1 200 Connection established\r\n\r\n{ANSWER}"));
    let heard = say(
        &proxy,
        &format!("GET http://{host}/a?b HTTP/1.1\r\nHost: {host}\r\nAccept: c\r\nProxy-Authorization: d\r\nConnection: keep-alive\r\n\r\n"),
    )
    .await;
    assert_eq!(heard, ANSWER);
    assert_eq!(
        *server.heard.lock().await,
        [
            "hello".to_owned(),
            format!("GET /a?b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: c\r\n\r\n")
        ]
    );
    let (reached, refused) = proxy.finish().await;
    assert_eq!((reached.len(), &reached[0].host, refused), (1, host, vec![]));
    assert!(reached[0].bytes >= 2 * ANSWER.len() as u64);
}

#[rstest]
#[case::another_host("CONNECT other.invalid:443 HTTP/1.1\r\n\r\n", Why::NotAllowed)]
#[case::another_port("CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n", Why::NotAllowed)]
#[case::its_address_by_another_name("CONNECT localhost:PORT HTTP/1.1\r\n\r\n", Why::NotAllowed)]
#[case::in_an_odd_form("CONNECT 127.1:PORT HTTP/1.1\r\n\r\n", Why::Malformed)]
#[case::as_a_number("CONNECT 2130706433:PORT HTTP/1.1\r\n\r\n", Why::Malformed)]
#[case::mapped("CONNECT [::ffff:127.0.0.1]:PORT HTTP/1.1\r\n\r\n", Why::NotAllowed)]
#[case::metadata("GET http://169.254.169.254/latest HTTP/1.1\r\n\r\n", Why::NotAllowed)]
#[case::mismatched_host(
    "GET http://127.0.0.1:PORT/ HTTP/1.1\r\nHost: other.invalid\r\n\r\n",
    Why::Malformed
)]
#[case::origin_form("GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", Why::Malformed)]
#[case::body("POST http://127.0.0.1:PORT/ HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", Why::Malformed)]
#[case::chunked(
    "GET http://127.0.0.1:PORT/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /secret",
    Why::Malformed
)]
#[case::no_http("SSH-2.0-x\r\n\r\n", Why::Malformed)]
#[case::user("CONNECT x@127.0.0.1:PORT HTTP/1.1\r\n\r\n", Why::Malformed)]
#[tokio::test]
async fn everything_else_is_refused(#[case] request: &str, #[case] why: Why) {
    let server = Server::start().await;
    let proxy = start(&[(&server.host, Reach::Anywhere)], ProxyLimits::default());
    let request = request.replace("PORT", &server.host.port().to_string());
    let heard = say(&proxy, &request).await;
    assert!(heard.starts_with("HTTP/1.1 403 "), "{heard}");
    assert!(server.heard.lock().await.is_empty());
    let (reached, refused) = proxy.finish().await;
    assert_eq!((reached, refused.len(), refused[0].why), (vec![], 1, why));
}

#[tokio::test]
async fn nothing_rides_behind_an_allowed_request() {
    let server = Server::start().await;
    let host = &server.host;
    let proxy = start(&[(host, Reach::Anywhere)], ProxyLimits::default());
    let second = format!("GET http://{host}/second HTTP/1.1\r\n\r\n");
    say(&proxy, &format!("GET http://{host}/first HTTP/1.1\r\nContent-Length: 0\r\n\r\n{second}"))
        .await;
    let heard = server.heard.lock().await;
    assert_eq!(heard.len(), 1);
    assert!(heard[0].starts_with("GET /first ") && !heard[0].contains("second"), "{heard:?}");
}

#[tokio::test]
async fn a_name_that_comes_to_mean_this_machine_is_refused() {
    let server = Server::start().await;
    let named = Host::new("localhost", server.host.port()).unwrap();
    let proxy = start(&[(&named, Reach::Public)], ProxyLimits::default());
    let heard = say(&proxy, &format!("CONNECT {named} HTTP/1.1\r\n\r\n")).await;
    assert!(heard.starts_with("HTTP/1.1 403 "), "{heard}");
    assert_eq!(proxy.finish().await.1[0].why, Why::Private);
    assert!(server.heard.lock().await.is_empty());
}

#[tokio::test]
async fn what_does_not_answer_is_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let host = Host::new("127.0.0.1", closed).unwrap();
    let proxy = start(&[(&host, Reach::Anywhere)], ProxyLimits::default());
    let heard = say(&proxy, &format!("CONNECT {host} HTTP/1.1\r\n\r\n")).await;
    assert!(heard.starts_with("HTTP/1.1 502 "), "{heard}");
    assert_eq!(proxy.finish().await.1[0].why, Why::Unreachable);
}

#[tokio::test]
async fn bytes_heads_and_silence_have_bounds() {
    let server = Server::start().await;
    let host = &server.host;
    let limits = ProxyLimits {
        bytes: 10,
        idle: Duration::from_millis(200),
        connect: Duration::from_millis(200),
        ..ProxyLimits::default()
    };
    let proxy = start(&[(host, Reach::Anywhere)], limits);
    let connect = format!("CONNECT {host} HTTP/1.1\r\n\r\n");
    // Nothing is said, and the connection ends all the same.
    say(&proxy, "").await;
    say(&proxy, &connect).await;
    assert!(say(&proxy, &format!("{connect}hello")).await.starts_with("HTTP/1.1 200"));
    assert!(say(&proxy, &connect).await.starts_with("HTTP/1.1 403"));
    let long = "x".repeat(20_000);
    assert!(say(&proxy, &format!("GET http://{host}/{long}")).await.starts_with("HTTP/1.1 403"));
    let whys: Vec<Why> = proxy.finish().await.1.iter().map(|refused| refused.why).collect();
    assert!(whys.contains(&Why::TooMuch) && whys.contains(&Why::Malformed), "{whys:?}");
}

#[tokio::test]
async fn no_more_than_some_at_once_and_none_after_its_end() {
    let server = Server::start().await;
    let host = &server.host;
    let limits = ProxyLimits { connections: 2, ..ProxyLimits::default() };
    let proxy = start(&[(host, Reach::Anywhere)], limits);
    let hold = UnixStream::connect(proxy.socket()).await.unwrap();
    let hold = (hold, UnixStream::connect(proxy.socket()).await.unwrap());
    let mut third = UnixStream::connect(proxy.socket()).await.unwrap();
    third.write_all(format!("CONNECT {host} HTTP/1.1\r\n\r\nx").as_bytes()).await.unwrap();
    let mut heard = vec![0; 12];
    tokio::select! {
        biased;
        _ = third.read_exact(&mut heard) => panic!("a third got through"),
        () = tokio::time::sleep(Duration::from_millis(300)) => {}
    }
    drop(hold);
    third.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, b"HTTP/1.1 200");
    let socket = proxy.socket();
    proxy.finish().await;
    assert!(UnixStream::connect(socket).await.is_err());
}

#[tokio::test]
async fn the_operators_own_proxy_is_used() {
    let relay = Server::start().await;
    let address = format!("http://me:secret@{}", relay.host);
    let upstream = Upstream::from_env(|name| match name {
        "https_proxy" | "http_proxy" => Some(address.clone()),
        _ => None,
    });
    let host: Host = "registry.invalid:443".parse().unwrap();
    let plain: Host = "registry.invalid:80".parse().unwrap();
    let hosts = [host, plain].map(|host| (host, Reach::Public));
    let proxy = Proxy::start(hosts.into(), ProxyLimits::default(), upstream).unwrap();
    say(&proxy, "CONNECT registry.invalid:443 HTTP/1.1\r\n\r\nhello").await;
    let heard = say(&proxy, "GET http://registry.invalid/a HTTP/1.1\r\n\r\n").await;
    assert_eq!(heard, ANSWER);
    let heard = relay.heard.lock().await;
    assert!(heard[0].starts_with("CONNECT registry.invalid:443 HTTP/1.1\r\nHost: registry.invalid:443\r\nProxy-Authorization: Basic "), "{heard:?}");
    assert!(
        heard[1]
            .starts_with("GET http://registry.invalid/a HTTP/1.1\r\nHost: registry.invalid\r\n"),
        "{heard:?}"
    );
}

/// The first bytes of a client that means a host, as Python's TLS writes them.
fn hello(name: &str) -> Vec<u8> {
    let program = "import ssl, sys\nout = ssl.MemoryBIO()\nc = ssl.create_default_context()\n\
        c.check_hostname = False\ns = c.wrap_bio(ssl.MemoryBIO(), out, server_hostname=sys.argv[1] or None)\n\
        try:\n    s.do_handshake()\nexcept ssl.SSLWantReadError:\n    pass\nsys.stdout.buffer.write(out.read())";
    let run = std::process::Command::new("python3").args(["-c", program, name]).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    run.stdout
}

#[tokio::test]
async fn tls_for_another_host_of_the_same_network_is_refused() {
    let server = Server::start().await;
    let host = Host::new("localhost", server.host.port()).unwrap();
    for (name, is_passed) in [("localhost", true), ("other.invalid", false), ("", false)] {
        let proxy = start(&[(&host, Reach::Anywhere)], ProxyLimits::default());
        let mut stream = UnixStream::connect(proxy.socket()).await.unwrap();
        stream.write_all(format!("CONNECT {host} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        // In two pieces, as the network may have it.
        let hello = hello(name);
        let (first, second) = hello.split_at(20);
        stream.write_all(first).await.unwrap();
        stream.flush().await.unwrap();
        stream.write_all(second).await.unwrap();
        let mut heard = String::new();
        let _ = stream.read_to_string(&mut heard).await;
        assert_eq!(heard.ends_with(ANSWER), is_passed, "{name} {heard}");
        let refused = proxy.finish().await.1;
        assert_eq!(
            refused.iter().map(|refused| refused.why).collect::<Vec<_>>(),
            if is_passed { vec![] } else { vec![Why::Malformed] }
        );
    }
    assert_eq!(server.heard.lock().await.len(), 3);
    assert_eq!(server.heard.lock().await.iter().filter(|heard| !heard.is_empty()).count(), 1);
}
