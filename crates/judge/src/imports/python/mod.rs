//! Python: compiles the changed files and resolves their imports, with the sandbox's interpreter.
//!
//! The analyser is Python too, because only the interpreter knows its grammar. It runs isolated
//! (`-I -S`), so that neither the tree nor an installed package is imported in the place of the
//! standard library, and it runs none of what it reads.

use booty_sandbox::Error;
use serde::Deserialize;

use super::{
    Checked, Subject,
    analysis::{self, Scope, Seen},
    count,
    tool::{self, Answer, one_line},
};

const ANALYSER: &str = include_str!("analyse.py");
const COMMAND: &str = r#"exec "$tool" -I -S -B -W ignore -c "$BOOTY_PROGRAM""#;
const SCOPE: Scope =
    Scope { name: "Python", extensions: &["py", "pyi"], manifests: &["pyproject.toml", "Pipfile"] };

#[derive(Debug, Deserialize)]
struct Said {
    version: String,
    findings: Vec<Seen>,
    files: usize,
    imports: usize,
    not_installed: Vec<String>,
    unchecked: Vec<String>,
    environments: Vec<String>,
}

pub(super) async fn check(subject: &Subject<'_>) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    if !SCOPE.is_touched(subject) {
        checked.said.push("No Python file is changed.".to_owned());
        return Ok(checked);
    }
    let mut request = SCOPE.request(subject, &mut checked);
    match tool::analyse(subject.shell, "python3", COMMAND, ANALYSER, &mut request).await? {
        Answer::Json(json) => match serde_json::from_str::<Said>(&json) {
            Ok(said) => read(subject, said, &mut checked),
            Err(_) => SCOPE.nothing(&mut checked, "it makes no sense"),
        },
        Answer::NoTool => {
            checked.unchecked.push("Python files: there is no python3 in the sandbox".to_owned());
        }
        Answer::Nothing { how } => SCOPE.nothing(&mut checked, &how),
    }
    Ok(checked)
}

fn read(subject: &Subject<'_>, said: Said, checked: &mut Checked) {
    analysis::take(subject, checked, said.findings, &said.not_installed, &said.unchecked);
    let environment = match said.environments.first() {
        Some(folder) => format!(", packages of {}", one_line(folder, 100)),
        None => String::new(),
    };
    checked.said.push(format!(
        "Python {}: {} compiled, {} resolved{environment}.",
        one_line(&said.version, 20),
        count(said.files, "changed file", "changed files"),
        count(said.imports, "import", "imports"),
    ));
}
