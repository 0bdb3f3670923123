//! What GitHub's rate limit headers say, and the time until which nothing may be sent.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::HeaderMap;
use tokio::time::Instant;

/// How long to stay away when GitHub names no time: what its documentation asks for after a
/// secondary limit, "at least one minute", and each time longer while it goes on.
pub(crate) const UNNAMED_WAIT: Duration = Duration::from_secs(60);

/// An answer never keeps us away for longer: the longest window that GitHub has is an hour.
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 60 * 60);

/// What an answer says about the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    /// Nothing may be sent for this long; `None` where GitHub names no time.
    pub(crate) wait: Option<Duration>,
    pub(crate) secondary: bool,
}

/// Whether this answer refuses because of a limit, and for how long.
pub(crate) fn refusal(status: u16, headers: &HeaderMap, message: &str) -> Option<Said> {
    if status != 403 && status != 429 {
        return None;
    }
    let message = message.to_ascii_lowercase();
    let secondary = message.contains("secondary rate limit") || message.contains("abuse detection");
    let exhausted = remaining(headers) == Some(0);
    let named = retry_after(headers);
    if status == 403
        && !secondary
        && !exhausted
        && named.is_none()
        && !message.contains("rate limit exceeded")
    {
        return None;
    }
    let wait = named
        .or_else(|| exhausted.then(|| reset_in(headers)).flatten())
        .map(|wait| wait.min(LONGEST_WAIT));
    Some(Said { wait, secondary: secondary || !exhausted })
}

/// How long an answer that refuses in another way than by its status asks us to stay away.
pub(crate) fn wait(headers: &HeaderMap) -> Duration {
    retry_after(headers).or_else(|| reset_in(headers)).unwrap_or(UNNAMED_WAIT).min(LONGEST_WAIT)
}

/// Whether this answer was the last of its window, and how long the window still lasts.
pub(crate) fn exhausted(headers: &HeaderMap) -> Option<Duration> {
    let is_core = text(headers, "x-ratelimit-resource").is_none_or(|resource| resource == "core");
    if !is_core || remaining(headers) != Some(0) {
        return None;
    }
    reset_in(headers).map(|wait| wait.min(LONGEST_WAIT))
}

/// The time before which nothing is sent.
#[derive(Debug, Default)]
pub(crate) struct Closed(Mutex<Gate>);

#[derive(Debug, Default)]
struct Gate {
    until: Option<Instant>,
    /// How often in a row GitHub refused without naming a time, and whether it was a write.
    unnamed: u32,
    was_write: bool,
}

impl Closed {
    /// How long it still lasts.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        let mut gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = gate.until.and_then(|until| until.checked_duration_since(now));
        if left.is_none_or(|left| left.is_zero()) {
            gate.until = None;
            return None;
        }
        left
    }

    /// Nothing is to be sent for this long. Never shortens what was said before.
    pub(crate) fn close_for(&self, now: Instant, wait: Duration) {
        let mut gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gate.until = gate.until.max(Some(now + wait));
    }

    /// The same after a refusal that named no time: for `least`, and twice as long each time that it
    /// happens again. Answers how long.
    pub(crate) fn close_unnamed(&self, now: Instant, least: Duration, is_write: bool) -> Duration {
        let wait = {
            let mut gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let wait = least.saturating_mul(1 << gate.unnamed.min(16)).min(LONGEST_WAIT);
            gate.unnamed += 1;
            gate.was_write |= is_write;
            wait
        };
        self.close_for(now, wait);
        wait
    }

    /// GitHub did what was asked. A read says nothing about whether writes are let through again.
    pub(crate) fn passed(&self, is_write: bool) {
        let mut gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_write || !gate.was_write {
            (gate.unnamed, gate.was_write) = (0, false);
        }
    }
}

/// GitHub's points: what requests cost in any minute, whatever they are about. "No more than 900 points
/// per minute are allowed for REST API endpoints"; a GET, HEAD or OPTIONS costs 1 and every other
/// request 5 (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#calculating-points-for-the-secondary-rate-limit>).
#[derive(Debug, Default)]
pub(crate) struct Points(Mutex<VecDeque<(Instant, u32)>>);

impl Points {
    /// Takes what a request costs, or says how long there are not enough left.
    pub(crate) fn take(
        &self,
        now: Instant,
        is_write: bool,
        limit: PointLimit,
    ) -> Result<(), Duration> {
        let cost = if is_write { 5 } else { 1 };
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while spent.front().is_some_and(|(at, _)| *at + limit.window <= now) {
            spent.pop_front();
        }
        let mut left = limit.points.saturating_sub(spent.iter().map(|(_, cost)| cost).sum());
        let mut until = now;
        for (at, points) in spent.iter() {
            if left >= cost {
                break;
            }
            (left, until) = (left + points, *at + limit.window);
        }
        if until > now {
            return Err(until - now);
        }
        spent.push_back((now, cost));
        Ok(())
    }
}

/// At most so many points in any `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointLimit {
    /// How many: at least 5, what one write costs.
    pub points: u32,
    /// In how long.
    pub window: Duration,
}

impl Default for PointLimit {
    /// A bit below GitHub's 900: what leaves here within a minute may arrive there within less.
    fn default() -> Self {
        Self { points: 850, window: Duration::from_secs(60) }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn remaining(headers: &HeaderMap) -> Option<u64> {
    text(headers, "x-ratelimit-remaining")?.trim().parse().ok()
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, "retry-after")?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = chrono::DateTime::parse_from_rfc2822(value).ok()?.timestamp();
    Some(between(answered_at(headers)?, until))
}

/// Until `x-ratelimit-reset`, by the server's own clock (`Date`), so that ours does not matter.
fn reset_in(headers: &HeaderMap) -> Option<Duration> {
    let reset = text(headers, "x-ratelimit-reset")?.trim().parse().ok()?;
    // Both are whole seconds, cut off: one more is never too early.
    Some(between(answered_at(headers)?, reset) + Duration::from_secs(1))
}

fn answered_at(headers: &HeaderMap) -> Option<i64> {
    Some(chrono::DateTime::parse_from_rfc2822(text(headers, "date")?).ok()?.timestamp())
}

fn between(from: i64, until: i64) -> Duration {
    Duration::from_secs(u64::try_from(until.saturating_sub(from)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    const DATE: (&str, &str) = ("date", "Thu, 01 Jan 1970 00:01:40 GMT");

    #[test]
    fn the_servers_clock_counts() {
        let exhausted =
            headers(&[DATE, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "130")]);
        let said = refusal(403, &exhausted, "API rate limit exceeded for user ID 1.").unwrap();
        assert_eq!(said, Said { wait: Some(Duration::from_secs(31)), secondary: false });
        assert_eq!(super::exhausted(&exhausted), Some(Duration::from_secs(31)));
        let other = headers(&[
            DATE,
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "130"),
            ("x-ratelimit-resource", "search"),
        ]);
        assert_eq!(super::exhausted(&other), None);
    }

    #[test]
    fn secondary_limits_are_seen_with_and_without_a_time() {
        let named = headers(&[("retry-after", "7"), ("x-ratelimit-remaining", "4000")]);
        let said = refusal(403, &named, "You have exceeded a secondary rate limit.").unwrap();
        assert_eq!(said, Said { wait: Some(Duration::from_secs(7)), secondary: true });
        let said = refusal(429, &headers(&[]), "").unwrap();
        assert_eq!(said, Said { wait: None, secondary: true });
        let date = headers(&[DATE, ("retry-after", "Thu, 01 Jan 1970 00:01:45 GMT")]);
        assert_eq!(refusal(429, &date, "").unwrap().wait, Some(Duration::from_secs(5)));
        let absurd = headers(&[("retry-after", "99999999999")]);
        assert_eq!(refusal(429, &absurd, "").unwrap().wait, Some(LONGEST_WAIT));
    }

    #[test]
    fn a_missing_permission_is_no_limit() {
        assert_eq!(refusal(403, &headers(&[]), "Resource not accessible by integration"), None);
        assert_eq!(refusal(404, &headers(&[("retry-after", "7")]), ""), None);
    }

    #[test]
    fn a_limit_without_a_time_keeps_us_away_ever_longer() {
        let closed = Closed::default();
        let now = Instant::now();
        let minutes = |is_write| closed.close_unnamed(now, UNNAMED_WAIT, is_write).as_secs() / 60;
        assert_eq!([minutes(true), minutes(true), minutes(true)], [1, 2, 4]);
        closed.passed(false);
        assert_eq!(minutes(true), 8, "a read went through, no write");
        closed.passed(true);
        assert_eq!([minutes(false), minutes(false)], [1, 2]);
        closed.passed(false);
        assert_eq!(minutes(false), 1);
        for _ in 0..40 {
            minutes(true);
        }
        assert_eq!(minutes(true), LONGEST_WAIT.as_secs() / 60);
    }

    #[test]
    fn points_come_back_after_a_minute() {
        let limit = PointLimit { points: 11, window: Duration::from_secs(60) };
        let (points, start) = (Points::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(points.take(at(0), true, limit), Ok(()));
        assert_eq!(points.take(at(10), true, limit), Ok(()));
        assert_eq!(points.take(at(20), true, limit), Err(Duration::from_secs(40)));
        assert_eq!(points.take(at(20), false, limit), Ok(()), "a read costs one");
        assert_eq!(points.take(at(20), false, limit), Err(Duration::from_secs(40)));
        assert_eq!(points.take(at(60), true, limit), Ok(()));
        assert_eq!(points.take(at(60), true, limit), Err(Duration::from_secs(10)));
    }

    #[test]
    fn closed_times_only_grow() {
        let closed = Closed::default();
        let now = Instant::now();
        assert_eq!(closed.left(now), None);
        closed.close_for(now, Duration::from_secs(10));
        closed.close_for(now, Duration::from_secs(5));
        assert_eq!(closed.left(now), Some(Duration::from_secs(10)));
        assert_eq!(closed.left(now + Duration::from_secs(10)), None);
    }
}
