//! What a repository and its issues take at all, whoever asks.

use http::StatusCode;

use super::Route;
use crate::answer::Refusal;
use crate::world::World;

const ISSUES: &str = "/repos/{owner}/{repo}/issues";

/// An archived repository takes no writes, one without issues no word about them, and an issue that is
/// not here any more says where it is, or that it was deleted.
pub(super) fn check(
    world: &World,
    route: &Route,
    params: &[(&'static str, String)],
    key: &str,
    is_write: bool,
) -> Result<(), Refusal> {
    let Ok(repo) = world.repo(key) else { return Ok(()) };
    if is_write && repo.archived {
        return Err(Refusal::forbidden("Repository was archived so is read-only."));
    }
    let Some(rest) = route.path.strip_prefix(ISSUES) else { return Ok(()) };
    let number = params.iter().find(|(name, _)| *name == "number");
    let number = number.and_then(|(_, value)| value.parse::<u64>().ok());
    let is_pull = number
        .and_then(|number| repo.issues.get(&number))
        .is_some_and(|issue| issue.pull.is_some());
    let gone = |message| Err(Refusal::new(StatusCode::GONE, message));
    if !repo.has_issues && !is_pull && !rest.starts_with("/comments") {
        return gone("Issues has been disabled in this repository.");
    }
    match number.and_then(|number| repo.gone.get(&number)) {
        None => Ok(()),
        Some(None) => gone("This issue was deleted"),
        Some(Some((home, number))) => {
            let below = rest.strip_prefix("/{number}").unwrap_or_default();
            let at = format!("{}/repos/{home}/issues/{number}{below}", world.base);
            Err(Refusal::new(StatusCode::MOVED_PERMANENTLY, "Moved Permanently")
                .header("location", at))
        }
    }
}
