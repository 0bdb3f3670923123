//! What came of each program, and where its time went.

use booty_events::v1::Event;
use comfy_table::{Table, presets};

use super::{corpus::Program, line::Line};

/// A program's way, in seconds after all were labelled.
#[derive(Debug, Default)]
struct Way {
    rounds: usize,
    /// A worker took it up.
    begun: Option<f64>,
    /// The builder was done.
    built: Option<f64>,
    /// All of the pull request was there, or the outcome: the label and the comment as well.
    opened: Option<f64>,
    /// The verifier concluded.
    judged: Option<f64>,
    /// The draft was ended.
    ready: Option<f64>,
    /// In the repository's own commands, as the builder ran them.
    commands: f64,
}

impl Way {
    fn of(line: &Line, program: &Program) -> Self {
        let mut way = Self::default();
        for event in line.said_of(program) {
            let time =
                event.time.map_or(0.0, |time| time.seconds as f64 + f64::from(time.nanos) / 1e9);
            let at = time - line.labelled().timestamp_micros() as f64 / 1e6;
            let kind = event.attributes.get("kind").map_or("", String::as_str);
            match (event.service.as_str(), event.name.as_str(), kind) {
                ("builder", "job_enqueued", _) => way.begun = way.begun.or(Some(at)),
                ("builder", "round_started", _) => way.rounds += 1,
                ("builder", "command_ran", _) => way.commands += seconds(&event),
                ("builder", "proposal_made" | "job_failed", _) => {
                    way.built = way.built.or(Some(at))
                }
                ("forge", "applied", "open_pull_request" | "issue_outcome") => {
                    way.opened = way.opened.or(Some(at));
                }
                ("verifier", "verdict", _) => way.judged = way.judged.or(Some(at)),
                ("forge", "applied", "mark_ready") => way.ready = Some(at),
                _ => {}
            }
        }
        way
    }
}

fn seconds(event: &Event) -> f64 {
    let took = event.attributes.get("duration_ms").and_then(|text| text.parse::<f64>().ok());
    took.unwrap_or_default() / 1000.0
}

/// Prints the table; `outcomes` are in the order of the programs. What has a plus is counted from the end of
/// the build.
pub(super) fn print(line: &Line, outcomes: &[String]) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header([
        "PROGRAM",
        "ROUNDS",
        "OUTCOME",
        "QUEUED",
        "BUILT IN",
        "OF IT COMMANDS",
        "JUDGED +",
        "SAID +",
        "READY +",
        "SECONDS",
    ]);
    let step = |from: Option<f64>, to: Option<f64>| match (from, to) {
        (Some(from), Some(to)) => format!("{:.1}", to - from),
        _ => "–".to_owned(),
    };
    for (program, outcome) in line.programs.iter().zip(outcomes) {
        let way = Way::of(line, program);
        let end = way.ready.or(way.opened);
        table.add_row([
            program.name.clone(),
            way.rounds.to_string(),
            outcome.clone(),
            step(Some(0.0), way.begun),
            step(way.begun, way.built),
            format!("{:.1}", way.commands),
            step(way.built, way.judged),
            step(way.built, way.opened),
            step(way.built, way.ready),
            // Of its own: what was before it in the queue is not its time.
            step(way.begun, end),
        ]);
    }
    #[allow(clippy::print_stdout)] // Kept back by the test harness unless somebody asks for it.
    {
        println!("\n{table}");
    }
}
