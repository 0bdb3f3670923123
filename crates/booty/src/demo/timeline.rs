//! Prints events as they happen.

use std::{io::Write as _, time::Duration};

use booty_bus::Bus;
use booty_events::{Message as _, stream, v1::Event};
use tokio::{
    sync::broadcast,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Events held for a listener that is slow; the demo has some dozens in all.
const BACKLOG: usize = 1024;
/// How long to wait before looking again.
const LOOK: Duration = Duration::from_millis(20);
/// A broker that takes longer is gone, or on its way back.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// Events of the bus, in their order, each once, also across a restart of the broker.
pub(super) struct Timeline {
    sender: broadcast::Sender<Event>,
}

impl Timeline {
    pub(super) fn new() -> Self {
        Self { sender: broadcast::channel(BACKLOG).0 }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }

    /// Follows the stream until `stop`, from its first message.
    pub(super) async fn follow(&self, bus: &Bus, started: Instant, stop: CancellationToken) {
        let mut next = 1;
        while !stop.is_cancelled() {
            // Nothing new, or no broker: both are a reason to look again a little later. Asking for
            // one message after the other finds a broker that was restarted at once, which a
            // consumer's missed heartbeats tell only after seconds.
            match timeout(ANSWER_LIMIT, read(bus, next)).await {
                Ok(Ok(event)) => {
                    next += 1;
                    print(started, &event);
                    // No listener is fine: the timeline is also printed when nobody kills anything.
                    let _ = self.sender.send(event);
                }
                Ok(Err(_)) | Err(_) => {
                    let _ = stop.run_until_cancelled(sleep(LOOK)).await;
                }
            }
        }
    }
}

/// The event with a sequence number; no event is ever deleted, so there are no holes.
async fn read(bus: &Bus, sequence: u64) -> anyhow::Result<Event> {
    let stream = bus.jetstream().get_stream_no_info(stream::EVENTS.name).await?;
    Ok(Event::decode(stream.get_raw_message(sequence).await?.payload)?)
}

fn print(started: Instant, event: &Event) {
    let mut facts = vec![event.reason.clone(), event.detail.clone()];
    // The ones that tell a reader something in one line; `booty jobs` and the logs have the rest.
    for name in ["kind", "round", "base", "event", "action", "text", "branch"] {
        if let Some(value) = event.attributes.get(name) {
            facts.push(if name == "text" {
                format!("“{value}”")
            } else {
                format!("{name} {value}")
            });
        }
    }
    if event.attributes.get("passed").is_some_and(|passed| passed == "false")
        && let Some(line) = event.attributes.get("output").and_then(|text| failure(text))
    {
        facts.push(line.to_owned());
    }
    if event.number > 0 && !event.detail.contains('#') {
        facts.push(format!("#{}", event.number));
    }
    facts.retain(|fact| !fact.is_empty());
    say(started, &event.service, &format!("{:<18} {}", event.name, facts.join("  ")));
}

/// The line of a test run's output that says most.
fn failure(output: &str) -> Option<&str> {
    let lines = || output.lines().map(str::trim).filter(|line| !line.is_empty());
    lines().find(|line| line.contains("Error:")).or_else(|| lines().next_back())
}

/// One line of the timeline.
pub(super) fn say(started: Instant, who: &str, what: &str) {
    let line = format!("{:>7.2}s  {who:<13} {what}", started.elapsed().as_secs_f64());
    let _ = writeln!(std::io::stdout(), "{}", line.trim_end());
}
