//! GitHub's rate limits, per user.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use crate::answer::Refusal;
use crate::settings::Paces;

/// Where GitHub explains them.
const PAGE: &str = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits";

/// What every user has used.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) paces: Paces,
    users: HashMap<String, Used>,
}

#[derive(Debug)]
struct Used {
    window_ends: DateTime<Utc>,
    requests: u32,
    content: VecDeque<DateTime<Utc>>,
    /// When, and how many points.
    points: VecDeque<(DateTime<Utc>, u32)>,
}

/// What the `x-ratelimit-…` headers say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Primary {
    pub(crate) limit: u32,
    pub(crate) used: u32,
    pub(crate) reset: DateTime<Utc>,
}

impl Primary {
    pub(crate) fn remaining(&self) -> u32 {
        self.limit.saturating_sub(self.used)
    }
}

impl Limits {
    pub(crate) fn new(paces: Paces) -> Self {
        Self { paces, users: HashMap::new() }
    }

    /// Where a user stands in the primary limit.
    pub(crate) fn primary(&mut self, login: &str, now: DateTime<Utc>) -> Primary {
        let limit = self.paces.requests_per_hour;
        let used = self.used(login, now);
        Primary { limit, used: used.requests, reset: used.window_ends }
    }

    /// Counts a request, or says which limit it breaks.
    pub(crate) fn admit(
        &mut self,
        login: &str,
        who: &str,
        is_write: bool,
        makes_content: bool,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let paces = self.paces;
        let (minute, hour) = (self.window(60), self.window(3600));
        let used = self.used(login, now);
        if used.requests >= paces.requests_per_hour {
            return Err(primary_limit(who));
        }
        used.requests += 1;
        let cost = if is_write { 5 } else { 1 };
        while used.points.front().is_some_and(|(at, _)| *at <= now - minute) {
            used.points.pop_front();
        }
        let spent: u32 = used.points.iter().map(|(_, points)| points).sum();
        if spent.saturating_add(cost) > paces.points_per_minute {
            let opens = used.points.front().map_or(now, |(at, _)| *at + minute);
            return Err(secondary_limit(403, opens - now));
        }
        if makes_content {
            while used.content.front().is_some_and(|at| *at <= now - hour) {
                used.content.pop_front();
            }
            let recent = used.content.iter().rev().take_while(|at| **at > now - minute).count();
            let blocked = if recent as u64 >= u64::from(paces.content_per_minute) {
                used.content.get(used.content.len() - recent).map(|at| *at + minute)
            } else if used.content.len() as u64 >= u64::from(paces.content_per_hour) {
                used.content.front().map(|at| *at + hour)
            } else {
                None
            };
            if let Some(opens) = blocked {
                return Err(content_limit(opens - now));
            }
            used.content.push_back(now);
        }
        used.points.push_back((now, cost));
        Ok(())
    }

    /// A 304 costs nothing.
    pub(crate) fn give_back(&mut self, login: &str) {
        if let Some(used) = self.users.get_mut(login) {
            used.requests = used.requests.saturating_sub(1);
        }
    }

    fn window(&self, seconds: i64) -> TimeDelta {
        let millis = (seconds * 1000) as f64 / self.paces.scale.max(f64::MIN_POSITIVE);
        TimeDelta::milliseconds(millis as i64)
    }

    fn used(&mut self, login: &str, now: DateTime<Utc>) -> &mut Used {
        let hour = self.window(3600);
        let used = self.users.entry(login.to_owned()).or_insert_with(|| Used {
            window_ends: now + hour,
            requests: 0,
            content: VecDeque::new(),
            points: VecDeque::new(),
        });
        if used.window_ends <= now {
            used.window_ends = now + hour;
            used.requests = 0;
        }
        used
    }
}

pub(crate) fn primary_limit(who: &str) -> Refusal {
    Refusal::forbidden(format!("API rate limit exceeded for {who}."))
        .documented("https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api")
}

pub(crate) fn secondary_limit(status: u16, wait: TimeDelta) -> Refusal {
    let status = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::FORBIDDEN);
    let message = "You have exceeded a secondary rate limit. Please wait a few minutes before you \
                   try again.";
    Refusal::new(status, message).documented(PAGE).header("retry-after", whole_seconds(wait))
}

fn content_limit(wait: TimeDelta) -> Refusal {
    let message = "You have exceeded a secondary rate limit and have been temporarily blocked from \
                   content creation. Please retry your request again later.";
    Refusal::forbidden(message).documented(PAGE).header("retry-after", whole_seconds(wait))
}

/// `retry-after` knows no fractions; never less than the wait.
fn whole_seconds(wait: TimeDelta) -> String {
    let millis = wait.num_milliseconds().max(0);
    ((millis + 999) / 1000).max(1).to_string()
}
