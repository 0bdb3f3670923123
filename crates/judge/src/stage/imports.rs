//! What does not compile, import or exist.

use crate::{
    change::ChangedFile,
    error::Error,
    imports::{self, Subject},
    report::{Finding, Level, Rule, Section, Stage, State},
    rules::Rules,
    stage::{check, policy::plural},
    stand::Stand,
    view::SideView,
};

/// The language's own check on what the change touches, then the repository's.
pub(crate) async fn judge(
    rules: &Rules,
    stand: &Stand,
    base: &SideView,
    merged: &SideView,
    changed: &[ChangedFile],
) -> Result<Section, Error> {
    let mut section = Section::new(Stage::Imports);
    if let Some(language) = rules.language {
        let subject = Subject {
            language,
            tree: merged,
            base,
            changed,
            shell: &stand.shell,
            is_installed: stand.is_installed,
        };
        let checked = imports::check(&subject).await?;
        if stand.shell.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        section.said = checked.said;
        section.findings = checked.findings;
        for package in &checked.not_installed {
            let text = format!("{package} is declared, and not installed");
            section.findings.push(Finding::warning(Rule::DependenciesNotInstalled, text));
        }
        section.said.extend(checked.unchecked.iter().map(|what| format!("Not checked: {what}")));
        if !checked.not_installed.is_empty() || !checked.unchecked.is_empty() {
            section.state = State::Neutral;
        }
    } else {
        section.state = State::Neutral;
        section.said.push("No language that Booty knows: nothing was compiled.".to_owned());
    }
    if section.has_failures() {
        section.state = State::Failed;
    } else if stand.is_installed {
        check::run(stand, &rules.merged, &mut section).await?;
    }
    section.headline = match section.count(Level::Failure) {
        0 => "nothing is missing".to_owned(),
        failures => plural(failures, "problem"),
    };
    if section.state == State::Neutral && section.count(Level::Failure) == 0 {
        section.headline = "not everything could be checked".to_owned();
    }
    Ok(section)
}
