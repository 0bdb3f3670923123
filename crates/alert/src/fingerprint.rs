//! What makes several events one problem.

use booty_events::Fingerprint;

use crate::raw::Raw;

/// Further parts of an event's own fingerprint change nothing.
const MAX_PARTS: usize = 1_000;

/// Where the identity of a problem is looked for.
pub(crate) struct Identity<'a> {
    /// Sentry's ids of the issue, the best first.
    pub(crate) issue_ids: [Raw<'a>; 2],
    /// The event's own fingerprint.
    pub(crate) fingerprint: Raw<'a>,
    pub(crate) project: Raw<'a>,
    pub(crate) exception_type: Option<&'a str>,
    pub(crate) culprit: Option<&'a str>,
}

impl Identity<'_> {
    /// Sentry's issue id; else the event's fingerprint, unless it says nothing of its own; else the
    /// exception's type with the culprit. The last two only mean something within their project.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let id = self.issue_ids.into_iter().find_map(Raw::whole_text);
        if let Some(id) = id {
            return Fingerprint::of("issue", &[id.trim()]);
        }
        let project = self.project.whole_text().unwrap_or_default();
        let by_type =
            [&*project, self.exception_type.unwrap_or_default(), self.culprit.unwrap_or_default()];
        let own = self.own();
        if own.iter().all(|part| is_default(part)) {
            return Fingerprint::of("type", &by_type);
        }
        let mut parts = vec![&*project];
        // `{{ default }}`, `{{ transaction }}` and so on stand for something that Sentry fills in for itself alone.
        if own.iter().any(|part| part.contains("{{")) {
            parts = by_type.to_vec();
        }
        parts.extend(own.iter().map(String::as_str));
        Fingerprint::of("event", &parts)
    }

    fn own(&self) -> Vec<String> {
        if let Some(text) = self.fingerprint.whole_text() {
            return vec![text.into_owned()];
        }
        let mut parts = Vec::new();
        self.fingerprint.each(|part| {
            if parts.len() < MAX_PARTS {
                parts.extend(part.whole_text().map(|text| text.into_owned()));
            }
        });
        parts
    }
}

fn is_default(part: &str) -> bool {
    let inner = part.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    inner.is_some_and(|name| name.trim() == "default")
}
