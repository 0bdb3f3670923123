//! The refinement loop. It is the runner's, not the prompt's: the model changes files until it says
//! that it is done, the repository's own commands judge, and what fails is handed back.

use booty_model::{Message, Part, Request, StopReason, ToolResult, Usage};
use booty_sandbox::RunResult;
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
    protocol::{AgentEnd, CommandName, FromAgent, Report, Run, Start, Step},
    runner::Runner,
    tool::{self, Tool},
    tree::Tree,
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
    link: Link<W>,
    start: Start,
    asker: Asker,
    runner: Runner,
    messages: Vec<Message>,
    /// Bytes of all messages, as far as they count.
    size: usize,
    said: String,
    rounds: u32,
    answers: u32,
    model: String,
    usage: Usage,
    runs: Vec<Run>,
}

/// The command that failed last, and the state that it judged.
struct Failure {
    name: CommandName,
    result: RunResult,
    version: u64,
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
        }
    }

    pub(crate) fn link(&mut self) -> &mut Link<W> {
        &mut self.link
    }

    /// Works until there is something to report.
    pub(crate) async fn run(&mut self) -> Result<Report, FrameError> {
        let end = match self.refine().await {
            Ok(end) | Err(Halt::End(end)) => end,
            Err(Halt::Lost(error)) => return Err(error),
        };
        Ok(Report {
            end,
            said: prompt::shorten(&self.said, MAX_SAID_BYTES, 0),
            rounds: self.rounds,
            answers: self.answers,
            model: self.model.clone(),
            usage: self.usage,
            runs: self.runs.clone(),
        })
    }

    async fn refine(&mut self) -> Result<AgentEnd, Halt> {
        let tree = Tree::open(&self.start.source_tree)
            .map_err(|error| Halt::End(AgentEnd::Broken { why: error.to_string() }))?;
        let mut bench = Bench::new(tree, self.start.limits.file_bytes);
        self.runner.prepare().await?;
        if let Some(result) = self.runner.run(&mut self.link, &bench, CommandName::Setup).await?
            && !result.succeeded()
        {
            let output = reported(&result);
            return Ok(AgentEnd::SetupFailed { output });
        }

        let first = prompt::task(&self.start.task, &self.start.commands);
        self.push(Message::User { content: first })?;
        let rounds = self.start.limits.rounds.max(1);
        let mut last: Option<Failure> = None;
        for round in 1..=rounds {
            self.rounds = round;
            self.link.send(&FromAgent::Round(round)).await?;
            self.let_model_work(&mut bench).await?;
            if !bench.is_changed() {
                return Ok(AgentEnd::NoChange);
            }
            let unchanged = last.as_ref().is_some_and(|last| last.version == bench.version());
            if !unchanged {
                match self.judge(&bench, round).await? {
                    Some(failure) => last = Some(failure),
                    None => return Ok(AgentEnd::Green),
                }
            }
            if let Some(Failure { name, result, .. }) = &last {
                let task = &self.start.task;
                let content = prompt::failure(task, round, rounds, *name, result, unchanged);
                self.push(Message::User { content })?;
            }
        }
        Ok(match last {
            Some(Failure { name, result, .. }) => {
                AgentEnd::NotGreen { command: name, output: reported(&result) }
            }
            None => AgentEnd::NoChange,
        })
    }

    /// Check, then the tests; exit codes decide. `None`: all that there is ended with 0.
    async fn judge(&mut self, bench: &Bench, round: u32) -> Result<Option<Failure>, Halt> {
        for name in [CommandName::Check, CommandName::Test] {
            let Some(result) = self.runner.run(&mut self.link, bench, name).await? else {
                continue;
            };
            let duration_ms = u64::try_from(result.duration.as_millis()).unwrap_or(u64::MAX);
            self.runs.push(Run { round, name, end: result.end, duration_ms });
            if !result.succeeded() {
                return Ok(Some(Failure { name, result, version: bench.version() }));
            }
        }
        Ok(None)
    }

    /// Lets the model call tools until it says that it is done, or has had its turns.
    async fn let_model_work(&mut self, bench: &mut Bench) -> Result<(), Halt> {
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
            let mut results = Vec::with_capacity(calls.len());
            for (call_id, name, arguments) in calls {
                let done = self.call(bench, &name, &arguments, &mut is_finished).await?;
                let (content, is_error) = match done {
                    Ok(content) => (content, false),
                    Err(why) => (why, true),
                };
                results.push(ToolResult { call_id, content, is_error });
            }
            self.note_results(&results).await?;
            self.push(Message::ToolResults { results })?;
            if is_finished {
                return Ok(());
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
                let message = "tools gave back something else than the journal has".to_owned();
                self.link.log("journal_mismatch", message).await?;
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
            Tool::Run(run) => {
                let ran = self.runner.run(&mut self.link, bench, run.command).await?;
                let Some(result) = ran else {
                    return Ok(Err(format!("this repository names no {} command", run.command)));
                };
                let text = prompt::ran(&self.start.task, run.command, &result);
                return Ok(if result.succeeded() { Ok(text) } else { Err(text) });
            }
        }
        .map_err(|why| why.0))
    }

    fn push(&mut self, message: Message) -> Result<(), Halt> {
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

fn reported(result: &RunResult) -> String {
    let output = prompt::compact(&result.output);
    prompt::shorten(&output, MAX_REPORTED_BYTES / 4, MAX_REPORTED_BYTES / 4 * 3)
}
