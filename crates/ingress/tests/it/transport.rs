//! Bad inputs below HTTP's content: rows 1 to 20.

use std::time::{Duration, Instant};

use rstest::rstest;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    delivery::{Delivery, SECRET},
    raw,
    world::World,
};

const MIB: usize = 1024 * 1024;

/// A good request with one header line replaced, taken out (empty) or added.
fn with_line(name: &str, line: &str) -> Vec<u8> {
    let delivery = Delivery::good();
    let request = delivery.http1();
    let text = String::from_utf8(request).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().filter(|l| !l.starts_with(name)).collect();
    if !line.is_empty() {
        lines.extend(line.split('|'));
    }
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

fn signature_line(value: &str) -> Vec<u8> {
    with_line("x-hub-signature-256", &format!("x-hub-signature-256: {value}"))
}

fn good_signature() -> String {
    Delivery::good().signature()
}

#[rstest]
#[case::row_1_no_signature(with_line("x-hub-signature-256", ""), 401)]
#[case::row_2_sha1_only(
    with_line(
        "x-hub-signature-256",
        "x-hub-signature: sha1=757107ea0eb2509fc211221cce984b8a37570b6d"
    ),
    401
)]
#[case::row_3_empty(signature_line(""), 403)]
#[case::row_3_prefix_only(signature_line("sha256="), 403)]
#[case::row_3_short(signature_line("sha256=00"), 403)]
#[case::row_3_odd(signature_line(&good_signature()[..70]), 403)]
#[case::row_3_upper_case(signature_line(&good_signature().to_uppercase().replace("SHA", "sha")), 403)]
#[case::row_3_not_hex(signature_line(&good_signature().replace(['a', 'b', 'c', 'd', 'e', 'f'], "g")), 403)]
#[case::row_4_two(with_line("x-hub-signature-256", &format!("x-hub-signature-256: {0}|x-hub-signature-256: {0}", good_signature())), 403)]
#[case::row_6_a_byte_more(
    { let mut d = Delivery::good(); let s = d.signature(); d.body.push(b' ');
      String::from_utf8(d.http1()).unwrap().replace(&d.signature(), &s).into_bytes() }, 403)]
#[case::row_7_empty_body(Delivery::good().body("").http1(), 400)]
#[case::row_14_gzip(with_line("content-encoding", "content-encoding: gzip"), 415)]
#[case::identity_is_no_encoding(with_line("content-encoding", "content-encoding: identity"), 202)]
#[case::row_15_form(
    with_line("content-type", "content-type: application/x-www-form-urlencoded"),
    415
)]
#[case::no_content_type(with_line("content-type", ""), 415)]
#[case::charset_is_fine(
    with_line("content-type", "content-type: application/json; charset=utf-8"),
    202
)]
#[case::row_18_length_and_chunked(
    with_line("transfer-encoding", "transfer-encoding: chunked"),
    400
)]
#[case::row_18_chunked_and_length(
    { let mut head = Delivery::good().head("transfer-encoding: chunked\r\ncontent-length: 5\r\n");
      head.extend_from_slice(b"0\r\n\r\n"); head }, 400)]
#[case::two_lengths(with_line("nothing", "content-length: 3"), 400)]
#[case::row_19_headers_of_64_kib(with_line("x-padding", &format!("x-padding: {}", "a".repeat(64 * 1024))), 431)]
#[case::five_hundred_headers(with_line("nothing", &(0..500).map(|n| format!("x-{n}: 1")).collect::<Vec<_>>().join("|")), 431)]
#[case::not_http(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400)]
#[tokio::test(flavor = "multi_thread")]
async fn bytes_on_the_wire(#[case] request: Vec<u8>, #[case] expected: u16) {
    let world = World::start().await.ready().await;
    assert_eq!(world.raw(&request).await, expected);
    world.takes_good_ones().await;
}

#[rstest]
#[case::row_16_get("GET", "/webhooks/github", 405)]
#[case::row_16_put("PUT", "/webhooks/github", 405)]
#[case::row_16_options("OPTIONS", "/webhooks/github", 405)]
#[case::row_16_unknown("BREW", "/webhooks/github", 405)]
#[case::row_20_traversal("POST", "/webhooks/github/../x", 404)]
#[case::encoded_traversal("POST", "/webhooks/github/%2e%2e/x", 404)]
#[case::double_slash("POST", "//webhooks/github", 404)]
#[case::sentry_has_no_secret_here("POST", "/webhooks/sentry", 404)]
#[case::metrics_are_not_public("GET", "/metrics", 404)]
#[case::ready_is_not_public("GET", "/ready", 404)]
#[case::health("GET", "/health", 200)]
#[case::health_is_not_posted_to("POST", "/health", 405)]
#[tokio::test(flavor = "multi_thread")]
async fn methods_and_paths(#[case] method: &str, #[case] path: &str, #[case] expected: u16) {
    let world = World::start().await.ready().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = raw::head(&mut stream).await;
    assert_eq!(raw::status_of(&answer), expected, "{answer}");
    assert!(answer.contains("content-type: application/json"), "{answer}");
    if expected == 405 {
        assert!(answer.contains("\r\nallow: "), "{answer}");
    }
    world.takes_good_ones().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_5_secrets_rotate_with_no_refused_delivery() {
    let old = || Delivery::good().secret("old");
    let new = || Delivery::good().secret("new");
    for (secrets, old_status, new_status) in
        [(&["old"][..], 202, 403), (&["old", "new"], 202, 202), (&["new"], 403, 202)]
    {
        let list = secrets.iter().map(|s| (*s).into()).collect();
        let world = World::with(|settings| settings.github_secrets = list).await.ready().await;
        assert_eq!(world.deliver(&old()).await.0, old_status, "{secrets:?}");
        assert_eq!(world.deliver(&new()).await.0, new_status, "{secrets:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_8_and_9_the_largest_body_is_taken_and_one_byte_more_is_not() {
    let world = World::start().await.ready().await;
    let largest = Delivery::of_size(25 * MIB);
    assert_eq!(world.deliver(&largest).await.0, 202);
    // The disk may have been faster than the broker with so much.
    crate::world::eventually("the largest is in the inbox", || async {
        world.inbox(&largest).await.is_some_and(|stored| stored.payload == largest.body)
    })
    .await;
    let (status, answer) = world.deliver(&Delivery::of_size(25 * MIB + 1)).await;
    assert_eq!((status, answer["reason"].as_str()), (413, Some("too_large")));
    world.takes_good_ones().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_9_the_answer_does_not_wait_for_the_body() {
    let world = World::start().await.ready().await;
    let head = Delivery::good().head("content-length: 1000000000\r\n");
    assert_eq!(world.raw(&head).await, 413);
    world.takes_good_ones().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_10_more_than_the_said_length_is_not_read_as_body() {
    let world = World::start().await.ready().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&Delivery::good().head("content-length: 10\r\n")).await.unwrap();
    let mut sent = 0;
    let block = vec![b'a'; MIB];
    while sent < 1000 * MIB && stream.write_all(&block).await.is_ok() {
        sent += MIB;
    }
    assert!(sent < 1000 * MIB, "a gigabyte was taken");
    world.takes_good_ones().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_11_an_endless_body_ends_at_the_limit() {
    let world = World::with(|settings| settings.body.max_bytes = MIB).await.ready().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&Delivery::good().head("transfer-encoding: chunked\r\n")).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let sending = tokio::spawn(async move {
        let chunk = [b"10000\r\n", &vec![b'a'; 65536][..], b"\r\n"].concat();
        while writer.write_all(&chunk).await.is_ok() {}
    });
    let mut answer = [0; 12];
    reader.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    // It may go on for a while, so that it sees the answer; not for ever.
    sending.await.unwrap();
    world.takes_good_ones().await;
}

#[rstest]
#[case::malformed_chunk("transfer-encoding: chunked\r\n", "xyz\r\n")]
#[case::chunk_size_overflow("transfer-encoding: chunked\r\n", "fffffffffffffffff\r\n")]
#[tokio::test(flavor = "multi_thread")]
async fn broken_chunks(#[case] header: &str, #[case] body: &str) {
    let world = World::start().await.ready().await;
    let mut request = Delivery::good().head(header);
    request.extend_from_slice(body.as_bytes());
    assert_eq!(world.raw(&request).await, 400);
    world.takes_good_ones().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_is_taken() {
    let world = World::start().await.ready().await;
    let delivery = Delivery::good();
    let mut request = delivery.head("transfer-encoding: chunked\r\n");
    for part in delivery.body.chunks(100) {
        request.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        request.extend_from_slice(part);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(world.raw(&request).await, 202);
    assert_eq!(world.inbox(&delivery).await.unwrap().payload, delivery.body);
}

/// Row 12 with the real limits: what is too slow gets its 408 within 10 s.
#[rstest]
#[case::headers(b"POST /webhooks/github HTTP/1.1\r\nhost: x\r\nx-pad: ".to_vec())]
#[case::body(Delivery::good().head("content-length: 1000\r\n"))]
#[case::silent_body(Delivery::good().head("content-length: 1000\r\n"))]
#[tokio::test(flavor = "multi_thread")]
async fn row_12_slow_loris(#[case] start: Vec<u8>) {
    let world = World::start().await.ready().await;
    let stream = TcpStream::connect(world.address).await.unwrap();
    let began = Instant::now();
    let (mut reader, mut writer) = stream.into_split();
    let dribble = tokio::spawn(async move {
        writer.write_all(&start).await.unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        loop {
            tick.tick().await;
            if writer.write_all(b"a").await.is_err() {
                return;
            }
        }
    });
    let mut answer = [0; 12];
    reader.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(began.elapsed() <= Duration::from_secs(10), "{:?}", began.elapsed());
    dribble.abort();
    world.takes_good_ones().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_17_http_1_0_is_answered() {
    let world = World::start().await.ready().await;
    let delivery = Delivery::good();
    let request = String::from_utf8(delivery.http1()).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(world.raw(request.as_bytes()).await, 202);
    assert!(world.inbox(&delivery).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_17_http_2_is_answered() {
    let world = World::start().await.ready().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let delivery = Delivery::good();
    let (status, _) = crate::world::post(&client, &world.url("/webhooks/github"), &delivery).await;
    assert_eq!(status, 202);
    let (status, _) =
        crate::world::post(&client, &world.url("/webhooks/github"), &delivery.secret("x")).await;
    assert_eq!(status, 403);
}

/// Streams opened and taken back at once, as in CVE-2023-44487: cut off, or at least no burden for
/// anybody else.
#[tokio::test(flavor = "multi_thread")]
async fn row_17_rapid_reset_burdens_nobody_else() {
    let world = World::start().await.ready().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let attack = tokio::spawn(async move {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let mut id = 1_u32;
        loop {
            let mut frames = Vec::new();
            for _ in 0..500 {
                let [a, b, c, d] = id.to_be_bytes();
                // HEADERS (END_HEADERS): POST, http, path `/` by HPACK's static table; RST_STREAM.
                frames.extend_from_slice(&[0, 0, 3, 1, 4, a, b, c, d, 0x83, 0x86, 0x84]);
                frames.extend_from_slice(&[0, 0, 4, 3, 0, a, b, c, d, 0, 0, 0, 8]);
                id += 2;
            }
            if stream.write_all(&frames).await.is_err() {
                return;
            }
        }
    });
    for _ in 0..20 {
        let began = Instant::now();
        world.takes_good_ones().await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
    tokio::time::timeout(raw::PATIENCE, attack).await.expect("it is never cut off").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_on_one_connection_are_answered_one_after_the_other() {
    let world = World::start().await.ready().await;
    let (one, two) = (Delivery::good(), Delivery::good());
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&[one.http1(), two.http1()].concat()).await.unwrap();
    for delivery in [&one, &two] {
        crate::world::eventually("both are taken", || async {
            world.inbox(delivery).await.is_some()
        })
        .await;
    }
    drop(stream);

    // A refused one that was read to its end leaves the connection usable.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&Delivery::good().secret(&format!("not {SECRET}")).http1()).await.unwrap();
    assert_eq!(raw::status(&mut stream).await, 403);
    stream.write_all(&Delivery::good().http1()).await.unwrap();
    assert_eq!(raw::status(&mut stream).await, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_smuggler_hides_behind_another_request_is_refused() {
    let world = World::start().await.ready().await;
    let first = Delivery::good();
    let hidden = Delivery::good();
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let second = hidden.head("content-length: 5\r\ntransfer-encoding: chunked\r\n");
    stream.write_all(&[first.http1(), second, b"0\r\n\r\n".to_vec()].concat()).await.unwrap();
    let mut answers = String::new();
    let _ = tokio::time::timeout(raw::PATIENCE, stream.read_to_string(&mut answers)).await;
    assert!(answers.contains("HTTP/1.1 202"), "{answers}");
    assert!(answers.contains("HTTP/1.1 400"), "{answers}");
}
