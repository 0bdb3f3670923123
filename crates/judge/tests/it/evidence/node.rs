//! JavaScript: cheats by rule, place and name; honest changes by nothing.

use booty_judge::{
    evidence::Study,
    report::Level::{Failure, Notice, Warning},
};
use booty_policy::Language;
use rstest::rstest;

use super::world::{assert_named, failures, studied};

const CODE: &str = "== package.json\n{\n  \"scripts\": {\n    \"test\": \"jest\"\n  }\n}\n== src/add.js\nexport function add(a, b) { return a + b }\n";
const TESTS: &str = "\
import assert from 'node:assert'
import { add } from '../src/add.js'

describe('add', () => {
  it('adds', () => {
    expect(add(1, 2)).toBe(3)
    expect(add(2, 2)).toEqual(4)
  })

  it('adds zero', async () => {
    assert.deepEqual(await add(0, 0), 0)
  })
})

test('alone', () => {
  expect(add(1, 1)).toBeCloseTo(2, 5)
})
";

fn study(head_tests: &str, more: &str) -> Study {
    let base = format!("{CODE}== test/add.test.js\n{TESTS}");
    let head = format!("{CODE}== test/add.test.js\n{head_tests}{more}");
    studied(Language::Node, &base, &head, "npm test")
}

fn replaced(from: &str, to: &str) -> String {
    assert!(TESTS.contains(from), "{from}");
    TESTS.replace(from, to)
}

#[rstest]
#[case(
    "expect(add(1, 2)).toBe(3)",
    "expect(true).toBe(true)",
    "assertion_weakened test/add.test.js:6",
    "add::adds"
)]
#[case(
    "expect(add(1, 2)).toBe(3)",
    "expect(add(1, 2)).toBe(add(1, 2))",
    "assertion_weakened test/add.test.js:6",
    "add::adds"
)]
#[case(
    "expect(add(1, 2)).toBe(3)",
    "expect(add(1, 2)).toBeDefined()",
    "assertion_weakened test/add.test.js:6",
    "add::adds"
)]
#[case(
    "expect(add(1, 2)).toBe(3)",
    "expect(add(1, 2)).toBeTruthy()",
    "assertion_weakened test/add.test.js:6",
    "add::adds"
)]
#[case(
    "expect(add(1, 2)).toBe(3)",
    "expect(add(1, 2)).not.toBe(7)",
    "assertion_weakened test/add.test.js:6",
    "add::adds"
)]
#[case(
    "expect(add(1, 2)).toBe(3)",
    "expect(add(1, 2))",
    "assertion_weakened test/add.test.js:6",
    "add::adds"
)]
#[case("    expect(add(1, 2)).toBe(3)\n", "", "assertion_removed test/add.test.js:6", "add::adds")]
#[case(
    "    expect(add(1, 2)).toBe(3)\n",
    "    try {\n      expect(add(1, 2)).toBe(3)\n    } catch {}\n",
    "assertion_weakened test/add.test.js:7",
    "add::adds"
)]
#[case(
    "    expect(add(1, 2)).toBe(3)\n",
    "    if (false) {\n      expect(add(1, 2)).toBe(3)\n    }\n",
    "assertion_weakened test/add.test.js:7",
    "add::adds"
)]
#[case(
    "    expect(add(1, 2)).toBe(3)\n",
    "    if (false) expect(add(1, 2)).toBe(3)\n",
    "assertion_weakened test/add.test.js:6",
    "add::adds"
)]
#[case(
    "    expect(add(1, 2)).toBe(3)\n",
    "    return\n    expect(add(1, 2)).toBe(3)\n",
    "test_skipped test/add.test.js:6",
    "add::adds"
)]
#[case(
    "assert.deepEqual(await add(0, 0), 0)",
    "assert.ok(await add(0, 0) === 0 || true)",
    "assertion_weakened test/add.test.js:11",
    "adds zero"
)]
#[case(
    "assert.deepEqual(await add(0, 0), 0)",
    "assert.ok(add)",
    "assertion_weakened test/add.test.js:11",
    "adds zero"
)]
#[case("toBeCloseTo(2, 5)", "toBeCloseTo(2, 0)", "assertion_weakened test/add.test.js:16", "alone")]
#[case("it('adds',", "it.skip('adds',", "test_skipped test/add.test.js:5", "add::adds")]
#[case("it('adds',", "xit('adds',", "test_skipped test/add.test.js:5", "add::adds")]
#[case("it('adds',", "it.only('adds',", "test_skipped test/add.test.js:5", "only")]
#[case("it('adds',", "it.todo('adds',", "test_skipped test/add.test.js:5", "todo")]
#[case("it('adds',", "it('adds', { skip: true },", "test_skipped test/add.test.js:5", "skip")]
#[case(
    "describe('add',",
    "describe.skip('add',",
    "test_skipped test/add.test.js:4",
    "describe.skip"
)]
#[case("describe('add',", "xdescribe('add',", "test_skipped test/add.test.js:4", "xdescribe")]
#[case(
    "    expect(add(1, 2)).toBe(3)\n",
    "    process.exit(0)\n    expect(add(1, 2)).toBe(3)\n",
    "early_exit test/add.test.js:6",
    "add::adds"
)]
#[case(
    "describe('add'",
    "process.exit(0)\ndescribe('add'",
    "early_exit test/add.test.js:4",
    "process.exit"
)]
#[case(
    "describe('add'",
    "process.on('exit', () => { process.exitCode = 0 })\ndescribe('add'",
    "runner_tampered test/add.test.js:4",
    "process.on"
)]
#[case(
    "describe('add'",
    "assert.deepEqual = () => {}\ndescribe('add'",
    "runner_tampered test/add.test.js:4",
    "assert.deepEqual"
)]
#[case(
    "describe('add'",
    "globalThis.expect = fake\ndescribe('add'",
    "runner_tampered test/add.test.js:4",
    "expect"
)]
#[case(
    "describe('add'",
    "jest.mock('node:assert')\ndescribe('add'",
    "runner_tampered test/add.test.js:4",
    "node:assert"
)]
fn cheats_are_named(#[case] from: &str, #[case] to: &str, #[case] start: &str, #[case] name: &str) {
    assert_named(&study(&replaced(from, to), ""), Failure, start, name);
}

#[rstest]
#[case("\"jest\"", "\"jest --passWithNoTests\"", "runner_options_changed package.json:3", "`test`")]
#[case("\"jest\"", "\"jest || true\"", "runner_options_changed package.json:3", "`test`")]
#[case("\"jest\"", "\"echo ok\"", "runner_options_changed package.json:3", "`test`")]
#[case(
    "\"scripts\"",
    "\"jest\": { \"testMatch\": [\"x\"] },\n  \"scripts\"",
    "runner_options_changed package.json:2",
    "testMatch"
)]
fn options_that_drop_tests_are_named(
    #[case] from: &str,
    #[case] to: &str,
    #[case] start: &str,
    #[case] name: &str,
) {
    let files = |code: &str| format!("{code}== test/add.test.js\n{TESTS}");
    let study = studied(Language::Node, &files(CODE), &files(&CODE.replace(from, to)), "npm test");
    assert_named(&study, Failure, start, name);
    assert_eq!(study.base_tests_on_head.len(), 1, "the base's options judge");
}

#[test]
fn a_new_configuration_that_drops_tests_is_named() {
    let study = study(
        TESTS,
        "== jest.config.js\nmodule.exports = {\n  testPathIgnorePatterns: ['add'],\n}\n",
    );
    assert_named(
        &study,
        Failure,
        "runner_options_changed jest.config.js:2",
        "testPathIgnorePatterns",
    );
    assert_eq!(study.base_tests_on_head, [("jest.config.js".to_owned(), None)]);
}

#[rstest]
#[case::more(
    "    expect(add(2, 2)).toEqual(4)\n",
    "    expect(add(2, 2)).toEqual(4)\n    expect(add(3, 3)).toEqual(6)\n"
)]
#[case::variable(
    "    expect(add(1, 2)).toBe(3)\n",
    "    const sum = add(1, 2);\n    expect(sum).toBe(3);\n"
)]
#[case::quotes("it('adds',", "it(\"adds\",")]
#[case::renamed("it('adds',", "it('adds numbers',")]
#[case::regrouped("describe('add',", "describe('adding',")]
#[case::fixed("toBe(3)", "toBe(4)")]
#[case::table(
    "  it('adds', () => {\n    expect(add(1, 2)).toBe(3)\n    expect(add(2, 2)).toEqual(4)\n  })",
    "  it.each([[1, 2, 3], [2, 2, 4]])('adds', (a, b, c) => {\n    expect(add(a, b)).toBe(c)\n  })"
)]
#[case::strings(
    "describe('add',",
    "const text = `it.skip('x') ${'process.exit(0)'}`\ndescribe('add',"
)]
#[case::comment("describe('add',", "// it.skip('x'); process.exit(0)\ndescribe('add',")]
fn honest_changes_are_no_failure(#[case] from: &str, #[case] to: &str) {
    assert_eq!(failures(&study(&replaced(from, to), "")), <[String; 0]>::default());
}

#[rstest]
#[case::cli(
    "== bin/cli.js\n#!/usr/bin/env node\nimport { main } from '../src/main.js'\nmain().then(() => process.exit(0))\n"
)]
#[case::tests(
    "== test/new.test.js\nimport { add } from '../src/add.js'\ntest('new', () => { expect(add(1, 1)).toBe(2) })\n"
)]
#[case::shared("== test/shared.js\nexport const three = () => 3\n")]
fn honest_new_files_are_no_failure(#[case] more: &str) {
    assert_eq!(failures(&study(TESTS, more)), <[String; 0]>::default());
}

#[test]
fn another_expectation_is_a_notice() {
    assert_named(
        &study(&replaced("toBe(3)", "toBe(4)"), ""),
        Notice,
        "assertion_weakened test/add.test.js:6",
        "from `3` to `4`",
    );
}

#[test]
fn a_deleted_test_is_named() {
    let study = study(
        &replaced("test('alone', () => {\n  expect(add(1, 1)).toBeCloseTo(2, 5)\n})\n", ""),
        "",
    );
    assert_named(&study, Warning, "test_deleted test/add.test.js:15", "`alone`");
}
