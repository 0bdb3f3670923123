//! Messages that hold a secret say so instead of showing it.

use std::fmt;

use crate::v1::ReadTokenReply;

impl fmt::Debug for ReadTokenReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = if self.token.is_empty() { "none" } else { "[REDACTED]" };
        f.debug_struct("ReadTokenReply")
            .field("token", &token)
            .field("expires", &self.expires)
            .field("error", &self.error)
            .field("retryable", &self.retryable)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let token = "ghs_canary".to_owned();
        let reply = ReadTokenReply { token, error: "why".to_owned(), ..ReadTokenReply::default() };
        let shown = format!("{reply:?}");
        assert!(shown.contains("why") && !shown.contains("canary"), "{shown}");
    }
}
