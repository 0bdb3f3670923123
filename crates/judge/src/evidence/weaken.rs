//! Two versions of one test: what the later one no longer holds.

use super::source::{Check, Strength, Unit};
use crate::report::{Finding, Rule};

/// A tolerance wider than this by hand is no rounding.
const WIDE: f64 = 0.01;

/// What `head` lost against `base`. `lent` counts the assertions that shared functions make for each.
pub(super) fn compare(file: &str, base: &Unit, head: &Unit, lent: (usize, usize)) -> Vec<Finding> {
    let mut out = Vec::new();
    let name = head.full();
    let mut base_left: Vec<&Check> = base.checks.iter().collect();
    let mut head_left: Vec<&Check> = head.checks.iter().collect();
    take_equal(&mut base_left, &mut head_left);

    let mut pairs: Vec<(&Check, &Check)> = Vec::new();
    pair_by(&mut base_left, &mut head_left, &mut pairs, |base, head| {
        base.subject == head.subject && base.expected == head.expected
    });
    pair_by(&mut base_left, &mut head_left, &mut pairs, |base, head| base.subject == head.subject);
    pair_by(&mut base_left, &mut head_left, &mut pairs, |base, head| {
        base.expected.is_some() && base.expected == head.expected && base.strength == head.strength
    });
    // What is left on both sides stands in for each other, in order.
    pair_by(&mut base_left, &mut head_left, &mut pairs, |base, head| {
        is_live(head) && head.strength >= base.strength
    });
    pair_by(&mut base_left, &mut head_left, &mut pairs, |_, _| true);
    for (base, head) in pairs {
        out.extend(changed(file, &name, base, head));
    }

    let rows = (base.rows.max(1), head.rows.max(1));
    let many = head.checks.iter().any(|check| check.looped && check.dead.is_none());
    let live = |checks: &[Check]| checks.iter().filter(|check| is_live(check)).count();
    let before = (live(&base.checks) + lent.0) * rows.0;
    let after = (live(&head.checks) + lent.1) * rows.1;
    let lost: Vec<&Check> = base_left.into_iter().filter(|check| is_live(check)).collect();
    if let (Some(first), false) =
        (lost.first(), many && !base.checks.iter().any(|check| check.looped))
    {
        if before > after {
            let more = if lost.len() > 1 {
                format!(" and {} more", lost.len() - 1)
            } else {
                String::new()
            };
            let message = format!("`{name}` no longer asserts `{}`{more}", short(&first.text));
            out.push(Finding::failure(Rule::AssertionRemoved, message).at(file, first.line));
        }
    } else if rows.1 < rows.0 && before > after {
        let message = format!("`{name}` is run with {} of {} sets of parameters", rows.1, rows.0);
        out.push(Finding::failure(Rule::AssertionRemoved, message).at(file, head.line));
    }
    if out.is_empty()
        && base.table != head.table
        && rows.1 >= rows.0
        && !base.table.is_empty()
        && !head.table.is_empty()
    {
        let message = format!("`{name}`: its parameters changed");
        out.push(Finding::notice(Rule::AssertionWeakened, message).at(file, head.line));
    }
    out
}

pub(super) fn is_live(check: &Check) -> bool {
    check.dead.is_none() && check.strength != Strength::Nothing
}

fn take_equal<'a>(base: &mut Vec<&'a Check>, head: &mut Vec<&'a Check>) {
    use std::collections::HashMap;
    let key = |check: &Check| {
        format!("{:?} {} {} {}", check.dead, check.conditional, check.looped, check.text)
    };
    let mut counts: HashMap<String, usize> = HashMap::new();
    for check in head.iter() {
        *counts.entry(key(check)).or_default() += 1;
    }
    let mut taken: HashMap<String, usize> = HashMap::new();
    base.retain(|check| match counts.get_mut(&key(check)) {
        Some(count) if *count > 0 => {
            *count -= 1;
            *taken.entry(key(check)).or_default() += 1;
            false
        }
        _ => true,
    });
    head.retain(|check| match taken.get_mut(&key(check)) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
}

/// At most this many of one test are matched one with another: beyond, in order alone.
const MAX_MATCHED: usize = 200;

fn pair_by<'a>(
    base: &mut Vec<&'a Check>,
    head: &mut Vec<&'a Check>,
    pairs: &mut Vec<(&'a Check, &'a Check)>,
    fits: impl Fn(&Check, &Check) -> bool,
) {
    let mut used = vec![false; head.len()];
    let mut left = Vec::new();
    let mut first_free = 0;
    for &one in base.iter() {
        while used.get(first_free) == Some(&true) {
            first_free += 1;
        }
        let found = (first_free..head.len().min(first_free + MAX_MATCHED))
            .find(|at| !used[*at] && fits(one, head[*at]));
        match found {
            Some(at) => {
                used[at] = true;
                pairs.push((one, head[at]));
            }
            None => left.push(one),
        }
    }
    *base = left;
    let mut at = 0;
    head.retain(|_| {
        at += 1;
        !used[at - 1]
    });
}

/// One assertion in two versions.
fn changed(file: &str, name: &str, base: &Check, head: &Check) -> Option<Finding> {
    let weakened = |message: String| {
        Some(Finding::failure(Rule::AssertionWeakened, message).at(file, head.line))
    };
    let (was, is) = (short(&base.text), short(&head.text));
    if !is_live(base) {
        return None;
    }
    if let Some(dead) = head.dead {
        return weakened(format!("`{name}`: `{is}` has no effect: {dead}"));
    }
    if head.strength == Strength::Nothing {
        return weakened(format!("`{name}`: `{was}` became `{is}`, which can't fail"));
    }
    if head.strength < base.strength {
        let is_rounding = head.strength == Strength::Close && head.tolerance.unwrap_or(0.0) <= WIDE;
        let message = format!("`{name}`: `{was}` became the looser `{is}`");
        if is_rounding {
            return Some(Finding::warning(Rule::AssertionWeakened, message).at(file, head.line));
        }
        return weakened(message);
    }
    if head.tolerance > base.tolerance && base.tolerance.is_some() {
        return weakened(format!("`{name}`: the tolerance of `{was}` became wider: `{is}`"));
    }
    if head.conditional && !base.conditional && base.text == head.text {
        let message = format!("`{name}`: `{is}` now runs only under a condition");
        return Some(Finding::warning(Rule::AssertionWeakened, message).at(file, head.line));
    }
    let (Some(before), Some(after)) = (&base.expected, &head.expected) else { return None };
    if before == after || base.subject != head.subject {
        return None;
    }
    if is_computed(after, &head.subject) && !is_computed(before, &base.subject) {
        return weakened(format!(
            "`{name}`: what is expected is now computed by what is tested: `{is}`"
        ));
    }
    let message =
        format!("`{name}`: expectation changed from `{}` to `{}`", short(before), short(after));
    Some(Finding::notice(Rule::AssertionWeakened, message).at(file, head.line))
}

/// Whether an expectation is made by the call that is tested.
fn is_computed(expected: &str, subject: &str) -> bool {
    let mut words = subject.split(' ').peekable();
    while let Some(word) = words.next() {
        let is_name = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if is_name && words.peek() == Some(&"(") && expected.contains(&format!("{word} (")) {
            return true;
        }
    }
    false
}

/// At most so many characters of an assertion are shown.
const SHOWN: usize = 80;

/// An assertion as people write it, in one line.
pub(super) fn short(text: &str) -> String {
    let mut out = text.to_owned();
    for (from, to) in [
        (" ( ", "("),
        (" )", ")"),
        (" . ", "."),
        (" ,", ","),
        ("[ ", "["),
        (" ]", "]"),
        (" [", "["),
        (" ! (", "!("),
        (" !(", "!("),
    ] {
        out = out.replace(from, to);
    }
    let out = out.replace(" (", "(");
    match out.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &out[..at]),
        None => out,
    }
}
