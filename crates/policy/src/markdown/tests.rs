use std::sync::LazyLock;

use insta::assert_snapshot;
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag};
use regex::Regex;
use rstest::rstest;

use super::*;

fn untrusted(text: &str) -> Untrusted<String> {
    Untrusted::new(text.to_owned())
}

/// What GitHub's second pass looks for in rendered text.
static REFERENCES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(^|[^a-z0-9_`])@[a-z0-9]|#[0-9]|\bgh-[0-9]|\b[0-9a-f]{7,40}\b|https?://|ftp://|\bwww\.|\b(mailto|xmpp):[^\u{200b}]|[a-z0-9._-]+@[a-z0-9-]").unwrap()
});

/// Renders, and holds that nothing but paragraphs of text comes out of it.
fn rendered(markdown: &str) -> String {
    let mut text = String::new();
    for event in Parser::new_ext(markdown, Options::all()) {
        match event {
            Event::Text(part) => text.push_str(&part),
            Event::SoftBreak | Event::HardBreak | Event::End(_) => text.push('\n'),
            Event::Start(Tag::Paragraph) => {}
            other => panic!("{other:?} in {markdown:?}"),
        }
    }
    text
}

fn is_inert(markdown: &str) {
    let text = rendered(markdown);
    let found = REFERENCES.find(&text).map(|found| found.as_str().to_owned());
    assert_eq!(found, None, "in {markdown:?}");
}

#[rstest]
#[case("@octocat and cc @org/team, mail me@example.org")]
#[case("Fixes #1, closes owner/repo#2, resolves GH-3 and gh-4 FIXES: #5")]
#[case("fixes https://github.com/o/r/issues/1 http://x ftp://x www.x.org mailto:a@b xmpp:a@b")]
#[case("see 0123abc and 0123456789abcdef0123456789abcdef01234567 and a@0123abc")]
#[case("![x](http://e/x.png) [y](javascript:alert(1)) [z]: http://e <http://e> <a@b.c>")]
#[case(
    "<img src=x onerror=alert(1)><!-- hidden --> <details> &lt;b&gt; &#64;octocat &commat;octocat"
)]
#[case(
    "# h\n## h\n> q\n- l\n* l\n+ l\n1. l\n2) l\n    code\n\tcode\n```\ncode\n```\n~~~\n---\n***\nx\n===\n| a | b |\n|---|---|\n"
)]
#[case("- [ ] task\n[^1]: foot [^1] $x^2$ $$y$$ :tada: `code` ~~s~~ **b** __b__ _i_ ||s||")]
#[case(
    "> [!WARNING]\n> x\n\n---\ntitle: x\n---\n{{x}} {#id .class} ^sup^ term\n: definition [[wiki]] \\@a \\\\@a"
)]
#[case("\\# \\[x\\](y) `` ` `` \\")]
#[case("@\u{200b}a #\u{2060}1 ht\u{200d}tps://x \u{202e}@a")]
fn nothing_comes_out_of_it(#[case] text: &str) {
    is_inert(&inert(&untrusted(text), 10_000));
    let title = plain(&untrusted(text), 10_000);
    assert!(!REFERENCES.is_match(&title), "{title:?}");
}

#[test]
fn it_still_says_what_it_said() {
    let text = "Division by zero in `mean()` (stats.py, line 3): <empty list> & 100% of 2 > 1!";
    assert_eq!(rendered(&inert(&untrusted(text), 1_000)).replace(BREAK, "").trim(), text);
    assert_eq!(plain(&untrusted("Fix the  mean\nof nothing"), 100), "Fix the mean of nothing");
    assert_snapshot!(inert(&untrusted("Fix *it*, @you: #1"), 100).replace(BREAK, "·"), @r"Fix \*it\*, \@·you\: \#·1");
}

#[test]
fn it_is_cut_between_characters() {
    assert_eq!(inert(&untrusted("***"), 6), "\\*\\*\\*");
    assert_eq!(inert(&untrusted("***"), 5), "\\*\\*…");
    assert_eq!(inert(&untrusted("***"), 4), "\\*…");
    assert_eq!(inert(&untrusted("abc"), 3), "abc");
    assert_eq!(inert(&untrusted("abc"), 2), "a…");
    assert_eq!(inert(&untrusted("abc"), 0), "");
}

#[test]
fn a_code_block_ends_where_we_end_it() {
    assert_snapshot!(code_block(&untrusted("a\n```\n@you\n````\n\u{1b}[31mred\u{1b}[0m\u{202e}\n"), 200), @r"
    `````text
    a
    ```
    @you
    ````
    red
    `````
    ");
    assert_eq!(code_block(&untrusted("abc"), 3), "");
    let cut = code_block(&untrusted(&"0123456789\n".repeat(1_000)), 100);
    assert!(
        cut.chars().count() <= 100 && cut.contains("characters, cut") && cut.ends_with("789\n```"),
        "{cut}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_text_comes_alive(
        text in "([@#!<>&;:.$`~*_=|+(){}\\[\\]\\\\/\"'-]|[0-9a-f]{1,9}|GH-|www\\.|https?://|fixes |\\PC|\n|\t|    |\u{200b}){0,40}",
        max in 0usize..200,
    ) {
        let out = inert(&untrusted(&text), max);
        prop_assert!(out.chars().count() <= max);
        is_inert(&out);
        let title = plain(&untrusted(&text), max);
        prop_assert!(title.chars().count() <= max && !title.contains('\n'));
        prop_assert!(!REFERENCES.is_match(&title), "{:?}", title);
    }

    #[test]
    fn no_text_ends_a_code_block(text in "(`{1,9}|~{3}|\n|[a-z@#<> ]|\u{1b}\\[|\\PC){0,60}", max in 0usize..200) {
        let out = code_block(&untrusted(&text), max);
        prop_assert!(out.chars().count() <= max);
        let events: Vec<_> = Parser::new_ext(&out, Options::all()).collect();
        let is_code = |event: &Event| matches!(event, Event::Start(Tag::CodeBlock(_)) | Event::Text(_) | Event::End(_));
        prop_assert!(events.iter().all(is_code), "{:?}", events);
        prop_assert!(events.iter().filter(|event| matches!(event, Event::Start(_))).count() <= 1);
    }
}
