//! Sums of what was spent, and how they are shown.

use booty_events::v1::Spent;
use booty_model::Usage;

/// Money is kept in billionths of a dollar: a sum of whole numbers is the same in any order, and the
/// cheapest token costs more than one of them.
pub const NANO_PER_USD: u64 = 1_000_000_000;
/// Less than a cent is shown with more digits.
const CENT: u64 = NANO_PER_USD / 100;

/// One answer.
pub(crate) fn of_answer(usage: &Usage, cost_nano_usd: Option<u64>) -> Spent {
    Spent {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cache_read_tokens: usage.cache_read_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        calls: 1,
        cost_nano_usd: cost_nano_usd.unwrap_or(0),
        unpriced_calls: u64::from(cost_nano_usd.is_none()),
    }
}

/// Adds to a sum; at the largest number it stays there.
pub(crate) fn add(sum: &mut Spent, other: &Spent) {
    for (into, from) in [
        (&mut sum.input_tokens, other.input_tokens),
        (&mut sum.output_tokens, other.output_tokens),
        (&mut sum.cache_read_tokens, other.cache_read_tokens),
        (&mut sum.cache_write_tokens, other.cache_write_tokens),
        (&mut sum.calls, other.calls),
        (&mut sum.cost_nano_usd, other.cost_nano_usd),
        (&mut sum.unpriced_calls, other.unpriced_calls),
    ] {
        *into = into.saturating_add(from);
    }
}

/// Tokens of all kinds together.
pub fn tokens(spent: &Spent) -> u64 {
    [spent.input_tokens, spent.output_tokens, spent.cache_read_tokens, spent.cache_write_tokens]
        .into_iter()
        .fold(0, u64::saturating_add)
}

/// Dollars in billionths; rounded up, so that what costs something is never nothing. `None` for what is no
/// amount.
pub(crate) fn nano_usd(usd: f64) -> Option<u64> {
    let nano = (usd * NANO_PER_USD as f64).ceil();
    // A conversion of a finite, positive number ends at the largest integer.
    (nano.is_finite() && nano >= 0.0).then_some(nano as u64)
}

/// `$1.23`; less than a cent as `$0.0012`.
pub fn usd(nano_usd: u64) -> String {
    if nano_usd == 0 || nano_usd >= CENT {
        let cents = nano_usd.saturating_add(CENT / 2) / CENT;
        return format!("${}.{:02}", grouped(cents / 100), cents % 100);
    }
    let step = CENT / 100;
    format!("$0.{:04}", nano_usd.div_ceil(step))
}

/// What it cost, as far as that is known.
pub fn cost(spent: &Spent) -> String {
    let Spent { calls, unpriced_calls, cost_nano_usd, .. } = spent;
    match unpriced_calls {
        0 => usd(*cost_nano_usd),
        unpriced if unpriced >= calls => "cost unknown".to_owned(),
        1 => format!("at least {} (the price of 1 answer is unknown)", usd(*cost_nano_usd)),
        unpriced => {
            format!("at least {} (the price of {unpriced} answers is unknown)", usd(*cost_nano_usd))
        }
    }
}

/// The same for a table.
pub fn cost_in_short(spent: &Spent) -> String {
    let Spent { calls, unpriced_calls, cost_nano_usd, .. } = spent;
    match unpriced_calls {
        0 => usd(*cost_nano_usd),
        unpriced if unpriced >= calls => "unknown".to_owned(),
        _ => format!("≥ {}", usd(*cost_nano_usd)),
    }
}

/// `2,013,551`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_for_people() {
        for (nano, shown) in [
            (0, "$0.00"),
            (1, "$0.0001"),
            (1_234_567, "$0.0013"),
            (CENT, "$0.01"),
            (12_345_000_000, "$12.35"),
            (1_234_567_000_000_000, "$1,234,567.00"),
        ] {
            assert_eq!(usd(nano), shown);
        }
        for (number, shown) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), shown);
        }
    }

    #[test]
    fn what_is_not_known_is_said() {
        let spent = |calls, unpriced_calls| Spent {
            calls,
            unpriced_calls,
            cost_nano_usd: 20_000_000,
            ..Spent::default()
        };
        assert_eq!(cost(&spent(3, 0)), "$0.02");
        assert_eq!(cost(&spent(3, 3)), "cost unknown");
        assert_eq!(cost_in_short(&spent(3, 1)), "≥ $0.02");
        assert_eq!(cost_in_short(&spent(3, 3)), "unknown");
        assert_eq!(cost(&spent(3, 1)), "at least $0.02 (the price of 1 answer is unknown)");
    }

    #[test]
    fn money_is_a_whole_number_and_nothing_else_is_money() {
        assert_eq!(nano_usd(0.1), Some(100_000_000));
        assert_eq!(nano_usd(1e-12), Some(1));
        assert_eq!(nano_usd(1e290), Some(u64::MAX));
        for wrong in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(nano_usd(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sums_never_wrap() {
        let mut sum = Spent { input_tokens: u64::MAX, ..Spent::default() };
        let usage = Usage { input_tokens: 1, output_tokens: 2, ..Usage::default() };
        add(&mut sum, &of_answer(&usage, None));
        assert_eq!((sum.input_tokens, sum.output_tokens), (u64::MAX, 2));
        assert_eq!((tokens(&sum), sum.calls, sum.unpriced_calls), (u64::MAX, 1, 1));
    }
}
