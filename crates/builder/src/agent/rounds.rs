//! The refinement loop. It is the runner's, not the prompt's: the model changes files until it says
//! that it is done, the repository's own commands judge, and what fails is handed back. The best
//! attempt is kept: a worse one is taken back, and what the loop ends with is the best there was.

use std::cmp::Reverse;

use booty_model::Message;
use booty_policy::Untrusted;
use tokio::io::AsyncWrite;

use super::{
    bench::{Bench, Snapshot},
    conversation::{Conversation, Halt, reported},
    judgement::{self, Failure, Judged},
    map, prompt,
    protocol::{AgentEnd, Attempt, CommandName, FailureKind, FromAgent, Step, Verdict},
    stuck::Habits,
    tree::Tree,
};

/// Rounds in a row that may end with a state that was judged before: the model goes in circles.
const MAX_IDLE_ROUNDS: u32 = 2;

/// The states that were judged.
#[derive(Default)]
struct Attempts {
    failed: Vec<(State, Failure)>,
    best: Option<Best>,
    /// Rounds in a row that brought nothing new.
    idle: u32,
    /// Whether the model was told what no test proves.
    was_told_unproven: bool,
}

/// A state of the tree, by [`Bench::digest`].
type State = [u8; 32];

/// The best state so far.
struct Best {
    round: u32,
    judged: Judged,
    snapshot: Snapshot,
    state: State,
    /// What the model said of it.
    said: String,
}

/// How good an attempt is; the greatest is the best. Of two that fail alike, the one with fewer failing
/// tests is better; one whose failing tests nobody counted is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(bool, Option<FailureKind>, Reverse<usize>);

impl From<&Judged> for Rank {
    fn from(judged: &Judged) -> Self {
        match judged {
            Judged::Passed(proof) => Self(true, None, Reverse(proof.unproven.len())),
            Judged::Failed(failure) => {
                let failing = failure.failing.unwrap_or(usize::MAX);
                Self(false, Some(failure.kind), Reverse(failing))
            }
        }
    }
}

/// What follows a judgement.
enum Next {
    Accepted,
    /// The model is told this, and goes on.
    Say(String),
    Stuck(String),
}

impl<W: AsyncWrite + Unpin> Conversation<W> {
    /// Works on the task to its end; the tree holds the attempt that is returned, if there is one.
    pub(super) async fn refine(&mut self) -> Result<(AgentEnd, Option<Attempt>), Halt> {
        let tree = Tree::open(&self.start.source_tree)
            .map_err(|error| Halt::End(AgentEnd::Broken { why: error.to_string() }))?;
        let mut bench = Bench::new(tree, self.start.limits.file_bytes);
        self.runner.prepare().await?;
        if let Some(result) = self.runner.run(&mut self.link, &bench, CommandName::Setup).await?
            && !result.succeeded()
        {
            let output = reported(&result.output);
            return Ok((AgentEnd::SetupFailed { output }, None));
        }
        let task = &self.start.task;
        let look = "words to look for, which are shown to nobody";
        let sought = format!("{}\n{}", task.title.open(look), task.body.open(look));
        let map = map::map(bench.tree(), &sought, self.start.limits.map_bytes);
        let first = prompt::task(task, &self.start.commands, &Untrusted::new(map));
        self.push(Message::User { content: first })?;

        let mut attempts = Attempts::default();
        let end = match self.go_through_rounds(&mut bench, &mut attempts).await {
            Ok(end) => end,
            Err(Halt::End(end)) if end.leaves_work() => {
                self.note_halt(&end).await?;
                self.judge_what_is_left(&mut bench, &mut attempts).await?;
                end
            }
            Err(halt) => return Err(halt),
        };
        if end == AgentEnd::NoChange {
            return Ok((end, None));
        }
        let attempt = self.settle(&mut bench, attempts)?;
        Ok((end, attempt))
    }

    async fn go_through_rounds(
        &mut self,
        bench: &mut Bench,
        attempts: &mut Attempts,
    ) -> Result<AgentEnd, Halt> {
        let rounds = self.start.limits.rounds.max(1);
        for round in 1..=rounds {
            self.rounds = round;
            self.link.send(&FromAgent::Round(round)).await?;
            self.let_model_work(bench).await?;
            if !bench.is_changed() {
                return Ok(match attempts.best {
                    None => AgentEnd::NoChange,
                    // What it took back was better than nothing.
                    Some(_) => AgentEnd::RoundsUsed,
                });
            }
            match self.judge(bench, attempts).await? {
                Next::Accepted => return Ok(AgentEnd::Done),
                Next::Stuck(what) => return Ok(AgentEnd::Stuck { what }),
                Next::Say(content) if round < rounds => self.push(Message::User { content })?,
                Next::Say(_) => {}
            }
        }
        Ok(AgentEnd::RoundsUsed)
    }

    /// Journals why the model's work ended early, so that a resumed job does not take what is run now for
    /// something that it has a question before.
    async fn note_halt(&mut self, end: &AgentEnd) -> Result<(), Halt> {
        if self.link.is_halted() || self.link.next_past_if_halted().is_some() {
            return Ok(());
        }
        // A journal of before this step was known goes on with what was run.
        if self.link.has_past() {
            return Ok(());
        }
        Ok(self.link.journal(Step::Halted { end: end.clone() }).await?)
    }

    /// What the model did before its end came is paid for, and to judge it costs no more questions.
    async fn judge_what_is_left(
        &mut self,
        bench: &mut Bench,
        attempts: &mut Attempts,
    ) -> Result<(), Halt> {
        if bench.is_changed() && !attempts.knows(bench.digest()) {
            self.judge(bench, attempts).await?;
        }
        Ok(())
    }

    async fn judge(&mut self, bench: &mut Bench, attempts: &mut Attempts) -> Result<Next, Halt> {
        let (round, rounds) = (self.rounds, self.start.limits.rounds.max(1));
        let state = bench.digest();
        if let Some((_, failure)) = attempts.failed.iter().find(|(known, _)| *known == state) {
            attempts.idle += 1;
            if attempts.idle >= MAX_IDLE_ROUNDS {
                let what = format!("{} rounds in a row brought nothing new", attempts.idle);
                return Ok(Next::Stuck(what));
            }
            let task = &self.start.task;
            let said = prompt::failure(task, round, rounds, failure, &prompt::After::Unchanged);
            return Ok(Next::Say(said));
        }
        attempts.idle = 0;
        let (link, runner) = (&mut self.link, &mut self.runner);
        let judged = judgement::judge(link, runner, bench, round, &mut self.runs).await?;
        // Formatting is part of a judgement, and changes files.
        let (unformatted, state) = (state, bench.digest());
        if let Judged::Failed(failure) = &judged {
            attempts.failed.push((state, failure.clone()));
            if unformatted != state {
                attempts.failed.push((unformatted, failure.clone()));
            }
        }
        let rank = Rank::from(&judged);
        let best = attempts.best.as_ref().map(|best| Rank::from(&best.judged));
        let is_worse = best.is_some_and(|best| rank < best);
        if !is_worse && judged.is_proposable() {
            attempts.best = Some(Best {
                round,
                judged: judged.clone(),
                snapshot: bench.snapshot(),
                state,
                said: self.said.clone(),
            });
        }
        let task = &self.start.task;
        match judged {
            Judged::Passed(proof) if proof.unproven.is_empty() || attempts.was_told_unproven => {
                Ok(Next::Accepted)
            }
            Judged::Passed(proof) => {
                attempts.was_told_unproven = true;
                Ok(Next::Say(prompt::unproven(task, round, rounds, &proof.unproven)))
            }
            Judged::Failed(failure) => {
                let after = match &attempts.best {
                    Some(best) if is_worse => {
                        let restored =
                            bench.restore(&best.snapshot).map_err(|why| broken(why.0))?;
                        let paths: Vec<String> = restored.iter().map(ToString::to_string).collect();
                        let paths = Untrusted::new(paths.join("\n"));
                        // It is at that state by our doing; to look around there again is no circle.
                        self.habits = Habits::default();
                        prompt::After::Worse { than: best.round, paths }
                    }
                    _ => prompt::After::Changed,
                };
                Ok(Next::Say(prompt::failure(task, round, rounds, &failure, &after)))
            }
        }
    }

    /// Makes the tree hold the best attempt.
    fn settle(&mut self, bench: &mut Bench, attempts: Attempts) -> Result<Option<Attempt>, Halt> {
        let Some(best) = attempts.best else { return Ok(None) };
        if bench.digest() != best.state {
            bench.restore(&best.snapshot).map_err(|why| broken(why.0))?;
        }
        self.said = best.said;
        let verdict = match best.judged {
            Judged::Passed(proof) => {
                Verdict::Passed { witnesses: proof.witnesses, unproven: proof.unproven }
            }
            Judged::Failed(failure) => Verdict::Failed {
                kind: failure.kind,
                how: failure.result.as_ref().map(|result| result.end),
                failing: failure.failing,
                output: failure
                    .result
                    .as_ref()
                    .map_or_else(|| failure.first.join("\n"), |result| reported(&result.output)),
            },
        };
        Ok(Some(Attempt { round: best.round, verdict }))
    }
}

impl Attempts {
    fn knows(&self, state: State) -> bool {
        self.failed.iter().any(|(known, _)| *known == state)
            || self.best.as_ref().is_some_and(|best| best.state == state)
    }
}

fn broken(why: String) -> Halt {
    Halt::End(AgentEnd::Broken { why })
}

#[cfg(test)]
mod tests {
    use super::{super::judgement::Proof, *};

    fn failed(kind: FailureKind, failing: Option<usize>) -> Judged {
        Judged::Failed(Failure { kind, result: None, failing, first: Vec::new() })
    }

    #[test]
    fn attempts_are_ranked() {
        let unproven = Proof { unproven: vec!["a".into()], ..Proof::default() };
        let from_worst = [
            failed(FailureKind::Check, None),
            failed(FailureKind::Test, None),
            failed(FailureKind::Test, Some(7)),
            failed(FailureKind::Test, Some(1)),
            Judged::Passed(unproven),
            Judged::Passed(Proof::default()),
        ];
        let ranks: Vec<Rank> = from_worst.iter().map(Rank::from).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    }
}
