//! The dependencies: what the tests need must be there before they run, and nothing but registries may
//! be reached for it.

use crate::{
    error::Error,
    judge::{Judge, Order},
    report::{Finding, Ran, Rule, Section, Stage, State},
    rules::Commands,
    shell::Shell,
    stage::check::tail,
    stand::plain_script,
};

/// What all trees of one judgement share.
#[derive(Debug, Default)]
pub(crate) struct Plan {}

/// What setup came to.
pub(crate) struct Installed {
    pub(crate) section: Section,
    pub(crate) is_there: bool,
}

/// Runs the setup command, and lets the shell have what it installed.
pub(crate) async fn run(
    _judge: &Judge,
    _order: &Order<'_>,
    commands: &Commands,
    _plan: &Plan,
    shell: &mut Shell,
) -> Result<Installed, Error> {
    let mut section = Section::new(Stage::Setup);
    let Some(command) = &commands.setup else {
        section.state = State::Skipped;
        section.headline = "nothing to install".to_owned();
        return Ok(Installed { section, is_there: true });
    };
    let run = shell.run(&plain_script(command)).await?;
    if shell.cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    section.runs.push(Ran::of("setup", &command.command, &run));
    let is_there = run.succeeded();
    if is_there {
        section.headline = "installed".to_owned();
    } else {
        section.state = State::Neutral;
        section.headline = "dependencies not installed".to_owned();
        let text = format!("the setup command ended with {}", run.end);
        section.findings.push(
            Finding::warning(Rule::DependenciesNotInstalled, text)
                .with_detail(tail(&run.output, 8 * 1024)),
        );
    }
    Ok(Installed { section, is_there })
}
