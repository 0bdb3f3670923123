//! Each API's stream becomes the same answer.

use booty_model::{Answer, Class, Message, Part, StopReason, Usage};
use rstest::rstest;
use serde_json::{Value, json};

use crate::server::{Provider, Reply, fixture, question};

const ALL: [(&str, &str); 3] = [
    ("anthropic:claude-sonnet-4-6", "anthropic/two_tools.sse"),
    ("openai:gpt-5.1-codex", "openai/two_tools.sse"),
    ("openai-chat:gpt-5.4-mini", "openai-chat/two_tools.sse"),
];

async fn answer_to(spec: &str, events: String) -> Answer {
    let provider = Provider::playing([Reply::events(events)]).await;
    provider.model(spec).answer(&question()).await.unwrap()
}

fn calls(answer: &Answer) -> Vec<(&str, &str, &Value)> {
    let calls = answer.parts.iter().filter_map(|part| match part {
        Part::ToolCall { id, name, arguments } => Some((id.as_str(), name.as_str(), arguments)),
        Part::Text { .. } | Part::Reasoning { .. } => None,
    });
    calls.collect()
}

#[tokio::test]
async fn text_and_two_calls_at_once_come_out_alike() {
    for (spec, stream) in ALL {
        let answer = answer_to(spec, fixture(stream)).await;
        assert_eq!(answer.text(), "I read both files — first.", "{spec}");
        assert_eq!(answer.stop, StopReason::ToolUse, "{spec}");
        let calls = calls(&answer);
        assert_eq!((calls[0].1, calls[0].2), ("read", &json!({"path": "calc.py"})), "{spec}");
        assert_eq!((calls[1].1, calls[1].2), ("list", &json!({})), "{spec}");
        assert_eq!(calls.len(), 2, "{spec}");
        assert_ne!(calls[0].0, calls[1].0, "{spec}");
        assert!(!answer.id.is_empty(), "{spec}");
    }
}

#[rstest]
#[case(ALL[0], 472, 1200, "claude-sonnet-4-6", "toolu_01T1x1fJ34qAmk2tNTrN7Up6")]
#[case(ALL[1], 1672, 0, "gpt-5.1-codex", "call_unLAR8MvFNptuiZK6K6HCy5k")]
#[case(ALL[2], 1672, 0, "gpt-5.4-mini-2026-03-17", "call_DdmO9pD3xa9XTPNJ32zg2hcA")]
#[tokio::test]
async fn tokens_are_counted_once_each_and_who_answered_is_said(
    #[case] (spec, stream): (&str, &str),
    #[case] input_tokens: u64,
    #[case] cache_write_tokens: u64,
    #[case] model: &str,
    #[case] id: &str,
) {
    let answer = answer_to(spec, fixture(stream)).await;
    let expected = Usage {
        input_tokens,
        output_tokens: 89,
        cache_read_tokens: 18_000,
        cache_write_tokens,
        is_estimated: false,
    };
    assert_eq!(answer.usage, expected);
    assert_eq!((answer.model.as_str(), calls(&answer)[0].0), (model, id));
}

#[tokio::test]
async fn pieces_of_any_size_and_any_line_ends_make_the_same_answer() {
    for (spec, stream) in ALL {
        let whole = answer_to(spec, fixture(stream)).await;
        let with_cr = fixture(stream).replace('\n', "\r\n");
        assert_eq!(answer_to(spec, with_cr.clone()).await, whole, "{spec}");
        // One byte at a time, through the middle of characters.
        let bytes: Vec<_> =
            with_cr.into_bytes().into_iter().map(|byte| Ok(vec![byte].into())).collect();
        let reply =
            Reply::stream(futures_util::stream::iter(bytes as Vec<Result<_, std::io::Error>>));
        let provider = Provider::playing([reply]).await;
        assert_eq!(provider.model(spec).answer(&question()).await.unwrap(), whole, "{spec}");
    }
}

/// Wherever it is cut: an error, and never a shorter answer.
#[tokio::test]
async fn half_a_stream_is_no_answer() {
    for (spec, stream) in ALL {
        let whole = fixture(stream);
        let events: Vec<&str> = whole.split_inclusive("\n\n").collect();
        // Chat Completions are said once they have a reason to stop; what follows is the bill.
        let said = match events.iter().position(|e| e.contains(r#""finish_reason":"tool_calls""#)) {
            Some(stop) => stop,
            None => events.len() - 1,
        };
        for kept in 0..=said {
            let half = events[..kept].concat();
            let replies = [Reply::events(half.clone()), Reply::cut_after(half)];
            let provider = Provider::playing(replies).await;
            let model = provider.model(spec);
            for how in ["ended", "cut"] {
                match model.answer(&question()).await {
                    Err(error) => assert_eq!(error.class(), Class::Unknown, "{error}"),
                    // A message_delta with a reason to stop comes one event before message_stop.
                    Ok(answer) => {
                        assert!(
                            kept == said && spec.starts_with("anthropic"),
                            "{spec} {how} {kept}: {answer:?}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_bill_that_never_comes_is_estimated_and_marked() {
    let whole = fixture("openai-chat/two_tools.sse");
    let (said, _) = whole.split_once(r#"data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"model":"gpt-5.4-mini-2026-03-17","service_tier":"default","system_fingerprint":null,"choices":[],"#).unwrap();
    let provider = Provider::playing([Reply::cut_after(said)]).await;
    let answer = provider.model("openai-chat:m").answer(&question()).await.unwrap();
    assert_eq!(calls(&answer).len(), 2);
    assert!(answer.usage.is_estimated && answer.usage.input_tokens > 50, "{:?}", answer.usage);
}

#[tokio::test]
async fn ollama_says_stop_when_it_calls_a_tool_and_names_no_cost() {
    let answer = answer_to("ollama:qwen3:8b", fixture("ollama/tool_without_usage.sse")).await;
    assert_eq!(answer.stop, StopReason::ToolUse);
    assert_eq!(calls(&answer), [("call_x1", "read", &json!({"path": "calc.py"}))]);
    assert_eq!(answer.model, "qwen3:8b");
    assert!(answer.usage.is_estimated && answer.usage.output_tokens > 0);
}

#[rstest]
#[case("anthropic:m", "anthropic/cut_arguments.sse", r#"{"path": "calc.p"#)]
#[case("openai:m", "openai/incomplete.sse", r#"{"path":"#)]
#[tokio::test]
async fn arguments_that_were_cut_short_stay_as_they_are(
    #[case] spec: &str,
    #[case] stream: &str,
    #[case] arguments: &str,
) {
    let answer = answer_to(spec, fixture(stream)).await;
    assert_eq!(answer.stop, StopReason::MaxTokens);
    assert_eq!(calls(&answer)[0].2, &json!(arguments));
}

#[tokio::test]
async fn invalid_arguments_and_absurd_places_are_only_odd() {
    let answer = answer_to("openai-chat:m", fixture("openai-chat/bad_arguments.sse")).await;
    let calls = calls(&answer);
    assert_eq!(calls[0], ("call_1", "read", &json!(r#"{"path": calc.py"#)));
    assert_eq!(calls[1], ("call_2", "list", &json!("not json")));
}

#[rstest]
#[case("anthropic:m", "anthropic/refusal.sse", "")]
#[case("openai:m", "openai/refusal.sse", "I can't help with that.")]
#[case("openai-chat:m", "openai-chat/filtered.sse", "I ")]
#[tokio::test]
async fn a_refusal_is_told_from_an_answer(
    #[case] spec: &str,
    #[case] stream: &str,
    #[case] text: &str,
) {
    let answer = answer_to(spec, fixture(stream)).await;
    assert_eq!((answer.stop, answer.text().as_str()), (StopReason::Refusal, text));
}

#[tokio::test]
async fn responses_that_only_have_an_end_are_read_from_it() {
    let answer = answer_to("openai:m", fixture("openai/only_the_end.sse")).await;
    assert_eq!(answer.text(), "I read both files — first.");
    assert_eq!(calls(&answer), [("call_9xyzAR8MvFNptuiZK6K6HCy5", "list", &json!({}))]);
}

/// Providers refuse a conversation without the thoughts that they sealed, and another's as well.
#[rstest]
#[case("anthropic:claude-opus-5-5", "anthropic/thinking.sse", "/messages/1/content", 2, json!([
    {"type": "thinking", "thinking": "The sign is wrong.",
        "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"},
    {"type": "redacted_thinking",
        "data": "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpP"},
]))]
#[case("openai:gpt-5.1-codex", "openai/two_tools.sse", "/input", 2, json!([
    {"role": "user", "content": "add() subtracts"},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABpZ0pQeXB0ZWQ="},
]))]
#[case("openai-chat:deepseek-reasoner", "openai-chat/reasoning.sse", "/messages", 3, json!([
    {"role": "system", "content": "You repair programs."},
    {"role": "user", "content": "add() subtracts"},
    {"role": "assistant", "content": "Fixed.", "reasoning_content": "The sign is wrong."},
]))]
// Two calls without an index, whose first has a seal.
#[case("openai-chat:gemini-3-pro", "openai-chat/gemini.sse", "/messages/2/tool_calls", 2, json!([
    {"id": "function-call-1", "type": "function",
        "function": {"name": "read", "arguments": "{\"path\":\"calc.py\"}"},
        "extra_content": {"google": {"thought_signature": "CpcBAdHtim9q4KstcbvQC0Y0"}}},
    {"id": "function-call-2", "type": "function", "function": {"name": "list", "arguments": "{}"}},
]))]
#[tokio::test]
async fn thoughts_go_back_to_who_had_them_and_to_nobody_else(
    #[case] spec: &str,
    #[case] stream: &str,
    #[case] place: &str,
    #[case] items: usize,
    #[case] expected: Value,
) {
    let end = || Reply::refusal(503, "{}");
    let provider = Provider::playing([Reply::events(fixture(stream)), end(), end()]).await;
    let model = provider.model(spec);
    let mut question = question();
    let answer = model.answer(&question).await.unwrap();
    // Through a journal and back.
    let journal = serde_json::to_string(&answer).unwrap();
    let answer: Answer = serde_json::from_str(&journal).unwrap();
    question.messages.push(Message::Assistant { content: answer.parts });
    question.messages.push(Message::User { content: "Go on.".to_owned() });
    model.answer(&question).await.unwrap_err();
    let (provider_name, _) = spec.split_once(':').unwrap();
    provider.model(&format!("{provider_name}:another")).answer(&question).await.unwrap_err();

    let asked = provider.asked();
    let sent = asked[1].body.pointer(place).unwrap().as_array().unwrap();
    assert_eq!(Value::from(&sent[..items]), expected);
    let to_another = asked[2].body.to_string();
    for thought in
        ["The sign is wrong", "EmwKAhgBEgy3va3pzix", "gAAAAABpZ0pQeXB0ZWQ", "CpcBAdHtim9q"]
    {
        assert!(!to_another.contains(thought), "{to_another}");
    }
}
