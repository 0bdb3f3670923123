//! JavaScript and TypeScript: compiles the changed scripts and resolves their imports with the
//! sandbox's node; where there is a `tsconfig.json`, the tree's own TypeScript checks types.
//!
//! The analyser is JavaScript too: node knows its grammar and its builtins, and what setup
//! installed is read where a hostile link leads nowhere. It runs none of what it reads.

mod tsc;

use booty_sandbox::Error;
use serde::Deserialize;

use super::{
    Checked, Subject,
    analysis::{self, Scope, Seen},
    count,
    tool::{self, Answer, one_line},
};

const ANALYSER: &str = include_str!("analyse.js");
const COMMAND: &str = r#"exec "$tool" --input-type=commonjs --no-warnings --experimental-vm-modules --stack-size=900 -e "$BOOTY_PROGRAM""#;
const SCOPE: Scope = Scope {
    name: "JavaScript",
    extensions: &["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"],
    manifests: &["package.json"],
};

#[derive(Debug, Deserialize)]
struct Said {
    version: String,
    findings: Vec<Seen>,
    files: usize,
    compiled: usize,
    imports: usize,
    typed: usize,
    not_installed: Vec<String>,
    unchecked: Vec<String>,
    projects: Vec<String>,
    has_tsc: bool,
}

pub(super) async fn check(subject: &Subject<'_>) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    if !SCOPE.is_touched(subject) {
        checked.said.push("No JavaScript or TypeScript file is changed.".to_owned());
        return Ok(checked);
    }
    let mut request = SCOPE.request(subject, &mut checked);
    let answer = tool::analyse(subject.shell, "node", COMMAND, ANALYSER, &mut request).await?;
    let said = match answer {
        Answer::Json(json) => match serde_json::from_str::<Said>(&json) {
            Ok(said) => said,
            Err(_) => {
                SCOPE.nothing(&mut checked, "it makes no sense");
                return Ok(checked);
            }
        },
        Answer::NoTool => {
            let what = "JavaScript and TypeScript files: there is no node in the sandbox";
            checked.unchecked.push(what.to_owned());
            return Ok(checked);
        }
        Answer::Nothing { how } => {
            SCOPE.nothing(&mut checked, &how);
            return Ok(checked);
        }
    };
    analysis::take(subject, &mut checked, said.findings, &said.not_installed, &said.unchecked);
    checked.said.push(format!(
        "node {}: {} read, {} compiled, {} resolved.",
        one_line(&said.version, 20),
        count(said.files, "changed file", "changed files"),
        said.compiled,
        count(said.imports, "import", "imports"),
    ));
    if !said.projects.is_empty() {
        tsc::check(subject, &said.projects, said.has_tsc, &mut checked).await?;
    } else if said.typed > 0 {
        checked.unchecked.push("types and syntax of TypeScript: there is no tsconfig.json".into());
    }
    Ok(checked)
}
