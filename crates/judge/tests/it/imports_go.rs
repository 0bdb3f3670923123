//! Packages that do not compile.

use booty_judge::report::{Finding, Level, Rule};
use booty_policy::Language;
use rstest::rstest;

use crate::imports_world::{Change, assert_one, has};

const GO: &str = "/usr/local/go/bin/go";

fn project() -> Option<Change> {
    has(GO).then(|| {
        Change::new(Language::Go)
            .with("go.mod", "module example.org/shop\n\ngo 1.20\n")
            .with("price/price.go", "package price\n\nfunc Total(x []int) int { return len(x) }\n")
            .with(
                "shop.go",
                "package shop\n\nimport \"example.org/shop/price\"\n\nvar T = price.Total\n",
            )
            .with(
                "shop_test.go",
                "package shop\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { T(nil) }\n",
            )
    })
}

#[tokio::test]
async fn a_good_change_and_an_empty_one_have_no_findings() {
    let Some(change) = project() else { return };
    assert_eq!(change.check().await.findings, []);
    let checked = change.change("new.go", "package shop\n\nimport _ \"errors\"\n").check().await;
    assert_eq!((&checked.findings, &checked.unchecked), (&vec![], &vec![]), "{checked:#?}");
    assert!(checked.said[0].starts_with("go1."), "{:?}", checked.said);
}

#[rstest]
#[case::own_package("import _ \"example.org/shop/basket\"\n", Rule::UnresolvedImport, 3)]
#[case::package(
    "import (\n\t_ \"errors\"\n\t_ \"github.com/fast/jsonx\"\n)\n",
    Rule::HallucinatedDependency,
    5
)]
#[case::no_host("import _ \"fastjsonx\"\n", Rule::HallucinatedDependency, 3)]
#[tokio::test]
async fn an_import_that_leads_nowhere_is_named(
    #[case] source: &str,
    #[case] rule: Rule,
    #[case] line: u32,
) {
    let Some(change) = project() else { return };
    let checked = change.change("new.go", format!("package shop\n\n{source}")).check().await;
    assert_one(&checked, rule, "new.go", line);
}

/// One tree for all, since the standard library is compiled for each.
#[tokio::test]
async fn what_does_not_compile_is_named_in_every_package() {
    let Some(mut change) = project() else { return };
    let wrong = [
        ("syntax", "func a() {\n\tx := \n}\n", Rule::SyntaxError, 5),
        ("symbol", "func a() {\n\tprices()\n}\n", Rule::UnknownSymbol, 4),
        ("name", "import \"errors\"\n\nfunc a() { errors.Newt() }\n", Rule::UnknownSymbol, 5),
        ("types", "func a() int { return \"\" }\n", Rule::CompileError, 3),
        ("unused", "import \"errors\"\n", Rule::CompileError, 3),
    ];
    for (package, source, ..) in wrong {
        change = change.change(&format!("{package}/a.go"), format!("package p\n\n{source}"));
    }
    let checked = change.check().await;
    for (package, _, rule, line) in wrong {
        let path = format!("{package}/a.go");
        let is_it = |finding: &Finding| {
            let place = finding.place.as_ref();
            finding.rule == rule && place.is_some_and(|p| p.path == path && p.line == line)
        };
        assert!(checked.findings.iter().any(is_it), "{package}: {checked:#?}");
    }
    assert_eq!(checked.findings.len(), wrong.len(), "{checked:#?}");
}

#[tokio::test]
async fn tests_are_compiled_too_and_what_vet_says_is_a_warning() {
    let Some(change) = project() else { return };
    let test = "package shop\n\nimport \"testing\"\n\nfunc TestB(t *testing.T) { gone() }\n";
    assert_one(
        &change.change("b_test.go", test).check().await,
        Rule::UnknownSymbol,
        "b_test.go",
        5,
    );
    let Some(change) = project() else { return };
    let loose = "package shop\n\nimport \"fmt\"\n\nfunc a() { fmt.Printf(\"%d\", \"x\") }\n";
    let checked = change.change("loose.go", loose).check().await;
    let [finding] = checked.findings.as_slice() else { panic!("{checked:#?}") };
    assert_eq!((finding.level, finding.place.as_ref().map(|p| p.line)), (Level::Warning, Some(5)));
}

#[tokio::test]
async fn what_the_change_takes_away_is_missed_where_it_is_used() {
    let Some(change) = project() else { return };
    let checked = change.change("price/price.go", "package price\n").check().await;
    assert_one(&checked, Rule::UnknownSymbol, "shop.go", 5);
}

#[tokio::test]
async fn a_required_module_that_is_not_downloaded_is_no_failure() {
    let Some(change) = project() else { return };
    let manifest = "module example.org/shop\n\ngo 1.20\n\nrequire github.com/fast/jsonx v1.0.0\n";
    let change = change.with("go.mod", manifest);
    let source = "package shop\n\nimport _ \"github.com/fast/jsonx/sub\"\n";
    let checked = change.not_installed().change("new.go", source).check().await;
    assert_eq!(checked.findings, [], "{checked:#?}");
    assert_eq!(checked.not_installed, ["github.com/fast/jsonx"]);
}

#[rstest]
#[case::syntax("modul example.org/shop\n", Rule::SyntaxError)]
#[tokio::test]
async fn a_manifest_that_go_does_not_read_is_named(#[case] text: &str, #[case] rule: Rule) {
    let Some(change) = project() else { return };
    assert_one(&change.change("go.mod", text).check().await, rule, "go.mod", 1);
}

#[tokio::test]
async fn a_toolchain_that_is_not_there_is_no_pass() {
    let Some(change) = project() else { return };
    let checked = change.change("go.mod", "module example.org/shop\n\ngo 1.99\n").check().await;
    assert_eq!(checked.findings.len(), 1, "{checked:#?}");
    assert_eq!(checked.findings[0].rule, Rule::CheckFailed);
}
