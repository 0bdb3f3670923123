//! Two trees, before and after a change, and what the check says of the second.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use booty_judge::{
    change::{ChangeKind, ChangedFile},
    imports::{Checked, Subject, check},
    report::{Finding, Level, Rule},
    shell::Shell,
};
use booty_policy::{Language, TreeView};
use booty_sandbox::{Limits, Sandbox, SandboxSettings};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Files by path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files(pub(crate) BTreeMap<String, Vec<u8>>);

impl TreeView for Files {
    fn paths(&self) -> Box<dyn Iterator<Item = String> + '_> {
        Box::new(self.0.keys().cloned())
    }

    fn read(&self, path: &str) -> Option<String> {
        let content = self.0.get(path).filter(|content| content.len() <= 256 * 1024)?;
        String::from_utf8(content.clone()).ok()
    }
}

/// A change under construction.
#[derive(Debug)]
pub(crate) struct Change {
    language: Language,
    base: Files,
    head: Files,
    /// In the tree, and in neither commit: what setup left.
    installed: Vec<(String, String)>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) is_installed: bool,
    pub(crate) read_only: Vec<PathBuf>,
}

impl Change {
    pub(crate) fn new(language: Language) -> Self {
        Self {
            language,
            base: Files::default(),
            head: Files::default(),
            installed: Vec::new(),
            env: BTreeMap::new(),
            is_installed: true,
            read_only: Vec::new(),
        }
    }

    /// In both trees.
    pub(crate) fn with(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.base.0.insert(path.to_owned(), content.as_ref().to_vec());
        self.head.0.insert(path.to_owned(), content.as_ref().to_vec());
        self
    }

    /// Added, or modified when it was there.
    pub(crate) fn change(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.head.0.insert(path.to_owned(), content.as_ref().to_vec());
        self
    }

    pub(crate) fn delete(mut self, path: &str) -> Self {
        self.head.0.remove(path);
        self
    }

    pub(crate) fn installed(mut self, path: &str, content: &str) -> Self {
        self.installed.push((path.to_owned(), content.to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn not_installed(mut self) -> Self {
        self.is_installed = false;
        self
    }

    fn changed(&self) -> Vec<ChangedFile> {
        let (base, head) = (&self.base.0, &self.head.0);
        let mut out = Vec::new();
        for path in base.keys().chain(head.keys().filter(|path| !base.contains_key(*path))) {
            let kind = match (base.get(path), head.get(path)) {
                (None, _) => ChangeKind::Added,
                (_, None) => ChangeKind::Deleted,
                (before, now) if before != now => ChangeKind::Modified,
                _ => continue,
            };
            out.push(ChangedFile { path: path.clone(), kind });
        }
        out
    }

    pub(crate) async fn check(&self) -> Checked {
        let settings =
            SandboxSettings { read_only: self.read_only.clone(), ..SandboxSettings::default() };
        let sandbox = Sandbox::prepare(settings).await.unwrap();
        let tree = TempDir::new().unwrap();
        for (path, content) in &self.head.0 {
            write(tree.path(), path, content);
        }
        for (path, content) in &self.installed {
            write(tree.path(), path, content.as_bytes());
        }
        sandbox.own(tree.path()).unwrap();
        let shell = Shell {
            sandbox,
            tree: tree.path().to_owned(),
            env: self.env.clone(),
            limits: Limits::default(),
            cancel: CancellationToken::new(),
            mounts: Vec::new(),
            after: Default::default(),
        };
        let subject = Subject {
            language: self.language,
            tree: &self.head,
            base: &self.base,
            changed: &self.changed(),
            shell: &shell,
            is_installed: self.is_installed,
        };
        check(&subject).await.unwrap()
    }

    /// The failures alone, each as `rule path:line message`.
    pub(crate) async fn failures(&self) -> Vec<String> {
        let checked = self.check().await;
        let failures = checked.findings.iter().filter(|f| f.level == Level::Failure);
        failures.map(show).collect()
    }
}

fn write(tree: &Path, path: &str, content: &[u8]) {
    let path = tree.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // `#!` of a test is a tool of the tree's.
    std::fs::write(&path, content).unwrap();
    if content.starts_with(b"#!") {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

pub(crate) fn show(finding: &Finding) -> String {
    let place = match &finding.place {
        Some(place) => format!("{}:{}", place.path, place.line),
        None => "-".to_owned(),
    };
    format!("{} {place} {}", finding.rule, finding.message)
}

/// One failure of this rule at this place, and nothing else that fails.
#[track_caller]
pub(crate) fn assert_one(checked: &Checked, rule: Rule, path: &str, line: u32) {
    let failures: Vec<_> =
        checked.findings.iter().filter(|finding| finding.level == Level::Failure).collect();
    let [finding] = failures.as_slice() else { panic!("not one failure: {checked:#?}") };
    assert_eq!(finding.rule, rule, "{checked:#?}");
    let place = finding.place.as_ref().map(|place| (place.path.as_str(), place.line));
    assert_eq!(place, Some((path, line)), "{checked:#?}");
}

/// Whether a tool is there; says so when it is not.
pub(crate) fn has(tool: &str) -> bool {
    let found = Path::new(tool).exists();
    if !found {
        println!("skipped: there is no {tool}");
    }
    found
}
