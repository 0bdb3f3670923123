//! Setting labels: only Booty's own are ever taken away, with one call that holds the full set.

use std::collections::BTreeSet;

use booty_events::{RepoName, label, v1::LabelLook};
use booty_github::{
    Client, Endpoint,
    object::{IssueEvent, Label},
};
use serde_json::{Value, json};

use crate::{
    outcome::Stop,
    work::Work,
    writer::{Gate, NotSent},
};

/// What all of Booty's own labels start with.
const OWN: &str = "booty:";

/// Stands for the draft state where GitHub offers none.
pub(crate) const DRAFT: &str = "booty:draft";

/// Name, colour and description of the labels that Booty makes.
const LOOKS: [(&str, &str, &str); 8] = [
    (label::OPENED, "0e8a16", "Booty opened a pull request"),
    (label::GAVE_UP, "b60205", "Booty tried and gave up"),
    (label::NEEDS_HUMAN, "fbca04", "Booty needs a person to decide"),
    (DRAFT, "cfd3d7", "Not ready: drafts are not available here"),
    ("booty:in-progress", "1d76db", "A plan works on it"),
    ("booty:completed", "0e8a16", "A plan has completed it"),
    ("booty:failed", "b60205", "A plan failed on it"),
    ("agent:builder", "0366d6", "Booty builds it"),
];
/// The look of any other label that is missing.
const DEFAULT_COLOUR: &str = "0366d6";
const DEFAULT_DESCRIPTION: &str = "Created by Booty";
/// GitHub's limit on a label's description, in characters.
const LONGEST_DESCRIPTION: usize = 100;

/// Whether a label is Booty's own, and may be taken away.
pub(crate) fn is_own(name: &str) -> bool {
    name.get(..OWN.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN))
}

/// Whether a label says how a job ended.
pub(crate) fn is_outcome(name: &str) -> bool {
    label::ALL.iter().any(|outcome| outcome.eq_ignore_ascii_case(name))
}

/// Adds labels to an issue or pull request; takes none away. Those that the repository has not are made
/// first, with their look among `looks` or with Booty's own. GitHub leaves a label alone that is there
/// already, and tells nobody, so this may be done twice.
pub(crate) async fn add(
    work: &mut Work<'_>,
    issue: u64,
    wanted: &[String],
    looks: &[LabelLook],
) -> Result<(), Stop> {
    if wanted.is_empty() {
        return Ok(());
    }
    let body = json!({ "labels": wanted });
    let mut tries = 1;
    loop {
        for name in wanted {
            ensure(work, name, looks).await?;
        }
        let request = || work.github.post::<Value>(at(&work.repo, issue), &body);
        match work.gate.send(request).await {
            // One was deleted in between: made again, once.
            Err(NotSent::Github(error)) if tries == 1 && is_about_a_label(&error) => tries += 1,
            sent => return work.repeatable(sent).await.map(drop),
        }
    }
}

/// Whether a refusal may be that of a label that the repository has not.
fn is_about_a_label(error: &booty_github::Error) -> bool {
    error.is_not_found() || matches!(error, booty_github::Error::Validation { status: 422, .. })
}

/// Makes `wanted` the labels of its kind (`replaces`) on an issue. All others stay, also those that
/// somebody sets while this runs.
pub(crate) async fn set(
    work: &mut Work<'_>,
    issue: u64,
    wanted: &[String],
    replaces: fn(&str) -> bool,
) -> Result<(), Stop> {
    let present = work.github.list_labels_of_issue(&work.repo, issue).await;
    let present = names(work.read(present).await?);
    let mut full: Vec<String> = present
        .iter()
        .filter(|name| !(is_own(name) && replaces(name)) || has(wanted, name))
        .cloned()
        .collect();
    full.extend(wanted.iter().filter(|name| !has(&present, name)).cloned());
    if full.len() == present.len() && full.iter().all(|name| has(&present, name)) {
        return Ok(());
    }
    for name in wanted {
        ensure(work, name, &[]).await?;
    }
    let before = events(work, issue).await?.iter().map(|event| event.id).max().unwrap_or(0);
    let body = json!({ "labels": full });
    let request = || work.github.put::<Value>(at(&work.repo, issue), &body);
    let sent = work.gate.send(request).await;
    work.repeatable(sent).await?;
    put_back(work, issue, before).await
}

/// Takes one of Booty's own labels away, if it is there.
pub(crate) async fn take_away(work: &mut Work<'_>, issue: u64, name: &str) -> Result<(), Stop> {
    let at = at(&work.repo, issue).at(name);
    let sent = match work.gate.send(|| work.github.delete(at.clone())).await {
        Err(NotSent::Github(error)) if error.is_not_found() => Ok(()),
        sent => sent,
    };
    work.repeatable(sent).await
}

/// Gives a foreign label back that was set after we had read and was gone after we had written.
async fn put_back(work: &mut Work<'_>, issue: u64, before: u64) -> Result<(), Stop> {
    let since: Vec<IssueEvent> =
        events(work, issue).await?.into_iter().filter(|event| event.id > before).collect();
    let lost = taken_away(&since, &work.account.login);
    if lost.is_empty() {
        return Ok(());
    }
    tracing::info!(labels = ?lost, issue, "foreign labels were put back");
    let body = json!({ "labels": lost });
    let request = || work.github.post::<Value>(at(&work.repo, issue), &body);
    let sent = work.gate.send(request).await;
    work.repeatable(sent).await?;
    Ok(())
}

/// The foreign labels whose last event is that `login` took them away.
fn taken_away(events: &[IssueEvent], login: &str) -> BTreeSet<String> {
    let mut lost = BTreeSet::new();
    for event in events {
        let Some(Label { name, .. }) = &event.label else { continue };
        if is_own(name) {
            continue;
        }
        let by_us =
            event.actor.as_ref().is_some_and(|actor| actor.login.eq_ignore_ascii_case(login));
        match event.event.as_str() {
            "unlabeled" if by_us => lost.insert(name.clone()),
            "labeled" | "unlabeled" => lost.remove(name),
            _ => continue,
        };
    }
    lost
}

async fn events(work: &mut Work<'_>, issue: u64) -> Result<Vec<IssueEvent>, Stop> {
    let mut events = match work.github.list_issue_events(&work.repo, issue).await {
        // An Enterprise server without them: nothing to go by.
        Err(error) if error.is_not_found() => Vec::new(),
        listed => work.read(listed).await?,
    };
    events.sort_by_key(|event| event.id);
    Ok(events)
}

/// Makes a label that the repository has not. (GitHub would make it too, grey and undescribed.)
async fn ensure(work: &mut Work<'_>, name: &str, looks: &[LabelLook]) -> Result<(), Stop> {
    let look = Look::of(name, looks);
    let made = make_if_missing(work.github, &work.gate, &work.repo, name, look).await;
    work.repeatable(made).await
}

async fn make_if_missing(
    github: &Client,
    gate: &Gate<'_>,
    repo: &RepoName,
    name: &str,
    look: Look<'_>,
) -> Result<(), NotSent> {
    // Asked with an ETag: what is still there costs no request of the hour's.
    if github.get_label(repo, name).await?.is_some() {
        return Ok(());
    }
    let body = json!({ "name": name, "color": look.colour, "description": look.description });
    let request = || github.post::<Value>(Endpoint::repo(repo).at("labels"), &body);
    match gate.send(request).await {
        Err(NotSent::Github(error)) if error.is_already_exists() => Ok(()),
        sent => sent.map(drop),
    }
}

/// How a label is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look<'a> {
    colour: &'a str,
    description: &'a str,
}

impl<'a> Look<'a> {
    /// The wanted one where it can be had, else Booty's own.
    fn of(name: &str, wanted: &'a [LabelLook]) -> Self {
        if let Some(look) = wanted.iter().find(|look| look.name.eq_ignore_ascii_case(name))
            && is_colour(&look.colour)
        {
            return Self { colour: &look.colour, description: short(&look.description) };
        }
        let own = LOOKS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
        match own {
            Some((_, colour, description)) => Self { colour, description },
            None => Self { colour: DEFAULT_COLOUR, description: DEFAULT_DESCRIPTION },
        }
    }
}

fn is_colour(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn short(description: &str) -> &str {
    let end = description.char_indices().nth(LONGEST_DESCRIPTION).map(|(at, _)| at);
    &description[..end.unwrap_or(description.len())]
}

fn at(repo: &RepoName, issue: u64) -> Endpoint {
    Endpoint::repo(repo).at("issues").at(issue).at("labels")
}

fn names(labels: Vec<Label>) -> Vec<String> {
    labels.into_iter().map(|label| label.name).collect()
}

/// GitHub's label names ignore case.
fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u64, what: &str, label: &str, actor: &str) -> IssueEvent {
        serde_json::from_value(json!({
            "id": id, "event": what, "label": {"name": label}, "actor": {"login": actor}
        }))
        .unwrap()
    }

    #[test]
    fn only_what_we_took_away_last_is_put_back() {
        let events = [
            event(1, "labeled", "bug", "ann"),
            event(2, "unlabeled", "bug", "booty"),
            event(3, "labeled", "later", "ann"),
            event(4, "unlabeled", "later", "booty"),
            event(5, "labeled", "later", "ann"),
            event(6, "unlabeled", "wontfix", "ann"),
            event(7, "unlabeled", "booty:opened", "booty"),
        ];
        assert_eq!(taken_away(&events, "Booty"), BTreeSet::from(["bug".to_owned()]));
    }

    #[test]
    fn a_wanted_look_is_taken_where_github_takes_it() {
        let look = |colour: &str| LabelLook {
            name: "Agent:Builder".to_owned(),
            colour: colour.to_owned(),
            description: "é".repeat(150),
        };
        let wanted = [look("0366d6")];
        let found = Look::of("agent:builder", &wanted);
        assert_eq!((found.colour, found.description.chars().count()), ("0366d6", 100));
        for bad in ["#0366d6", "blue", "", "0366dé"] {
            let own = Look::of("agent:builder", &[look(bad)]).description.to_owned();
            assert_eq!(own, "Booty builds it", "{bad}");
        }
        assert_eq!(Look::of("x", &[]).description, DEFAULT_DESCRIPTION);
    }

    #[test]
    fn own_labels_are_known_by_their_prefix() {
        assert!(is_own("booty:opened") && is_own("Booty:x") && is_outcome("BOOTY:opened"));
        assert!(!is_own("agent:builder") && !is_own("bo") && !is_own("bøøty:"));
    }
}
