//! `booty alerts`: what became of Sentry's alerts.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use booty_bus::{Bus, Content, Reading};
use booty_events::{
    Message as _, Service, stream, subject,
    v1::{AlertPhase, AlertState, Event},
};
use booty_observability::alerts::Alerts;
use booty_service::{Env, Exit, common};
use comfy_table::{ContentArrangement, Table, presets};
use futures_util::TryStreamExt as _;
use serde::Serialize;

use crate::cli::{self, AlertsArgs, AlertsShow};

/// Fewer digits of a fingerprint would be a guess.
const FEWEST_DIGITS: usize = 6;
/// As many digits of a fingerprint as job ids have.
const SHOWN_DIGITS: usize = 12;

pub(crate) async fn run(args: AlertsArgs) -> anyhow::Result<Exit> {
    let mut env = Env::from_process();
    let settings = common::bus(&mut env, "booty-alerts");
    env.finish()?;
    let limit = settings.request_timeout;
    let bus = Bus::connect(settings).await?;
    tokio::time::timeout(limit, bus.client().flush())
        .await
        .ok()
        .and_then(Result::ok)
        // Not the URL itself: it may hold a password.
        .context("no NATS server answers; is it running, and is NATS_URL right?")?;
    let alerts = states(&bus).await?;
    match args.command {
        None => list(&alerts, args.json),
        Some(cli::Alerts::Show(args)) => show(&bus, &alerts, &args).await,
    }
}

/// All states, what was seen last first.
async fn states(bus: &Bus) -> anyhow::Result<Vec<AlertState>> {
    let kept = Alerts::new(bus).all().await.map_err(|pause| anyhow::anyhow!(pause.why()))?;
    let mut states: Vec<_> = kept.into_iter().map(|kept| kept.state).collect();
    let seen = |state: &AlertState| state.last_seen.as_ref().map(|at| (at.seconds, at.nanos));
    states.sort_by_key(|state| std::cmp::Reverse(seen(state)));
    Ok(states)
}

fn list(alerts: &[AlertState], json: bool) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(alerts)?)?;
    } else if alerts.is_empty() {
        writeln!(out, "no alerts yet; `booty jobs` also shows those that made no issue")?;
    } else {
        let mut table = table(["FINGERPRINT", "PHASE", "ISSUE", "COUNT", "LAST SEEN", "TITLE"]);
        for state in alerts {
            table.add_row([
                short(&state.fingerprint).to_owned(),
                phase(state).to_owned(),
                issue(state),
                state.count.to_string(),
                time(state.last_seen.as_ref()),
                state.title.clone(),
            ]);
        }
        writeln!(out, "{table}")?;
    }
    Ok(Exit::Success)
}

async fn show(bus: &Bus, alerts: &[AlertState], args: &AlertsShow) -> anyhow::Result<Exit> {
    let state = found(alerts, &args.fingerprint)?;
    let decisions = decisions(bus, &state.fingerprint).await?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let shown = Shown { state, decisions: &decisions };
        writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
        return Ok(Exit::Success);
    }
    for (name, value) in facts(state) {
        writeln!(out, "{name:<14}{value}")?;
    }
    if !decisions.is_empty() {
        let mut table = table(["TIME", "DELIVERY", "DECISION"]);
        for said in &decisions {
            let (delivery, reason) = (said.delivery_id.clone(), said.reason.clone());
            table.add_row([time(said.time.as_ref()), delivery, reason]);
        }
        writeln!(out, "\n{table}")?;
    }
    Ok(Exit::Success)
}

#[derive(Serialize)]
struct Shown<'a> {
    state: &'a AlertState,
    decisions: &'a [Event],
}

/// The one alert whose fingerprint begins so.
fn found<'a>(alerts: &'a [AlertState], digits: &str) -> anyhow::Result<&'a AlertState> {
    let digits = digits.trim().to_ascii_lowercase();
    if digits.len() < FEWEST_DIGITS || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        bail!(
            "{digits:?} is not the beginning of a fingerprint: give 6 hexadecimal digits or more"
        );
    }
    let mut fitting = alerts.iter().filter(|state| state.fingerprint.starts_with(&digits));
    match (fitting.next(), fitting.next()) {
        (Some(state), None) => Ok(state),
        (None, _) => bail!("no alert {digits} is known; `booty alerts` lists them"),
        (Some(_), Some(_)) => bail!("several alerts begin with {digits}; give more digits"),
    }
}

/// Everything that was decided of the fingerprint's alerts, as long as facts are kept; the oldest first.
async fn decisions(bus: &Bus, fingerprint: &str) -> anyhow::Result<Vec<Event>> {
    let reading = Reading {
        filters: vec![subject::event_filter(Service::Observability, "decided")],
        from: 0,
        content: Content::Small,
    };
    let mut facts = std::pin::pin!(bus.read(stream::EVENTS.name, reading));
    let mut decisions = Vec::new();
    while let Some(stored) = facts.try_next().await? {
        let event = Event::decode(stored.payload)?;
        if event.attributes.get("fingerprint").is_some_and(|of| of == fingerprint) {
            decisions.push(event);
        }
    }
    Ok(decisions)
}

fn facts(state: &AlertState) -> Vec<(&'static str, String)> {
    let count = |number: u64| if number == 0 { String::new() } else { number.to_string() };
    let closed = state.phase() == AlertPhase::Open && state.closed;
    let all = [
        ("fingerprint", state.fingerprint.clone()),
        ("phase", phase(state).to_owned()),
        ("title", state.title.clone()),
        ("issue", issue(state).trim_start_matches('-').to_owned()),
        ("page", state.url.clone()),
        ("closed", if closed { time(state.closed_at.as_ref()) } else { String::new() }),
        ("spooled", state.spooled.clone()),
        ("waits for", state.effect_id.clone()),
        ("generation", count(state.generation.into())),
        ("count", state.count.to_string()),
        ("told", count(state.told)),
        ("first seen", time(state.first_seen.as_ref())),
        ("last seen", time(state.last_seen.as_ref())),
        ("asked", time(state.acted_at.as_ref())),
        ("looked", time(state.looked_at.as_ref())),
        ("updated", time(state.updated.as_ref())),
        ("trace", state.traceparent.clone()),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..SHOWN_DIGITS).unwrap_or(fingerprint)
}

fn issue(state: &AlertState) -> String {
    if state.issue == 0 { "-".to_owned() } else { format!("{}#{}", state.repository, state.issue) }
}

fn phase(state: &AlertState) -> &'static str {
    match state.phase() {
        AlertPhase::Unspecified => "GONE",
        AlertPhase::Pending => "PENDING",
        AlertPhase::Open if state.reopening => "REOPENING",
        AlertPhase::Open if state.closed => "CLOSED",
        AlertPhase::Open => "OPEN",
        AlertPhase::Failed => "FAILED",
    }
}

fn time(timestamp: Option<&booty_events::Timestamp>) -> String {
    timestamp
        .and_then(|t| chrono::DateTime::from_timestamp(t.seconds, u32::try_from(t.nanos).ok()?))
        .map(|t| t.format("%Y-%m-%d %H:%M:%S UTC").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_found_by_its_first_digits_if_they_are_its_alone() {
        let state = |fingerprint: &str| AlertState {
            fingerprint: fingerprint.to_owned(),
            ..AlertState::default()
        };
        let all = [state("abcdef1111"), state("abcdef2222"), state("0123456789")];
        assert_eq!(found(&all, "012345").unwrap().fingerprint, "0123456789");
        assert_eq!(found(&all, "ABCDEF2").unwrap().fingerprint, "abcdef2222");
        for (digits, why) in [
            ("01234", "6 hexadecimal digits"),
            ("abcdef", "several"),
            ("ffffff", "no alert"),
            ("../../x", "6 hexadecimal digits"),
        ] {
            let said = found(&all, digits).unwrap_err().to_string();
            assert!(said.contains(why), "{digits}: {said}");
        }
    }
}
