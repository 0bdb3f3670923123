//! The builder's side of the conversation with its agent: makes each step durable, says what
//! happened, and passes on nothing else.

use booty_events::v1::Event;
use booty_policy::{Redact, redact};
use booty_sandbox::Backend;
use secrecy::ExposeSecret as _;

use super::{
    Stop,
    cage::{self, Confined},
    child::AgentEnded,
    journal::JobJournal,
    workplace::Workplace,
};
use crate::{
    agent::{
        frame::FrameError,
        prompt::shorten,
        protocol::{
            AgentEnd, FromAgent, Limits, ModelChoice, Report, SandboxChoice, Start, Step, Task,
            ToAgent,
        },
    },
    budget::{Asked, JobLimits, Scope},
    order::Order,
    outcome::Ending,
    settings::ModelSettings,
    shared::{Shared, chain},
};

/// Bytes of a command's output or of an answer's text that an event carries. The journal has all.
const MAX_EVENT_BYTES: usize = 2 * 1024;

/// What the agent is to be told.
pub(crate) fn start(shared: &Shared, task: Task, workplace: &Workplace, rounds: u32) -> Start {
    let settings = &shared.settings;
    Start {
        task,
        is_replay: false,
        source_tree: workplace.source.work_tree().to_owned(),
        run_tree: workplace.run.work_tree().to_owned(),
        commands: workplace.commands.clone(),
        rules: workplace.rules.clone(),
        sandbox: SandboxChoice {
            bwrap: match &settings.sandbox.backend {
                Backend::Bwrap { program } => Some(program.clone()),
                Backend::None => None,
            },
            read_only: settings.sandbox.read_only.clone(),
            run_as: settings.sandbox.run_as,
        },
        limits: Limits { rounds, ..Limits::default() },
        model: choice(&settings.model),
        model_fallback: settings.model_fallback.as_ref().map(choice),
    }
}

fn choice(model: &ModelSettings) -> ModelChoice {
    ModelChoice {
        spec: model.spec.clone(),
        api_key: model.api_key.as_ref().map(|key| key.expose_secret().to_owned()),
        base_url: model.base_url.clone(),
        socket: None,
    }
}

/// Runs the agent to its report, within what is left of the job's budgets. Those are looked at before each
/// question; an answer that is on its way is taken, and counted once it is in the journal.
pub(crate) async fn converse(
    shared: &Shared,
    order: &Order,
    journal: &mut JobJournal,
    mut start: Start,
    limits: &JobLimits,
) -> Result<Report, Stop> {
    let left = limits.wall.saturating_sub(journal.worked());
    let budgets = &shared.budgets;
    let past = journal.steps()?;
    // Its event may be what the crash came before.
    if let Some(step) = past.last() {
        say_step(shared, order, journal.len() - 1, step, 0).await?;
    }
    let Confined { mut agent, _exits } = cage::spawn(shared, &mut start).await?;
    let talk = async {
        agent.say(&ToAgent::Start(Box::new(start))).await?;
        for step in past {
            agent.say(&ToAgent::Past(step)).await?;
        }
        agent.say(&ToAgent::Begin).await?;
        let mut round = 0;
        loop {
            match agent.hear().await? {
                FromAgent::Round(number) => {
                    round = number;
                    let event = Event {
                        attributes: [("round".to_owned(), number.to_string())].into(),
                        ..Event::default()
                    };
                    shared.say(order, "round_started", &format!("round-{number}"), event).await?;
                    super::note_step(shared, order, &format!("round {number}")).await?;
                }
                FromAgent::Journal(step) => {
                    journal.append_step(&step, (shared.now)()).await?;
                    budgets.count(order, journal, Some(limits)).await?;
                    say_step(shared, order, journal.len() - 1, &step, round).await?;
                    agent.say(&ToAgent::Ack).await?;
                }
                FromAgent::MayAsk => match budgets.may_ask(order, journal, limits).await? {
                    None => agent.say(&ToAgent::Ack).await?,
                    // The job comes back to this very place; the agent's process does not.
                    Some(used_up) if used_up.scope == Scope::Day => {
                        return Err(Broken::Stop(Stop::UsedUp(used_up)));
                    }
                    Some(used_up) => {
                        agent.say(&ToAgent::Deny { what: used_up.to_string() }).await?;
                    }
                },
                FromAgent::Log { event, message } => {
                    if event == "model_retry" {
                        budgets.unanswered(Asked::Retried);
                    }
                    let message = redact(&message, Redact::default());
                    tracing::warn!(event = "agent_log", what = %event, message);
                }
                FromAgent::Finished(report) => {
                    if let AgentEnd::ModelFailed { .. } | AgentEnd::TryAgain { .. } = report.end {
                        budgets.unanswered(Asked::Failed);
                    }
                    return Ok(*report);
                }
            }
        }
    };
    let talked = tokio::time::timeout(left, talk).await;
    match talked {
        Ok(Ok(report)) => {
            agent.end().await;
            Ok(report)
        }
        Ok(Err(Broken::Stop(stop))) => Err(stop),
        Ok(Err(Broken::Frame(error))) => {
            let (ended, words) = agent.end().await;
            let status = match ended {
                AgentEnded::Ended(status) => status,
                AgentEnded::NotBuilt => return Err(cage::unavailable(words)),
            };
            let status = status.map_or("did not end by itself".to_owned(), |s| s.to_string());
            let words = redact(&words, Redact::default());
            Err(Stop::failed(format!("{}; the agent: {status}; it said: {words}", chain(&error))))
        }
        Err(_) => Err(Stop::End(Ending::gave_up(
            "out_of_time",
            format!(
                "I gave up because the job took longer than {} s. {} sets this limit.",
                limits.wall.as_secs(),
                limits.wall_set_by(),
            ),
        ))),
    }
}

enum Broken {
    Stop(Stop),
    Frame(FrameError),
}

impl From<FrameError> for Broken {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl<E: Into<Stop>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}

/// Says the fact of a step; its place in the journal makes it one fact.
async fn say_step(
    shared: &Shared,
    order: &Order,
    index: usize,
    step: &Step,
    round: u32,
) -> Result<(), Stop> {
    let excerpt = |text: &str| {
        redact(&shorten(text, MAX_EVENT_BYTES / 4, MAX_EVENT_BYTES / 4 * 3), Redact::default())
    };
    let mut attributes = Vec::new();
    let mut attribute = |name: &str, value: String| attributes.push((name.to_owned(), value));
    if round > 0 {
        attribute("round", round.to_string());
    }
    let (what, detail) = match step {
        Step::ModelAnswered { answer, .. } => {
            attribute("model", answer.model.clone());
            attribute("input_tokens", answer.usage.input_tokens.to_string());
            attribute("output_tokens", answer.usage.output_tokens.to_string());
            attribute("cache_read_tokens", answer.usage.cache_read_tokens.to_string());
            attribute("cache_write_tokens", answer.usage.cache_write_tokens.to_string());
            if answer.usage.is_estimated {
                attribute("usage", "estimated".to_owned());
            }
            if let Some(cost) = shared.budgets.cost_usd(answer) {
                attribute("cost_usd", format!("{cost:.6}"));
            }
            attribute("text", excerpt(&answer.text()));
            let calls = answer.parts.iter().filter_map(|part| match part {
                booty_model::Part::ToolCall { name, .. } => Some(name.as_str()),
                booty_model::Part::Text { .. } | booty_model::Part::Reasoning { .. } => None,
            });
            let calls: Vec<&str> = calls.collect();
            let detail = match calls.as_slice() {
                [] => "answered without a tool call".to_owned(),
                calls => format!("calls {}", calls.join(", ")),
            };
            ("model_answered", excerpt(&detail))
        }
        Step::CommandRan { name, result, written, .. } => {
            attribute("command", name.to_string());
            attribute("ended", result.end.to_string());
            attribute("passed", result.succeeded().to_string());
            attribute("duration_ms", result.duration.as_millis().to_string());
            attribute("output", excerpt(&result.output));
            if !written.is_empty() {
                let paths: Vec<&str> = written.keys().map(String::as_str).collect();
                attribute("rewrote", excerpt(&paths.join("\n")));
            }
            ("command_ran", format!("{name}: {}", result.end))
        }
        // Each call was named when the model answered, and the end of a job has a reason of its own.
        Step::ToolsRan { .. } | Step::Halted { .. } => return Ok(()),
    };
    let event = Event { detail, attributes: attributes.into_iter().collect(), ..Event::default() };
    Ok(shared.say(order, what, &format!("step-{index}"), event).await?)
}
