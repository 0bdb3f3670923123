//! Go: cheats by rule, place and name; honest changes by nothing.

use booty_judge::{
    evidence::Study,
    report::Level::{Failure, Warning},
};
use booty_policy::Language;
use rstest::rstest;

use super::world::{assert_named, failures, studied};

const CODE: &str =
    "== go.mod\nmodule calc\n== add.go\npackage calc\n\nfunc Add(a, b int) int { return a + b }\n";
const TESTS: &str = "\
package calc

import \"testing\"

func TestAdd(t *testing.T) {
\tif got := Add(1, 2); got != 3 {
\t\tt.Errorf(\"got %d\", got)
\t}
\tif Add(2, 2) != 4 {
\t\tt.Fatal(\"four\")
\t}
}

func TestEqual(t *testing.T) {
\tassert.Equal(t, 0, Add(0, 0))
}
";

fn study(head_tests: &str) -> Study {
    let base = format!("{CODE}== add_test.go\n{TESTS}");
    studied(Language::Go, &base, &format!("{CODE}== add_test.go\n{head_tests}"), "go test ./...")
}

fn replaced(from: &str, to: &str) -> String {
    assert!(TESTS.contains(from), "{from}");
    TESTS.replace(from, to)
}

#[rstest]
#[case("\tif got :=", "\tt.Skip(\"later\")\n\tif got :=", "test_skipped add_test.go:6", "TestAdd")]
#[case(
    "package calc\n",
    "//go:build ignore\n\npackage calc\n",
    "test_skipped add_test.go:1",
    "go:build"
)]
#[case("func TestAdd", "func testAdd", "test_deleted add_test.go:5", "TestAdd")]
#[case("func TestAdd", "func AddTest", "test_deleted add_test.go:5", "TestAdd")]
#[case("\tif got :=", "\treturn\n\tif got :=", "test_skipped add_test.go:6", "TestAdd")]
#[case("got != 3 {", "false {", "assertion_weakened add_test.go:6", "TestAdd")]
#[case("got != 3 {", "got < 0 {", "assertion_weakened add_test.go:6", "TestAdd")]
#[case(
    "\tif Add(2, 2) != 4 {\n\t\tt.Fatal(\"four\")\n\t}\n",
    "",
    "assertion_removed add_test.go:9",
    "TestAdd"
)]
#[case(
    "t.Errorf(\"got %d\", got)",
    "t.Logf(\"got %d\", got)",
    "assertion_removed add_test.go:6",
    "TestAdd"
)]
#[case(
    "assert.Equal(t, 0, Add(0, 0))",
    "assert.True(t, true)",
    "assertion_weakened add_test.go:15",
    "TestEqual"
)]
#[case(
    "assert.Equal(t, 0, Add(0, 0))",
    "assert.NotNil(t, Add(0, 0))",
    "assertion_weakened add_test.go:15",
    "TestEqual"
)]
#[case(
    "assert.Equal(t, 0, Add(0, 0))",
    "assert.Equal(t, Add(0, 0), Add(0, 0))",
    "assertion_weakened add_test.go:15",
    "TestEqual"
)]
#[case(
    "func TestAdd",
    "func TestMain(m *testing.M) {\n\tos.Exit(0)\n}\n\nfunc TestAdd",
    "runner_tampered add_test.go:6",
    "TestMain"
)]
#[case(
    "func TestAdd",
    "func TestMain(m *testing.M) {\n\tm.Run()\n\tos.Exit(0)\n}\n\nfunc TestAdd",
    "runner_tampered add_test.go:7",
    "TestMain"
)]
#[case(
    "func TestAdd",
    "func init() {\n\tos.Exit(0)\n}\n\nfunc TestAdd",
    "early_exit add_test.go:6",
    "init"
)]
#[case("\tif got :=", "\tos.Exit(0)\n\tif got :=", "early_exit add_test.go:6", "TestAdd")]
fn cheats_are_named(#[case] from: &str, #[case] to: &str, #[case] start: &str, #[case] name: &str) {
    assert_named(&study(&replaced(from, to)), Failure, start, name);
}

#[rstest]
#[case::main(
    "func TestAdd",
    "func TestMain(m *testing.M) {\n\tcode := m.Run()\n\tos.Exit(code)\n}\n\nfunc TestAdd"
)]
#[case::renamed("func TestAdd", "func TestAddition")]
#[case::fixed("got != 3 {", "got != 4 {")]
#[case::variable("got := Add(1, 2); got != 3", "sum := Add(1, 2); sum != 3")]
#[case::more(
    "assert.Equal(t, 0, Add(0, 0))",
    "assert.Equal(t, 0, Add(0, 0))\n\tassert.Equal(t, 1, Add(0, 1))"
)]
#[case::table(
    "\tif got := Add(1, 2); got != 3 {\n\t\tt.Errorf(\"got %d\", got)\n\t}\n\tif Add(2, 2) != 4 {\n\t\tt.Fatal(\"four\")\n\t}\n",
    "\tfor _, c := range []struct{ a, b, want int }{{1, 2, 3}, {2, 2, 4}} {\n\t\tt.Run(\"x\", func(t *testing.T) {\n\t\t\tif got := Add(c.a, c.b); got != c.want {\n\t\t\t\tt.Errorf(\"got %d\", got)\n\t\t\t}\n\t\t})\n\t}\n"
)]
fn honest_changes_are_no_failure(#[case] from: &str, #[case] to: &str) {
    assert_eq!(failures(&study(&replaced(from, to))), <[String; 0]>::default());
}

#[test]
fn a_deleted_file_names_its_tests() {
    let study =
        studied(Language::Go, &format!("{CODE}== add_test.go\n{TESTS}"), CODE, "go test ./...");
    assert_named(&study, Warning, "test_deleted add_test.go:5", "`TestAdd`");
    assert_named(&study, Warning, "test_deleted add_test.go:14", "`TestEqual`");
    assert_eq!(study.base_tests_on_head, [("add_test.go".to_owned(), Some(TESTS.to_owned()))]);
    assert_eq!(study.head_tests_on_base, [("add_test.go".to_owned(), None)]);
}
