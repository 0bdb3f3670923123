//! Answers cut to size before they are journalled, so that no model can fill a journal or a memory.

use booty_model::{Answer, Part};
use serde_json::{Value, json};

use super::protocol::Limits;

/// The field that stands for arguments that were too large.
const DROPPED: &str = "booty_dropped_bytes";

/// Keeps the first calls, drops arguments that are too large, and says so in their place. What is
/// kept is what the journal, the conversation and the tools see.
pub(crate) fn clamp(mut answer: Answer, limits: &Limits) -> Answer {
    let mut calls = 0usize;
    let mut left = limits.answer_bytes;
    // Sealed: half of it is worth nothing.
    let mut thoughts_left = limits.answer_bytes / 2;
    answer.parts.retain(|part| {
        let Part::Reasoning { data, .. } = part else { return true };
        let size = data.to_string().len();
        let fits = size <= thoughts_left;
        thoughts_left -= if fits { size } else { 0 };
        fits
    });
    left -= limits.answer_bytes / 2 - thoughts_left;
    for part in &mut answer.parts {
        match part {
            Part::Reasoning { by, .. } => truncate(by, 200),
            Part::Text { text } => {
                let fits = text.floor_char_boundary(left.min(limits.text_bytes));
                if fits < text.len() {
                    let dropped = text.len() - fits;
                    text.truncate(fits);
                    text.push_str(&format!("\n[{dropped} bytes were dropped]"));
                }
                left = left.saturating_sub(text.len());
            }
            Part::ToolCall { id, name, arguments } => {
                calls += 1;
                if calls > limits.calls_per_answer {
                    continue;
                }
                truncate(id, 200);
                truncate(name, 200);
                let size = arguments.to_string().len();
                if size > limits.file_bytes.saturating_add(4096) || size > left {
                    *arguments = json!({ DROPPED: size });
                } else {
                    left -= size;
                }
            }
        }
    }
    if calls > limits.calls_per_answer {
        let mut kept = 0;
        answer.parts.retain(|part| {
            let is_call = matches!(part, Part::ToolCall { .. });
            kept += usize::from(is_call);
            !is_call || kept <= limits.calls_per_answer
        });
        let dropped = calls - limits.calls_per_answer;
        answer.parts.insert(0, Part::Text { text: format!("[{dropped} tool calls were dropped]") });
    }
    answer
}

/// How large arguments were that [`clamp`] dropped.
pub(crate) fn dropped_bytes(arguments: &Value) -> Option<u64> {
    arguments.as_object()?.get(DROPPED)?.as_u64()
}

fn truncate(text: &mut String, limit: usize) {
    text.truncate(text.floor_char_boundary(limit));
}

#[cfg(test)]
mod tests {
    use booty_model::{StopReason, Usage};

    use super::*;

    fn answer(parts: Vec<Part>) -> Answer {
        Answer {
            parts,
            stop: StopReason::ToolUse,
            usage: Usage::default(),
            model: "m".into(),
            id: "i".into(),
        }
    }

    fn call(content: &str) -> Part {
        Part::ToolCall {
            id: "c".into(),
            name: "write".into(),
            arguments: json!({"content": content}),
        }
    }

    #[test]
    fn an_ordinary_answer_stays_as_it_is() {
        let ordinary = answer(vec![Part::Text { text: "hello".into() }, call("x")]);
        assert_eq!(clamp(ordinary.clone(), &Limits::default()), ordinary);
    }

    #[test]
    fn a_monstrous_one_fits_a_frame() {
        let limits = Limits::default();
        let mut parts = vec![Part::Text { text: "ä".repeat(3_000_000) }];
        parts.push(call(&"x".repeat(50_000_000)));
        parts.extend((0..100_000).map(|n| call(&n.to_string())));
        let small = clamp(answer(parts), &limits);
        let size = serde_json::to_vec(&small).unwrap().len();
        assert!(size < limits.answer_bytes, "{size}");
        let calls: Vec<_> = small
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::ToolCall { arguments, .. } => Some(dropped_bytes(arguments)),
                Part::Text { .. } | Part::Reasoning { .. } => None,
            })
            .collect();
        assert_eq!(calls.len(), limits.calls_per_answer);
        assert_eq!(calls[0], Some(50_000_014));
        assert_eq!(calls[1], None);
        assert!(small.text().contains("[99937 tool calls were dropped]"));
    }
}
