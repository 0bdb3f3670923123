//! The small repository that the demo repairs, and the answers of its scripted model.

/// owner/name on the simulated GitHub.
pub(super) const NAME: &str = "octo/intervals";
/// The issue.
pub(super) const ISSUE_TITLE: &str = "total() is too small when one interval lies inside another";
pub(super) const ISSUE_BODY: &str = include_str!("../../demo/issue.md");
/// `MODEL=script:…`
pub(super) const SCRIPT: &str = include_str!("../../demo/script.yaml");
/// The line that only a right repair has.
pub(super) const REPAIR: &str =
    "+            merged[-1] = (merged[-1][0], max(merged[-1][1], end))";

/// Path, content and mode of every file.
pub(super) const FILES: [(&str, &str, &str); 3] = [
    ("README.md", include_str!("../../demo/repository/README.md"), "100644"),
    ("intervals.py", include_str!("../../demo/repository/intervals.py"), "100644"),
    ("test_intervals.py", include_str!("../../demo/repository/test_intervals.py"), "100644"),
];
