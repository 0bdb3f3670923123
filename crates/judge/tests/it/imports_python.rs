//! Python files that do not compile, and imports that lead nowhere.

use booty_judge::report::{Level, Rule};
use booty_policy::Language;
use rstest::rstest;

use crate::imports_world::{Change, assert_one, has, show};

const PYTHON: &str = "/usr/bin/python3";

/// A small project: a package below `src`, a module beside it, tests, a manifest.
fn project() -> Change {
    Change::new(Language::Python)
        .with("pyproject.toml", "[project]\nname = 'shop'\ndependencies = ['PyYAML>=6', 'requests']\n")
        .with("src/shop/__init__.py", "from .cart import *\nfrom shop.price import total\n")
        .with("src/shop/cart.py", "__all__ = ['Cart']\nclass Cart: pass\n_hidden = 1\n")
        .with("src/shop/price.py", "def total(items): return sum(items)\nif True:\n    RATE, (LOW, *REST) = 1, (2, 3)\nfor KEY in 'ab': pass\n")
        .with("src/shop/lazy.py", "def __getattr__(name): return name\n")
        .with("helper.py", "import sys as system\ndef help_me(): pass\n")
        .with("tests/conftest.py", "")
        .with("tests/common.py", "VALUE = 1\n")
        .with("tests/test_price.py", "from shop.price import total\nfrom common import VALUE\n")
}

#[rstest]
#[case::absolute(
    "import shop.cart\nfrom shop import Cart, price, total\nfrom shop.price import RATE, LOW, REST, KEY\n"
)]
#[case::lazy("from shop.lazy import anything\n")]
#[case::library(
    "import os.path, xml.etree.ElementTree as et\nfrom concurrent import futures\nfrom math import pi\nimport json.decoder\n"
)]
#[case::beside("from helper import help_me, system\n")]
#[case::star("from shop.cart import *\n")]
#[case::future("from __future__ import annotations\n")]
#[case::no_import("x = 'import nothing_at_all'\n# import nothing\n")]
#[tokio::test]
async fn what_is_there_is_found(#[case] source: &str) {
    if !has(PYTHON) {
        return;
    }
    let change = project().change("app.py", source).change("src/shop/new.py", source);
    let checked = change.check().await;
    assert_eq!(checked.findings, [], "{checked:#?}");
    assert_eq!(checked.unchecked, [""; 0]);
    assert!(checked.said[0].contains("2 changed files compiled"), "{:?}", checked.said);
}

#[rstest]
#[case::syntax("x = 1\ndef f(:\n", Rule::SyntaxError, 2)]
#[case::indentation("def f():\n    a = 1\n  b = 2\n", Rule::SyntaxError, 3)]
#[case::outside_function("x = 1\nreturn x\n", Rule::SyntaxError, 2)]
#[case::nul("x = 1\ny = '\0'\n", Rule::SyntaxError, 2)]
#[case::module("import os\nimport shop.basket\n", Rule::UnresolvedImport, 2)]
#[case::relative("from .basket import Cart\n", Rule::UnresolvedImport, 1)]
#[case::out_of_the_tree("from ........basket import Cart\n", Rule::UnresolvedImport, 1)]
#[case::library_module("import os.paths\n", Rule::UnresolvedImport, 1)]
#[case::in_a_function("def f():\n    from shop.price import totals\n", Rule::UnknownSymbol, 2)]
#[case::name("\nfrom shop import Basket\n", Rule::UnknownSymbol, 2)]
#[case::relative_name("from . import basket\n", Rule::UnknownSymbol, 1)]
#[case::not_exported("from shop import _hidden\n", Rule::UnknownSymbol, 1)]
#[case::library_name("from json import loadz\n", Rule::UnknownSymbol, 1)]
#[case::package("import json\nimport fastjsonx\n", Rule::HallucinatedDependency, 2)]
#[case::package_part("from fastjsonx.core import loads\n", Rule::HallucinatedDependency, 1)]
#[tokio::test]
async fn what_is_wrong_is_named(#[case] source: &str, #[case] rule: Rule, #[case] line: u32) {
    if !has(PYTHON) {
        return;
    }
    let checked = project().change("src/shop/new.py", source).check().await;
    assert_one(&checked, rule, "src/shop/new.py", line);
}

#[tokio::test]
async fn the_words_are_for_people() {
    if !has(PYTHON) {
        return;
    }
    let change = project().change("a.py", "import fastjsonx\nfrom shop.price import totals\n");
    assert_eq!(
        change.failures().await,
        [
            "hallucinated_dependency a.py:1 `import fastjsonx`: no such module in the tree, the \
             standard library or the installed packages, and no package of that name in \
             pyproject.toml",
            "unknown_symbol a.py:2 `from shop.price import totals`: `src/shop/price.py` has no `totals`",
        ]
    );
}

#[rstest]
#[case::except(
    "try:\n    import fastjsonx\nexcept ImportError:\n    import slowjsonx as fastjsonx\n"
)]
#[case::type_checking("import typing\nif typing.TYPE_CHECKING:\n    from fastjsonx import A\n")]
#[case::platform("import sys\nif sys.platform == 'win32':\n    import fastjsonx\n")]
#[case::raises("import pytest_\nwith pytest_.raises(ImportError):\n    import shop.nothing\n")]
#[case::skip("import pytest_\npytest_.importorskip('fastjsonx')\nimport fastjsonx\n")]
#[tokio::test]
async fn guarded_imports_are_notices(#[case] source: &str) {
    if !has(PYTHON) {
        return;
    }
    let change = project().with("pytest_.py", "def raises(x): pass\ndef importorskip(x): pass\n");
    let checked = change.change("a.py", source).check().await;
    assert!(!checked.findings.is_empty());
    assert!(checked.findings.iter().all(|f| f.level == Level::Notice), "{checked:#?}");
}

#[rstest]
#[case::other_name("import yaml\n", &["pyyaml"])]
#[case::same_name("from requests import get\n", &["requests"])]
#[tokio::test]
async fn a_declared_package_that_is_not_installed_is_no_failure(
    #[case] source: &str,
    #[case] expected: &[&str],
) {
    if !has(PYTHON) {
        return;
    }
    let checked = project().not_installed().change("a.py", source).check().await;
    if checked.findings.is_empty() && checked.not_installed.is_empty() {
        println!("skipped: this system's Python has that package");
        return;
    }
    assert_eq!(checked.not_installed, expected);
    assert_eq!(checked.findings, []);
}

#[tokio::test]
async fn installed_packages_are_read_and_not_run() {
    if !has(PYTHON) {
        return;
    }
    let site = ".venv/lib/python3.11/site-packages";
    let project = project()
        .installed(".venv/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\n")
        .installed(".venv/bin/python3", "#!/bin/sh\nexit 0\n")
        .installed(
            &format!("{site}/fast/__init__.py"),
            "open('/workspace/ran', 'w')\nfrom .core import loads\n",
        )
        .installed(&format!("{site}/fast/core.py"), "def loads(x): pass\n")
        .installed(&format!("{site}/native.cpython-311-x86_64-linux-gnu.so"), "")
        .env("PATH", "/workspace/.venv/bin:/usr/bin:/bin");
    let good = "import fast.core\nfrom fast import loads, core\nfrom native import anything\n";
    let checked = project.change("a.py", good).check().await;
    assert_eq!(checked.findings, [], "{checked:#?}");
    assert!(checked.said[0].contains("packages of .venv"), "{:?}", checked.said);
}

#[tokio::test]
async fn names_of_installed_packages_are_checked() {
    if !has(PYTHON) {
        return;
    }
    let project = project()
        .installed("lib/fast/__init__.py", "from .core import loads\n")
        .installed("lib/fast/core.py", "def loads(x): pass\n")
        .env("PYTHONPATH", "lib");
    let checked =
        project.change("a.py", "from fast import loads\nfrom fast import load\n").check().await;
    assert_one(&checked, Rule::UnknownSymbol, "a.py", 2);
}

#[tokio::test]
async fn what_the_change_takes_away_is_missed_where_it_is_used() {
    if !has(PYTHON) {
        return;
    }
    let checked = project().change("src/shop/price.py", "def sum_up(items): pass\n").check().await;
    let shown: Vec<_> = checked.findings.iter().map(show).collect();
    assert_eq!(
        shown,
        [
            "unknown_symbol src/shop/__init__.py:2 `from shop.price import total`: \
             `src/shop/price.py` has no `total` any more",
            "unknown_symbol tests/test_price.py:1 `from shop.price import total`: \
             `src/shop/price.py` has no `total` any more",
        ]
    );
    let checked = project().delete("src/shop/cart.py").check().await;
    let shown: Vec<_> = checked.findings.iter().map(show).collect();
    assert_eq!(
        shown,
        ["unresolved_import src/shop/__init__.py:1 `from .cart import *`: there is no module \
          `.cart` any more"]
    );
    let checked = project().delete("tests/common.py").check().await;
    assert_one(&checked, Rule::UnresolvedImport, "tests/test_price.py", 2);
}

#[tokio::test]
async fn what_was_broken_before_is_a_notice() {
    if !has(PYTHON) {
        return;
    }
    let broken = "import fastjsonx\nfrom shop import Basket\n";
    let project = project().with("a.py", broken).with("bad.py", "x = (\n");
    let change = project.change("a.py", format!("{broken}x = 1\n")).change("bad.py", "y = (\n");
    let checked = change.check().await;
    assert_eq!(checked.findings.len(), 3, "{checked:#?}");
    assert!(checked.findings.iter().all(|f| f.level == Level::Notice), "{checked:#?}");
}

#[tokio::test]
async fn a_manifest_names_a_package_that_its_lock_does_not() {
    if !has(PYTHON) {
        return;
    }
    let lock = "version = 1\n[[package]]\nname = \"pyyaml\"\n[[package]]\nname = \"requests\"\n";
    let change = project().with("uv.lock", lock).change(
        "pyproject.toml",
        "[project]\nname = 'shop'\ndependencies = [\n  'PyYAML>=6',\n  'requests',\n  'fastjsonx',\n]\n",
    );
    assert_one(&change.check().await, Rule::HallucinatedDependency, "pyproject.toml", 6);
}

#[rstest]
#[case::shadowed(&[("json.py", "raise SystemExit(0)"), ("ast.py", "raise SystemExit(0)"), ("sitecustomize.py", "raise SystemExit(0)"), ("re.py", "import os; os._exit(0)")])]
#[case::own_tool(&[("bin/python3", "#!/bin/sh\nexit 0\n")])]
#[tokio::test]
async fn a_tree_cannot_replace_the_analyser(#[case] files: &[(&str, &str)]) {
    if !has(PYTHON) {
        return;
    }
    let mut change =
        project().env("PATH", "/workspace/bin:/usr/bin:/bin").env("PYTHONPATH", "/workspace");
    for (path, content) in files {
        change = change.change(path, content);
    }
    let checked = change.change("z.py", "import fastjsonx\n").check().await;
    assert_one(&checked, Rule::HallucinatedDependency, "z.py", 1);
}

#[rstest]
#[case::parentheses(format!("x = {}1{}\n", "(".repeat(10_000), ")".repeat(10_000)))]
#[case::minus(format!("x = {}1\n", "-".repeat(200_000)))]
#[case::attributes(format!("x = a{}\n", ".b".repeat(200_000)))]
#[case::sum(format!("x = 1{}\n", "+a".repeat(100_000)))]
#[case::codec("# coding: nonsense\nx = 1\n".to_owned())]
#[tokio::test]
async fn a_file_that_no_interpreter_takes_is_named(#[case] source: String) {
    if !has(PYTHON) {
        return;
    }
    let checked =
        project().change("deep.py", source).change("z.py", "import fastjsonx\n").check().await;
    let failures: Vec<_> =
        checked.findings.iter().filter(|f| f.level == Level::Failure).map(show).collect();
    assert_eq!(failures.len(), 2, "{checked:#?}");
    assert!(failures[0].contains("deep.py"), "{failures:?}");
    assert!(failures[1].starts_with("hallucinated_dependency z.py:1"), "{failures:?}");
}

#[tokio::test]
async fn strange_names_and_no_files_are_taken() {
    if !has(PYTHON) {
        return;
    }
    let checked = project().check().await;
    assert_eq!((checked.findings.len(), checked.unchecked.len()), (0, 0));
    let path = "a\n{\"x\": \"b'$(touch ran).py";
    let checked = project().change(path, "import fastjsonx\n").check().await;
    assert_one(&checked, Rule::HallucinatedDependency, path, 1);
    let large = format!("x = '{}'\n", "x".repeat(3 * 1024 * 1024));
    let checked = project().change("large.py", large).check().await;
    assert_eq!(checked.unchecked, ["large.py: not a readable file of at most 2048 KiB"]);
}

#[tokio::test]
async fn at_most_so_many_findings_are_listed() {
    if !has(PYTHON) {
        return;
    }
    let source: String = (0..300).map(|n| format!("import shop.no{n}\n")).collect();
    let checked = project().change("a.py", source).check().await;
    assert_eq!(checked.findings.len(), 200);
    assert!(checked.said.iter().any(|said| said == "100 more findings are not listed."));
}
