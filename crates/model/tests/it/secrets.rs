//! The key stays where it belongs, and the socket is the only way out when there is one.

use booty_model::{Options, open};
use tempfile::tempdir;
use tokio::{io::AsyncReadExt as _, net::UnixListener};

use crate::server::{KEY, Provider, Reply, fixture, question};

#[tokio::test]
async fn no_error_and_no_debug_text_holds_the_key() {
    let echo =
        format!(r#"{{"error": {{"type": "{KEY}", "code": "x", "message": "bad key {KEY}!"}}}}"#);
    let within = format!("event: error\ndata: {echo}\n\n");
    for spec in ["anthropic:m", "openai:m", "openai-chat:m", "ollama:m"] {
        let replies = [
            Reply::refusal(401, echo.clone()),
            Reply::refusal(500, KEY),
            Reply::refusal(200, echo.clone()),
            Reply::events(within.clone()),
            Reply::cut_after(""),
            Reply::refusal(307, "").with("location", format!("http://x/?key={KEY}")),
        ];
        let count = replies.len();
        let provider = Provider::playing(replies).await;
        let model = provider.model(spec);
        for _ in 0..count {
            let error = match model.answer(&question()).await {
                Err(error) => error,
                Ok(answer) => panic!("{answer:?}"),
            };
            let told = format!("{error} {error:?}");
            assert!(!told.contains("canary"), "{told}");
        }
        assert_eq!(provider.asked().len(), count);
        assert!(!format!("{:?}", provider.options()).contains("canary"));
    }
}

#[tokio::test]
async fn every_connection_goes_through_the_socket() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("out.sock");
    let provider = Provider::behind(&socket, [Reply::events(fixture("anthropic/two_tools.sse"))]);
    let options = Options { socket: Some(socket), ..provider.options() };
    let model = open("anthropic:claude-sonnet-4-6", &options).unwrap();
    model.answer(&question()).await.unwrap();
    let asked = provider.asked().remove(0);
    assert_eq!(asked.headers["host"], "models.example");
}

/// What listens on the socket sees where it is to lead, and nothing else.
#[tokio::test]
async fn tls_is_spoken_through_the_socket() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("out.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = vec![0; 5];
        stream.read_exact(&mut hello).await.unwrap();
        let length = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
        hello.resize(5 + length, 0);
        stream.read_exact(&mut hello[5..]).await.unwrap();
        hello
    });
    let options = Options {
        socket: Some(socket),
        api_key: Some(KEY.into()),
        base_url: Some("https://models.example/v1".to_owned()),
        ..Options::default()
    };
    let error = open("openai:m", &options).unwrap().answer(&question()).await.unwrap_err();
    let hello = seen.await.unwrap();
    let holds = |text: &str| hello.windows(text.len()).any(|window| window == text.as_bytes());
    assert_eq!(hello[0], 22, "a TLS handshake");
    assert!(holds("models.example"), "the name that TLS is spoken with");
    assert!(!holds("canary") && !holds("Bearer"));
    assert!(error.to_string().contains("can't be reached"), "{error}");
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_no_way_out() {
    let provider = Provider::playing([]).await;
    let socket = Some(tempdir().unwrap().path().join("nobody.sock"));
    let options = Options { socket, ..provider.options() };
    open("openai:m", &options).unwrap().answer(&question()).await.unwrap_err();
    assert!(provider.asked().is_empty());
}
