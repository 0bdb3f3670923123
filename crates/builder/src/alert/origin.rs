//! Where an issue comes from: forge's record, never the issue's author, sender or text.

use booty_alert::AutoBuild;
use booty_events::{
    IssueNumber, Message as _, RepoName, bucket,
    v1::{AlertFacts, AlertOrigin},
};

use super::Told;
use crate::shared::{Pause, Shared, chain};

/// What forge's markers begin with, as `forge/src/marker.rs` has it. It can be copied and its key is
/// forge's, so that it only ever takes something away from an issue.
const MARKER_START: &str = "<!-- booty:v1 ";

/// Where an issue comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// People: nobody else has made it, as far as can be known.
    People,
    /// An alert.
    Alert(AlertOrigin),
    /// It looks like one of forge's, which has not written down where it comes from.
    Unwritten,
}

impl Origin {
    /// Of an issue with this body.
    pub(crate) async fn of(
        shared: &Shared,
        repository: &RepoName,
        issue: IssueNumber,
        body: &str,
    ) -> Result<Self, Pause> {
        Ok(match Self::recorded(shared, repository, issue).await? {
            Some(origin) => Self::Alert(origin),
            None if body.contains(MARKER_START) => Self::Unwritten,
            None => Self::People,
        })
    }

    /// Forge's record. One that can't be read is an error, and never "from people".
    pub(crate) async fn recorded(
        shared: &Shared,
        repository: &RepoName,
        issue: IssueNumber,
    ) -> Result<Option<AlertOrigin>, Pause> {
        let key = bucket::origin_key(repository, issue.get());
        let Some(entry) = shared.origins.get(&key).await? else { return Ok(None) };
        let origin = AlertOrigin::decode(entry.value).map_err(|error| Pause::Failed {
            why: format!("forge's record of where {key} comes from: {}", chain(&error)),
        })?;
        Ok(Some(origin))
    }

    /// Whether a label that this account set is Booty's own: forge made the issue from an alert, as
    /// this account.
    pub(crate) fn is_by(&self, login: &str) -> bool {
        match self {
            Self::Alert(origin) => {
                !origin.author.is_empty() && origin.author.eq_ignore_ascii_case(login)
            }
            Self::People | Self::Unwritten => false,
        }
    }

    /// What a build of the issue is told.
    pub(crate) fn told(self, mode: AutoBuild) -> Told {
        match (self, mode) {
            (Self::People, _) => Told::Issue,
            (Self::Alert(_) | Self::Unwritten, AutoBuild::Off) => Told::Nothing,
            (Self::Alert(origin), AutoBuild::Restricted) => {
                Told::Facts(origin.facts.unwrap_or_default())
            }
            (Self::Alert(_), AutoBuild::Full) => Told::Issue,
            // Whatever it is, nobody vouches for it.
            (Self::Unwritten, _) => Told::Facts(AlertFacts::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Origin {
        Origin::Alert(AlertOrigin {
            author: "booty[bot]".into(),
            facts: Some(AlertFacts { exception_type: "TypeError".into(), ..Default::default() }),
            ..AlertOrigin::default()
        })
    }

    #[test]
    fn only_people_and_full_are_told_the_issue() {
        use AutoBuild::{Full, Off, Restricted};
        let words = |origin: Origin, mode| match origin.told(mode) {
            Told::Issue => "issue".to_owned(),
            Told::Nothing => "nothing".to_owned(),
            Told::Facts(facts) => format!("facts {}", facts.exception_type),
        };
        for mode in [Off, Restricted, Full] {
            assert_eq!(words(Origin::People, mode), "issue");
        }
        assert_eq!(words(alert(), Off), "nothing");
        assert_eq!(words(alert(), Restricted), "facts TypeError");
        assert_eq!(words(alert(), Full), "issue");
        assert_eq!(words(Origin::Unwritten, Off), "nothing");
        assert_eq!(words(Origin::Unwritten, Restricted), "facts ");
        assert_eq!(words(Origin::Unwritten, Full), "facts ");
    }

    #[test]
    fn a_label_is_our_own_by_the_record_alone() {
        assert!(alert().is_by("Booty[bot]"));
        assert!(!alert().is_by("booty"));
        assert!(!Origin::Alert(AlertOrigin::default()).is_by(""));
        assert!(!Origin::Unwritten.is_by("booty[bot]"));
        assert!(!Origin::People.is_by("booty[bot]"));
    }
}
