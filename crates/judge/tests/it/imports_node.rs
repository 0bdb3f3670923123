//! Scripts that do not compile, and imports that lead nowhere.

use booty_judge::report::{Level, Rule};
use booty_policy::Language;
use rstest::rstest;

use crate::imports_world::{Change, assert_one, has, show};

const NODE: &str = "/usr/bin/node";

fn project() -> Change {
    Change::new(Language::Node)
        .with("package.json", r##"{"name": "shop", "type": "module", "imports": {"#price": "./src/price.js"}, "dependencies": {"left-pad": "1"}, "devDependencies": {"@scope/tool": "1"}}"##)
        .with("src/index.js", "export * from './price.js'\nexport { default as Cart } from './cart.js'\n")
        .with("src/price.js", "export const total = (x) => x, rate = 1\nexport function sum() {}\nexport let { low, high: [top] } = {}\nconst hidden = 1\n")
        .with("src/cart.js", "export default class Cart {}\n")
        .with("src/data.json", "{}")
        .with("src/old.cjs", "module.exports = { add, sub: 1, get size() { return 1 } }\nmodule.exports.mul = 2\n")
        .with("src/any.cjs", "module.exports = Object.assign({}, other)\n")
        .with("src/dir/index.js", "export const inDir = 1\n")
        .with("packages/own/package.json", r#"{"name": "@shop/own", "main": "main.js"}"#)
        .with("packages/own/main.js", "export const mine = 1\n")
        .with("test/a.test.js", "import { total } from '../src/price.js'\nimport Cart from '../src/cart.js'\n")
}

#[rstest]
#[case::named(
    "import { total, rate as r, sum, low, top } from './price.js'\nimport * as all from './price.js'\n"
)]
#[case::star("import { total, Cart } from './index.js'\nimport Cart2, {} from './cart.js'\n")]
#[case::builtin(
    "import fs, { readFile } from 'node:fs'\nimport { join } from 'path'\nimport 'fs/promises'\nimport test from 'node:test'\n"
)]
#[case::other_files(
    "import old from './old.cjs'\nimport { whatever } from './any.cjs'\nimport data from './data.json' with { type: 'json' }\nimport { inDir } from './dir'\n"
)]
#[case::mapped(
    "import { total } from '#price'\nimport { mine } from '@shop/own'\nimport { total as t } from 'shop/src/price.js'\n"
)]
#[case::not_code(
    "// import x from 'nothing'\n/* require('nothing') */ const s = \"import y from 'nothing'\", t = `${1 + `require('nothing')`} import('nothing')`, r = /require('nothing')\\/[/]/g; s.require('nothing'); const o = { import: 1 }\n"
)]
#[case::dynamic("const name = 'x'; await import(name); import.meta.url\n")]
#[case::hash("#!/usr/bin/env node\nimport './price.js'\n")]
#[tokio::test]
async fn what_is_there_is_found(#[case] source: &str) {
    if !has(NODE) {
        return;
    }
    let checked = project().change("src/new.js", source).check().await;
    assert_eq!(checked.findings, [], "{checked:#?}");
    assert_eq!((checked.unchecked.len(), checked.not_installed.len()), (0, 0), "{checked:#?}");
    assert!(checked.said[0].contains("1 changed file read, 1 compiled"), "{:?}", checked.said);
}

#[rstest]
#[case::syntax("const a = 1\nconst b = (\n\n}\n", Rule::SyntaxError, 4)]
#[case::in_a_module("const a = 1\nwith (a) {}\n", Rule::SyntaxError, 2)]
#[case::file("import './price.js'\nimport './prices.js'\n", Rule::UnresolvedImport, 2)]
#[case::dynamic("\nawait import('./prices.js')\n", Rule::UnresolvedImport, 2)]
#[case::out_of_the_tree("import '../../../etc/passwd'\n", Rule::UnresolvedImport, 1)]
#[case::builtin("import 'node:fss'\n", Rule::UnresolvedImport, 1)]
#[case::name("import {\n  total,\n  totals,\n} from './price.js'\n", Rule::UnknownSymbol, 3)]
#[case::not_exported("import { hidden } from './price.js'\n", Rule::UnknownSymbol, 1)]
#[case::through_a_star("import { Basket } from './index.js'\n", Rule::UnknownSymbol, 1)]
#[case::no_default("import price from './price.js'\n", Rule::UnknownSymbol, 1)]
#[case::again("export { totals } from './price.js'\n", Rule::UnknownSymbol, 1)]
#[case::package(
    "import fs from 'fs'\nimport x from 'fastjsonx'\n",
    Rule::HallucinatedDependency,
    2
)]
#[case::scoped("import x from '@fast/jsonx/core'\n", Rule::HallucinatedDependency, 1)]
#[tokio::test]
async fn what_is_wrong_is_named(#[case] source: &str, #[case] rule: Rule, #[case] line: u32) {
    if !has(NODE) {
        return;
    }
    let checked = project().change("src/new.js", source).check().await;
    assert_one(&checked, rule, "src/new.js", line);
}

#[rstest]
#[case::syntax("module.exports = {\n  a: 1,\n  b c\n}\n", Rule::SyntaxError, 3)]
#[case::file("const a = 1\nrequire('./olds.cjs')\n", Rule::UnresolvedImport, 2)]
#[case::name("const { add, mull } = require('./old.cjs')\n", Rule::UnknownSymbol, 1)]
#[case::package("\nconst x = require('fastjsonx')\n", Rule::HallucinatedDependency, 2)]
#[tokio::test]
async fn the_older_modules_too(#[case] source: &str, #[case] rule: Rule, #[case] line: u32) {
    if !has(NODE) {
        return;
    }
    let checked = project().change("src/new.cjs", source).check().await;
    assert_one(&checked, rule, "src/new.cjs", line);
    let good = "const { add, sub: s, size, mul } = require('./old.cjs')\nconst { x } = require('./any.cjs')\nreturn\n";
    let checked = project().change("src/new.cjs", good).check().await;
    assert_eq!(checked.findings, [], "{checked:#?}");
}

#[tokio::test]
async fn the_words_are_for_people() {
    if !has(NODE) {
        return;
    }
    let source = "import x from 'fastjsonx'\nimport { totals } from './price.js'\n";
    assert_eq!(
        project().change("src/new.js", source).failures().await,
        [
            "hallucinated_dependency src/new.js:1 `import 'fastjsonx'`: no such file of the tree, \
             builtin of node or installed package, and no package of that name in package.json",
            "unknown_symbol src/new.js:2 `import { totals } from './price.js'`: `src/price.js` \
             exports no `totals`",
        ]
    );
}

#[tokio::test]
async fn a_declared_package_that_is_not_installed_is_no_failure() {
    if !has(NODE) {
        return;
    }
    let source = "import pad from 'left-pad'\nimport { x } from '@scope/tool/sub'\n";
    let checked = project().not_installed().change("src/new.js", source).check().await;
    assert_eq!(checked.findings, []);
    assert_eq!(checked.not_installed, ["left-pad", "@scope/tool"]);
}

#[tokio::test]
async fn installed_packages_are_looked_into() {
    if !has(NODE) {
        return;
    }
    let exports =
        r#"{"name": "left-pad", "exports": {".": "./i.js", "./sub/*": {"import": "./s/*.js"}}}"#;
    let project = project()
        .installed("node_modules/left-pad/package.json", exports)
        .installed("node_modules/left-pad/i.js", "process.exit(0)")
        .installed("node_modules/left-pad/s/a.js", "")
        .installed("node_modules/plain/index.js", "")
        .installed("node_modules/plain/x/y.js", "");
    let good =
        "import pad from 'left-pad'\nimport 'left-pad/sub/a'\nimport 'plain'\nimport 'plain/x/y'\n";
    let change = project.change("src/new.js", format!("{good}import 'left-pad/s/a.js'\n"));
    assert_one(&change.check().await, Rule::UnresolvedImport, "src/new.js", 5);
}

#[tokio::test]
async fn what_the_change_takes_away_is_missed_where_it_is_used() {
    if !has(NODE) {
        return;
    }
    let checked = project().change("src/price.js", "export function sum() {}\n").check().await;
    assert_one(&checked, Rule::UnknownSymbol, "test/a.test.js", 1);
    let checked = project().delete("src/cart.js").check().await;
    let shown: Vec<_> = checked.findings.iter().map(show).collect();
    assert_eq!(
        shown,
        [
            "unresolved_import src/index.js:2 `export … from './cart.js'`: the change deletes it",
            "unresolved_import test/a.test.js:2 `import '../src/cart.js'`: the change deletes it",
        ]
    );
}

#[tokio::test]
async fn what_was_broken_before_or_may_fail_is_a_notice() {
    if !has(NODE) {
        return;
    }
    let broken =
        "import x from 'fastjsonx'\nimport { totals } from './price.js'\nimport './no.js'\n";
    let change = project().with("src/a.js", broken).change("src/a.js", format!("{broken}x()\n"));
    let change = change.change("src/b.cjs", "try {\n  require('slowjsonx')\n} catch {}\n");
    let checked = change.check().await;
    assert_eq!(checked.findings.len(), 4, "{checked:#?}");
    assert!(checked.findings.iter().all(|f| f.level == Level::Notice), "{checked:#?}");
}

#[tokio::test]
async fn a_manifest_names_a_package_that_its_lock_does_not() {
    if !has(NODE) {
        return;
    }
    let lock = r#"{"lockfileVersion": 3, "packages": {"": {}, "node_modules/left-pad": {}}}"#;
    let manifest =
        "{\n  \"dependencies\": {\n    \"left-pad\": \"1\",\n    \"fastjsonx\": \"1\"\n  }\n}\n";
    let change = project().with("package-lock.json", lock).change("package.json", manifest);
    assert_one(&change.check().await, Rule::HallucinatedDependency, "package.json", 4);
    let checked = project().change("package.json", "{,}").check().await;
    assert_one(&checked, Rule::SyntaxError, "package.json", 1);
}

#[rstest]
#[case::parentheses(format!("x = {}1{}\n", "(".repeat(100_000), ")".repeat(100_000)))]
#[case::nul("let x = 1\n\0\n".to_owned())]
#[tokio::test]
async fn a_file_that_node_does_not_take_is_named(#[case] source: String) {
    if !has(NODE) {
        return;
    }
    let change = project().change("src/deep.js", source).change("src/z.js", "import 'fastjsonx'\n");
    let failures = change.failures().await;
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].starts_with("syntax_error src/deep.js:"), "{failures:?}");
    assert!(failures[1].starts_with("hallucinated_dependency src/z.js:1"), "{failures:?}");
}

#[tokio::test]
async fn a_tree_cannot_replace_the_analyser() {
    if !has(NODE) {
        return;
    }
    let checked = project()
        .change("fs.js", "process.exit(0)")
        .change("node_modules/fs/index.js", "process.exit(0)")
        .change("bin/node", "#!/bin/sh\nexit 0\n")
        .change("hook.cjs", "process.exit(0)")
        .change("a\n`'$(x).js", "import 'fastjsonx'\n")
        .env("PATH", "/workspace/bin:/usr/bin:/bin")
        .env("NODE_OPTIONS", "--require /workspace/hook.cjs")
        .check()
        .await;
    assert_one(&checked, Rule::HallucinatedDependency, "a\n`'$(x).js", 1);
}

mod typescript {
    use super::*;

    /// What a compiler prints and how it ends; the real one is the project's own.
    fn with_compiler(change: Change, program: &str) -> Change {
        change.installed("node_modules/typescript/lib/tsc.js", program)
    }

    fn typed() -> Change {
        project()
            .with("tsconfig.json", "{ // as people write it\n \"compilerOptions\": { \"paths\": { \"@/*\": [\"./src/*\"], } } }")
            .with("src/shape.ts", "export interface Shape { side: number }\nexport type Kind = 'a'\nexport enum Size { S }\nexport abstract class Base {}\nexport declare const x: number\n")
    }

    #[tokio::test]
    async fn imports_are_resolved_without_the_compiler() {
        if !has(NODE) {
            return;
        }
        let good = "import type { Shape, Kind } from './shape.js'\nimport { Size, Base, type Shape as S, x } from '@/shape'\nimport y = require('./old.cjs')\n";
        let checked = typed().change("src/new.ts", good).check().await;
        assert_eq!(checked.findings, [], "{checked:#?}");
        assert_eq!(
            checked.unchecked,
            ["types of TypeScript: typescript is not installed in node_modules"]
        );
        let checked =
            typed().change("src/new.ts", "import { Circle } from './shape'\n").check().await;
        assert_one(&checked, Rule::UnknownSymbol, "src/new.ts", 1);
    }

    #[tokio::test]
    async fn the_compilers_exit_code_decides() {
        if !has(NODE) {
            return;
        }
        let says = "console.log(\"src/new.ts(2,5): error TS2339: Property 'radius' does not exist on type 'Shape'.\\nsrc/old.ts(1,1): error TS2322: old\");";
        let change = with_compiler(typed(), &format!("{says} process.exitCode = 2"));
        let checked =
            change.change("src/new.ts", "import { Size } from './shape'\nlet a\n").check().await;
        assert_one(&checked, Rule::UnknownSymbol, "src/new.ts", 2);
        assert!(
            checked
                .findings
                .iter()
                .any(|f| f.level == Level::Warning && f.message == "TS2322: old")
        );
        // A compiler that ends well found nothing, whatever it prints.
        let change = with_compiler(typed(), says).change("src/new.ts", "let a\n");
        assert_eq!(change.check().await.findings, []);
        // One that ends otherwise is no pass.
        let change = with_compiler(typed(), "process.exit(7)").change("src/new.ts", "let a\n");
        let failures = change.failures().await;
        assert_eq!(
            failures,
            ["check_failed - `tsc --noEmit -p tsconfig.json` ended with exit code 7"]
        );
    }
}
