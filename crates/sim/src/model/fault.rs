//! What goes wrong on demand.

use booty_model::scripted::Script;
use serde::{Deserialize, Serialize};

/// What an endpoint does instead of a proper answer, once. The same turn is answered when it is asked
/// again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// 429.
    RateLimited {
        /// The `retry-after` as it is sent: seconds, or a date; `None` sends none.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// Anthropic's 529; OpenAI's 503 that says so.
    Overloaded,
    /// 500 in the provider's own words.
    ServerError,
    /// 503 in the provider's own words.
    Unavailable {
        /// The `retry-after` as it is sent.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// This status with a page of HTML, as a proxy on the way answers (408, 502, 504, 520).
    Gateway {
        /// The status.
        status: u16,
    },
    /// 401: the key was withdrawn.
    Unauthorized,
    /// There is no money left: OpenAI's 429 that no waiting helps against, Anthropic's 400.
    InsufficientQuota,
    /// The connection is closed without a byte.
    Dropped,
    /// Nothing comes, not even headers, until the client gives up.
    Mute,
    /// Headers and so many events, then nothing until the client gives up.
    Silent {
        /// Events before it falls silent.
        #[serde(default)]
        after_events: usize,
    },
    /// The answer comes in drips.
    Slow {
        /// Bytes of a drip.
        bytes: usize,
        /// From one to the next.
        millis: u64,
    },
    /// The connection breaks after so many events (half of an answer that is no stream).
    CutAfterEvents {
        /// Whole events before the cut.
        events: usize,
    },
    /// The connection breaks after so many bytes.
    CutAfterBytes {
        /// Bytes before the cut.
        bytes: usize,
    },
    /// The answer ends properly, as HTTP goes, after so many events; what ends a stream never comes.
    EndsEarly {
        /// Whole events before the end.
        events: usize,
    },
    /// An event in the middle says that something went wrong; the stream ends with it. Where there is no
    /// stream: 500.
    ErrorEvent {
        /// Proper events before it.
        after_events: usize,
    },
    /// An event in the middle, or the whole answer, is no JSON.
    MalformedJson {
        /// Proper events before it.
        #[serde(default)]
        after_events: usize,
    },
    /// The arguments of the first tool call are not what they should be.
    BadArguments {
        /// What they are.
        are: BadArguments,
    },
    /// The answer has so many bytes of text more.
    Huge {
        /// Bytes.
        bytes: usize,
    },
    /// The answer never ends.
    Endless,
    /// The model will not answer.
    Refusal,
    /// The answer is cut in the middle, as by `max_tokens`.
    MaxTokens,
}

/// What is wrong with arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadArguments {
    /// Words.
    NotJson,
    /// The first half of them.
    Cut,
    /// JSON, but no object.
    NoObject,
    /// Nothing at all.
    Empty,
}

impl Fault {
    /// Its name in a script.
    pub fn kind(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value.get("kind").and_then(|kind| kind.as_str()).unwrap_or_default().to_owned()
    }

    /// What a script's turn names, or what is wrong with it.
    pub(super) fn of_turn(
        script: &Script,
        scenario: usize,
        turn: usize,
    ) -> Result<Vec<Self>, String> {
        let turn_of = script.scenarios.get(scenario).and_then(|scenario| scenario.turns.get(turn));
        let faults = turn_of.map(|turn| turn.faults.as_slice()).unwrap_or_default();
        let read = |fault: &serde_json::Value| {
            serde_json::from_value(fault.clone()).map_err(|error| {
                format!("scenario {scenario}, turn {turn}, fault {fault}: {error}")
            })
        };
        faults.iter().map(read).collect()
    }

    /// The first of a script's faults that can't be read.
    pub(super) fn check(script: &Script) -> Result<(), String> {
        for (index, scenario) in script.scenarios.iter().enumerate() {
            for turn in 0..scenario.turns.len() {
                Self::of_turn(script, index, turn)?;
            }
        }
        Ok(())
    }
}
