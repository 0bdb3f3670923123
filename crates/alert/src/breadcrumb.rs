//! What happened before.

use std::collections::VecDeque;

use booty_policy::Untrusted;
use chrono::{DateTime, Utc};

use crate::{Severity, raw::Raw, time::time};

/// The most breadcrumbs that are kept: the newest.
const MAX_BREADCRUMBS: usize = 8;

/// What happened before.
#[derive(Debug, Clone)]
pub struct Breadcrumb {
    /// When.
    pub time: Option<DateTime<Utc>>,
    /// `http`, `query`, …
    pub category: Option<Untrusted<String>>,
    /// What. Without a message of its own: the request with its status, or the change of place.
    pub message: Option<Untrusted<String>>,
    /// How bad; `None` when the word is not known.
    pub level: Option<Severity>,
}

/// The newest ones, the oldest of them first, without those of level debug. They come as a list or
/// as
/// `{"values": [list]}`.
pub(crate) fn newest(breadcrumbs: Raw<'_>) -> Vec<Breadcrumb> {
    let list = if breadcrumbs.is_list() { breadcrumbs } else { breadcrumbs.field("values") };
    let mut newest = VecDeque::with_capacity(MAX_BREADCRUMBS + 1);
    list.each(|breadcrumb| {
        if breadcrumb.is_object() && level(breadcrumb) != Some(Severity::Debug) {
            newest.push_back(breadcrumb);
            if newest.len() > MAX_BREADCRUMBS {
                newest.pop_front();
            }
        }
    });
    newest.into_iter().map(read).collect()
}

fn level(breadcrumb: Raw<'_>) -> Option<Severity> {
    breadcrumb.field("level").word()?.parse().ok()
}

fn read(breadcrumb: Raw<'_>) -> Breadcrumb {
    let [at, category, kind, message, details] =
        breadcrumb.fields(["timestamp", "category", "type", "message", "data"]);
    Breadcrumb {
        time: time(at),
        category: category.text().or_else(|| kind.text()).map(Untrusted::new),
        message: message.text().or_else(|| detail(details)).map(Untrusted::new),
        level: level(breadcrumb),
    }
}

/// A request or a change of place. A query string holds more secrets than sense, so it is left out.
fn detail(details: Raw<'_>) -> Option<String> {
    let [method, url, status, from, to] =
        details.fields(["method", "url", "status_code", "from", "to"]);
    let bare = |url: String| url.split(['?', '#']).next().map(str::to_owned);
    if let Some(url) = url.text().and_then(bare) {
        let method = method.word().map(|method| format!("{method} ")).unwrap_or_default();
        let status = status.word().map(|status| format!(" [{status}]")).unwrap_or_default();
        return Some(format!("{method}{url}{status}"));
    }
    let to = to.text().and_then(bare)?;
    Some(match from.text().and_then(bare) {
        Some(from) => format!("{from} → {to}"),
        None => format!("→ {to}"),
    })
}
