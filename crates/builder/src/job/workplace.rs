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
        protocol::{CommandLine, Commands, FileCommandLine, Rules},
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
    let file =
        source.base_content(Config::FILE_NAME.as_bytes()).await.map_err(|error| refused(&error))?;
    let is_configured = file.is_some();
    let config = match file {
        Some(bytes) => Config::parse(&bytes).map_err(|errors| {
            let sentence = format!(
                "`{}` on `{}` can't be used; please correct it:",
                Config::FILE_NAME,
                base.branch.replace('`', "")
            );
            Stop::End(Ending::needs_human("bad_config", sentence).quoting(errors.to_string()))
        })?,
        None => detected(&view(&source)?),
    };
    let want = Want::Commit { branch: base.branch.clone(), sha: base.sha.clone() };
    let run = check_out(shared, order, &want, "-run", stop).await?;
    let commands = Commands {
        setup: config.setup.as_ref().map(line),
        check: config.check.as_ref().map(line),
        test: config.test.as_ref().map(line),
        format: config.format.as_ref().map(file_line),
        lint: config.lint.as_ref().map(file_line),
    };
    let rules = rules(&config, &view(&source)?);
    let rules = match order.follow_up {
        None => rules,
        // What it has to be compared with is the base of its pull request, which is not here.
        Some(_) => Rules { asks_for_tests: false, ..rules },
    };
    Ok(Workplace { source, run, config, commands, rules, is_configured })
}

impl Workplace {
    /// Removes both folders. A failure is logged and no more: the next start sweeps what is left.
    pub(crate) async fn close(self) {
        for checkout in [self.source, self.run] {
            if let Err(error) = checkout.close().await {
                tracing::warn!(event = "workspace_left", error = %chain(&error));
            }
        }
    }
}

fn view(source: &Checkout) -> Result<View<'_>, Stop> {
    let tree = Tree::open(source.work_tree())
        .map_err(|error| Stop::away(format!("the checkout can't be read: {error}")))?;
    Ok(View { tree, source })
}

/// As the verifier finds them.
fn rules(config: &Config, view: &View<'_>) -> Rules {
    let language = config.language.or_else(|| detect(view).map(|found| found.language));
    let test = config.test.as_ref();
    Rules {
        language,
        runner: test.map_or(Runner::Other, |test| runner_of(language, test, view)),
        asks_for_tests: config.builder.generate_tests,
        protect: config.protect.patterns.clone(),
    }
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
    fn an_issue_is_mentioned_by_its_whole_number() {
        let seven = IssueNumber::new(7).unwrap();
        for (text, expected) in
            [("Fixes #7", true), ("see #7.", true), ("#77", false), ("#7a", false), ("7", false)]
        {
            assert_eq!(mentions(text, seven), expected, "{text}");
        }
    }
}
