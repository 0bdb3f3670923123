//! The waiver label: whether it counts for this head.
//!
//! It counts when someone with write access gave it, and gave it after this head was there: what was
//! waived was seen. Who gave it is asked of GitHub's own record of the pull request.

use booty_judge::Waiver;

use crate::{
    order::Order,
    shared::{Pause, Shared},
};

/// The waiver for the order's head, if there is one that counts.
pub(crate) async fn find(
    shared: &Shared,
    order: &Order,
    label: &str,
) -> Result<Option<Waiver>, Pause> {
    let github = shared.github(&order.repository, order.installation);
    let labels = github.list_labels_of_issue(&order.repository, order.pull).await?;
    if !labels.iter().any(|there| there.name.eq_ignore_ascii_case(label)) {
        return Ok(None);
    }
    let events = github.list_issue_events(&order.repository, order.pull).await?;
    let given = events.iter().rev().find(|event| {
        let named = event.label.as_ref().is_some_and(|l| l.name.eq_ignore_ascii_case(label));
        named && event.event == "labeled"
    });
    let Some(given) = given else { return Ok(None) };
    if given.created_at.is_none_or(|at| at < order.head_seen_at) {
        tracing::info!(event = "waiver_ignored", reason = "older_than_head");
        return Ok(None);
    }
    let Some(actor) = &given.actor else { return Ok(None) };
    let permission = github.collaborator_permission(&order.repository, &actor.login).await?;
    if !permission.is_some_and(|permission| permission.can_write()) {
        tracing::info!(event = "waiver_ignored", reason = "no_write_access", by = actor.login);
        return Ok(None);
    }
    Ok(Some(Waiver { label: label.to_owned(), by: actor.login.clone() }))
}
