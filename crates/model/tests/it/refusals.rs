//! What each refusal means.

use std::time::Duration;

use booty_model::{Class, Error, Setting, open};
use rstest::rstest;

use crate::server::{KEY, Provider, Reply, fixture, question};

const RETRYABLE: Class = Class::Retryable { after: None };

async fn refused(spec: &str, reply: Reply) -> Error {
    let provider = Provider::playing([reply]).await;
    provider.model(spec).answer(&question()).await.unwrap_err()
}

/// Status, body, how to go on, whether another model may answer, and words that are told.
#[rstest]
#[case("anthropic", 429, "anthropic/429.json", RETRYABLE, false, "50,000 input tokens per minute")]
#[case("anthropic", 529, "anthropic/529.json", RETRYABLE, false, "Overloaded")]
#[case("anthropic", 401, "anthropic/401.json", Class::FailFast, true, "check the key")]
#[case("anthropic", 404, "anthropic/404.json", Class::FailFast, true, "check the model's name")]
#[case("anthropic", 413, "anthropic/413.json", Class::FailFast, true, "smaller issues")]
#[case(
    "anthropic",
    400,
    "anthropic/400_context.json",
    Class::FailFast,
    true,
    "201129 tokens > 200000"
)]
#[case(
    "anthropic",
    400,
    "anthropic/400_credit.json",
    Class::FailFast,
    true,
    "quota has to be raised"
)]
#[case("anthropic", 400, "anthropic/400_wrong.json", Class::FailFast, false, "ids must be unique")]
#[case(
    "openai",
    429,
    "openai-chat/429_quota.json",
    Class::FailFast,
    true,
    "quota has to be raised"
)]
#[case("openai-chat", 429, "openai-chat/429.json", RETRYABLE, false, "Please try again in 2s")]
#[case("openai-chat", 400, "openai-chat/400_context.json", Class::FailFast, true, "smaller issues")]
#[case("openai-chat", 400, "openai-chat/400_vllm_context.json", Class::FailFast, true, "32768")]
#[case(
    "openai-chat",
    400,
    "openai-chat/400_llama_cpp_context.json",
    Class::FailFast,
    true,
    "smaller"
)]
#[case("openai-chat", 401, "openai-chat/401.json", Class::FailFast, true, "Incorrect API key")]
#[case("openai-chat", 404, "openai-chat/404.json", Class::FailFast, true, "gpt-nonesuch")]
#[case(
    "openai-chat",
    503,
    "openai-chat/503.json",
    RETRYABLE,
    false,
    "engine is currently overloaded"
)]
#[case(
    "openai-chat",
    422,
    "openai-chat/422_mistral.json",
    Class::FailFast,
    false,
    "Extra inputs are not permitted"
)]
#[case("ollama", 404, "ollama/404.json", Class::FailFast, true, "try pulling it first")]
#[case("ollama", 500, "ollama/error_as_text.json", RETRYABLE, false, "more system memory")]
#[tokio::test]
async fn a_refusal_says_how_to_go_on(
    #[case] provider: &str,
    #[case] status: u16,
    #[case] body: &str,
    #[case] class: Class,
    #[case] another: bool,
    #[case] told: &str,
) {
    let spec = format!("{provider}:some-model");
    let error = refused(&spec, Reply::refusal(status, fixture(body))).await;
    assert_eq!((error.class(), error.another_may_answer()), (class, another), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(told) && text.contains(&spec) && text.contains(&status.to_string()),
        "{text}"
    );
}

#[rstest]
#[case::page(502, "<html>Bad Gateway</html>", Class::Unknown)]
#[case::gateway(504, "", Class::Unknown)]
#[case::patience(408, "", RETRYABLE)]
#[case::forbidden(403, "no", Class::FailFast)]
#[case::fields(422, r#"{"detail": "extra field"}"#, Class::FailFast)]
#[case::teapot(418, "", Class::FailFast)]
#[case::empty(204, "", Class::FailFast)]
#[tokio::test]
async fn a_status_alone_is_enough(#[case] status: u16, #[case] body: &str, #[case] class: Class) {
    let error = refused("openai:m", Reply::refusal(status, body)).await;
    assert_eq!(error.class(), class, "{error}");
}

#[rstest]
#[case("retry-after", "20", 20_000)]
#[case("retry-after-ms", "1500", 1_500)]
#[tokio::test]
async fn the_wait_that_is_asked_for_is_told(
    #[case] header: &'static str,
    #[case] value: &str,
    #[case] ms: u64,
) {
    let reply = Reply::refusal(429, fixture("anthropic/429.json")).with(header, value);
    let error = refused("anthropic:m", reply).await;
    assert_eq!(error.class(), Class::Retryable { after: Some(Duration::from_millis(ms)) });
}

#[rstest]
#[case("anthropic", "anthropic/overloaded_within.sse", RETRYABLE, "Overloaded")]
#[case("openai", "openai/failed_within.sse", RETRYABLE, "failed to generate")]
#[case("openai", "openai/error_within.sse", RETRYABLE, "rate_limit_exceeded")]
#[case("openai-chat", "openai-chat/error_within.sse", RETRYABLE, "server had an error")]
#[case("openai-chat", "openai-chat/no_json.sse", Class::Unknown, "no JSON")]
#[tokio::test]
async fn an_error_within_an_answer_is_not_an_answer(
    #[case] provider: &str,
    #[case] stream: &str,
    #[case] class: Class,
    #[case] told: &str,
) {
    let error = refused(&format!("{provider}:m"), Reply::events(fixture(stream))).await;
    assert_eq!(error.class(), class, "{error}");
    assert!(error.to_string().contains(told), "{error}");
}

#[tokio::test]
async fn who_does_not_stream_is_told_so() {
    let body = r#"{"choices": [{"message": {"content": "hello"}}]}"#;
    let error = refused("ollama:m", Reply::refusal(200, body)).await;
    assert_eq!(error.class(), Class::FailFast);
    assert!(error.to_string().contains("application/json where a stream"), "{error}");
    let error = refused("ollama:m", Reply::refusal(200, fixture("ollama/404.json"))).await;
    assert!(error.to_string().contains("try pulling it first"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Provider::playing([]).await;
    let reply = Reply::refusal(307, "").with("location", elsewhere.url.clone());
    let error = refused("anthropic:m", reply).await;
    assert!(error.another_may_answer() && error.to_string().contains("redirects"), "{error}");
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn nobody_there_may_pass() {
    // A port that nobody has any more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let options = booty_model::Options { base_url: Some(url), ..Default::default() };
    let error = open("ollama:m", &options).unwrap().answer(&question()).await.unwrap_err();
    assert_eq!(error.class(), RETRYABLE, "{error}");
    assert!(error.to_string().contains("can't be reached"), "{error}");
}

#[rstest]
#[case("anthropic:m", None, None, Setting::ApiKey, "wants one")]
#[case("openai-chat:m", Some(KEY), Some("api.openai.com/v1"), Setting::BaseUrl, "can't be read")]
#[case("ollama:m", None, Some("ftp://x/v1"), Setting::BaseUrl, "http")]
#[case("ollama:m", None, Some("http://user:sesame@x/v1"), Setting::BaseUrl, "password")]
#[case("ollama:m", None, Some("http://x/v1#sesame"), Setting::BaseUrl, "fragment")]
#[case("openai:m", Some("sesame\nopen"), None, Setting::ApiKey, "characters")]
fn a_setting_that_can_not_be_used_is_named(
    #[case] spec: &str,
    #[case] key: Option<&str>,
    #[case] base_url: Option<&str>,
    #[case] expected: Setting,
    #[case] told: &str,
) {
    let options = booty_model::Options {
        api_key: key.map(Into::into),
        base_url: base_url.map(str::to_owned),
        ..Default::default()
    };
    let error = booty_model::check(spec, &options).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::BadSetting { what, .. } if what == expected), "{text}");
    assert!(text.contains(told) && !text.contains("sesame"), "{text}");
}
