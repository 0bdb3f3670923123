//! How fast one serial writer may go.
//!
//! GitHub asks for a second between writes when there are many, and stops who creates content faster
//! than about 80 a minute or 500 an hour (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
//! The usual settings stay below. Content is what notifies people: the pages of the endpoints say of
//! creating issues, pull requests and comments that it "triggers notifications" and is limited, and of
//! editing them, of labels and of check runs they don't.
//!
//! Content is counted for each account that forge writes in (an installation of its App, or the one
//! user of a personal token); the second between writes is the writer's own.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// What a write is, to the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Notifies people: an issue, a pull request, a comment.
    Content,
    /// Everything else.
    Other,
}

/// At most `count` in any `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub count: usize,
    /// In how long.
    pub window: Duration,
}

/// The paces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaceSettings {
    /// The time between two writes under pressure.
    pub spacing: Duration,
    /// How many writes may be saved up in quiet times and then go without spacing.
    pub burst: u32,
    /// The limits on content.
    pub content: Vec<Limit>,
}

impl Default for PaceSettings {
    fn default() -> Self {
        Self {
            spacing: Duration::from_secs(1),
            burst: 20,
            content: vec![
                Limit { count: 60, window: Duration::from_secs(60) },
                Limit { count: 400, window: Duration::from_secs(60 * 60) },
            ],
        }
    }
}

impl PaceSettings {
    /// The same paces in a world whose clock runs `factor` times as fast.
    pub fn scaled(mut self, factor: u32) -> Self {
        self.spacing /= factor;
        for limit in &mut self.content {
            limit.window /= factor;
        }
        self
    }
}

/// The writer's pace. Asked before each write.
pub struct Pace {
    settings: PaceSettings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the next write would be due if none had been saved up; lies in the past in quiet times.
    due: Option<Instant>,
    /// By account; the oldest first.
    content: HashMap<String, VecDeque<Instant>>,
}

impl Pace {
    /// Starts with a full burst and nothing written.
    pub fn new(settings: PaceSettings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// What was created in an account, at these times and no others, the oldest first: by a process that
    /// is no more.
    pub fn restore(&self, account: &str, times: impl IntoIterator<Item = Instant>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.content.insert(account.to_owned(), times.into_iter().collect());
    }

    /// The content that still counts for an account, as how long ago it was created.
    pub fn ages(&self, account: &str, now: Instant) -> Vec<Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let content = self.counting(&mut state, account, now);
        content.iter().map(|at| now.saturating_duration_since(*at)).collect()
    }

    /// Takes a place for a write in `account` at `now`, or says how long none is free.
    pub fn take(&self, now: Instant, write: Write, account: &str) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.left(&mut state, now, write, account);
        if !wait.is_zero() {
            return Err(wait);
        }
        let saved = self.settings.spacing * self.settings.burst;
        let earliest = now.checked_sub(saved).unwrap_or(now);
        state.due = Some(state.due.unwrap_or(earliest).max(earliest) + self.settings.spacing);
        if write == Write::Content {
            state.content.entry(account.to_owned()).or_default().push_back(now);
        }
        Ok(())
    }

    /// Waits for a place for up to `patience`; `Err` is the longer wait that it would take, and
    /// then no place was taken.
    pub async fn wait(
        &self,
        write: Write,
        account: &str,
        patience: Duration,
    ) -> Result<(), Duration> {
        let start = Instant::now();
        loop {
            let now = Instant::now();
            match self.take(now, write, account) {
                Ok(()) => return Ok(()),
                Err(wait) if now + wait > start + patience => return Err(wait),
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    fn left(&self, state: &mut State, now: Instant, write: Write, account: &str) -> Duration {
        let mut until = state.due.unwrap_or(now);
        if write == Write::Content {
            let content = self.counting(state, account, now);
            for limit in &self.settings.content {
                // The one that has to leave the window before another may enter.
                let oldest = content.len().checked_sub(limit.count);
                if let Some(at) = oldest.and_then(|i| content.get(i)) {
                    until = until.max(*at + limit.window);
                }
            }
        }
        until.saturating_duration_since(now)
    }

    /// An account's content, without what is older than every window.
    fn counting<'a>(
        &self,
        state: &'a mut State,
        account: &str,
        now: Instant,
    ) -> &'a VecDeque<Instant> {
        let longest = self.settings.content.iter().map(|l| l.window).max().unwrap_or_default();
        let content = state.content.entry(account.to_owned()).or_default();
        while content.front().is_some_and(|at| *at + longest <= now) {
            content.pop_front();
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings(spacing_ms: u64, burst: u32, content: &[(usize, u64)]) -> PaceSettings {
        PaceSettings {
            spacing: Duration::from_millis(spacing_ms),
            burst,
            content: content
                .iter()
                .map(|(count, ms)| Limit { count: *count, window: Duration::from_millis(*ms) })
                .collect(),
        }
    }

    /// Takes a place as soon as there is one, in a time of its own.
    fn take_when_free(pace: &Pace, now: &mut Instant, write: Write) -> Duration {
        let asked = *now;
        while let Err(wait) = pace.take(*now, write, "octo") {
            *now += wait;
        }
        *now - asked
    }

    #[test]
    fn a_burst_goes_at_once_and_then_every_second() {
        let pace = Pace::new(settings(1000, 3, &[]));
        let mut now = Instant::now() + Duration::from_secs(1000);
        let waits: Vec<_> =
            (0..6).map(|_| take_when_free(&pace, &mut now, Write::Other).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 1]);
        now += Duration::from_secs(2);
        let waits: Vec<_> =
            (0..3).map(|_| take_when_free(&pace, &mut now, Write::Other).as_secs()).collect();
        assert_eq!(waits, [0, 0, 1], "two were saved up");
    }

    #[test]
    fn only_content_counts_against_content_limits() {
        let pace = Pace::new(settings(0, 0, &[(2, 60_000)]));
        let mut now = Instant::now();
        for write in [Write::Content, Write::Content, Write::Other] {
            assert_eq!(take_when_free(&pace, &mut now, write), Duration::ZERO);
        }
        assert_eq!(pace.take(now, Write::Content, "octo"), Err(Duration::from_secs(60)));
        assert_eq!(pace.take(now, Write::Content, "acme"), Ok(()), "an account of its own");
        assert_eq!(take_when_free(&pace, &mut now, Write::Content), Duration::from_secs(60));
    }

    #[tokio::test]
    async fn patience_is_kept_and_a_refused_wait_takes_no_place() {
        let pace = Pace::new(settings(0, 0, &[(1, 60)]));
        pace.wait(Write::Content, "octo", Duration::ZERO).await.unwrap();
        assert!(pace.wait(Write::Content, "octo", Duration::from_millis(1)).await.is_err());
        pace.wait(Write::Content, "octo", Duration::from_secs(10)).await.unwrap();
    }

    #[test]
    fn what_an_earlier_process_created_counts() {
        let window = Duration::from_secs(60);
        let before = Pace::new(settings(0, 0, &[(2, 60_000)]));
        let now = Instant::now() + window * 3;
        before.take(now - window * 2, Write::Content, "octo").unwrap();
        before.take(now - window / 2, Write::Content, "octo").unwrap();
        before.take(now, Write::Content, "octo").unwrap();
        let ages = before.ages("octo", now);
        assert_eq!(ages, [window / 2, Duration::ZERO], "what is past does not count");
        let after = Pace::new(settings(0, 0, &[(2, 60_000)]));
        after.restore("octo", ages.iter().map(|age| now - *age));
        assert_eq!(after.take(now, Write::Content, "octo"), Err(window / 2));
    }

    proptest! {
        /// Whatever the rhythm of asking: no window ever holds more than its limit.
        #[test]
        fn no_window_overflows(gaps in proptest::collection::vec(0u64..400, 1..200)) {
            let limits = [(5usize, 1000u64), (8, 3000)];
            let pace = Pace::new(settings(10, 5, &limits));
            let start = Instant::now();
            let (mut now, mut taken) = (start, Vec::new());
            for gap in gaps {
                now += Duration::from_millis(gap);
                match pace.take(now, Write::Content, "octo") {
                    Ok(()) => taken.push(now - start),
                    Err(wait) => prop_assert!(!wait.is_zero()),
                }
            }
            for (count, window) in limits {
                let window = Duration::from_millis(window);
                for group in taken.windows(count + 1) {
                    prop_assert!(group[count] - group[0] >= window);
                }
            }
        }
    }
}
