//! What builder and agent say to one another.
//!
//! The builder sends [`ToAgent::Start`], then the job's past as [`ToAgent::Past`], then
//! [`ToAgent::Begin`]. The agent answers with [`FromAgent`] frames; after each
//! [`FromAgent::Journal`] it waits for [`ToAgent::Ack`], which comes once the step is durable, and before
//! each question to the model it asks with [`FromAgent::MayAsk`]. It ends with [`FromAgent::Finished`].

use std::{collections::BTreeMap, fmt, path::PathBuf};

use booty_judge::case::Results;
use booty_model::{Answer, Usage};
use booty_policy::{Language, Runner, Untrusted};
use booty_sandbox::{End, RunResult};
use serde::{Deserialize, Serialize};

/// From the builder to its child.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToAgent {
    Start(Box<Start>),
    /// A step that an earlier holder of the job journalled, in order.
    Past(Step),
    /// There is no more past.
    Begin,
    /// The step that was sent last is durable; or, after [`FromAgent::MayAsk`]: yes.
    Ack,
    /// After [`FromAgent::MayAsk`]: no, a budget is used up. What it says is shown on the issue.
    Deny {
        what: String,
    },
}

/// From the child to the builder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromAgent {
    /// A round begins, counted from 1.
    Round(u32),
    /// Make this durable, then say [`ToAgent::Ack`].
    Journal(Step),
    /// Before each question to the model that costs something: [`ToAgent::Ack`] or [`ToAgent::Deny`].
    MayAsk,
    /// For the builder's log.
    Log { event: String, message: String },
    /// The end.
    Finished(Box<Report>),
}

/// What the agent needs to know; none of it is a token of GitHub's or of the bus.
#[derive(Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) task: Task,
    /// Whether only the past is played: nothing is asked and nothing is run.
    #[serde(default)]
    pub(crate) is_replay: bool,
    /// Where the model's tools read and write, and nobody else does.
    pub(crate) source_tree: PathBuf,
    /// Where the repository's commands run: a second checkout, into which the model's changes are
    /// copied, so that nothing a command writes can become part of the proposal.
    pub(crate) run_tree: PathBuf,
    pub(crate) commands: Commands,
    pub(crate) rules: Rules,
    pub(crate) sandbox: SandboxChoice,
    pub(crate) limits: Limits,
    pub(crate) model: ModelChoice,
    /// Who is asked in the place of a model that can't answer.
    pub(crate) model_fallback: Option<ModelChoice>,
}

/// A model to ask.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ModelChoice {
    /// `provider:name`.
    pub(crate) spec: String,
    pub(crate) api_key: Option<String>,
    pub(crate) base_url: Option<String>,
    /// The Unix socket behind which it is; the agent has no other network. `None`: straight there.
    #[serde(default)]
    pub(crate) socket: Option<PathBuf>,
}

impl fmt::Debug for ModelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spec)
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("model", &self.model).finish_non_exhaustive()
    }
}

/// What is to be done. All of it but the nonce comes from outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) repository: String,
    pub(crate) issue: u64,
    pub(crate) title: Untrusted<String>,
    pub(crate) body: Untrusted<String>,
    /// Title and body are what checked out of an alert.
    #[serde(default)]
    pub(crate) restricted: bool,
    /// What fences text from outside in prompts; nobody outside can know it.
    pub(crate) nonce: String,
    /// What was wrong with an earlier change for the task, which the tree holds.
    #[serde(default)]
    pub(crate) follow_up: Option<NotAccepted>,
}

/// A verdict against a change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NotAccepted {
    /// The how manieth time the change is gone back to, counted from 1, of how many.
    pub(crate) number: u32,
    pub(crate) of: u32,
    /// What the verifier found; from outside as far as trust goes.
    pub(crate) findings: Untrusted<String>,
    /// Whether it is no verdict but what a person asks for.
    #[serde(default)]
    pub(crate) person: bool,
}

/// The repository's own commands, from `.booty.yml` or detected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commands {
    pub(crate) setup: Option<CommandLine>,
    pub(crate) check: Option<CommandLine>,
    pub(crate) test: Option<CommandLine>,
    /// Runs the tests whose names hold what the variable [`ONE_TEST`] says.
    #[serde(default)]
    pub(crate) one_test: Option<CommandLine>,
    #[serde(default)]
    pub(crate) format: Option<FileCommandLine>,
    #[serde(default)]
    pub(crate) lint: Option<FileCommandLine>,
}

/// The environment variable that names one test.
pub(crate) const ONE_TEST: &str = "BOOTY_ONE_TEST";

impl Commands {
    /// A command that needs nothing to be run but its name.
    pub(crate) fn named(&self, name: CommandName) -> Option<&CommandLine> {
        match name {
            CommandName::Setup => self.setup.as_ref(),
            CommandName::Check => self.check.as_ref(),
            CommandName::Test => self.test.as_ref(),
            CommandName::OneTest => self.one_test.as_ref(),
            CommandName::Format | CommandName::Lint | CommandName::Witness => None,
        }
    }
}

/// What a change is judged by, besides the commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rules {
    /// Whose tests are read; `None`: not known, and nothing is read.
    pub(crate) language: Option<Language>,
    /// What runs the tests in the end.
    pub(crate) runner: Runner,
    /// Whether a change needs a witness, and tests for each changed source file.
    pub(crate) asks_for_tests: bool,
    /// The repository's own protected paths.
    pub(crate) protect: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        let (language, runner) = (None, Runner::Other);
        Self { language, runner, asks_for_tests: true, protect: Vec::new() }
    }
}

/// The commands that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CommandName {
    Setup,
    Format,
    Check,
    Lint,
    Test,
    /// Of the tests, those that the model names.
    OneTest,
    /// The test command on the code as it was, with the tests of the change: it is to fail.
    Witness,
}

impl CommandName {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Format => "format",
            Self::Check => "check",
            Self::Lint => "lint",
            Self::Test => "test",
            Self::OneTest => "one_test",
            Self::Witness => "witness",
        }
    }
}

impl fmt::Display for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommandLine {
    pub(crate) script: String,
    pub(crate) timeout_s: Option<u64>,
    pub(crate) directory: String,
    pub(crate) env: BTreeMap<String, String>,
}

/// One command for changed files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileCommandLine {
    pub(crate) line: CommandLine,
    /// Which of them; all when empty.
    pub(crate) files: Vec<String>,
}

/// The operator's `BOOTY_SANDBOX` and `BOOTY_SANDBOX_RO`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SandboxChoice {
    /// `None`: nothing isolates commands.
    pub(crate) bwrap: Option<PathBuf>,
    pub(crate) read_only: Vec<PathBuf>,
    pub(crate) run_as: Option<(u32, u32)>,
}

/// How much the model may do. Each default's reason is beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Attempts, the first one included.
    pub(crate) rounds: u32,
    /// Answers per round.
    pub(crate) turns_per_round: u32,
    /// Tool calls per answer.
    pub(crate) calls_per_answer: usize,
    /// Tokens per answer.
    pub(crate) output_tokens: u32,
    /// Bytes of one file that is written, and of the arguments of one call.
    pub(crate) file_bytes: usize,
    /// Bytes of one text of an answer: it comes back with every later question.
    pub(crate) text_bytes: usize,
    /// Bytes of one answer.
    pub(crate) answer_bytes: usize,
    /// Bytes of what one tool call gives back.
    pub(crate) result_bytes: usize,
    /// Bytes of the map of the repository.
    pub(crate) map_bytes: usize,
    /// Bytes of a whole conversation.
    pub(crate) conversation_bytes: usize,
    /// How long a model may take for one answer, in milliseconds.
    pub(crate) answer_ms: u64,
    /// How long a model may say nothing, in milliseconds.
    pub(crate) silence_ms: u64,
    /// Waits before a question is asked again after an error that may pass, in milliseconds. Each is
    /// made up to a fifth shorter or longer, so that jobs that failed together don't come back together.
    pub(crate) retry_ms: Vec<u64>,
    /// The longest wait that a provider may ask for, in milliseconds; for a longer one the job pauses
    /// and gives its place to another.
    pub(crate) retry_cap_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rounds: 3,
            // A change that needs more steps than this is not one that a person would delegate.
            turns_per_round: 40,
            // Models call up to a dozen tools at once; 100,000 are an attack or a loop.
            calls_per_answer: 64,
            output_tokens: 16_384,
            // Nobody reviews a larger hand-written file.
            file_bytes: 1024 * 1024,
            // Twice what `output_tokens` hold.
            text_bytes: 128 * 1024,
            // A quarter of a frame, so that escaping can't make it too long.
            answer_bytes: 4 * 1024 * 1024,
            // About 8,000 tokens.
            result_bytes: 32 * 1024,
            // About 1,500 tokens, which are sent with every question: about as much as the tools.
            map_bytes: 6 * 1024,
            // About a million tokens, the largest window there is.
            conversation_bytes: 4 * 1024 * 1024,
            answer_ms: 10 * 60 * 1000,
            // Providers send something at least every 15 s while they live.
            silence_ms: 60 * 1000,
            retry_ms: vec![2_000, 8_000, 30_000],
            // Limits by the minute pass within it.
            retry_cap_ms: 60 * 1000,
        }
    }
}

/// A step that is never done twice: its result is in the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    ModelAnswered {
        /// [`booty_model::Request::hash`] in hexadecimal.
        request_hash: String,
        answer: Answer,
    },
    CommandRan {
        name: CommandName,
        result: RunResult,
        /// Of a run of the tests by the runner: what they reported, as far as it is kept.
        #[serde(default)]
        tests: Option<Results>,
        /// Of `format`: the files that it rewrote, with what they hold now.
        #[serde(default)]
        written: BTreeMap<String, String>,
    },
    /// The model's work ended before it said so; what was done until then is judged after this.
    Halted { end: AgentEnd },
    /// The tool calls of an answer were carried out.
    ToolsRan {
        /// sha256 of each result, in hexadecimal, in the order of the calls.
        results: Vec<String>,
    },
}

/// What it is, for messages about a journal that does not fit.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModelAnswered { .. } => f.write_str("an answer"),
            Self::CommandRan { name, .. } => write!(f, "a run of {name}"),
            Self::ToolsRan { .. } => f.write_str("results of tools"),
            Self::Halted { .. } => f.write_str("the end of the model's work"),
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) end: AgentEnd,
    /// The best attempt, which the tree holds; `None`: there is none to show.
    pub(crate) attempt: Option<Attempt>,
    /// What the model said of its work; from outside as far as trust goes.
    pub(crate) said: String,
    pub(crate) rounds: u32,
    pub(crate) answers: u32,
    /// The model that answered last, as it calls itself.
    pub(crate) model: String,
    pub(crate) usage: Usage,
    /// The runner's own runs (not those that the model asked for).
    pub(crate) runs: Vec<Run>,
}

/// What the tree holds at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The round that it was judged in.
    pub(crate) round: u32,
    pub(crate) verdict: Verdict,
}

/// How an attempt was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// All commands that there are ended with 0.
    Passed {
        /// Tests that fail without the change and pass with it.
        witnesses: Vec<String>,
        /// What no test shows.
        unproven: Vec<String>,
    },
    Failed {
        kind: FailureKind,
        /// How the run ended that failed.
        how: Option<End>,
        /// How many tests failed, where that is known.
        failing: Option<usize>,
        /// The failing output, cut.
        output: String,
    },
}

/// The ways an attempt can fail, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// Tests were deleted, skipped or weakened, or how they run was bent. Never proposed.
    Weakened,
    Format,
    Check,
    Lint,
    Test,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weakened => "test guard",
            Self::Format => "format",
            Self::Check => "check",
            Self::Lint => "lint",
            Self::Test => "test",
        })
    }
}

/// Why it ended. Whether there is something to propose is the attempt's to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AgentEnd {
    /// The attempt was accepted.
    Done,
    /// The rounds are used up.
    RoundsUsed,
    /// The model ended without changing anything.
    NoChange,
    /// The model would not or could not go on.
    ModelFailed { why: String },
    /// What stood in the way may pass; the job is to be tried again.
    TryAgain {
        why: String,
        /// No sooner than this, in milliseconds, because a provider asked for it.
        #[serde(default)]
        after_ms: Option<u64>,
    },
    /// There is no sandbox here.
    SandboxUnavailable { why: String },
    /// Before any change: the repository can't be made ready.
    SetupFailed { output: String },
    /// A budget was used up, or a limit on the conversation hit.
    OutOfBudget { what: String },
    /// The model went in circles.
    Stuck { what: String },
    /// The tree or the journal is not what it must be.
    Broken { why: String },
    /// Played again, the journal has no answer to this.
    JournalEnds { next: String },
}

impl AgentEnd {
    /// Whether what the model did until then still counts.
    pub(crate) fn leaves_work(&self) -> bool {
        matches!(self, Self::ModelFailed { .. } | Self::OutOfBudget { .. } | Self::Stuck { .. })
    }
}

/// One run of a command by the runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) round: u32,
    pub(crate) name: CommandName,
    pub(crate) end: End,
    pub(crate) duration_ms: u64,
}

impl Run {
    pub(crate) fn of(round: u32, name: CommandName, result: &RunResult) -> Self {
        let duration_ms = u64::try_from(result.duration.as_millis()).unwrap_or(u64::MAX);
        Self { round, name, end: result.end, duration_ms }
    }
}
