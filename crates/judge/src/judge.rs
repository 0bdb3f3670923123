//! From two trees to a report: the stages one after the other.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use booty_policy::Config;
use booty_sandbox::{Limits, Sandbox};
use booty_setup::Setup;
use booty_workspace::{ChangeKind as Kind, Proposal, Side};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    change::{ChangeKind, ChangedFile},
    error::Error,
    evidence::Study,
    report::{Conclusion, Finding, Report, Rule, Section, Stage, State, VERSION, millis},
    rules::Rules,
    stage::{evidence, imports, policy, setup, tests},
    stand::{Stand, Wanted, not_reached},
    view::SideView,
};

/// What every judgement on this machine shares. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Judge {
    /// Where all code of repositories runs.
    pub sandbox: Sandbox,
    /// What installs dependencies.
    pub setup: Setup,
    /// Given to every command: the operator's toolchains need some.
    pub env: BTreeMap<String, String>,
    /// Limits of a command that names none.
    pub limits: Limits,
    /// Where folders for reports are made.
    pub scratch: PathBuf,
}

/// One judgement that is wanted.
pub struct Order<'a> {
    /// What is judged.
    pub proposal: &'a Proposal,
    /// Which repository it is of: dependencies are kept by it.
    pub repository: &'a str,
    /// Whose change it is: no two may fill one cache.
    pub scope: &'a str,
    /// Its job's folders start with this: letters, digits, `_`, `-` and `.` only.
    pub name: &'a str,
    /// Somebody's word that limits and protected paths need not hold.
    pub waiver: Option<Waiver>,
    /// Ends everything.
    pub cancel: CancellationToken,
    /// Told of each stage as it begins.
    pub progress: &'a (dyn Fn(Stage) + Sync),
}

/// A waiver label that counts: who asks has looked at who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The label.
    pub label: String,
    /// Who gave it.
    pub by: String,
}

/// A merge that cannot be made is judged by that alone.
pub fn conflict(base: &str, head: &str, paths: &[Vec<u8>]) -> Report {
    let mut section = Section::new(Stage::Merge);
    section.state = State::Failed;
    section.headline = format!("{} conflict with the base", policy::plural(paths.len(), "file"));
    section.findings = paths
        .iter()
        .map(|path| {
            let path = String::from_utf8_lossy(path).into_owned();
            let text = format!("{path} was changed on both sides; merge or rebase by hand");
            Finding::failure(Rule::MergeConflict, text).at(path, 1)
        })
        .collect();
    let mut report = Report {
        version: VERSION,
        conclusion: Conclusion::Failure,
        title: String::new(),
        base: base.to_owned(),
        head: head.to_owned(),
        merged_tree: None,
        commands: "Nothing was run.".to_owned(),
        sections: vec![section],
        duration_ms: 0,
    };
    report.title = title(&report);
    report
}

impl Judge {
    /// Judges a proposal, stage by stage.
    ///
    /// # Errors
    /// When nothing can be said of the change: no sandbox, no trees, or called off.
    pub async fn judge(&self, order: &Order<'_>) -> Result<Report, Error> {
        let started = Instant::now();
        let proposal = order.proposal;
        let base = SideView::new(proposal, Side::Base);
        let merged = SideView::new(proposal, Side::Merged);
        let mut report = Report {
            version: VERSION,
            conclusion: Conclusion::Neutral,
            title: String::new(),
            base: proposal.base().to_owned(),
            head: proposal.head().to_owned(),
            merged_tree: Some(proposal.merged_tree().to_owned()),
            commands: String::new(),
            sections: Vec::new(),
            duration_ms: 0,
        };
        match Rules::read(&base, &merged) {
            Ok(rules) => {
                report.commands.clone_from(&rules.said);
                report.sections = Box::pin(self.stages(order, &rules, &base, &merged)).await?;
            }
            Err(errors) => {
                let mut section = Section::new(Stage::Policy);
                section.state = State::Neutral;
                section.headline = format!("`{}` on the base is broken", Config::FILE_NAME);
                section.findings.push(
                    Finding::warning(
                        Rule::ConfigInvalid,
                        "the base's file rules, and can't be read",
                    )
                    .with_detail(errors.to_string()),
                );
                report.commands = "Nothing was run: what to run can't be read.".to_owned();
                report.sections.push(section);
            }
        }
        report.conclusion = conclude(&report.sections);
        report.title = title(&report);
        report.duration_ms = millis(started.elapsed());
        Ok(report)
    }

    async fn stages(
        &self,
        order: &Order<'_>,
        rules: &Rules,
        base: &SideView,
        merged: &SideView,
    ) -> Result<Vec<Section>, Error> {
        let proposal = order.proposal;
        let changed = changed_files(proposal);
        let mut sections = Vec::new();

        let policy = stage(order, Stage::Policy, async {
            let proposed = proposed_config(proposal, &changed).await?;
            let waiver = order.waiver.as_ref();
            let (changes, submodules) = (proposal.changes(), proposal.changed_submodules());
            Ok(policy::judge(changes, submodules, rules, proposed.as_deref(), waiver))
        });
        sections.push(policy.await?);

        let study = evidence::study(rules, base, merged, &changed).await?;
        let stands = stage_with(order, Stage::Setup, async {
            // What the base's cache holds serves the change too, and never the other way round.
            let first = match setup::is_same(rules, merged, &changed) {
                true => Some(Stand::prepare(self, order, rules, base_wanted(order, rules)).await?),
                false => None,
            };
            let wanted = Wanted {
                proposal,
                side: Side::Merged,
                name: format!("{}-head", order.name),
                overlay: &[],
                commands: &rules.merged,
            };
            let mut stand = Stand::prepare(self, order, rules, wanted).await?;
            let section = std::mem::replace(&mut stand.setup, Section::new(Stage::Setup));
            Ok((section, (stand, first)))
        });
        let (section, (stand, mut first)) = stands.await?;
        sections.push(section);

        let rest =
            Box::pin(self.on(order, rules, &stand, &mut first, (base, merged), &changed, study))
                .await;
        stand.close().await;
        if let Some(base) = first {
            base.close().await;
        }
        sections.extend(rest?);
        Ok(sections)
    }

    /// The stages that need a tree to run in.
    #[allow(clippy::too_many_arguments, reason = "one caller, which owns all of it")]
    async fn on(
        &self,
        order: &Order<'_>,
        rules: &Rules,
        stand: &Stand,
        base_stand: &mut Option<Stand>,
        (base, merged): (&SideView, &SideView),
        changed: &[ChangedFile],
        study: Option<Study>,
    ) -> Result<Vec<Section>, Error> {
        let checked =
            stage(order, Stage::Imports, imports::judge(rules, stand, base, merged, changed));
        let checked = Box::pin(checked).await?;
        let obstacle = if checked.has_failures() {
            Some("not run: the change does not compile or import")
        } else if !stand.is_installed {
            Some("not run: dependencies not installed")
        } else {
            None
        };
        let mut tested = match obstacle {
            Some(why) => tests::Tested { section: not_reached(Stage::Tests, why), run: None },
            None => {
                let tested = stage_with(order, Stage::Tests, async {
                    let tested = tests::judge(self, rules, stand).await?;
                    Ok((tested.section, tested.run))
                });
                let (section, run) = tested.await?;
                tests::Tested { section, run }
            }
        };
        let mut sections = vec![checked];
        let Some(study) = study else {
            sections.push(tested.section);
            sections.push(not_reached(Stage::Evidence, "no language that Booty knows"));
            return Ok(sections);
        };
        let evidenced = stage_with(order, Stage::Evidence, async {
            let material = evidence::Material {
                judge: self,
                order,
                rules,
                study: &study,
                stand,
                views: (base, merged),
                head: tested.run.as_ref(),
            };
            let evidenced = evidence::judge(&material, base_stand).await?;
            Ok((evidenced.section, evidenced.only_pre_existing))
        });
        let (evidence, only_pre_existing) = Box::pin(evidenced).await?;
        if only_pre_existing {
            tested.section.state = State::Neutral;
            tested.section.headline += "; all of them fail on the base already";
            for finding in &mut tested.section.findings {
                finding.level = crate::report::Level::Notice;
                finding.rule = Rule::PreExistingFailure;
            }
        }
        sections.push(tested.section);
        sections.push(evidence);
        Ok(sections)
    }
}

/// The base as it is.
pub(crate) fn base_wanted<'a>(order: &'a Order<'_>, rules: &'a Rules) -> Wanted<'a> {
    Wanted {
        proposal: order.proposal,
        side: Side::Base,
        name: format!("{}-base", order.name),
        overlay: &[],
        commands: &rules.base,
    }
}

/// Runs a stage in its own span, and times it.
async fn stage(
    order: &Order<'_>,
    stage: Stage,
    work: impl Future<Output = Result<Section, Error>>,
) -> Result<Section, Error> {
    // Boxed: what a stage holds is large, and would be copied around with its caller's.
    let work = Box::pin(async { Ok((work.await?, ())) });
    Ok(stage_with(order, stage, work).await?.0)
}

async fn stage_with<T>(
    order: &Order<'_>,
    stage: Stage,
    work: impl Future<Output = Result<(Section, T), Error>>,
) -> Result<(Section, T), Error> {
    if order.cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    (order.progress)(stage);
    let started = Instant::now();
    let span =
        tracing::info_span!("judge.stage", stage = stage.as_str(), state = tracing::field::Empty);
    let (mut section, more) = Box::pin(work.instrument(span.clone())).await?;
    section.duration_ms = millis(started.elapsed());
    span.record("state", tracing::field::debug(section.state));
    tracing::info!(
        event = "stage_ended",
        stage = stage.as_str(),
        state = ?section.state,
        duration_ms = section.duration_ms,
    );
    Ok((section, more))
}

fn changed_files(proposal: &Proposal) -> Vec<ChangedFile> {
    let file = |change: &booty_workspace::Change| {
        let kind = match change.kind {
            Kind::Added => ChangeKind::Added,
            Kind::Modified => ChangeKind::Modified,
            Kind::Deleted => ChangeKind::Deleted,
            // The same bytes: nothing to analyse.
            Kind::ModeChanged => return None,
        };
        Some(ChangedFile { path: String::from_utf8(change.path.clone()).ok()?, kind })
    };
    proposal.changes().changes.iter().filter_map(file).collect()
}

async fn proposed_config(
    proposal: &Proposal,
    changed: &[ChangedFile],
) -> Result<Option<String>, Error> {
    let is_changed =
        |file: &ChangedFile| file.path == Config::FILE_NAME && file.kind != ChangeKind::Deleted;
    if !changed.iter().any(is_changed) {
        return Ok(None);
    }
    let content = proposal.content(Side::Merged, Config::FILE_NAME.as_bytes()).await?;
    Ok(content.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn conclude(sections: &[Section]) -> Conclusion {
    let has = |state| sections.iter().any(|section: &Section| section.state == state);
    if has(State::Failed) {
        Conclusion::Failure
    } else if has(State::Neutral) {
        Conclusion::Neutral
    } else {
        Conclusion::Success
    }
}

fn title(report: &Report) -> String {
    let of = |state| {
        let stages = report.sections.iter().filter(move |section| section.state == state);
        stages.map(|section| section.stage.title().to_lowercase()).collect::<Vec<_>>().join(", ")
    };
    match report.conclusion {
        Conclusion::Success => {
            let tests = report.section(Stage::Tests).map(|tests| tests.headline.clone());
            tests
                .filter(|tests| !tests.is_empty())
                .unwrap_or_else(|| "all stages passed".to_owned())
        }
        Conclusion::Neutral => format!("could not be judged in full: {}", of(State::Neutral)),
        Conclusion::Failure => format!("failed: {}", of(State::Failed)),
    }
}

/// How long a judgement may take altogether, for who watches over them: every command's longest time,
/// for every tree.
pub const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);
