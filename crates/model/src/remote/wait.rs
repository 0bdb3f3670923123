//! How long a provider wants to be left alone.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// Nobody means a longer wait; it keeps sums from overflowing.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What the headers of a refusal ask for: `retry-after-ms` (OpenAI, Azure), `retry-after` in seconds or
/// as a date, or else when what is used up comes back (OpenAI's `x-ratelimit-reset-*`).
pub(crate) fn after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let wait = text("retry-after-ms")
        .and_then(|ms| seconds(ms, 1e-3))
        .or_else(|| seconds(text("retry-after")?, 1.0))
        .or_else(|| until(text("retry-after")?, text(header::DATE.as_str())?))
        .or_else(|| {
            ["requests", "tokens"]
                .into_iter()
                .filter(|what| text(&format!("x-ratelimit-remaining-{what}")) == Some("0"))
                .filter_map(|what| go_duration(text(&format!("x-ratelimit-reset-{what}"))?))
                .max()
        })?;
    Some(wait.min(LONGEST))
}

fn seconds(text: &str, unit: f64) -> Option<Duration> {
    let number: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}

/// From one date to another: both are the provider's, so that its clock is the only one.
fn until(date: &str, now: &str) -> Option<Duration> {
    let [date, now]: [SystemTime; 2] =
        [httpdate::parse_http_date(date).ok()?, httpdate::parse_http_date(now).ok()?];
    Some(date.duration_since(now).unwrap_or_default())
}

/// A length of time as Go writes it: `6m0s`, `8.64s`, `120ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(seconds(number, unit)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use rstest::rstest;

    use super::*;

    const NOW: (&str, &str) = ("date", "Tue, 01 Dec 2026 10:00:00 GMT");

    #[rstest]
    #[case::seconds(&[("retry-after", "20")], Some(20_000))]
    #[case::fraction(&[("retry-after", " 1.5 ")], Some(1_500))]
    #[case::milliseconds_say_more(&[("retry-after-ms", "250"), ("retry-after", "1")], Some(250))]
    #[case::date(&[NOW, ("retry-after", "Tue, 01 Dec 2026 10:01:30 GMT")], Some(90_000))]
    #[case::past(&[NOW, ("retry-after", "Tue, 01 Dec 2026 09:00:00 GMT")], Some(0))]
    #[case::date_without_a_clock(&[("retry-after", "Tue, 01 Dec 2026 10:01:30 GMT")], None)]
    #[case::used_up(&[
        ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "8.64s"),
        ("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s"),
    ], Some(360_000))]
    #[case::not_used_up(&[
        ("x-ratelimit-remaining-tokens", "17"), ("x-ratelimit-reset-tokens", "6m0s"),
    ], None)]
    #[case::nothing(&[], None)]
    #[case::garbage(&[("retry-after", "soon")], None)]
    #[case::negative(&[("retry-after", "-5")], None)]
    #[case::endless(&[("retry-after", "1e300")], None)]
    #[case::years(&[("retry-after", "999999999")], Some(604_800_000))]
    #[case::not_a_number(&[("retry-after", "NaN")], None)]
    fn headers_are_read(#[case] given: &[(&str, &str)], #[case] expected_ms: Option<u64>) {
        let headers: HeaderMap = given
            .iter()
            .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), value.parse().unwrap()))
            .collect();
        assert_eq!(after(&headers), expected_ms.map(Duration::from_millis));
    }
}
