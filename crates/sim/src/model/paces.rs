//! Requests and tokens of a minute, and the headers that tell of them.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::{api::Api, refusal::Refusal, settings::ModelSettings};

/// One minute's use. Real providers refill a bucket; a window that starts anew is as strict on the whole.
#[derive(Debug, Default)]
pub(super) struct Window {
    started: Option<DateTime<Utc>>,
    requests: u64,
    tokens: u64,
}

impl Window {
    /// Counts a request, or refuses it.
    pub(super) fn take(
        &mut self,
        api: Api,
        tokens: u64,
        settings: &ModelSettings,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let end = self.started.map(|started| started + TimeDelta::seconds(60));
        if end.is_none_or(|end| end <= now) {
            *self = Self { started: Some(now), requests: 0, tokens: 0 };
        }
        let tokens = self.tokens.saturating_add(tokens);
        if self.requests >= settings.requests_per_minute || tokens > settings.tokens_per_minute {
            let wait = self.seconds_left(now);
            return Err(rate_limited(api, Some(wait.to_string())));
        }
        self.requests += 1;
        self.tokens = tokens;
        Ok(())
    }

    fn seconds_left(&self, now: DateTime<Utc>) -> i64 {
        let end = self.started.unwrap_or(now) + TimeDelta::seconds(60);
        (end - now).num_seconds().max(1)
    }

    /// Anthropic: <https://platform.claude.com/docs/en/api/rate-limits#response-headers>; OpenAI:
    /// <https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>.
    pub(super) fn headers(
        &self,
        api: Api,
        settings: &ModelSettings,
        now: DateTime<Utc>,
    ) -> Vec<(&'static str, String)> {
        let requests = settings.requests_per_minute;
        let tokens = settings.tokens_per_minute;
        let requests_left = requests.saturating_sub(self.requests).to_string();
        let tokens_left = tokens.saturating_sub(self.tokens).to_string();
        let seconds = self.seconds_left(now);
        let (requests, tokens) = (requests.to_string(), tokens.to_string());
        match api {
            Api::Messages => {
                let reset =
                    (now + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Secs, true);
                vec![
                    ("anthropic-ratelimit-requests-limit", requests),
                    ("anthropic-ratelimit-requests-remaining", requests_left),
                    ("anthropic-ratelimit-requests-reset", reset.clone()),
                    ("anthropic-ratelimit-tokens-limit", tokens),
                    ("anthropic-ratelimit-tokens-remaining", tokens_left),
                    ("anthropic-ratelimit-tokens-reset", reset),
                ]
            }
            Api::Chat | Api::Responses => {
                let reset = format!("{seconds}s");
                vec![
                    ("x-ratelimit-limit-requests", requests),
                    ("x-ratelimit-remaining-requests", requests_left),
                    ("x-ratelimit-reset-requests", reset.clone()),
                    ("x-ratelimit-limit-tokens", tokens),
                    ("x-ratelimit-remaining-tokens", tokens_left),
                    ("x-ratelimit-reset-tokens", reset),
                ]
            }
        }
    }
}

/// 429. OpenAI's words: <https://platform.openai.com/docs/guides/error-codes>.
pub(super) fn rate_limited(api: Api, retry_after: Option<String>) -> Refusal {
    let refusal = match api {
        Api::Messages => Refusal::new(
            429,
            "rate_limit_error",
            "This request would exceed your organization's rate limit. For details, refer to: \
             https://docs.claude.com/en/api/rate-limits.",
        ),
        Api::Chat | Api::Responses => Refusal::new(
            429,
            "tokens",
            "Rate limit reached in organization org-sim on tokens per min (TPM). Please try again \
             later. Visit https://platform.openai.com/account/rate-limits to learn more.",
        )
        .code("rate_limit_exceeded"),
    };
    match retry_after {
        Some(value) => refusal.header("retry-after", value),
        None => refusal,
    }
}
