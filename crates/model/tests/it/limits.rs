//! Providers that hang, and providers that don't end.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use booty_model::{Class, Error, Options, open};
use futures_util::stream;
use rstest::rstest;

use crate::server::{Provider, Reply, fixture, question};

const SILENCE: Duration = Duration::from_millis(300);
/// Of an answer's bytes; the wire may have eight times as many.
const LIMIT: usize = 256 * 1024;

async fn ask(spec: &str, provider: &Provider, options: Options) -> Result<(), Error> {
    let options = Options { base_url: Some(provider.url.clone()), ..options };
    open(spec, &options).unwrap().answer(&question()).await.map(drop)
}

#[rstest]
#[case("anthropic", "anthropic/two_tools.sse")]
#[case("openai", "openai/two_tools.sse")]
#[case("openai-chat", "openai-chat/two_tools.sse")]
#[tokio::test]
async fn silence_is_noticed_wherever_it_falls(#[case] provider: &str, #[case] whole: &str) {
    let whole = fixture(whole);
    // Before the first event, between two, and within one.
    for said in ["", &whole[..whole.find("\n\n").unwrap() + 2], &whole[..whole.len() / 2]] {
        let server = Provider::playing([Reply::silent_after(said)]).await;
        let options = Options { silence: SILENCE, ..Options::default() };
        let error = ask(&format!("{provider}:m"), &server, options).await.unwrap_err();
        // It may have been paid for.
        assert_eq!(error.class(), Class::Unknown, "{error}");
        assert!(error.to_string().contains("said nothing for"), "{error}");
    }
}

#[tokio::test]
async fn no_word_at_all_is_silence() {
    let never = Reply::events("").after(Duration::from_secs(3600));
    let server = Provider::playing([never]).await;
    let options = Options { silence: SILENCE, ..Options::default() };
    let error = ask("anthropic:m", &server, options).await.unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error:?}");
    assert!(error.to_string().contains("said nothing for 300 ms"), "{error}");
}

/// A local model reads the whole conversation before its server sends a byte.
#[tokio::test]
async fn the_first_word_of_a_chat_server_may_take_longer() {
    let silence = Duration::from_secs(1);
    let late = || Reply::events(fixture("openai-chat/two_tools.sse")).after(silence * 3 / 2);
    let server = Provider::playing([late(), late()]).await;
    let options = Options { silence, ..Options::default() };
    ask("ollama:m", &server, options.clone()).await.unwrap();
    let error = ask("openai:m", &server, options).await.unwrap_err();
    assert_eq!(error.class(), Class::Unknown, "{error}");
}

/// Sends this again and again, and counts the bytes.
fn endless(piece: String) -> (Reply, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let pieces = stream::repeat_with(move || {
        counter.fetch_add(piece.len(), Ordering::Relaxed);
        Ok::<_, Infallible>(Bytes::from(piece.clone()))
    });
    (Reply::stream(pieces), sent)
}

#[rstest]
#[case::text("anthropic", r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}"#, LIMIT)]
#[case::thought("anthropic", r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}"#, LIMIT)]
#[case::same_call("openai-chat", r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"read","arguments":"xxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}]}}]}"#, LIMIT)]
#[case::pings("anthropic", r#"data: {"type":"ping"}"#, 8 * LIMIT)]
#[case::comments("openai", ": nothing", 8 * LIMIT)]
#[case::one_event("openai", "data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 8 * LIMIT)]
#[tokio::test]
async fn what_does_not_end_is_cut_off(
    #[case] provider: &str,
    #[case] event: &str,
    #[case] limit: usize,
) {
    let ends = if event.ends_with('x') { "\n" } else { "\n\n" };
    let (reply, sent) = endless(format!("{event}{ends}").repeat(100));
    let server = Provider::playing([reply]).await;
    let options = Options { answer_bytes: LIMIT, ..Options::default() };
    let error = ask(&format!("{provider}:m"), &server, options).await.unwrap_err();
    assert_eq!(error.class(), Class::FailFast, "{error}");
    assert!(error.to_string().contains(&format!("longer than {limit} bytes")), "{error}");
    // What was read, and what the system's buffers hold.
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 8 * LIMIT + 16 * 1024 * 1024, "{sent}");
}

/// Each call in another place, as far apart as numbers go.
#[tokio::test]
async fn a_million_calls_are_too_many() {
    let numbers = (0u64..).map(|n| {
        let index = u64::MAX - n * 1_000_003;
        let event = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"index\":{index}}}]}}}}]}}\n\n"
        );
        Ok::<_, Infallible>(Bytes::from(event))
    });
    let server = Provider::playing([Reply::stream(stream::iter(numbers))]).await;
    let options = Options { answer_bytes: LIMIT, ..Options::default() };
    let error = ask("ollama:m", &server, options).await.unwrap_err();
    assert!(error.to_string().contains(&format!("longer than {LIMIT} bytes")), "{error}");
}

#[tokio::test]
async fn a_refusal_without_an_end_is_told_as_far_as_it_is_read() {
    let (reply, _) = endless("no ".repeat(1000));
    let server = Provider::playing([reply.with("content-type", "application/json")]).await;
    let error = ask("ollama:m", &server, Options::default()).await.unwrap_err();
    assert!(error.to_string().contains("where a stream of events was asked for"), "{error}");
}
