//! A job's conversation with its model: questions, answers, and the tools that answers call.

use booty_model::{Message, Part, Request, StopReason, ToolResult, Usage};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWrite;

use super::{
    bench::Bench,
    clamp::dropped_bytes,
    frame::FrameError,
    link::Link,
    model::Asker,
    prompt,
    protocol::{self, AgentEnd, CommandName, Report, Start, Step},
    runner::Runner,
    stuck::{Habit, Habits},
    tool::{self, Run, RunCommand, Tool},
};

/// Bytes of the model's last words that are kept.
const MAX_SAID_BYTES: usize = 8 * 1024;
/// Bytes of a failing output that the report keeps.
const MAX_REPORTED_BYTES: usize = 4 * 1024;

/// Why work stops before its natural end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// With this outcome.
    End(AgentEnd),
    /// Without one: the builder is gone.
    Lost(FrameError),
}

impl From<FrameError> for Halt {
    fn from(error: FrameError) -> Self {
        Self::Lost(error)
    }
}

/// One job's conversation with its model.
pub(crate) struct Conversation<W> {
    pub(super) link: Link<W>,
    pub(super) start: Start,
    asker: Asker,
    pub(super) runner: Runner,
    messages: Vec<Message>,
    /// Bytes of all messages, as far as they count.
    size: usize,
    pub(super) said: String,
    pub(super) rounds: u32,
    answers: u32,
    model: String,
    usage: Usage,
    pub(super) runs: Vec<protocol::Run>,
    pub(super) habits: Habits,
}

impl<W: AsyncWrite + Unpin> Conversation<W> {
    pub(crate) fn new(link: Link<W>, start: Start) -> Self {
        Self {
            asker: Asker::new(&start),
            runner: Runner::new(&start),
            link,
            start,
            messages: Vec::new(),
            size: 0,
            said: String::new(),
            rounds: 0,
            answers: 0,
            model: String::new(),
            usage: Usage::default(),
            runs: Vec::new(),
            habits: Habits::default(),
        }
    }

    pub(crate) fn link(&mut self) -> &mut Link<W> {
        &mut self.link
    }

    /// Works until there is something to report.
    pub(crate) async fn run(&mut self) -> Result<Report, FrameError> {
        let (end, attempt) = match self.refine().await {
            Ok(ended) => ended,
            Err(Halt::End(end)) => (end, None),
            Err(Halt::Lost(error)) => return Err(error),
        };
        Ok(Report {
            end,
            attempt,
            said: prompt::shorten(&self.said, MAX_SAID_BYTES, 0),
            rounds: self.rounds,
            answers: self.answers,
            model: self.model.clone(),
            usage: self.usage,
            runs: self.runs.clone(),
        })
    }

    /// Lets the model call tools until it says that it is done, or has had its turns.
    pub(super) async fn let_model_work(&mut self, bench: &mut Bench) -> Result<(), Halt> {
        for _ in 0..self.start.limits.turns_per_round {
            let request = Request {
                system: prompt::system(&self.start.task, self.start.limits.rounds),
                messages: self.messages.clone(),
                tools: tool::specs(),
                max_output_tokens: self.start.limits.output_tokens,
            };
            let answer = self.asker.ask(&mut self.link, &request).await?;
            self.answers += 1;
            self.usage.add(&answer.usage);
            self.model.clone_from(&answer.model);
            let text = answer.text();
            if !text.trim().is_empty() {
                self.said = text;
            }
            if answer.stop == StopReason::Refusal {
                let why = format!("the model refused: {}", self.said);
                return Err(Halt::End(AgentEnd::ModelFailed { why }));
            }
            let calls: Vec<(String, String, Value)> = answer
                .parts
                .iter()
                .filter_map(|part| match part {
                    Part::ToolCall { id, name, arguments } => {
                        Some((id.clone(), name.clone(), arguments.clone()))
                    }
                    Part::Text { .. } | Part::Reasoning { .. } => None,
                })
                .collect();
            self.push(Message::Assistant { content: answer.parts })?;
            if calls.is_empty() {
                if answer.stop == StopReason::MaxTokens {
                    let content = "Your answer was cut short. Go on, in smaller steps.".to_owned();
                    self.push(Message::User { content })?;
                    continue;
                }
                return Ok(());
            }
            let mut is_finished = false;
            let mut stuck = None;
            let mut results = Vec::with_capacity(calls.len());
            self.habits.next_answer();
            for (call_id, name, arguments) in calls {
                let done = self.call(bench, &name, &arguments, &mut is_finished).await?;
                let (mut content, is_error) = match done {
                    Ok(content) => (content, false),
                    Err(why) => (why, true),
                };
                // What a command prints holds times and addresses: the state alone says whether it can
                // come to something else.
                let counted = if name == tool::RUN { "" } else { content.as_str() };
                match self.habits.note(&name, &arguments, counted, bench.digest()) {
                    Habit::Fine => {}
                    Habit::Again(times) => content.push_str(&prompt::again(times)),
                    Habit::Stuck(times) => {
                        stuck = Some(format!(
                            "the model made the same call {times} times, to the same end"
                        ));
                    }
                }
                results.push(ToolResult { call_id, content, is_error });
            }
            self.note_results(&results).await?;
            self.push(Message::ToolResults { results })?;
            if is_finished {
                return Ok(());
            }
            if let Some(what) = stuck {
                return Err(Halt::End(AgentEnd::Stuck { what }));
            }
        }
        Ok(())
    }

    /// Journals what the tools gave back, by hash. Files are changed anew by a resumed job; when that
    /// comes to something else than before, it is said, and the job goes on.
    async fn note_results(&mut self, results: &[ToolResult]) -> Result<(), Halt> {
        let hash = |result: &ToolResult| hex::encode(Sha256::digest(&result.content));
        let now: Vec<String> = results.iter().map(hash).collect();
        // A journal of before this step was known goes on with the next answer.
        if let Some(Step::ToolsRan { results: before }) = self.link.next_past_if_tools_ran() {
            if before != now {
                let which: Vec<String> = results
                    .iter()
                    .zip(&now)
                    .enumerate()
                    .filter(|(at, (_, now))| before.get(*at) != Some(*now))
                    .map(|(at, _)| (at + 1).to_string())
                    .collect();
                let message =
                    format!("tools gave back something else than then: call {}", which.join(", "));
                self.link.differs(message).await?;
            }
            return Ok(());
        }
        if self.link.has_past() {
            return Ok(());
        }
        Ok(self.link.journal(Step::ToolsRan { results: now }).await?)
    }

    /// One tool call; the inner error is what the model is told.
    async fn call(
        &mut self,
        bench: &mut Bench,
        name: &str,
        arguments: &Value,
        is_finished: &mut bool,
    ) -> Result<Result<String, String>, Halt> {
        let limits = &self.start.limits;
        if let Some(bytes) = dropped_bytes(arguments) {
            return Ok(Err(format!(
                "the arguments of {name} were {bytes} bytes and were dropped; at most {} are taken",
                limits.file_bytes
            )));
        }
        let tool = match Tool::parse(name, arguments) {
            Ok(tool) => tool,
            Err(why) => return Ok(Err(why)),
        };
        let nonce = &self.start.task.nonce;
        let shown = |label: &str, text: String| {
            let text = prompt::shorten(&text, limits.result_bytes, 0);
            prompt::outside(nonce, label, &text)
        };
        Ok(match tool {
            Tool::List(list) => bench.list(&list).map(|text| shown("list", text)),
            Tool::Read(read) => bench.read(&read).map(|text| shown("file", text)),
            Tool::Search(search) => bench.search(&search).map(|text| shown("search", text)),
            Tool::Edit(edit) => bench.edit(&edit),
            Tool::Write(write) => bench.write(&write),
            Tool::Delete(delete) => bench.delete(&delete),
            Tool::Finish(finish) => {
                *is_finished = true;
                self.said = finish.summary;
                return Ok(Ok("check and tests are run next".to_owned()));
            }
            Tool::Run(Run { command, only: None }) => {
                let name = command.into();
                let ran = self.runner.run(&mut self.link, bench, name).await?;
                let Some(result) = ran else {
                    return Ok(Err(format!("this repository names no {name} command")));
                };
                let text = prompt::ran(&self.start.task, name, &result);
                return Ok(if result.succeeded() { Ok(text) } else { Err(text) });
            }
            Tool::Run(Run { command: RunCommand::Check, only: Some(_) }) => {
                return Ok(Err("`only` goes with `test`".to_owned()));
            }
            Tool::Run(Run { command: RunCommand::Test, only: Some(test) }) => {
                let ran = self.runner.run_one_test(&mut self.link, bench, &test).await?;
                let Some(result) = ran else {
                    return Ok(Err(
                        "it is not known how to run one test here; run all of them, without `only`"
                            .to_owned(),
                    ));
                };
                let text = prompt::ran(&self.start.task, CommandName::OneTest, &result);
                return Ok(if result.succeeded() { Ok(text) } else { Err(text) });
            }
        }
        .map_err(|why| why.0))
    }

    pub(super) fn push(&mut self, message: Message) -> Result<(), Halt> {
        self.size += match &message {
            Message::User { content } => content.len(),
            Message::Assistant { content } => content
                .iter()
                .map(|part| match part {
                    Part::Text { text } => text.len(),
                    Part::ToolCall { arguments, .. } => arguments.to_string().len(),
                    Part::Reasoning { data, .. } => data.to_string().len(),
                })
                .sum(),
            Message::ToolResults { results } => results.iter().map(|r| r.content.len()).sum(),
        };
        self.messages.push(message);
        let limit = self.start.limits.conversation_bytes;
        if self.size > limit {
            let what = format!("the conversation is longer than {limit} bytes");
            return Err(Halt::End(AgentEnd::OutOfBudget { what }));
        }
        Ok(())
    }
}

/// A command's output as a report keeps it.
pub(super) fn reported(output: &str) -> String {
    let output = prompt::compact(output);
    prompt::shorten(&output, MAX_REPORTED_BYTES / 4, MAX_REPORTED_BYTES / 4 * 3)
}
