//! What the change touches, and how large it is.

use booty_policy::{
    Change as PolicyChange, ChangedPath, Config, FileMode, Violation, check_change,
};
use booty_workspace::{Change, ChangeSet};

use crate::{
    judge::Waiver,
    report::{Finding, Level, Rule, Section, Stage, State},
    rules::Rules,
};

/// Judges the change set by the base's limits and protected paths.
pub(crate) fn judge(
    changes: &ChangeSet,
    submodules: &[Vec<u8>],
    rules: &Rules,
    proposed_config: Option<&str>,
    waiver: Option<&Waiver>,
) -> Section {
    let mut section = Section::new(Stage::Policy);
    let mut paths: Vec<ChangedPath> = changes.changes.iter().map(ChangedPath::from).collect();
    paths.extend(submodules.iter().map(|path| submodule(path)));
    let violations = check_change(&paths, &rules.config.limits, &rules.config.protected()).err();
    for violation in violations.into_iter().flatten() {
        section.findings.push(finding(&violation));
    }
    section.findings.extend(proposed_config.map(config_finding));
    section.headline = size(changes);
    let (failures, waived) = waive(&mut section, waiver);
    if let (Some(waiver), true) = (waiver, waived > 0) {
        section.said.push(format!(
            "{waived} of these are waived by @{} with the label `{}`.",
            waiver.by, waiver.label
        ));
    }
    if failures > 0 {
        section.state = State::Failed;
        let label = &rules.config.verifier.waiver_label;
        section.headline = format!("{}; {}", section.headline, plural(failures, "violation"));
        section.said.push(format!(
            "Someone with write access can waive limits and protected paths for this head with the \
             label `{label}`."
        ));
    }
    section
}

/// Turns what may be waived into warnings: how many failures are left, and how many were waived.
fn waive(section: &mut Section, waiver: Option<&Waiver>) -> (usize, usize) {
    let mut waived = 0;
    if waiver.is_some() {
        for finding in &mut section.findings {
            // Nobody can make an unsafe path safe, or a broken file whole.
            let may = !matches!(finding.rule, Rule::UnsafePath | Rule::ConfigInvalid);
            if may && finding.level == Level::Failure {
                finding.level = Level::Warning;
                waived += 1;
            }
        }
    }
    (section.count(Level::Failure), waived)
}

fn finding(violation: &Violation) -> Finding {
    let rule = match violation.word() {
        "protected" => Rule::ProtectedPath,
        "link" if violation.pattern_list().is_some() => Rule::ProtectedPath,
        "mode" => Rule::ModeChange,
        "binary" => Rule::BinaryFile,
        "submodule" | "special_file" => Rule::FileKind,
        word if word.starts_with("too_many") => Rule::TooLarge,
        _ => Rule::UnsafePath,
    };
    let finding = match violation.only_warns {
        true => Finding::warning(rule, violation.to_string()),
        false => Finding::failure(rule, violation.to_string()),
    };
    // The name as Git has it, as GitHub finds the file by it.
    let raw = violation.raw_path.as_ref().and_then(|raw| String::from_utf8(raw.clone()).ok());
    match raw.or_else(|| violation.path.clone()) {
        Some(path) => finding.at(path, 1),
        None => finding,
    }
}

/// A changed `.booty.yml` is validated and shown; the base's rules all the same.
fn config_finding(proposed: &str) -> Finding {
    match Config::parse(proposed.as_bytes()) {
        Ok(_) => Finding::notice(
            Rule::ConfigChanged,
            "the change brings another `.booty.yml`; it is valid, and rules from the next change on",
        )
        .at(Config::FILE_NAME, 1),
        Err(errors) => {
            let line = errors.errors.first().map_or(1, |error| error.line);
            Finding::failure(Rule::ConfigInvalid, "the change breaks `.booty.yml`")
                .at(Config::FILE_NAME, u32::try_from(line).unwrap_or(1))
                .with_detail(errors.to_string())
        }
    }
}

fn size(changes: &ChangeSet) -> String {
    let sum = |of: fn(&Change) -> usize| changes.changes.iter().map(of).sum::<usize>();
    format!(
        "{}, {} added and {} removed",
        plural(changes.changes.len(), "file"),
        plural(sum(|change| change.added_lines), "line"),
        sum(|change| change.deleted_lines),
    )
}

pub(crate) fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn submodule(path: &[u8]) -> ChangedPath {
    ChangedPath {
        path: path.to_vec(),
        change: PolicyChange::Changed,
        old_mode: Some(FileMode::Submodule),
        new_mode: Some(FileMode::Submodule),
        added_lines: 0,
        deleted_lines: 0,
        bytes: 0,
        binary: false,
        symlink_target: None,
    }
}
