//! The dependencies: what the tests need must be there before they run, and nothing but registries may
//! be reached for it.

use std::time::Duration;

use booty_policy::{Language, RegistryName, detect::manifests_and_locks};
use booty_setup::{Kind, NotInstalled, SetupError, SetupOutcome, SetupStep};

use crate::{
    change::{ChangeKind, ChangedFile},
    error::Error,
    judge::{Judge, Order},
    report::{Finding, Ran, Rule, Section, Stage, State},
    rules::{Commands, Rules},
    shell::Shell,
    stage::{check::tail, policy::plural},
    stand::plain_script,
    view::SideView,
};

/// Whose caches everybody may use: what was merged is trusted by everybody.
pub(crate) const BASE_SCOPE: &str = "base";
/// Bytes of the output that a finding keeps.
const KEPT_BYTES: usize = 8 * 1024;
/// Compiling a package from source takes minutes.
const LONGEST: Duration = Duration::from_secs(20 * 60);

/// What setup came to.
pub(crate) struct Installed {
    pub(crate) section: Section,
    pub(crate) is_there: bool,
}

/// Runs the setup command, and lets the shell have what it installed.
///
/// `scope` says whose cache it fills: the tree's own code runs in a setup step, so that a cache is as
/// trustworthy as the tree.
pub(crate) async fn run(
    judge: &Judge,
    order: &Order<'_>,
    rules: &Rules,
    commands: &Commands,
    scope: &str,
    shell: &mut Shell,
) -> Result<Installed, Error> {
    let mut section = Section::new(Stage::Setup);
    let Some(spec) = &commands.setup else {
        section.state = State::Skipped;
        section.headline = "nothing to install".to_owned();
        return Ok(Installed { section, is_there: true });
    };
    let mut command = shell.command(&plain_script(spec));
    if spec.timeout.is_none() {
        command.limits.wall = LONGEST;
        command.limits.cpu = LONGEST;
    }
    let step = SetupStep {
        command,
        kinds: kinds(rules),
        repo: order.repository.to_owned(),
        scope: scope.to_owned(),
        also_from: vec![BASE_SCOPE.to_owned()],
    };
    let outcome = judge.setup.run(&shell.sandbox, &step, &shell.cancel).await;
    match outcome.map_err(explain)? {
        SetupOutcome::Installed(installed) => {
            section.runs.push(Ran::of("setup", &spec.command, &installed.result));
            section.headline = match installed.cache_hit {
                true => "installed from the cache, without the network".to_owned(),
                false => "installed".to_owned(),
            };
            if !installed.reached.is_empty() {
                let hosts: Vec<String> =
                    installed.reached.iter().map(|one| one.host.to_string()).collect();
                section.said.push(format!("Reached through the proxy: {}.", hosts.join(", ")));
            }
            refused(&mut section, &installed.refused);
            shell.after = installed.after().clone();
            Ok(Installed { section, is_there: true })
        }
        SetupOutcome::NotInstalled(not) => {
            not_installed(&mut section, &spec.command, not);
            Ok(Installed { section, is_there: false })
        }
    }
}

/// Whether both trees want the very same packages, installed in the same way.
pub(crate) fn is_same(rules: &Rules, merged: &SideView, changed: &[ChangedFile]) -> bool {
    let command = |commands: &Commands| commands.setup.as_ref().map(|setup| setup.command.clone());
    let (Some(language), Some(base)) = (rules.language, command(&rules.base)) else { return false };
    if command(&rules.merged) != Some(base) {
        return false;
    }
    let deciding = manifests_and_locks(language, merged);
    // A deleted file may have been one of them.
    changed.iter().all(|file| file.kind != ChangeKind::Deleted && !deciding.contains(&file.path))
}

fn not_installed(section: &mut Section, script: &str, not: NotInstalled) {
    section.state = State::Neutral;
    section.headline = format!("dependencies not installed: {}", not.why);
    let mut finding = Finding::warning(
        Rule::DependenciesNotInstalled,
        "what the tests need is not there, so nothing can be said by running them",
    );
    if let Some(result) = &not.result {
        section.runs.push(Ran::of("setup", script, result));
        finding = finding.with_detail(tail(&result.output, KEPT_BYTES));
    }
    section.findings.push(finding);
    refused(section, &not.refused);
    section.said.extend(not.notes);
}

fn refused(section: &mut Section, refused: &[booty_setup::Refused]) {
    if !refused.is_empty() {
        let mut asked: Vec<String> = refused.iter().map(|one| one.asked.clone()).collect();
        asked.sort();
        asked.dedup();
        let list = asked.into_iter().take(10).collect::<Vec<_>>().join("; ");
        section.said.push(format!(
            "{} refused by the proxy: {list}. The operator's SETUP_REGISTRY_HOSTS can allow a host.",
            plural(refused.len(), "request")
        ));
    }
}

/// Whose registries may be reached: the file's word, else those of the language.
fn kinds(rules: &Rules) -> Vec<Kind> {
    let registries = rules.config.network.registries(rules.language);
    registries.into_iter().map(kind).collect()
}

fn kind(name: RegistryName) -> Kind {
    match name {
        name if name == RegistryName::of(Language::Python) => Kind::Python,
        name if name == RegistryName::of(Language::Node) => Kind::Node,
        name if name == RegistryName::of(Language::Rust) => Kind::Rust,
        _ => Kind::Go,
    }
}

fn explain(error: SetupError) -> Error {
    match error {
        SetupError::Cancelled => Error::Cancelled,
        SetupError::Sandbox(error) => Error::Sandbox(error),
        error => Error::Setup(error),
    }
}
