//! The repository's own check command, beside the language's.

use crate::{
    error::Error,
    report::{Finding, Ran, Rule, Section, State},
    rules::Commands,
    stand::{Stand, plain_script},
};

/// Lines of the output that a finding keeps.
const KEPT_BYTES: usize = 8 * 1024;

/// Runs it in the stand, and says what came of it in the section. Whether it passed.
pub(crate) async fn run(
    stand: &Stand,
    commands: &Commands,
    section: &mut Section,
) -> Result<bool, Error> {
    let Some(command) = &commands.check else { return Ok(true) };
    let run = stand.shell.run(&plain_script(command)).await?;
    if stand.shell.cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    section.runs.push(Ran::of("check", &command.command, &run));
    if run.succeeded() {
        return Ok(true);
    }
    section.state = State::Failed;
    section.findings.push(
        Finding::failure(Rule::CheckFailed, format!("the check command ended with {}", run.end))
            .with_detail(tail(&run.output, KEPT_BYTES)),
    );
    Ok(false)
}

/// The end of a text.
pub(crate) fn tail(text: &str, bytes: usize) -> String {
    let start = text.len().saturating_sub(bytes);
    text.get(text.ceil_char_boundary(start)..).unwrap_or_default().to_owned()
}
