//! A job's journal, decoded.

use std::time::Duration;

use booty_bus::{Bus, Journal, JournalError};
use booty_events::{
    JobId, Message as _,
    v1::{
        BaseChosen, CommandRan, Effect, Ended, Halted, JournalEntry, ModelAnswered, Proposed,
        ToolsRan, WrittenFile, journal_entry,
    },
};
use booty_model::Usage;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::{
    agent::protocol::{CommandName, Step},
    budget::Paid,
    order::Order,
    shared::{Pause, Shared, chain},
};

/// The journal of one run of a job.
pub(crate) struct JobJournal {
    journal: Journal,
    entries: Vec<JournalEntry>,
    lease: Duration,
    /// When this worker wrote the newest entry, or took the job up.
    since: Instant,
    /// The answers among the first `read` entries.
    paid: Vec<Paid>,
    read: usize,
    /// How many entries are counted in all budgets, as far as this worker knows.
    counted: u32,
}

/// A job's end, as it is journalled before it is said.
pub(crate) enum End {
    Proposed(Effect),
    Ended { outcome: String, reason: String, effect: Option<Effect> },
}

impl End {
    /// What the job came to, in one word.
    pub(crate) fn word(&self) -> &str {
        match self {
            Self::Proposed(_) => "proposed",
            Self::Ended { outcome, .. } => outcome,
        }
    }
}

impl JobJournal {
    pub(crate) async fn open(shared: &Shared, order: &Order) -> Result<Self, Pause> {
        Self::of_run(&shared.bus, &order.run(), shared.settings.lease).await
    }

    /// The journal of a run by its name.
    pub(crate) async fn of_run(bus: &Bus, run: &str, lease: Duration) -> Result<Self, Pause> {
        let broken =
            |why: String| Pause::Failed { why: format!("the journal can't be read: {why}") };
        let run: JobId = run.parse().map_err(|error| broken(format!("{error}")))?;
        let journal = bus.open_journal(&run).await?;
        let mut entries = Vec::with_capacity(journal.entries().len());
        for (index, bytes) in journal.entries().iter().enumerate() {
            let entry = JournalEntry::decode(bytes.clone()).map_err(|e| broken(chain(&e)))?;
            if usize::try_from(entry.index) != Ok(index) || entry.step.is_none() {
                return Err(broken(format!("entry {index} is not what it must be")));
            }
            entries.push(entry);
        }
        let since = Instant::now();
        Ok(Self { journal, entries, lease, since, paid: Vec::new(), read: 0, counted: 0 })
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The base that the job works on.
    pub(crate) fn base(&self) -> Option<BaseChosen> {
        let entry = self.entries.first()?;
        let Some(journal_entry::Step::BaseChosen(base)) = &entry.step else { return None };
        Some(base.clone())
    }

    /// How long the job has been worked on, by this worker and those before it. The time in between
    /// is nobody's, and what a killed worker did after its last entry is lost with it.
    pub(crate) fn worked(&self) -> Duration {
        let before = self.entries.iter().map(|entry| entry.worked_ms).fold(0, u64::saturating_add);
        Duration::from_millis(before).saturating_add(self.since.elapsed())
    }

    /// The end, if it was reached.
    pub(crate) fn end(&self) -> Result<Option<End>, Pause> {
        let effect = |bytes: &[u8]| {
            Effect::decode(bytes).map_err(|error| Pause::Failed {
                why: format!("the journal's effect can't be read: {error}"),
            })
        };
        Ok(match self.entries.last().and_then(|entry| entry.step.as_ref()) {
            Some(journal_entry::Step::Proposed(proposed)) => {
                Some(End::Proposed(effect(&proposed.effect)?))
            }
            Some(journal_entry::Step::Ended(ended)) => Some(End::Ended {
                outcome: ended.outcome.clone(),
                reason: ended.reason.clone(),
                effect: match ended.effect.as_ref() {
                    [] => None,
                    bytes => Some(effect(bytes)?),
                },
            }),
            _ => None,
        })
    }

    /// All answers, with what they cost and when they were written down.
    pub(crate) fn paid(&mut self) -> Result<&[Paid], Pause> {
        #[derive(serde::Deserialize)]
        struct Cost {
            usage: Usage,
            model: String,
        }
        for entry in self.entries.iter().skip(self.read) {
            if let Some(journal_entry::Step::ModelAnswered(answered)) = &entry.step {
                let cost: Cost =
                    serde_json::from_slice(&answered.answer_json).map_err(|error| {
                        let why = format!("an answer in the journal can't be read: {error}");
                        Pause::Failed { why }
                    })?;
                let at = entry.time.as_ref().and_then(|at| {
                    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
                });
                let at = at.unwrap_or_default();
                let Cost { usage, model } = cost;
                self.paid.push(Paid { index: entry.index, at, model, usage });
            }
            self.read += 1;
        }
        Ok(&self.paid)
    }

    /// How many entries are counted in all budgets, as far as is known here.
    pub(crate) fn counted(&self) -> u32 {
        self.counted
    }

    pub(crate) fn note_counted(&mut self, entries: u32) {
        self.counted = self.counted.max(entries);
    }

    /// The agent's steps, in order.
    pub(crate) fn steps(&self) -> Result<Vec<Step>, Pause> {
        let broken = |error: serde_json::Error| Pause::Failed {
            why: format!("a step in the journal can't be read: {error}"),
        };
        let mut steps = Vec::new();
        for entry in &self.entries {
            match &entry.step {
                Some(journal_entry::Step::ModelAnswered(answered)) => {
                    steps.push(Step::ModelAnswered {
                        request_hash: hex::encode(&answered.request_hash),
                        answer: serde_json::from_slice(&answered.answer_json).map_err(broken)?,
                    });
                }
                Some(journal_entry::Step::CommandRan(ran)) => {
                    let name = serde_json::from_value::<CommandName>(ran.name.clone().into());
                    let written = ran.written.iter();
                    steps.push(Step::CommandRan {
                        name: name.map_err(broken)?,
                        result: serde_json::from_slice(&ran.result_json).map_err(broken)?,
                        tests: match ran.tests_json.as_ref() {
                            [] => None,
                            json => Some(serde_json::from_slice(json).map_err(broken)?),
                        },
                        written: written
                            .map(|file| (file.path.clone(), file.content.clone()))
                            .collect(),
                    });
                }
                Some(journal_entry::Step::Halted(halted)) => steps.push(Step::Halted {
                    end: serde_json::from_slice(&halted.end_json).map_err(broken)?,
                }),
                Some(journal_entry::Step::ToolsRan(ran)) => steps.push(Step::ToolsRan {
                    results: ran.result_hashes.iter().map(hex::encode).collect(),
                }),
                _ => {}
            }
        }
        Ok(steps)
    }

    /// Makes a step of the agent's durable.
    pub(crate) async fn append_step(
        &mut self,
        step: &Step,
        now: DateTime<Utc>,
    ) -> Result<(), Pause> {
        let unfit =
            |why: String| Pause::Failed { why: format!("a step can't be journalled: {why}") };
        let entry = match step {
            Step::ModelAnswered { request_hash, answer } => {
                journal_entry::Step::ModelAnswered(ModelAnswered {
                    request_hash: hex::decode(request_hash)
                        .map_err(|e| unfit(e.to_string()))?
                        .into(),
                    answer_json: serde_json::to_vec(answer)
                        .map_err(|e| unfit(e.to_string()))?
                        .into(),
                })
            }
            Step::CommandRan { name, result, tests, written } => {
                let tests = tests.as_ref().map(serde_json::to_vec).transpose();
                let written = written.iter().map(|(path, content)| WrittenFile {
                    path: path.clone(),
                    content: content.clone(),
                });
                journal_entry::Step::CommandRan(CommandRan {
                    name: name.to_string(),
                    result_json: serde_json::to_vec(result)
                        .map_err(|e| unfit(e.to_string()))?
                        .into(),
                    tests_json: tests.map_err(|e| unfit(e.to_string()))?.unwrap_or_default().into(),
                    written: written.collect(),
                })
            }
            Step::Halted { end } => journal_entry::Step::Halted(Halted {
                end_json: serde_json::to_vec(end).map_err(|e| unfit(e.to_string()))?.into(),
            }),
            Step::ToolsRan { results } => {
                let decode = |hash: &String| hex::decode(hash).map(Into::into);
                let hashes: Result<Vec<_>, _> = results.iter().map(decode).collect();
                journal_entry::Step::ToolsRan(ToolsRan {
                    result_hashes: hashes.map_err(|e| unfit(e.to_string()))?,
                })
            }
        };
        self.append(entry, now).await
    }

    pub(crate) async fn append_base(
        &mut self,
        base: BaseChosen,
        now: DateTime<Utc>,
    ) -> Result<(), Pause> {
        self.append(journal_entry::Step::BaseChosen(base), now).await
    }

    pub(crate) async fn append_end(&mut self, end: &End, now: DateTime<Utc>) -> Result<(), Pause> {
        let lane = booty_events::Lane::Outcome.to_string();
        let step = match end {
            End::Proposed(effect) => journal_entry::Step::Proposed(Proposed {
                effect: effect.encode_to_vec().into(),
                lane,
            }),
            End::Ended { outcome, reason, effect } => journal_entry::Step::Ended(Ended {
                outcome: outcome.clone(),
                reason: reason.clone(),
                effect: effect.as_ref().map(Effect::encode_to_vec).unwrap_or_default().into(),
                lane,
            }),
        };
        self.append(step, now).await
    }

    async fn append(&mut self, step: journal_entry::Step, now: DateTime<Utc>) -> Result<(), Pause> {
        let index = u32::try_from(self.entries.len())
            .map_err(|_| Pause::Failed { why: "the journal is full".to_owned() })?;
        let written = Instant::now();
        let worked_ms = u64::try_from((written - self.since).as_millis()).unwrap_or(u64::MAX);
        let entry = JournalEntry { index, time: Some(now.into()), worked_ms, step: Some(step) };
        match self.journal.append(entry.encode_to_vec().into()).await {
            Ok(()) => {
                self.entries.push(entry);
                self.since = written;
                Ok(())
            }
            // This worker is stale. It says nothing, writes nothing and stops.
            Err(error @ JournalError::Fenced) => {
                Err(Pause::Away { after: self.lease, why: chain(&error) })
            }
            Err(JournalError::NotDurable(error)) => Err(error.into()),
        }
    }
}
