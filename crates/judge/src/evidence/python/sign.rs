//! What takes Python tests away, bends the runner, or ends it early.

use super::{Around, Reader, Role};
use crate::{
    evidence::{
        lex::{Kind, content},
        source::Sign,
    },
    report::Rule,
};

/// Hooks that decide what runs or what is reported.
const HOOKS: [&str; 26] = [
    "pytest_collection_modifyitems",
    "pytest_collection_finish",
    "pytest_collect_file",
    "pytest_collection",
    "pytest_collectreport",
    "pytest_deselected",
    "pytest_exception_interact",
    "pytest_fixture_setup",
    "pytest_ignore_collect",
    "pytest_itemcollected",
    "pytest_cmdline_main",
    "pytest_cmdline_parse",
    "pytest_load_initial_conftests",
    "pytest_make_collect_report",
    "pytest_pycollect_makeitem",
    "pytest_pycollect_makemodule",
    "pytest_pyfunc_call",
    "pytest_report_teststatus",
    "pytest_runtest_call",
    "pytest_runtest_logreport",
    "pytest_runtest_makereport",
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_runtestloop",
    "pytest_sessionfinish",
    "pytest_unconfigure",
];
const RUNNERS: [&str; 5] = ["pytest", "_pytest", "unittest", "pluggy", "builtins"];
/// What a test may well replace for a moment.
const HARMLESS: [&str; 3] = ["input", "print", "open"];

impl Reader<'_> {
    fn add(&mut self, mut sign: Sign, owners: &[&str]) {
        sign.owner = owners.first().map(|owner| (*owner).to_owned());
        self.out.signs.push(sign);
    }

    /// A decorator's.
    pub(super) fn mark_signs(&mut self, at: usize, owner: &str) {
        let line = self.lines[at];
        if self.role == Role::Code {
            return;
        }
        for at in line.from..line.to {
            let named = self.skips.get(self.tokens.text(at)).cloned();
            if let Some(what) = self.skip(at).or(named) {
                let sign = Sign::new(Rule::TestSkipped, what, self.tokens.line(at));
                return self.add(sign, &[owner]);
            }
        }
    }

    /// `needs_x = pytest.mark.skipif(…)`: a mark with a name skips nothing by itself.
    fn named_mark(&self, from: usize, at: usize, owners: &[&str]) -> Option<(String, String)> {
        let name = self.tokens.text(from);
        let is_named = self.tokens.text(from + 1) == "="
            && at > from + 1
            && owners.is_empty()
            && !matches!(
                name,
                "pytestmark" | "__test__" | "collect_ignore" | "collect_ignore_glob"
            )
            && !name.starts_with("test");
        let what = is_named.then(|| self.skip(at)).flatten()?;
        matches!(self.tokens.before(at, 2), "mark" | "unittest").then(|| (name.to_owned(), what))
    }

    /// A word that skips a test.
    fn skip(&self, at: usize) -> Option<String> {
        let tokens = self.tokens;
        if tokens.kind(at) != Some(Kind::Word) {
            return None;
        }
        let (before, owner, next) =
            (tokens.before(at, 1), tokens.before(at, 2), tokens.text(at + 1));
        let is_ours = match before {
            "." => matches!(owner, "mark" | "pytest" | "unittest" | "case" | "self" | "cls"),
            "@" => true,
            "raise" => true,
            "def" | "import" => false,
            _ => next == "(",
        };
        let word = tokens.text(at);
        let is_skip = match word {
            "skip" | "xfail" => is_ours && !(owner == "self" && before == "."),
            "skipif" | "skipIf" | "skipUnless" | "expectedFailure" | "skipTest"
            | "importorskip" => is_ours,
            "SkipTest" | "Skipped" => {
                tokens.before(at, 1) == "raise"
                    || tokens.before(at, 3) == "raise"
                    || tokens.before(at, 5) == "raise"
            }
            "collect_ignore" | "collect_ignore_glob" => true,
            "__test__" | "__unittest_skip__" => next == "=",
            _ => false,
        };
        is_skip.then(|| match before {
            "." if owner == "mark" => format!("pytest.mark.{word}"),
            "." => format!("{owner}.{word}"),
            _ => word.to_owned(),
        })
    }

    pub(super) fn early_return(
        &mut self,
        start: usize,
        owner: &str,
        at: usize,
        to: usize,
        is_first: bool,
    ) {
        // The last statement of a function may return.
        if is_first && at + 1 < to && self.role == Role::Test {
            let sign = Sign::new(
                Rule::TestSkipped,
                "return before anything is asserted",
                self.tokens.line(start),
            );
            self.add(sign, &[owner]);
        }
    }

    pub(super) fn class_signs(&mut self, start: usize) {
        if self.tokens.text(start + 1) == "AssertionError" {
            let sign =
                Sign::new(Rule::RunnerTampered, "another AssertionError", self.tokens.line(start));
            self.add(sign, &[]);
        }
    }

    pub(super) fn function_signs(&mut self, at: usize, start: usize, marks: &[usize], full: &str) {
        let tokens = self.tokens;
        let line = self.lines[at];
        let name = tokens.text(start + 1);
        let end = self.lines.get(line.next).map_or(tokens.len(), |next| next.from);
        let is_hook = marks.iter().any(|mark| {
            (self.lines[*mark].from..self.lines[*mark].to).any(|at| {
                matches!(tokens.text(at), "hookimpl" | "hookwrapper" | "tryfirst" | "trylast")
            })
        });
        if HOOKS.contains(&name) || (is_hook && name.starts_with("pytest_")) {
            let mut sign =
                Sign::new(Rule::RunnerTampered, format!("the hook {name}"), tokens.line(start));
            sign.text = tokens.normal(line.from, end);
            self.add(sign, &[full]);
        }
        let returns_true =
            tokens.starts(end.saturating_sub(2), &["return", "True"]) && line.next == at + 2;
        if matches!(name, "__eq__" | "__contains__" | "__bool__")
            && name == "__eq__"
            && returns_true
        {
            let sign = Sign::new(
                Rule::RunnerTampered,
                "an __eq__ that is always true",
                tokens.line(start),
            );
            self.add(sign, &[full]);
        }
    }

    /// A statement's. It may be the head of a block: its inside has lines of its own.
    pub(super) fn statement_signs(&mut self, at: usize, owners: &[&str], around: Around) {
        let line = self.lines[at];
        for at in line.from..line.to {
            match self.tokens.kind(at) {
                Some(Kind::Word) => {
                    if self.role != Role::Code && may_skip(self.tokens.text(line.from)) {
                        let mark = self.named_mark(line.from, at, owners);
                        if let Some((name, what)) = mark {
                            self.skips.insert(name, what);
                        } else if let Some(what) = self.skip(at) {
                            let mut sign = Sign::new(Rule::TestSkipped, what, self.tokens.line(at));
                            if sign.what.starts_with("collect_ignore")
                                || sign.what == "pytest.importorskip"
                            {
                                sign.text = self.tokens.normal(line.from, line.to);
                            }
                            self.add(sign, owners);
                        }
                    }
                    self.exit_sign(at, owners, around);
                    self.tamper_sign(line.from, line.to, at, owners);
                }
                Some(Kind::Text) => self.text_sign(at, owners),
                _ => {}
            }
        }
    }

    fn exit_sign(&mut self, at: usize, owners: &[&str], around: Around) {
        let tokens = self.tokens;
        let word = tokens.text(at);
        let (before, owner, next) =
            (tokens.before(at, 1), tokens.before(at, 2), tokens.text(at + 1));
        let what = match word {
            "exit" if before == "." && owner == "sys" => "sys.exit",
            "exit" | "quit" if next == "(" && !matches!(before, "." | "def") => word,
            "exit" if before == "." && owner == "pytest" => "pytest.exit",
            "_exit" | "abort"
                if before == "." && owner == "os" || word == "_exit" && before != "def" =>
            {
                "os._exit"
            }
            "SystemExit" if before == "raise" => "raise SystemExit",
            "kill" | "killpg" if before == "." && owner == "os" => {
                let close = tokens.close(at + 1);
                let is_self = (at..close.min(at + 32))
                    .any(|at| matches!(tokens.text(at), "getpid" | "getpgrp" | "getppid"));
                if !is_self {
                    return;
                }
                "os.kill of itself"
            }
            "execv" | "execve" | "execvp" | "execl" | "execlp"
                if before == "." && owner == "os" =>
            {
                "os.exec"
            }
            _ => return,
        };
        let hard = matches!(what, "os._exit" | "os.kill of itself" | "os.exec");
        // An exit that says that something failed keeps nobody from seeing it.
        let (open, close) = (at + 1, tokens.close(at + 1));
        let is_failure = next == "("
            && close == open + 2
            && tokens.kind(open + 1) == Some(Kind::Number)
            && tokens.text(open + 1) != "0"
            || next == "("
                && close == open + 2
                && tokens.kind(open + 1) == Some(Kind::Text)
                && what != "os._exit";
        if is_failure && !hard || around.main || around.exits {
            return;
        }
        let in_function = !owners.is_empty();
        let mut sign = Sign::new(Rule::EarlyExit, what, tokens.line(at));
        if self.role == Role::Code {
            if in_function && !hard {
                return;
            }
            let is_success = next != "(" || close == open + 1 || close == open + 2;
            if in_function || around.conditional || !is_success {
                sign = sign.warning();
            }
        } else if around.nested {
            sign = sign.warning();
        }
        self.add(sign, owners);
    }

    fn tamper_sign(&mut self, from: usize, to: usize, at: usize, owners: &[&str]) {
        let tokens = self.tokens;
        let word = tokens.text(at);
        let (before, next) = (tokens.before(at, 1), tokens.text(at + 1));
        let line = tokens.line(at);
        let tamper = |what: String| Sign::new(Rule::RunnerTampered, what, line);
        let sign = match word {
            "_pytest" if before != "." => tamper("_pytest, the runner's inside".to_owned()),
            "pytest_plugins" if next == "=" => tamper("pytest_plugins".to_owned()).warning(),
            "force_result" | "force_exception" => tamper(format!("{word} in a hook")),
            "exitstatus" | "testsfailed" if next == "=" => tamper(format!("{word} is set")),
            "outcome" | "excinfo" | "wasxfail"
                if before == "." && next == "=" && self.role != Role::Code =>
            {
                tamper(format!("a report's {word} is set"))
            }
            "AssertionError" if next == "=" => tamper("AssertionError is replaced".to_owned()),
            "xmlpath" | "junitxml" => tamper("the runner's report".to_owned()),
            "modules" if before == "." && tokens.before(at, 2) == "sys" && next == "[" => {
                let close = tokens.close(at + 1);
                let name = content(tokens.text(at + 2));
                let is_set = tokens.text(close + 1) == "=";
                if !(is_set && RUNNERS.contains(&name.split('.').next().unwrap_or_default())) {
                    return;
                }
                tamper(format!("sys.modules[\"{name}\"] is replaced"))
            }
            "register" if before == "." && tokens.before(at, 2) == "atexit" => {
                let sign = tamper("atexit.register".to_owned());
                if self.role == Role::Code { return } else { sign }
            }
            "settrace" | "setprofile" if before == "." && self.role != Role::Code => {
                tamper(format!("sys.{word}"))
            }
            "exec" | "eval"
                if next == "("
                    && before != "."
                    && before != "def"
                    && self.role == Role::Conftest =>
            {
                tamper(format!("{word} in a conftest")).warning()
            }
            "setattr" | "patch" | "object" if next == "(" => match self.patched(at) {
                Some(what) => {
                    let is_exit = what.ends_with("exit");
                    let sign = tamper(format!("{what} is replaced"));
                    if is_exit { sign.warning() } else { sign }
                }
                None => return,
            },
            _ if at == from
                && (RUNNERS.contains(&word)
                    || matches!(word, "TestCase" | "TestResult" | "sys")) =>
            {
                let Some(equals) = tokens.find(from, to, &["="]) else { return };
                let is_plain =
                    (from..equals).all(|at| tokens.is_word(at) || tokens.text(at) == ".");
                let is_exit = tokens.text(equals.saturating_sub(1)) == "exit";
                if !is_plain || next != "." || (word == "sys" && !is_exit) {
                    return;
                }
                tamper(format!("{} is replaced", tokens.normal(from, equals).replace(' ', "")))
            }
            _ => return,
        };
        self.add(sign, owners);
    }

    /// What a patch replaces, if it is the runner's.
    fn patched(&self, at: usize) -> Option<String> {
        let tokens = self.tokens;
        let arguments = tokens.split(at + 2, tokens.close(at + 1), ",");
        let &(from, to) = arguments.first()?;
        let first = match tokens.kind(from) {
            Some(Kind::Text) => content(tokens.text(from)).to_owned(),
            _ => tokens.normal(from, to.min(from + 16)).replace(' ', ""),
        };
        let second = arguments
            .get(1)
            .map(|(from, _)| *from)
            .filter(|at| tokens.kind(*at) == Some(Kind::Text));
        let name = match second {
            Some(at) if tokens.kind(from) != Some(Kind::Text) => {
                format!("{first}.{}", content(tokens.text(at)))
            }
            _ => first,
        };
        let root = name.split('.').next().unwrap_or_default();
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_runner = (RUNNERS.contains(&root) || matches!(root, "TestCase" | "TestResult"))
            && name.contains('.');
        let is_harmless = root == "builtins" && HARMLESS.contains(&last)
            || root == "unittest" && name.contains(".mock");
        (is_runner && !is_harmless || name == "sys.exit" || name == "os._exit").then_some(name)
    }

    fn text_sign(&mut self, at: usize, owners: &[&str]) {
        let tokens = self.tokens;
        let text = content(tokens.text(at));
        let line = tokens.line(at);
        let in_getattr = tokens.text(at + 1) == ")" && tokens.before(at, 1) == ",";
        let sign = if text.contains("BOOTY_REPORT_DIR")
            || text.contains("--junitxml")
            || text.contains("--junit-xml")
        {
            Sign::new(Rule::RunnerTampered, "the runner's report", line)
        } else if text == "_exit" && in_getattr {
            Sign::new(Rule::EarlyExit, "os._exit", line)
        } else if text == "exit"
            && in_getattr
            && tokens.before(at, 2) == "sys"
            && tokens.before(at, 4) == "getattr"
        {
            Sign::new(Rule::EarlyExit, "sys.exit", line)
        } else if text == "PYTEST_CURRENT_TEST" && self.role == Role::Code
            || text == "pytest"
                && tokens.before(at, 0).len() > 2
                && tokens.starts(at + 1, &["in", "sys", ".", "modules"])
                && self.role == Role::Code
        {
            Sign::new(Rule::RunnerTampered, "code that behaves differently under tests", line)
                .warning()
        } else {
            return;
        };
        self.add(sign, owners);
    }
}

/// Whether the statement can skip: an import of the name does not.
fn may_skip(head: &str) -> bool {
    !matches!(head, "import" | "from" | "def" | "class")
}
