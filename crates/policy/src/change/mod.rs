//! What a change may touch.

mod path;
mod protected;
mod violation;

pub use protected::{ALWAYS_PROTECTED, InvalidPattern, PatternList, Protected};
pub use violation::{Rule, Violation};

use path::{link_target, normal_path};
use protected::Match;

/// A file's mode, as Git knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// 100644
    Regular,
    /// 100755
    Executable,
    /// 120000
    Symlink,
    /// 160000
    Submodule,
    /// A FIFO, a socket, a device, or a mode that Git does not write.
    Other(u32),
}

/// What happened to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Added,
    /// Content or mode is another.
    Changed,
    /// It is not there any more.
    Deleted,
    /// It was elsewhere. Both names are checked.
    Renamed {
        /// Its name before.
        from: Vec<u8>,
    },
}

/// One path of a change, as computed from the two trees and never as told by a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPath {
    /// Relative to the work tree, `/` between components.
    pub path: Vec<u8>,
    /// What happened to it.
    pub change: Change,
    /// Its mode before, unless added.
    pub old_mode: Option<FileMode>,
    /// Its mode now, unless deleted.
    pub new_mode: Option<FileMode>,
    /// Lines that were added.
    pub added_lines: u64,
    /// Lines that were removed.
    pub deleted_lines: u64,
    /// Size of the content now; 0 when deleted.
    pub bytes: u64,
    /// Whether the content before or now is not text.
    pub binary: bool,
    /// Where the symlink points to now, when it is one.
    pub symlink_target: Option<Vec<u8>>,
}

/// How large a change may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffLimits {
    /// Changed paths.
    pub files: u64,
    /// Added and deleted lines together.
    pub lines: u64,
    /// Bytes of all new contents together.
    pub bytes: u64,
    /// Whether binary files may change.
    pub binaries: bool,
    /// Whether the executable bit may change, or a file become a link.
    pub modes: bool,
}

impl DiffLimits {
    /// What one person reviews in one sitting.
    pub const FILES: u64 = 30;
    /// Reviews find little above a few hundred lines; tests and fixtures come on top.
    pub const LINES: u64 = 1_500;
    /// The files of such a change as a whole, not only their changed lines.
    pub const BYTES: u64 = 1024 * 1024;
}

impl Default for DiffLimits {
    fn default() -> Self {
        Self {
            files: Self::FILES,
            lines: Self::LINES,
            bytes: Self::BYTES,
            binaries: false,
            modes: false,
        }
    }
}

/// Above this nobody reads on.
const MAX_VIOLATIONS: usize = 100;

/// Judges a change. All violations are listed, at most 100, with those first that refuse it. A change
/// that has none but warnings (`Violation::only_warns`) is an `Err` all the same, so that nobody
/// overlooks them.
pub fn check_change(
    paths: &[ChangedPath],
    limits: &DiffLimits,
    protected: &Protected,
) -> Result<(), Vec<Violation>> {
    let mut violations = check_totals(paths, limits);
    let mut warnings = Vec::new();
    for path in paths {
        // However many warnings there are, what refuses the change is found.
        if violations.len() >= MAX_VIOLATIONS {
            break;
        }
        for violation in check_path(path, limits, protected) {
            match violation.only_warns {
                false => violations.push(violation),
                true if warnings.len() < MAX_VIOLATIONS => warnings.push(violation),
                true => {}
            }
        }
    }
    violations.append(&mut warnings);
    violations.truncate(MAX_VIOLATIONS);
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

fn check_totals(paths: &[ChangedPath], limits: &DiffLimits) -> Vec<Violation> {
    let sum = |of: fn(&ChangedPath) -> u64| paths.iter().map(of).fold(0, u64::saturating_add);
    let totals = [
        ("files", paths.len() as u64, limits.files),
        ("lines", sum(|path| path.added_lines.saturating_add(path.deleted_lines)), limits.lines),
        ("bytes", sum(|path| path.bytes), limits.bytes),
    ];
    totals
        .into_iter()
        .filter(|(_, found, limit)| found > limit)
        .map(|(what, found, limit)| Violation::whole(Rule::TooMany { what, found, limit }))
        .collect()
}

fn check_path(changed: &ChangedPath, limits: &DiffLimits, protected: &Protected) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut report = |path: &[u8], rule, only_warns| {
        violations.push(Violation::at(path, rule, only_warns));
    };
    let mut names = vec![&changed.path];
    if let Change::Renamed { from } = &changed.change {
        names.push(from);
    }
    for name in names {
        match normal_path(name) {
            Err(why) => report(name, Rule::Unsafe(why), false),
            Ok(normal) => {
                if let Some(Match { pattern, list, only_warns }) = protected.pattern_for(&normal) {
                    report(name, Rule::Protected { pattern: pattern.to_owned(), list }, only_warns);
                }
            }
        }
    }
    if let Some(rule) = mode_rule(changed, limits) {
        report(&changed.path, rule, false);
    }
    if changed.binary && !limits.binaries {
        report(&changed.path, Rule::Binary, false);
    }
    if changed.new_mode == Some(FileMode::Symlink) || changed.symlink_target.is_some() {
        let target = changed.symlink_target.as_deref().unwrap_or_default();
        if let Some((rule, only_warns)) = link_rule(&changed.path, target, protected) {
            report(&changed.path, rule, only_warns);
        }
    }
    violations
}

fn mode_rule(changed: &ChangedPath, limits: &DiffLimits) -> Option<Rule> {
    let odd = [changed.old_mode, changed.new_mode]
        .into_iter()
        .flatten()
        .find(|mode| matches!(mode, FileMode::Submodule | FileMode::Other(_)));
    if let Some(mode) = odd {
        return Some(Rule::Kind(mode));
    }
    let changes_mode = match (changed.old_mode, changed.new_mode) {
        (Some(old), Some(new)) => old != new,
        (None, Some(new)) => new == FileMode::Executable,
        (_, None) => false,
    };
    (changes_mode && !limits.modes).then_some(Rule::Mode)
}

/// A link must stay in the tree, and neither lead to a protected path nor through one. With the rule
/// comes whether it is only said.
fn link_rule(link: &[u8], target: &[u8], protected: &Protected) -> Option<(Rule, bool)> {
    let lead = match link_target(link, target) {
        Err(why) => return Some((Rule::Unsafe(why), false)),
        Ok(None) => return None,
        Ok(Some(lead)) => lead,
    };
    // On the way there a `..` may have taken away what the link goes through.
    let through: Vec<u8> =
        target.split(|byte| matches!(byte, b'/' | b'\\')).fold(Vec::new(), |mut way, part| {
            if !matches!(part, b"" | b"." | b"..") {
                way.extend(if way.is_empty() { b"".as_slice() } else { b"/" });
                way.extend(part);
            }
            way
        });
    let mut warning = None;
    for path in [lead, through] {
        if path.is_empty() {
            continue;
        }
        match normal_path(&path) {
            Err(why) => return Some((Rule::LinkTo { why: why.to_owned(), list: None }, false)),
            Ok(normal) => {
                let Some(Match { pattern, list, only_warns }) = protected.pattern_for(&normal)
                else {
                    continue;
                };
                let why = format!("is protected by `{pattern}`");
                let rule = Rule::LinkTo { why, list: Some(list) };
                if !only_warns {
                    return Some((rule, false));
                }
                warning = Some((rule, true));
            }
        }
    }
    warning
}

#[cfg(test)]
mod tests;
