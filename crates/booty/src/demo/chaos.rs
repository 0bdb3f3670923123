//! Kills every process of the demo once, at points that a seed chooses.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use booty_bus::local::LocalServer;
use booty_events::v1::Event;
use booty_service::supervisor::Pid;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rustix::process::{Pid as ProcessId, Signal, kill_process};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, sleep},
};

use super::timeline::say;

/// The points along the way at which something may be killed; each is passed in every run.
const BUILDER_POINTS: [(&str, u32); 7] = [
    ("job_enqueued", 1),
    ("workspace_created", 1),
    ("model_answered", 1),
    ("model_answered", 2),
    ("command_ran", 2),
    ("model_answered", 3),
    ("proposal_made", 1),
];
/// Up to how long after its point a process is killed.
const MAX_DELAY_MS: u64 = 120;
const MAX_JUDGING_MS: u64 = 1_500;

/// Who dies when.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kill {
    victim: &'static str,
    /// The event after which it dies: whose, its name, and the how many-eth of that name.
    after: (&'static str, &'static str, u32),
    delay: Duration,
}

/// What a seed chooses.
pub(super) struct Chaos {
    kills: Vec<Kill>,
}

impl Chaos {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut kills: Vec<Kill> = ["ingress", "builder", "nats-server"]
            .into_iter()
            .map(|victim| {
                let (name, nth) = BUILDER_POINTS[random.random_range(0..BUILDER_POINTS.len())];
                let after = ("builder", name, nth);
                let delay = Duration::from_millis(random.random_range(0..=MAX_DELAY_MS));
                Kill { victim, after, delay }
            })
            .collect();
        // While forge makes the issue, and while it answers what became of it.
        let (whose, name) =
            [("observability", "decided"), ("forge", "applied")][random.random_range(0..2)];
        let delay = Duration::from_millis(random.random_range(0..=MAX_DELAY_MS));
        kills.push(Kill { victim: "observability", after: (whose, name, 1), delay });
        // Forge has nothing to lose before there is a proposal.
        let delay = Duration::from_millis(random.random_range(0..=MAX_DELAY_MS));
        kills.push(Kill { victim: "forge", after: ("builder", "proposal_made", 1), delay });
        // A judgement of the demo's pull request takes about two seconds.
        let delay = Duration::from_millis(random.random_range(0..=MAX_JUDGING_MS));
        let after = ("verifier", "job_enqueued", 1);
        kills.push(Kill { victim: "verifier", after, delay });
        Self { kills }
    }

    /// Ends when everybody was killed; the supervisor and `server` bring them back.
    pub(super) async fn run(
        mut self,
        started: Instant,
        mut events: broadcast::Receiver<Event>,
        children: &BTreeMap<&'static str, Pid>,
        server: &mut LocalServer,
    ) -> anyhow::Result<()> {
        let mut seen: BTreeMap<(String, String), u32> = BTreeMap::new();
        while !self.kills.is_empty() {
            let event = match events.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => {
                    anyhow::bail!("the timeline ended before all were killed")
                }
            };
            let count = seen.entry((event.service.clone(), event.name.clone())).or_default();
            *count += 1;
            let point = (event.service.as_str(), event.name.as_str(), *count);
            let (mut due, later): (Vec<_>, Vec<_>) =
                self.kills.into_iter().partition(|kill| kill.after == point);
            self.kills = later;
            due.sort_by_key(|kill| kill.delay);
            let reached = Instant::now();
            for kill in due {
                sleep(kill.delay.saturating_sub(reached.elapsed())).await;
                if kill.victim == "nats-server" {
                    let pid = server.pid();
                    say(
                        started,
                        "chaos",
                        &format!("SIGKILL nats-server {}", pid.unwrap_or_default()),
                    );
                    server.kill9().await?;
                    server.restart().await?;
                } else {
                    kill_child(started, kill.victim, &children[kill.victim]).await?;
                }
            }
        }
        Ok(())
    }
}

/// Kills a supervised child, also when it is just being started again.
async fn kill_child(started: Instant, name: &str, pid: &Pid) -> anyhow::Result<()> {
    let mut pid = pid.clone();
    let raw = (*pid.wait_for(Option::is_some).await?).context("no process id")?;
    let raw = i32::try_from(raw)?;
    say(started, "chaos", &format!("SIGKILL {name} {raw}"));
    kill_process(ProcessId::from_raw(raw).context("process id 0")?, Signal::KILL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_chooses_the_same_points_and_everybody_dies_once() {
        assert_eq!(Chaos::new(7).kills, Chaos::new(7).kills);
        let mut victims: Vec<_> = Chaos::new(7).kills.iter().map(|kill| kill.victim).collect();
        victims.sort_unstable();
        let all = ["builder", "forge", "ingress", "nats-server", "observability", "verifier"];
        assert_eq!(victims, all);
    }
}
