//! When an issue is told again how often its alert came: soon at first, then ever more rarely.

use booty_events::v1::{AlertPhase, AlertState};
use chrono::{DateTime, TimeDelta, Utc};

use crate::state::time;

/// The pause after a telling, by the age that the issue had then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rhythm(Vec<Step>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    until: TimeDelta,
    pause: TimeDelta,
}

impl Default for Rhythm {
    /// 10 min in the first hour, 1 h in the first six, 6 h on the first day, then 24 h.
    fn default() -> Self {
        let step = |until, pause| Step { until, pause };
        Self(vec![
            step(TimeDelta::hours(1), TimeDelta::minutes(10)),
            step(TimeDelta::hours(6), TimeDelta::hours(1)),
            step(TimeDelta::hours(24), TimeDelta::hours(6)),
            step(TimeDelta::MAX, TimeDelta::hours(24)),
        ])
    }
}

impl Rhythm {
    /// The same pause at every age.
    pub fn even(pause: TimeDelta) -> Self {
        Self(vec![Step { until: TimeDelta::MAX, pause }])
    }

    /// The pause after a telling at this age.
    fn pause(&self, age: TimeDelta) -> TimeDelta {
        let step = self.0.iter().find(|step| age < step.until).or(self.0.last());
        step.map_or(TimeDelta::zero(), |step| step.pause)
    }

    /// When the issue is to be told next: `None` when there is nothing new, no issue, or a write that is
    /// waited for.
    pub fn next(&self, state: &AlertState) -> Option<DateTime<Utc>> {
        let is_ready = state.phase() == AlertPhase::Open && state.effect_id.is_empty();
        if !is_ready || state.count <= state.told {
            return None;
        }
        let told = time(state.told_at.as_ref()).unwrap_or(DateTime::UNIX_EPOCH);
        let made = time(state.acted_at.as_ref()).unwrap_or(told);
        Some(told + self.pause(told - made))
    }

    /// Whether the issue is to be told now.
    pub fn due(&self, state: &AlertState, now: DateTime<Utc>) -> bool {
        self.next(state).is_some_and(|next| next <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_all_the_time_is_told_ever_more_rarely() {
        let made = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let mut state = AlertState {
            phase: AlertPhase::Open.into(),
            count: 1,
            told: 1,
            told_at: Some(made.into()),
            acted_at: Some(made.into()),
            ..AlertState::default()
        };
        let mut told = Vec::new();
        for minute in 0..=4 * 24 * 60 {
            let now = made + TimeDelta::minutes(minute);
            state.count += 1;
            if Rhythm::default().due(&state, now) {
                (state.told, state.told_at) = (state.count, Some(now.into()));
                told.push(minute);
            }
        }
        let first_hour = [10, 20, 30, 40, 50, 60];
        let first_six = [120, 180, 240, 300, 360];
        let first_day = [720, 1080, 1440];
        let later = [2 * 1440, 3 * 1440, 4 * 1440];
        assert_eq!(told, [&first_hour[..], &first_six, &first_day, &later].concat());
    }

    #[test]
    fn nothing_is_told_without_news_or_an_issue_or_while_a_write_is_waited_for() {
        let open = AlertState {
            phase: AlertPhase::Open.into(),
            count: 2,
            told: 1,
            ..AlertState::default()
        };
        let now = Utc::now();
        let rhythm = Rhythm::default();
        assert!(rhythm.due(&open, now));
        assert!(!rhythm.due(&AlertState { told: 2, ..open.clone() }, now));
        assert!(!rhythm.due(&AlertState { effect_id: "x".to_owned(), ..open.clone() }, now));
        for phase in [AlertPhase::Unspecified, AlertPhase::Pending, AlertPhase::Failed] {
            assert!(!rhythm.due(&AlertState { phase: phase.into(), ..open.clone() }, now));
        }
    }
}
