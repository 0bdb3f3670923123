//! The branch of a pull request: a free name, our own from before, or the next name.

use booty_events::v1::EffectStatus;
use booty_github::{Endpoint, object::GitRef};
use serde_json::json;

use crate::{commit, outcome::Stop, work::Work, writer::NotSent};

/// How many names are tried: `agent/issue-7`, `agent/issue-7-2`, …
const MOST_NAMES: u32 = 20;

/// The step's name in the record.
const STEP: &str = "branch";

/// What a name stands for now.
enum Found {
    /// No branch has it.
    Free,
    /// It is at this effect's own commit.
    Ours,
    /// Left over from an earlier effect whose pull request is closed.
    LeftOver,
    /// Somebody's.
    Taken,
}

/// Points a branch at the commit and answers its name. Refs are known by their names, so this can be
/// done again without harm.
pub(crate) async fn point(work: &mut Work<'_>, wanted: &str, sha: &str) -> Result<String, Stop> {
    if let Some(name) = work.record.step(STEP) {
        return Ok(name.to_owned());
    }
    for n in 1..=MOST_NAMES {
        let name = if n == 1 { wanted.to_owned() } else { format!("{wanted}-{n}") };
        let found = look(work, &name, sha).await?;
        let sent = match found {
            Found::Ours => Ok(()),
            Found::Taken => continue,
            Found::Free => create(work, &name, sha).await,
            Found::LeftOver => take_over(work, &name, sha).await,
        };
        match sent {
            // Made between our look and our request, or not visible yet: look again later.
            Err(NotSent::Github(error)) if error.is_already_exists() => {
                let retry = work.core.settings.retry_delays.first().copied().unwrap_or_default();
                return Err(Stop::later(retry, format!("branch {name} appeared just now")));
            }
            sent => work.repeatable(sent).await?,
        }
        work.done(STEP, name.as_str()).await?;
        return Ok(name);
    }
    let why = format!("{MOST_NAMES} branches from {wanted} on are all somebody else's");
    Err(Stop::failed("branch_taken", why))
}

async fn look(work: &mut Work<'_>, name: &str, sha: &str) -> Result<Found, Stop> {
    let tip = work.github.get_branch(&work.repo, name).await;
    let Some(GitRef { object, .. }) = work.read(tip).await? else { return Ok(Found::Free) };
    if object.sha == sha {
        return Ok(Found::Ours);
    }
    let tip = work.github.get_commit(&work.repo, &object.sha).await;
    let Some(tip) = work.read(tip).await? else { return Ok(Found::Taken) };
    let signed = work.core.markers.of_commit(&tip.commit.message, &work.repo);
    let Some(signed) = signed.filter(|_| work.is_ours(tip.author.as_ref())) else {
        return Ok(Found::Taken);
    };
    if signed == work.id {
        // An earlier try of this effect's, whose own commit had another date.
        let same = commit::tree(work) == Some(tip.commit.tree.sha.as_str());
        return Ok(if same { Found::LeftOver } else { Found::Taken });
    }
    let other = work.core.records.of_effect(&signed).await?;
    if other.exists() && other.status() == EffectStatus::Intended {
        return Ok(Found::Taken);
    }
    let open = work.github.list_pulls(&work.repo, Some(name), "open").await;
    let open = work.read(open).await?;
    Ok(if open.is_empty() { Found::LeftOver } else { Found::Taken })
}

async fn create(work: &Work<'_>, name: &str, sha: &str) -> Result<(), NotSent> {
    let at = Endpoint::repo(&work.repo).at("git").at("refs");
    let body = json!({ "ref": format!("refs/heads/{name}"), "sha": sha });
    work.gate.send(|| work.github.post::<GitRef>(at.clone(), &body)).await.map(drop)
}

async fn take_over(work: &Work<'_>, name: &str, sha: &str) -> Result<(), NotSent> {
    let at = Endpoint::repo(&work.repo).at("git").at("refs").at("heads").at_each(name);
    let body = json!({ "sha": sha, "force": true });
    work.gate.send(|| work.github.patch::<GitRef>(at.clone(), &body)).await.map(drop)
}
