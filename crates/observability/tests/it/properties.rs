//! Whatever comes in whatever order, between any number of workers: one issue a generation, every event
//! counted once.

use std::collections::{BTreeMap, BTreeSet};

use booty_alert::Severity;
use booty_events::{
    Fingerprint, RepoName,
    v1::{AlertPhase, AlertState},
};
use booty_observability::{
    decide::{Decision, Reason, Rules, Seen, decide},
    report::{About, Report, reported},
    slot::Slot,
    state::{self, Look, Wanted},
};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

const WORKERS: usize = 3;

/// One step of the world.
#[derive(Debug, Clone)]
enum Step {
    /// A worker reads the state for a delivery (again, when the number came before).
    Begin { worker: usize, delivery: u8, event: u8, severity: usize, days_old: i64 },
    /// It decides on what it read, and writes, unless somebody wrote since.
    Commit { worker: usize },
    /// It dies.
    Die { worker: usize },
    /// Forge says what became of a write that was asked for.
    Report { nth: usize, outcome: u8 },
    /// GitHub says how the issue is.
    Look { look: u8 },
    /// Time passes.
    Wait { minutes: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let begin = (0..WORKERS, 0u8..24, 0u8..16, 0usize..5, 0i64..5).prop_map(
        |(worker, delivery, event, severity, days_old)| Step::Begin {
            worker,
            delivery,
            event,
            // Mostly what counts.
            severity: severity.max(2),
            days_old: days_old.saturating_sub(1),
        },
    );
    prop_oneof![
        6 => begin,
        6 => (0..WORKERS).prop_map(|worker| Step::Commit { worker }),
        1 => (0..WORKERS).prop_map(|worker| Step::Die { worker }),
        3 => (0usize..8, 0u8..5).prop_map(|(nth, outcome)| Step::Report { nth, outcome }),
        2 => (0u8..3).prop_map(|look| Step::Look { look }),
        2 => (1i64..600).prop_map(|minutes| Step::Wait { minutes }),
    ]
}

/// The bucket's one key.
#[derive(Default)]
struct Bucket {
    state: Option<AlertState>,
    revision: u64,
}

struct Worker {
    seen: Seen,
    state: Option<AlertState>,
    revision: u64,
}

fn rules() -> Rules {
    Rules {
        min_severity: Severity::Error,
        cooldown: TimeDelta::hours(6),
        max_event_age: TimeDelta::days(3),
    }
}

fn rank(phase: AlertPhase) -> u8 {
    match phase {
        AlertPhase::Pending => 1,
        AlertPhase::Failed => 2,
        AlertPhase::Open => 3,
        AlertPhase::Unspecified => 4,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn one_issue_a_generation_and_every_event_once(steps in prop::collection::vec(step(), 1..120)) {
        let fingerprint = Fingerprint::of("issue", &["1"]);
        let target: RepoName = "octo/shop".parse().unwrap();
        let wanted = Wanted { repository: &target, title: "t", traceparent: "" };
        let mut now: DateTime<Utc> = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let mut bucket = Bucket::default();
        let mut workers: BTreeMap<usize, Worker> = BTreeMap::new();
        let mut asked: Vec<About> = Vec::new();
        let mut creates: BTreeMap<u32, u32> = BTreeMap::new();
        let mut counted: BTreeSet<u8> = BTreeSet::new();
        let mut counted_events: BTreeSet<u8> = BTreeSet::new();
        let mut issues = 0u64;
        for step in steps {
            let before = bucket.state.clone();
            let mut gone = false;
            match step {
                Step::Begin { worker, delivery, event, severity, days_old } => {
                    let seen = Seen {
                        delivery: delivery.to_string(),
                        event: Some(event.to_string()),
                        severity: Severity::ALL[severity],
                        received: now - TimeDelta::days(days_old),
                        is_replay: false,
                    };
                    let (state, revision) = (bucket.state.clone(), bucket.revision);
                    workers.insert(worker, Worker { seen, state, revision });
                }
                Step::Die { worker } => drop(workers.remove(&worker)),
                Step::Commit { worker } => {
                    let Some(Worker { seen, state, revision }) = workers.remove(&worker) else {
                        continue;
                    };
                    if state.as_ref().and_then(|s| state::known(s, &seen.delivery)).is_some() {
                        continue;
                    }
                    let decision = decide(&seen, &rules(), state.as_ref(), now);
                    prop_assert!(
                        seen.severity >= Severity::Error
                            || decision == Decision::Suppress(Reason::Severity)
                    );
                    if !decision.is_counted() {
                        continue;
                    }
                    let phase = state.as_ref().map(AlertState::phase);
                    if decision == Decision::Create {
                        prop_assert!(matches!(phase, None | Some(AlertPhase::Unspecified)));
                    }
                    let after =
                        state::taken(state, &fingerprint, &seen, decision, &wanted, now);
                    // Compare and set.
                    if revision != bucket.revision {
                        continue;
                    }
                    bucket.revision += 1;
                    prop_assert!(counted.insert(seen.delivery.parse().unwrap()), "counted twice");
                    let event: u8 = seen.event.unwrap().parse().unwrap();
                    prop_assert!(counted_events.insert(event), "one event, counted twice");
                    match decision {
                        Decision::Create => {
                            *creates.entry(after.generation).or_default() += 1;
                            let slot = Slot::Issue(after.generation);
                            asked.push(About { slot, issue: 0, reopens: false });
                        }
                        Decision::Reopen => {
                            let slot = Slot::Counter(after.version);
                            asked.push(About { slot, issue: after.issue, reopens: true });
                        }
                        _ => {}
                    }
                    bucket.state = Some(after);
                }
                Step::Report { nth, outcome } => {
                    // Also the same report again, an old one, and one after its opposite.
                    let (Some(state), false) = (bucket.state.as_mut(), asked.is_empty()) else {
                        continue;
                    };
                    let about = asked[asked.len() - 1 - nth % asked.len()];
                    let number = if about.issue == 0 { issues += 1; issues } else { about.issue };
                    let report = match outcome {
                        0 | 1 => Report::Applied { number, url: "u".to_owned() },
                        2 => Report::Failed { origin: "BOOTY_EFFECTS-1".to_owned() },
                        3 => Report::Gone,
                        _ => Report::Unwritten,
                    };
                    gone = outcome > 2;
                    reported(state, &fingerprint, about, &report, now);
                    let once = state.clone();
                    reported(state, &fingerprint, about, &report, now);
                    prop_assert_eq!(&once, &*state, "the same report twice");
                    bucket.revision += 1;
                }
                Step::Look { look } => {
                    let Some(state) = bucket.state.as_mut() else { continue };
                    if state.phase() != AlertPhase::Open || state.reopening {
                        continue;
                    }
                    let look =
                        [Look::Open, Look::Closed(Some(now)), Look::Gone][usize::from(look)];
                    gone = look == Look::Gone;
                    state::looked(state, look, now);
                    bucket.revision += 1;
                }
                Step::Wait { minutes } => now += TimeDelta::minutes(minutes),
            }
            let (Some(before), Some(after)) = (before, bucket.state.as_ref()) else { continue };
            prop_assert!(after.generation >= before.generation);
            prop_assert!(after.version >= before.version);
            prop_assert!(after.count >= before.count);
            let seen = |state: &AlertState| (state::time(state.first_seen.as_ref()), state::time(state.last_seen.as_ref()));
            let ((first, last), (first_before, last_before)) = (seen(after), seen(&before));
            prop_assert!(first <= first_before && last >= last_before);
            let place = |state: &AlertState| (state.generation, rank(state.phase()));
            let reopen_failed = after.phase() == AlertPhase::Failed && after.reopening;
            let mended = before.phase() == AlertPhase::Failed && before.reopening;
            prop_assert!(
                place(after) >= place(&before) || reopen_failed || mended || gone,
                "went back: {:?} to {:?}", before, after
            );
        }
        let state = bucket.state.unwrap_or_default();
        prop_assert_eq!(state.count, counted.len() as u64);
        prop_assert!(creates.values().all(|creates| *creates == 1), "{creates:?}");
        prop_assert_eq!(creates.len(), state.generation as usize);
    }
}

#[test]
fn each_rule_has_its_word() {
    let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    let seen = Seen {
        delivery: "d".to_owned(),
        event: Some("e".to_owned()),
        severity: Severity::Error,
        received: now,
        is_replay: false,
    };
    let say = |seen: &Seen, state: Option<&AlertState>| decide(seen, &rules(), state, now).as_str();
    let hours = |hours| Some((now - TimeDelta::hours(hours)).into());
    let received = now - TimeDelta::days(4);
    assert_eq!(say(&seen, None), "create");
    assert_eq!(say(&Seen { severity: Severity::Warning, ..seen.clone() }, None), "severity");
    assert_eq!(say(&Seen { received, ..seen.clone() }, None), "too_old");
    assert_eq!(say(&Seen { received, is_replay: true, ..seen.clone() }, None), "create");

    let open = AlertState { phase: AlertPhase::Open.into(), issue: 7, ..AlertState::default() };
    let closed =
        AlertState { closed: true, closed_at: hours(1), acted_at: hours(7), ..open.clone() };
    assert_eq!(say(&seen, Some(&open)), "count_only");
    assert_eq!(say(&seen, Some(&closed)), "reopen");
    assert_eq!(say(&seen, Some(&AlertState { acted_at: hours(5), ..closed.clone() })), "cooldown");
    let reopening = AlertState { reopening: true, ..closed.clone() };
    assert_eq!(say(&seen, Some(&reopening)), "count_only");
    let before = Seen { received: now - TimeDelta::hours(2), ..seen.clone() };
    assert_eq!(say(&before, Some(&closed)), "count_only", "it was there when somebody closed it");
    let gone = AlertState { generation: 1, ..AlertState::default() };
    assert_eq!(say(&seen, Some(&gone)), "create");
    for phase in [AlertPhase::Pending, AlertPhase::Failed] {
        let state = AlertState { phase: phase.into(), closed: true, ..AlertState::default() };
        assert_eq!(say(&seen, Some(&state)), "count_only");
    }
    let mut state = open;
    state.seen.push(booty_events::v1::AlertSeen {
        delivery: "other".to_owned(),
        event: "e".to_owned(),
        decision: "create".to_owned(),
    });
    assert_eq!(say(&seen, Some(&state)), "same_event");
    assert_eq!(say(&Seen { event: None, ..seen }, Some(&state)), "count_only");
}
