//! A job's journal, played again: no model is asked, nothing of the repository's is run, and GitHub is not
//! there. What the program that plays it, or settings given to it, would do otherwise comes out.

use std::{path::PathBuf, pin::pin, time::Duration};

use booty_bus::Bus;
use booty_events::{
    RepoName,
    v1::{Effect, FileChange, FileMode, effect::Write},
};
use booty_policy::{Redact, redacted};
use booty_service::JobStore;
use booty_workspace::{Change, Checkout, Merge, Side, Workspaces};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, duplex, split};
use tokio_util::sync::CancellationToken;

use crate::{
    Unfinished,
    agent::{
        self,
        frame::{self, FrameError},
        link::MISMATCH,
        protocol::{
            AgentEnd, FromAgent, Limits, ModelChoice, Report, SandboxChoice, Start, Step, ToAgent,
        },
    },
    job::{
        self, Stop,
        conclusion::{Decision as Decided, Standing, Terms, decide},
        journal::{End, JobJournal},
        workplace,
    },
    order::Order,
    ours,
    shared::Pause,
};

/// Bytes between the two ends; a frame may be larger.
const PIPE_BYTES: usize = 256 * 1024;
/// Nobody waits for this journal.
const NO_LEASE: Duration = Duration::ZERO;

/// What is to be played, and how.
pub struct Question {
    /// The job.
    pub job: booty_events::JobId,
    /// Which of its runs; the newest when none is given.
    pub attempt: Option<u32>,
    /// A clone or mirror of the repository on this machine that has the base commit. It is only read.
    pub repository: PathBuf,
    /// A `.booty.yml` to be read in place of the base's.
    pub config: Option<Vec<u8>>,
    /// `BUILDER_ROUNDS`
    pub rounds: u32,
    /// `BUILDER_UNFINISHED`
    pub unfinished: Unfinished,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Replay {
    /// The run: the job's id, with `-a2` and so on for later ones.
    pub run: String,
    /// owner/name
    pub repository: String,
    /// The base commit.
    pub base: String,
    /// Steps in the journal: answers, results of tools, runs of commands.
    pub steps: usize,
    /// What differed on the way, in order: `step 3: …`.
    pub differences: Vec<String>,
    /// What was decided then; `None` for a job that has not ended.
    pub then: Option<Decision>,
    /// What would be decided now.
    pub now: Decision,
}

impl Replay {
    /// Whether it came to the same, by the same way.
    pub fn is_same(&self) -> bool {
        self.differences.is_empty() && self.then.as_ref().is_none_or(|then| *then == self.now)
    }
}

/// What a job did in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// `proposed`, `proposed_unfinished`, or how it ended without a proposal.
    pub outcome: String,
    /// One word; empty for a proposal.
    pub reason: String,
    /// Whether the draft may end by itself.
    pub promote: bool,
    /// The change that is proposed.
    pub changes: Vec<Changed>,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Changed {
    /// Relative, with what is not UTF-8 replaced.
    pub path: String,
    /// sha256 of the new content; `None` for a deletion.
    pub sha256: Option<String>,
}

/// Why a job can't be played.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// There is no such job, or it is another service's.
    #[error("no job {0} of the builder is known; `booty jobs` lists them")]
    Unknown(String),
    /// It has no journal, or one that ends before the base was chosen.
    #[error("the journal of {0} is gone or has not begun: journals are kept for 30 days")]
    NoJournal(String),
    /// The base commit can't be read.
    #[error("the base commit {commit} can't be read from {}", path.display())]
    NoBase {
        /// The commit.
        commit: String,
        /// Where it was looked for.
        path: PathBuf,
        /// What was wrong.
        source: booty_workspace::Error,
    },
    /// The `.booty.yml`, or something else that the job needs, is of no use.
    #[error("{0}")]
    Unusable(String),
    /// The bus.
    #[error("the bus: {0}")]
    Bus(String),
    /// The agent ended without a report.
    #[error("the agent ended without a report")]
    Agent(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where the repository of a job is, before it can be played.
///
/// # Errors
/// There is no such job.
pub async fn repository_of(bus: &Bus, job: &booty_events::JobId) -> Result<RepoName, ReplayError> {
    let unknown = || ReplayError::Unknown(job.to_string());
    let known = JobStore::new(bus).get(job).await.map_err(|e| ReplayError::Bus(e.to_string()))?;
    let known = known.filter(|known| known.service == "builder").ok_or_else(unknown)?;
    known.repository.parse().map_err(|_| unknown())
}

/// Plays a job. `workspaces` are folders for this alone.
///
/// # Errors
/// It can't be played; that it differs is no error.
pub async fn replay(
    bus: &Bus,
    workspaces: &Workspaces,
    question: Question,
) -> Result<Replay, ReplayError> {
    let unknown = || ReplayError::Unknown(question.job.to_string());
    let bus_error = |why: String| ReplayError::Bus(why);
    let known = JobStore::new(bus).get(&question.job).await;
    let known = known.map_err(|e| bus_error(e.to_string()))?.ok_or_else(unknown)?;
    let repository: RepoName = known.repository.parse().map_err(|_| unknown())?;
    let issue = booty_events::IssueNumber::new(known.issue).ok_or_else(unknown)?;
    let attempt = question.attempt.unwrap_or(known.attempt).max(1);
    let run = Order::run_of(&question.job, attempt);
    let journal = JobJournal::of_run(bus, &run, NO_LEASE).await.map_err(pause)?;
    let base = journal.base().ok_or_else(|| ReplayError::NoJournal(run.clone()))?;
    let past = journal.steps().map_err(pause)?;
    let then = journal.end().map_err(pause)?.map(|end| Decision::of(&end));
    let steps = past.len();

    let source = check_out(workspaces, &question, &base.sha).await?;
    let instead = question.config.clone();
    let (config, is_configured) =
        workplace::config(&source, &base.branch, instead).await.map_err(stop)?;
    let rounds = workplace::rounds(&config, is_configured, question.rounds);
    let start = Start {
        task: job::task(&repository, issue, &run, &base),
        is_replay: true,
        source_tree: source.work_tree().to_owned(),
        // Nothing is run, so nothing is looked for there.
        run_tree: PathBuf::new(),
        commands: workplace::commands(&source, &config).map_err(stop)?,
        rules: workplace::rules(&source, &config, base.follow_up > 0).map_err(stop)?,
        sandbox: SandboxChoice { bwrap: None, read_only: Vec::new(), run_as: None },
        limits: Limits { rounds, ..Limits::default() },
        model: ModelChoice { spec: String::new(), api_key: None, base_url: None, socket: None },
        model_fallback: None,
    };
    let is_update = start.task.follow_up.is_some();
    let is_own = workplace::is_own(&source).await.map_err(stop)?;
    let (report, differences) = play(start, past).await?;
    let terms = Terms { rounds, unfinished: question.unfinished, is_update, config: &config };
    let now = match &report.end {
        AgentEnd::JournalEnds { next } => Decision::open(next),
        _ => {
            let decided = decide(&report, &source, &terms).await.map_err(stop)?;
            // A commit more on a pull request says nothing of its draft.
            Decision::now(decided, config.builder.promote && !is_update && !is_own)
        }
    };
    // The folder is swept with all of `workspaces` if not now.
    let _ = source.close().await;
    Ok(Replay {
        run,
        repository: repository.to_string(),
        base: base.sha,
        steps,
        differences,
        then,
        now,
    })
}

async fn check_out(
    workspaces: &Workspaces,
    question: &Question,
    commit: &str,
) -> Result<Checkout, ReplayError> {
    let no_base = |source| ReplayError::NoBase {
        commit: commit.to_owned(),
        path: question.repository.clone(),
        source,
    };
    let stop = CancellationToken::new();
    let merge = workspaces.merge_local(&question.repository, commit, commit, stop.clone()).await;
    let Merge::Clean(proposal) = merge.map_err(no_base)? else {
        return Err(ReplayError::Unusable("a commit conflicts with itself".to_owned()));
    };
    proposal.check_out(Side::Base, "replay", stop).await.map_err(no_base)
}

/// The agent in this process, and what it said.
async fn play(start: Start, past: Vec<Step>) -> Result<(Report, Vec<String>), ReplayError> {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let (stdin, stdout) = split(theirs);
    let (mut hear, mut say) = split(ours);
    let talk = async {
        // The agent says nothing before it has heard all of this.
        tell(&mut say, start, past).await?;
        listen(&mut hear, &mut say).await
    };
    // Boxed: it is large, and would be copied around with the futures of all callers.
    let mut agent = Box::pin(agent::main(stdin, stdout));
    let mut talk = pin!(talk);
    let talked = tokio::select! {
        talked = &mut talk => talked,
        ended = &mut agent => match ended {
            Ok(()) => talk.await,
            Err(error) => return Err(ReplayError::Agent(Box::new(error))),
        },
    };
    talked.map_err(|error| ReplayError::Agent(Box::new(error)))
}

async fn tell(
    say: &mut (impl AsyncWrite + Unpin),
    start: Start,
    past: Vec<Step>,
) -> Result<(), FrameError> {
    frame::write(say, &ToAgent::Start(Box::new(start))).await?;
    for step in past {
        frame::write(say, &ToAgent::Past(step)).await?;
    }
    frame::write(say, &ToAgent::Begin).await
}

async fn listen(
    hear: &mut (impl AsyncRead + Unpin),
    say: &mut (impl AsyncWrite + Unpin),
) -> Result<(Report, Vec<String>), FrameError> {
    let mut differences = Vec::new();
    loop {
        match frame::read(hear).await? {
            FromAgent::Log { event, message } if event == MISMATCH => differences.push(message),
            FromAgent::Finished(report) => return Ok((*report, differences)),
            FromAgent::Log { .. } | FromAgent::Round(_) => {}
            // The worker was killed between an answer and the note on what came of its calls.
            FromAgent::Journal(_) => frame::write(say, &ToAgent::Ack).await?,
            // Played again, nothing is asked.
            FromAgent::MayAsk => return Err(FrameError::Closed),
        }
    }
}

impl Decision {
    /// What the journal says.
    fn of(end: &End) -> Self {
        match end {
            End::Proposed(effect) => Self::proposed(effect),
            End::Ended { outcome, reason, .. } => Self {
                outcome: outcome.clone(),
                reason: reason.clone(),
                promote: false,
                changes: Vec::new(),
            },
        }
    }

    fn proposed(effect: &Effect) -> Self {
        let (changes, promote, is_unfinished) = match &effect.write {
            Some(Write::OpenPullRequest(open)) => {
                (open.changes.as_slice(), open.promote, ours::is_unfinished(open))
            }
            Some(Write::UpdatePullRequest(update)) => (update.changes.as_slice(), false, false),
            _ => (&[][..], false, false),
        };
        let mut changes: Vec<Changed> = changes.iter().map(Changed::from).collect();
        changes.sort();
        Self { outcome: proposed(is_unfinished), reason: String::new(), promote, changes }
    }

    fn now(decided: Decided, promote: bool) -> Self {
        match decided {
            Decided::Propose(standing, changes) => {
                let mut changes: Vec<Changed> = changes.changes.iter().map(Changed::from).collect();
                changes.sort();
                Self {
                    outcome: proposed(matches!(standing, Standing::Failing(_))),
                    reason: String::new(),
                    promote: promote && standing.may_be_promoted(),
                    changes,
                }
            }
            Decided::Ended(ending) => Self {
                outcome: ending.outcome.to_owned(),
                reason: ending.reason.to_owned(),
                promote: false,
                changes: Vec::new(),
            },
            Decided::TryAgain(pause) => Self {
                outcome: "to_be_tried_again".to_owned(),
                reason: pause.why(),
                promote: false,
                changes: Vec::new(),
            },
        }
    }

    /// The journal has no answer to what would come next.
    fn open(next: &str) -> Self {
        Self {
            outcome: "unknown".to_owned(),
            reason: format!("{next} would be next, which the journal does not have"),
            promote: false,
            changes: Vec::new(),
        }
    }
}

fn proposed(is_unfinished: bool) -> String {
    if is_unfinished { "proposed_unfinished" } else { "proposed" }.to_owned()
}

impl From<&FileChange> for Changed {
    fn from(change: &FileChange) -> Self {
        let content = (change.mode() != FileMode::Deleted).then_some(change.content.as_ref());
        Self::new(&change.path, content)
    }
}

impl From<&Change> for Changed {
    fn from(change: &Change) -> Self {
        let is_there = change.kind != booty_workspace::ChangeKind::Deleted;
        Self::new(&change.path, is_there.then_some(change.content.as_ref()))
    }
}

impl Changed {
    fn new(path: &[u8], content: Option<&[u8]>) -> Self {
        Self {
            path: String::from_utf8_lossy(path).into_owned(),
            sha256: content.map(|content| hex::encode(Sha256::digest(content))),
        }
    }
}

fn pause(pause: Pause) -> ReplayError {
    ReplayError::Bus(pause.why())
}

fn stop(stop: Stop) -> ReplayError {
    match stop {
        Stop::Pause(pause) => ReplayError::Bus(pause.why()),
        Stop::End(ending) => ReplayError::Unusable(match ending.quoted {
            Some(quoted) => {
                let quoted = redacted(&quoted, Redact::default());
                // To a terminal, which would obey control characters.
                let quoted = quoted.open("escaped").escape_debug().to_string();
                format!("{}\n{quoted}", ending.sentence)
            }
            None => ending.sentence,
        }),
        Stop::UsedUp(used_up) => ReplayError::Unusable(used_up.to_string()),
    }
}
