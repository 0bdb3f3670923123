//! A job's two checkouts, and what the repository says about how to work in it.

use std::collections::BTreeMap;

use booty_events::{IssueNumber, v1::BaseChosen};
use booty_policy::{
    CommandSpec, Config, FileCommand, Runner, TreeView, detect, detect_without_setup, runner_of,
};
use booty_workspace::{Checkout, Remote, Want};
use tokio_util::sync::CancellationToken;

use super::Stop;
use crate::{
    agent::{
        Tree, TreePath,
        protocol::{CommandLine, Commands, FileCommandLine, ONE_TEST, Rules},
    },
    order::Order,
    outcome::Ending,
    shared::{Pause, Shared, chain},
};

/// Bytes of a file that detection looks at.
const MAX_DETECT_BYTES: usize = 256 * 1024;

/// Where a job works.
pub(crate) struct Workplace {
    /// The model's tools write here; the change set is computed from it.
    pub(crate) source: Checkout,
    /// The repository's commands run here.
    pub(crate) run: Checkout,
    pub(crate) config: Config,
    pub(crate) commands: Commands,
    pub(crate) rules: Rules,
    /// Whether the repository has a `.booty.yml` of its own.
    pub(crate) is_configured: bool,
    /// Whether it is Booty's own repository.
    pub(crate) is_own: bool,
}

/// Checks out the source tree: the journalled commit, or the branch's newest.
pub(crate) async fn check_out(
    shared: &Shared,
    order: &Order,
    want: &Want,
    suffix: &str,
    stop: &CancellationToken,
) -> Result<Checkout, Stop> {
    let mut url = shared.settings.git_url.clone();
    let name = format!("{}.git", order.repository.name());
    match url.path_segments_mut() {
        Ok(mut path) => path.pop_if_empty().extend([order.repository.owner(), name.as_str()]),
        Err(()) => return Err(Stop::failed("GITHUB_GIT_URL is no place for repositories")),
    };
    let token = shared.tokens.token(&order.scope()).await.map_err(Pause::from)?;
    let remote = Remote { url, token: Some(token) };
    let key = order.repository.token();
    let folder = format!("{}{suffix}", order.run());
    shared
        .workspaces
        .checkout(&key, &remote, want, &folder, stop.clone())
        .await
        .map_err(|error| refused(&error))
}

/// What a checkout's or change set's error means for the job.
pub(crate) fn refused(error: &booty_workspace::Error) -> Stop {
    use booty_workspace::Error;
    let text = chain(error);
    match error {
        // It may be so each time, and each time costs a whole clone: to be counted.
        Error::TimedOut { .. } | Error::Damaged { .. } => Stop::failed(text),
        _ if error.is_retryable() => Stop::away(text),
        Error::NotFound { .. } => Stop::End(
            Ending::needs_human("not_found", "I can't find what I have to work on.").quoting(text),
        ),
        Error::TooLarge { .. } | Error::Hostile { .. } => Stop::End(
            Ending::needs_human(
                "refused_tree",
                "I can't work in this repository: its tree is too large, or holds what I refuse to \
                 touch.",
            )
            .quoting(text),
        ),
        _ => Stop::failed(text),
    }
}

/// Reads the base's `.booty.yml`, or finds out how the repository is tested.
pub(crate) async fn prepare(
    shared: &Shared,
    order: &Order,
    base: &BaseChosen,
    source: Checkout,
    stop: &CancellationToken,
) -> Result<Workplace, Stop> {
    let (config, is_configured) = config(&source, &base.branch, None).await?;
    let want = Want::Commit { branch: base.branch.clone(), sha: base.sha.clone() };
    let run = check_out(shared, order, &want, "-run", stop).await?;
    let commands = commands(&source, &config)?;
    let rules = rules(&source, &config, order.follow_up.is_some())?;
    let is_own = is_own(&source).await?;
    Ok(Workplace { source, run, config, commands, rules, is_configured, is_own })
}

/// What the repository says about itself, or what was detected; and whether it says anything. `instead` is
/// read in place of the base's own file.
pub(crate) async fn config(
    source: &Checkout,
    branch: &str,
    instead: Option<Vec<u8>>,
) -> Result<(Config, bool), Stop> {
    let file = match instead {
        Some(bytes) => Some(bytes),
        None => source
            .base_content(Config::FILE_NAME.as_bytes())
            .await
            .map_err(|error| refused(&error))?,
    };
    let Some(bytes) = file else { return Ok((detected(&view(source)?), false)) };
    let config = Config::parse(&bytes).map_err(|errors| {
        let sentence = format!(
            "`{}` on `{}` can't be used; please correct it:",
            Config::FILE_NAME,
            branch.replace('`', "")
        );
        Stop::End(Ending::needs_human("bad_config", sentence).quoting(errors.to_string()))
    })?;
    Ok((config, true))
}

/// The commands of a job.
pub(crate) fn commands(source: &Checkout, config: &Config) -> Result<Commands, Stop> {
    Ok(Commands {
        setup: config.setup.as_ref().map(line),
        check: config.check.as_ref().map(line),
        test: config.test.as_ref().map(line),
        one_test: one_test(source, config)?,
        format: config.format.as_ref().map(file_line),
        lint: config.lint.as_ref().map(file_line),
    })
}

/// A file that a repository with Booty itself has, and what is in it. By the tree, so that a fork or another
/// name makes no difference.
const OWN_FILE: &str = "crates/builder/Cargo.toml";
const OWN_NAME: &str = "name = \"booty-builder\"";

/// Whether the base is Booty's own code: what is changed there is who judges the next change.
pub(crate) async fn is_own(source: &Checkout) -> Result<bool, Stop> {
    let file = source.base_content(OWN_FILE.as_bytes()).await.map_err(|error| refused(&error))?;
    Ok(file.is_some_and(|bytes| {
        String::from_utf8_lossy(&bytes).lines().any(|line| line.trim() == OWN_NAME)
    }))
}

/// The rounds that a job has: the repository may lower the operator's number.
pub(crate) fn rounds(config: &Config, is_configured: bool, operator: u32) -> u32 {
    if is_configured { operator.min(config.builder.rounds.max(1)) } else { operator }
}

impl Workplace {
    pub(crate) fn rounds(&self, operator: u32) -> u32 {
        rounds(&self.config, self.is_configured, operator)
    }

    /// Removes both folders. A failure is logged and no more: the next start sweeps what is left.
    pub(crate) async fn close(self) {
        for checkout in [self.source, self.run] {
            if let Err(error) = checkout.close().await {
                tracing::warn!(event = "workspace_left", error = %chain(&error));
            }
        }
    }
}

/// How one test is run: the test command with one argument more, where it is a single command whose
/// runner is known.
fn one_test(source: &Checkout, config: &Config) -> Result<Option<CommandLine>, Stop> {
    let Some(test) = &config.test else { return Ok(None) };
    let runner = runner_of(config.language, test, &view(source)?);
    Ok(one_test_script(&test.command, runner).map(|script| CommandLine { script, ..line(test) }))
}

fn one_test_script(command: &str, runner: Runner) -> Option<String> {
    let command = command.trim();
    let is_single = !command.contains(['\n', ';', '|', '&', '<', '>', '`', '#', '$', '(', ')']);
    // What npm and make call is given arguments in ways of its own.
    let first = command.split_whitespace().find(|word| !word.contains('='))?;
    let is_direct =
        !matches!(first, "npm" | "yarn" | "pnpm" | "bun" | "make" | "tox" | "nox" | "just");
    if !is_single || !is_direct {
        return None;
    }
    let name = format!("\"${ONE_TEST}\"");
    Some(match runner {
        Runner::Pytest | Runner::Unittest => format!("{command} -k {name}"),
        Runner::CargoTest | Runner::Nextest => format!("{command} {name}"),
        Runner::Jest | Runner::Vitest => format!("{command} -t {name}"),
        Runner::GoTest => format!("{command} -run {name}"),
        Runner::NodeTest => {
            let pattern = format!("--test --test-name-pattern={name}");
            let words = command.split(' ').map(|word| match word {
                "--test" => pattern.as_str(),
                word => word,
            });
            words.collect::<Vec<_>>().join(" ")
        }
        Runner::Mocha => format!("{command} -g {name}"),
        Runner::Other => return None,
    })
}

fn view(source: &Checkout) -> Result<View<'_>, Stop> {
    let tree = Tree::open(source.work_tree())
        .map_err(|error| Stop::away(format!("the checkout can't be read: {error}")))?;
    Ok(View { tree, source })
}

/// What decides beside the commands, as the verifier finds it.
pub(crate) fn rules(source: &Checkout, config: &Config, is_follow_up: bool) -> Result<Rules, Stop> {
    let view = view(source)?;
    let language = config.language.or_else(|| detect(&view).map(|found| found.language));
    let test = config.test.as_ref();
    Ok(Rules {
        language,
        runner: test.map_or(Runner::Other, |test| runner_of(language, test, &view)),
        // What a follow-up has to be compared with is the base of its pull request, which is not here.
        asks_for_tests: config.builder.generate_tests && !is_follow_up,
        protect: config.protect.patterns.clone(),
    })
}

fn detected(view: &View<'_>) -> Config {
    // The sandbox of a job has no network, so that what a setup would install must be there.
    let found = detect_without_setup(view);
    if let Some(found) = &found {
        tracing::info!(event = "commands_detected", what = found.what);
    }
    match found {
        Some(found) => Config {
            language: Some(found.language),
            check: found.check,
            test: found.test,
            ..Config::default()
        },
        None => Config::default(),
    }
}

struct View<'a> {
    tree: Tree,
    source: &'a Checkout,
}

impl TreeView for View<'_> {
    fn paths(&self) -> Box<dyn Iterator<Item = String> + '_> {
        let files = self.source.files().iter();
        Box::new(files.filter_map(|file| String::from_utf8(file.path.clone()).ok()))
    }

    fn read(&self, path: &str) -> Option<String> {
        let path = TreePath::parse(path).ok()?;
        String::from_utf8(self.tree.read(&path, MAX_DETECT_BYTES).ok()?).ok()
    }
}

fn line(spec: &CommandSpec) -> CommandLine {
    CommandLine {
        script: spec.command.clone(),
        timeout_s: spec.timeout.map(|timeout| timeout.as_secs().max(1)),
        directory: spec.directory.clone(),
        env: spec.env.clone().into_iter().collect::<BTreeMap<_, _>>(),
    }
}

fn file_line(spec: &FileCommand) -> FileCommandLine {
    FileCommandLine { line: line(&spec.command), files: spec.files.clone() }
}

/// Whether a text refers to an issue: `#7`, and not `#77`.
pub(crate) fn mentions(text: &str, issue: IssueNumber) -> bool {
    let wanted = format!("#{issue}");
    text.match_indices(&wanted).any(|(at, _)| {
        let next = text.get(at + wanted.len()..).and_then(|rest| rest.chars().next());
        next.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::Pause;

    #[test]
    fn what_may_be_so_for_ever_counts_and_an_absent_network_does_not() {
        use booty_workspace::Error;
        let (repo, what) = ("o/r".to_owned(), "x".to_owned());
        for error in [
            Error::TimedOut { limit: std::time::Duration::from_secs(300) },
            Error::Damaged { repo, what: what.clone() },
        ] {
            assert!(matches!(refused(&error), Stop::Pause(Pause::Failed { .. })), "{error}");
        }
        let error = Error::Network { what, source: None };
        assert!(matches!(refused(&error), Stop::Pause(Pause::Away { .. })), "{error}");
    }

    #[test]
    fn one_test_is_run_where_it_is_known_how() {
        for (command, runner, expected) in [
            (
                "python3 -m pytest -q",
                Runner::Pytest,
                Some("python3 -m pytest -q -k \"$BOOTY_ONE_TEST\""),
            ),
            (
                "CI=1 go test ./...",
                Runner::GoTest,
                Some("CI=1 go test ./... -run \"$BOOTY_ONE_TEST\""),
            ),
            (
                "node --test-reporter=spec --test",
                Runner::NodeTest,
                Some("node --test-reporter=spec --test --test-name-pattern=\"$BOOTY_ONE_TEST\""),
            ),
            (
                "node --test a/",
                Runner::NodeTest,
                Some("node --test --test-name-pattern=\"$BOOTY_ONE_TEST\" a/"),
            ),
            ("npm test", Runner::Jest, None),
            ("a && pytest", Runner::Pytest, None),
            ("./run", Runner::Other, None),
        ] {
            assert_eq!(one_test_script(command, runner).as_deref(), expected, "{command}");
        }
    }

    #[test]
    fn an_issue_is_mentioned_by_its_whole_number() {
        let seven = IssueNumber::new(7).unwrap();
        for (text, expected) in
            [("Fixes #7", true), ("see #7.", true), ("#77", false), ("#7a", false), ("7", false)]
        {
            assert_eq!(mentions(text, seven), expected, "{text}");
        }
    }
}
