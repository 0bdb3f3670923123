//! What is answered, before an API gives it its form.

use booty_model::{
    StopReason, Usage,
    scripted::{Call, Turn},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    fault::{BadArguments, Fault},
    json::beginning,
    question::Question,
};

/// Bytes that one token stands for.
const BYTES_PER_TOKEN: u64 = 4;
/// What a thinking model thinks.
const THOUGHT: &str = "I go on as the script says.";

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    /// Of this answer alone; ids of its parts are made from it.
    pub(super) stem: String,
    pub(super) model: String,
    /// What it thought before, and the seal that shows that it did.
    pub(super) thought: Option<(String, String)>,
    pub(super) parts: Vec<Said>,
    pub(super) stop: StopReason,
    pub(super) usage: Usage,
    /// Its text goes on for ever.
    pub(super) is_endless: bool,
}

/// A piece of an answer.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Text(String),
    Call {
        name: String,
        /// JSON, unless something is wrong.
        arguments: String,
    },
}

impl Reply {
    pub(super) fn new(turn: &Turn, question: &Question, input: Usage) -> Self {
        let text = turn.text.iter().filter(|text| !text.is_empty()).cloned().map(Said::Text);
        let calls = turn.calls.iter().map(|call: &Call| Said::Call {
            name: call.tool.clone(),
            arguments: if call.with.is_null() { "{}".to_owned() } else { call.with.to_string() },
        });
        let implied = if turn.calls.is_empty() { StopReason::EndTurn } else { StopReason::ToolUse };
        let mut reply = Self {
            stem: Uuid::new_v4().simple().to_string().chars().take(20).collect(),
            model: question.model.clone(),
            thought: question.thinks.then(|| (THOUGHT.to_owned(), seal(THOUGHT))),
            parts: text.chain(calls).collect(),
            stop: turn.stop.unwrap_or(implied),
            usage: input,
            is_endless: false,
        };
        if reply.stop == StopReason::Refusal {
            reply.refuse();
        }
        reply.count(question.max_tokens);
        if let Some(usage) = turn.usage {
            reply.usage = usage;
        }
        reply
    }

    /// What a fault makes of it.
    pub(super) fn spoil(&mut self, fault: &Fault, max_tokens: Option<u64>) {
        match fault {
            Fault::BadArguments { are } => {
                let first = self.parts.iter_mut().find_map(|part| match part {
                    Said::Call { arguments, .. } => Some(arguments),
                    Said::Text(_) => None,
                });
                if let Some(arguments) = first {
                    *arguments = are.of(arguments);
                }
            }
            Fault::Huge { bytes } => {
                let line = "It is a long story that has to be told in full.\n";
                let mut text = line.repeat(bytes / line.len() + 1);
                text.truncate(*bytes);
                self.parts.insert(0, Said::Text(text));
                // No limit of the request holds it: an endpoint that is broken keeps none.
                self.count(None);
            }
            Fault::Endless => {
                self.is_endless = true;
                self.parts.insert(0, Said::Text("And so on, ".to_owned()));
            }
            Fault::Refusal => self.refuse(),
            Fault::MaxTokens => {
                self.cut(self.bytes() / 2);
                self.count(max_tokens);
            }
            _ => {}
        }
    }

    fn refuse(&mut self) {
        self.stop = StopReason::Refusal;
        self.parts.retain(|part| matches!(part, Said::Text(_)));
        if self.parts.is_empty() {
            self.parts.push(Said::Text("I can't help with that.".to_owned()));
        }
    }

    /// Counts what was written; no more than was asked for.
    fn count(&mut self, max_tokens: Option<u64>) {
        let most = max_tokens.unwrap_or(u64::MAX).saturating_mul(BYTES_PER_TOKEN);
        if self.bytes() > most {
            self.cut(most);
        }
        self.usage.output_tokens = self.bytes().div_ceil(BYTES_PER_TOKEN).max(1);
    }

    fn bytes(&self) -> u64 {
        let bytes = |part: &Said| match part {
            Said::Text(text) => text.len(),
            Said::Call { name, arguments } => name.len() + arguments.len(),
        };
        self.parts.iter().map(bytes).sum::<usize>() as u64
    }

    fn cut(&mut self, most: u64) {
        let mut left = usize::try_from(most).unwrap_or(usize::MAX);
        let mut kept = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            match part {
                Said::Text(text) => {
                    let text = beginning(&text, left).to_owned();
                    left -= text.len();
                    if !text.is_empty() {
                        kept.push(Said::Text(text));
                    }
                }
                Said::Call { name, arguments } => {
                    let Some(rest) = left.checked_sub(name.len()) else { break };
                    let arguments = beginning(&arguments, rest).to_owned();
                    left = rest - arguments.len();
                    kept.push(Said::Call { name, arguments });
                }
            }
            if left == 0 {
                break;
            }
        }
        self.parts = kept;
        self.stop = StopReason::MaxTokens;
    }
}

impl BadArguments {
    fn of(self, arguments: &str) -> String {
        match self {
            Self::NotJson => "path = calc.py".to_owned(),
            Self::Cut => beginning(arguments, arguments.len() / 2).to_owned(),
            Self::NoObject => "[\"calc.py\"]".to_owned(),
            Self::Empty => String::new(),
        }
    }
}

/// What proves that a thought was the model's.
pub(super) fn seal(thought: &str) -> String {
    use base64::Engine as _;
    let digest = Sha256::digest(format!("sealed by the simulator: {thought}"));
    base64::engine::general_purpose::STANDARD.encode(digest)
}
