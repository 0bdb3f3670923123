//! Whether the model goes in circles: the same call, on the same state, with the same result.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Answers with the same call to the same end from which on the model is told so. Reading a file a
/// second time is how models refresh their memory.
const TOLD_FROM: u32 = 3;
/// From this many on, the job ends.
const STUCK_FROM: u32 = 5;

/// What the model did, and how often.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    seen: BTreeMap<[u8; 32], u32>,
    /// What this answer did: several equal calls of one answer count once, as the model could not know
    /// what would come of the first.
    in_answer: BTreeSet<[u8; 32]>,
}

/// What is thought of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    Fine,
    /// It was made so many times, to the same end.
    Again(u32),
    Stuck(u32),
}

impl Habits {
    /// A new answer begins.
    pub(crate) fn next_answer(&mut self) {
        self.in_answer.clear();
    }

    /// Notes a call with its result, and the state of the tree after it.
    pub(crate) fn note(
        &mut self,
        name: &str,
        arguments: &Value,
        result: &str,
        state: [u8; 32],
    ) -> Habit {
        let mut hash = Sha256::new();
        for part in [name, &arguments.to_string(), result] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.update(state);
        let key = hash.finalize().into();
        if !self.in_answer.insert(key) {
            return Habit::Fine;
        }
        let count = self.seen.entry(key).or_default();
        *count += 1;
        match *count {
            STUCK_FROM.. => Habit::Stuck(*count),
            TOLD_FROM.. => Habit::Again(*count),
            _ => Habit::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(habits: &mut Habits, path: &str, result: &str, state: u8) -> Habit {
        habits.next_answer();
        habits.note("read", &json!({ "path": path }), result, [state; 32])
    }

    #[test]
    fn a_circle_is_found_however_long_it_is() {
        let mut habits = Habits::default();
        for round in 1..=STUCK_FROM {
            let expected = match round {
                1 | 2 => Habit::Fine,
                3 | 4 => Habit::Again(round),
                _ => Habit::Stuck(round),
            };
            // There and back again: each state comes again, too.
            assert_eq!(call(&mut habits, "a", "same", 1), expected);
            assert_eq!(call(&mut habits, "b", "same", 2), expected);
        }
    }

    #[test]
    fn work_is_no_circle() {
        let mut habits = Habits::default();
        for n in 0..50 {
            assert_eq!(call(&mut habits, "a", &n.to_string(), 1), Habit::Fine);
            assert_eq!(call(&mut habits, &n.to_string(), "same", 1), Habit::Fine);
            assert_eq!(call(&mut habits, "a", "same", n), Habit::Fine);
        }
        habits.next_answer();
        for _ in 0..64 {
            let habit = habits.note("read", &json!({}), "same", [0; 32]);
            assert_eq!(habit, Habit::Fine, "one answer's calls count once");
        }
    }
}
