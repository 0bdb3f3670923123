//! One side's tests over the other side's code.

use booty_policy::{CommandSpec, Language};

use super::{Study, files::FileKind, study::File};

/// Fills both overlays.
pub(super) fn fill(
    language: Language,
    files: &[File],
    command: Option<&CommandSpec>,
    out: &mut Study,
) {
    let _ = (language, command);
    for file in files {
        match file.kind {
            FileKind::Test | FileKind::TestConfig | FileKind::Shadow => {
                out.base_tests_on_head.push((file.path.clone(), file.base_text.clone()));
                out.head_tests_on_base.push((file.path.clone(), file.head_text.clone()));
            }
            FileKind::Mixed | FileKind::Docs | FileKind::Code => {}
        }
    }
}
