//! Python's assertions: `assert`, unittest's methods, `pytest.raises`, mocks, numpy.

use booty_policy::config::Language;

use super::{Reader, lines::Line};
use crate::evidence::{
    expression::{self, check, checks, named_tolerance, number, pair},
    source::{Check, Strength},
};

/// A longer statement's end is not looked at.
const MAX_TOKENS: usize = 4_000;

impl Reader<'_> {
    /// What a statement asserts.
    pub(super) fn assertions(&self, line: Line) -> Vec<Check> {
        let tokens = self.tokens;
        let to = line.to.min(line.from + MAX_TOKENS);
        if tokens.text(line.from) == "assert" {
            let end = tokens.find(line.from + 1, to, &[","]).unwrap_or(to);
            return self.at_line(line, checks(tokens, Language::Python, line.from + 1, end));
        }
        if tokens.text(line.from) == "raise" && tokens.text(line.from + 1) == "AssertionError" {
            return vec![self.fails(line, to)];
        }
        let mut out = Vec::new();
        let mut at = line.from;
        if matches!(tokens.text(at), "def" | "class" | "@") {
            return out;
        }
        while at < to {
            if tokens.is_word(at) && tokens.text(at + 1) == "(" {
                let close = tokens.close(at + 1).min(to);
                let made = self.call(line, at, close);
                if !made.is_empty() {
                    out.extend(made);
                    at = close;
                }
            }
            at += 1;
        }
        out
    }

    fn at_line(&self, line: Line, mut checks: Vec<Check>) -> Vec<Check> {
        for check in &mut checks {
            check.line = self.tokens.line(line.from);
        }
        checks
    }

    /// A failure by hand: what leads to it is what is asserted, so it is no less for being conditional.
    fn fails(&self, line: Line, to: usize) -> Check {
        let mut made = check(self.tokens, line.from, to, Strength::Exact);
        made.subject = "fail".to_owned();
        made
    }

    fn call(&self, line: Line, at: usize, close: usize) -> Vec<Check> {
        let tokens = self.tokens;
        let name = tokens.text(at);
        let arguments = tokens.split(at + 2, close, ",");
        let argument = |n: usize| arguments.get(n).copied();
        let whole = (line.from, line.to.min(close + 1));
        let of = |strength: Strength| {
            let mut made = check(tokens, whole.0, whole.1, strength);
            if let Some((from, to)) = argument(0) {
                made.subject = tokens.normal(from, to);
            }
            made
        };
        let two = |strength: Strength| match (argument(0), argument(1)) {
            (Some(left), Some(right)) => pair(tokens, whole, left, right, strength),
            _ => of(strength),
        };
        let made = match name {
            "assertTrue" | "assertFalse" => {
                let Some((from, to)) = argument(0) else { return Vec::new() };
                let mut made = checks(tokens, Language::Python, from, to);
                if name == "assertFalse" {
                    let is_nothing = expression::is_false(tokens, Language::Python, from, to);
                    for check in &mut made {
                        check.strength =
                            if is_nothing { Strength::Nothing } else { Strength::Partial };
                    }
                }
                for check in &mut made {
                    check.text = format!("{name} ( {} )", check.text);
                }
                return self.at_line(line, made);
            }
            "assertEqual"
            | "assertEquals"
            | "assertListEqual"
            | "assertDictEqual"
            | "assertSetEqual"
            | "assertTupleEqual"
            | "assertSequenceEqual"
            | "assertMultiLineEqual"
            | "assertCountEqual"
            | "assertIs"
            | "assert_array_equal"
            | "assert_equal"
            | "eq_" => two(Strength::Exact),
            "assertIsNone" => of(Strength::Exact),
            "assertIsNotNone" => of(Strength::Exists),
            "assertAlmostEqual"
            | "assertAlmostEquals"
            | "assert_allclose"
            | "assert_almost_equal"
            | "assert_array_almost_equal" => {
                let mut made = two(Strength::Close);
                let places = argument(2).and_then(|(from, _)| number(tokens.text(from)));
                let positional = places.map(|places| 10_f64.powf(-places));
                made.tolerance =
                    Some(named_tolerance(tokens, at + 2, close).or(positional).unwrap_or(1e-7));
                made
            }
            "assertIn"
            | "assertNotIn"
            | "assertNotEqual"
            | "assertGreater"
            | "assertGreaterEqual"
            | "assertLess"
            | "assertLessEqual"
            | "assertRegex"
            | "assertNotRegex"
            | "assertIsInstance"
            | "assertNotIsInstance"
            | "assertIsNot" => two(Strength::Partial),
            "raises" | "assertRaises" | "assertRaisesRegex" | "warns" | "assertWarns" => {
                let is_ours = name != "raises" && name != "warns"
                    || matches!(tokens.before(at, 1), "." | "with" | "");
                if !is_ours {
                    return Vec::new();
                }
                let mut made = of(Strength::Exact);
                let is_broad = argument(0).is_some_and(|(from, to)| {
                    (from..to).any(|at| matches!(tokens.text(at), "Exception" | "BaseException"))
                });
                if is_broad {
                    made.strength = Strength::Partial;
                }
                made.expected = Some(std::mem::replace(&mut made.subject, "raises".to_owned()));
                made
            }
            "fail" if matches!(tokens.before(at, 2), "self" | "pytest") => {
                self.fails(line, close + 1)
            }
            "assert_called" | "assert_called_once" | "assert_awaited" | "assert_any_call" => {
                on(tokens, of(Strength::Partial), line, at)
            }
            _ if name.starts_with("assert_") && tokens.before(at, 1) == "." => {
                on(tokens, of(Strength::Exact), line, at)
            }
            _ if ["assert", "check_", "verify_", "expect_", "_assert", "_check", "ensure_"]
                .iter()
                .any(|start| name.starts_with(start)) =>
            {
                of(Strength::Exact)
            }
            _ => return Vec::new(),
        };
        self.at_line(line, vec![made])
    }
}

/// Asserted of what is before the dot.
fn on(tokens: &crate::evidence::lex::Tokens<'_>, mut made: Check, line: Line, at: usize) -> Check {
    made.expected = Some(std::mem::take(&mut made.subject));
    made.subject = tokens.normal(line.from, at.saturating_sub(1).max(line.from));
    made
}
