//! The ways in which Sentry and its SDKs write a time.

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};

use crate::raw::Raw;

/// Seconds above this, which are of the year 5138, are milliseconds: some SDKs send these.
const MAX_SECONDS: f64 = 1e11;

/// Seconds since 1970 as a number or its text, or a date and time, in UTC unless it says otherwise.
pub(crate) fn time(value: Raw<'_>) -> Option<DateTime<Utc>> {
    let text = value.word()?;
    let time = match text.parse::<f64>() {
        Ok(seconds) => of_seconds(seconds),
        Err(_) => of_words(&text),
    }?;
    (1970..=9999).contains(&time.year()).then_some(time)
}

fn of_seconds(seconds: f64) -> Option<DateTime<Utc>> {
    let seconds = if seconds > MAX_SECONDS { seconds / 1e3 } else { seconds };
    // Neither infinite nor no number.
    (0.0..=MAX_SECONDS).contains(&seconds).then_some(())?;
    DateTime::from_timestamp_micros((seconds * 1e6).round() as i64)
}

fn of_words(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    let text = text.replacen(' ', "T", 1);
    if let Ok(time) = DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f%z") {
        return Some(time.with_timezone(&Utc));
    }
    Some(NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").ok()?.and_utc())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1566248777.677", Some("2019-08-19T21:06:17.677Z"))]
    #[case("\"1566248777.677\"", Some("2019-08-19T21:06:17.677Z"))]
    #[case("1566248777677", Some("2019-08-19T21:06:17.677Z"))]
    #[case("\"2019-08-19T21:06:17.677000Z\"", Some("2019-08-19T21:06:17.677Z"))]
    #[case("\"2019-08-19T23:06:17.677+02:00\"", Some("2019-08-19T21:06:17.677Z"))]
    #[case("\"2019-08-19 21:06:17.677+0000\"", Some("2019-08-19T21:06:17.677Z"))]
    #[case("\"2019-08-19T21:06:17.677\"", Some("2019-08-19T21:06:17.677Z"))]
    #[case("0", Some("1970-01-01T00:00:00Z"))]
    #[case("-1", None)]
    #[case("1e999", None)]
    #[case("\"NaN\"", None)]
    #[case("\"inf\"", None)]
    #[case("123456789012345678901234567890", None)]
    #[case("\"yesterday\"", None)]
    #[case("\"0001-01-01T00:00:00Z\"", None)]
    #[case("\"+262142-01-01T00:00:00Z\"", None)]
    #[case("{}", None)]
    #[case("null", None)]
    fn times(#[case] json: &str, #[case] expected: Option<&str>) {
        let expected = expected.map(|text| text.parse::<DateTime<Utc>>().unwrap());
        assert_eq!(time(Raw::document(json).unwrap()), expected);
    }
}
