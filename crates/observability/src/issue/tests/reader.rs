//! Two parsers of Markdown, and what GitHub makes of the text that they leave.

use std::sync::LazyLock;

use comrak::{
    Arena, Options,
    nodes::{AstNode, NodeValue},
    parse_document,
};
use pulldown_cmark::{Event, Parser, Tag};
use regex::Regex;

/// What GitHub makes of text once it is rendered, outside of code.
static LIVE: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    [
        ("mention", r"(?:^|[^A-Za-z0-9_`])@[A-Za-z0-9]"),
        ("issue", r"#[0-9]"),
        ("issue", r"(?i)\bgh-[0-9]"),
        ("commit", r"(?i-u:\b)[0-9A-Fa-f]{7,40}(?-u:\b)"),
        ("commit", r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+@[0-9A-Fa-f]"),
        ("link", r"(?i)\b(?:https?|ftp)://"),
        ("link", r"(?i)\bwww\."),
        ("link", r"(?i)\b(?:mailto|xmpp):[^\s\x{200b}]"),
        ("mail", r"[A-Za-z0-9._+-]@[A-Za-z0-9-]"),
        ("emoji", r":(?:[A-Za-z_+-][A-Za-z0-9_+-]*|100|1234):"),
        ("mathematics", r"\$[^$\s\x{200b}]"),
        (
            "closing",
            r"(?i)\b(?:clos(?:e[sd]?)|fix(?:e[sd])?|resolve[sd]?):?\s+(?:#[0-9]|gh-[0-9]|[\w.-]+/[\w.-]+#[0-9]|https?://)",
        ),
        // All but the line's end and the break that holds the others back.
        ("hidden", r"[\x{0}-\x{9}\x{b}-\x{1f}\x{7f}-\x{9f}\x{ad}\x{61c}\x{200c}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{206f}\x{feff}\x{e0000}-\x{e0fff}]"),
    ]
    .map(|(name, pattern)| (name, Regex::new(pattern).unwrap()))
    .into()
});

/// Holds that nothing in a text, as GitHub shows it, acts.
pub(super) fn is_dead(text: &str) {
    for (name, pattern) in LIVE.iter() {
        if let Some(found) = pattern.find(text) {
            panic!("{name}: {:?} in {text:?}", found.as_str());
        }
    }
}

/// What a page consists of: its nodes by name, and its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Without text and code, which stand for one another.
    pub(super) nodes: Vec<String>,
    /// Outside of code; a node that is none of text ends a line.
    pub(super) text: String,
    pub(super) code: Vec<String>,
    pub(super) links: Vec<String>,
}

/// Reads with all that GitHub and other dialects add, and holds that the two parsers see the same.
pub(super) fn read(markdown: &str) -> Page {
    let page = by_comrak(markdown);
    let other = by_pulldown_cmark(markdown);
    assert_eq!(page.links, other.links, "{markdown:?}");
    assert_eq!(page.code, other.code, "{markdown:?}");
    for text in [&page.text, &other.text] {
        is_dead(text);
    }
    for code in &page.code {
        assert!(!code.contains('`') && !code.contains('\n'), "{code:?}");
        let (_, hidden) = LIVE.last().unwrap();
        assert!(!hidden.is_match(code), "{code:?}");
    }
    page
}

fn by_comrak(markdown: &str) -> Page {
    let mut options = Options::default();
    let on = &mut options.extension;
    on.strikethrough = true;
    on.table = true;
    on.autolink = true;
    on.tasklist = true;
    on.superscript = true;
    on.subscript = true;
    on.footnotes = true;
    on.inline_footnotes = true;
    on.description_lists = true;
    on.multiline_block_quotes = true;
    on.alerts = true;
    on.ofm_callouts = true;
    on.math_dollars = true;
    // `\\(` and `\\[` are escapes for GitHub, and mathematics for some.
    on.math_latex = false;
    on.math_code = true;
    on.shortcodes = true;
    on.wikilinks_title_after_pipe = true;
    on.underline = true;
    on.spoiler = true;
    on.greentext = true;
    on.ofm_comments = true;
    on.subtext = true;
    on.highlight = true;
    on.insert = true;
    on.block_directive = true;
    on.front_matter_delimiter = Some("---".to_owned());
    options.parse.relaxed_tasklist_matching = true;
    options.parse.relaxed_autolinks = true;
    let arena = Arena::new();
    let mut page =
        Page { nodes: Vec::new(), text: String::new(), code: Vec::new(), links: Vec::new() };
    visit(parse_document(&arena, markdown, &options), &mut page);
    page
}

fn visit<'a>(node: &'a AstNode<'a>, page: &mut Page) {
    let mut is_block = true;
    let name = match &node.data.borrow().value {
        NodeValue::Text(text) => {
            page.text.push_str(text);
            return;
        }
        NodeValue::Code(code) => {
            page.code.push(code.literal.clone());
            page.text.push('\n');
            return;
        }
        NodeValue::SoftBreak => "break".to_owned(),
        NodeValue::Document => "document".to_owned(),
        NodeValue::Paragraph => "paragraph".to_owned(),
        NodeValue::Heading(heading) => format!("heading {}", heading.level),
        NodeValue::List(_) => "list".to_owned(),
        NodeValue::Item(_) => "item".to_owned(),
        NodeValue::ThematicBreak => "rule".to_owned(),
        NodeValue::Strong => {
            is_block = false;
            "strong".to_owned()
        }
        NodeValue::Link(link) => {
            page.links.push(link.url.clone());
            "link".to_owned()
        }
        other => panic!("{other:?} after {:?}", page.text),
    };
    page.nodes.push(name);
    if is_block {
        page.text.push('\n');
    }
    for child in node.children() {
        visit(child, page);
    }
    if is_block {
        page.text.push('\n');
    }
}

fn by_pulldown_cmark(markdown: &str) -> Page {
    let mut page =
        Page { nodes: Vec::new(), text: String::new(), code: Vec::new(), links: Vec::new() };
    for event in Parser::new_ext(markdown, pulldown_cmark::Options::all()) {
        match event {
            Event::Text(text) => page.text.push_str(&text),
            Event::Code(code) => {
                page.code.push(code.to_string());
                page.text.push('\n');
            }
            Event::Start(Tag::Link { dest_url, .. }) => page.links.push(dest_url.to_string()),
            Event::Start(
                Tag::Paragraph | Tag::Heading { .. } | Tag::List(_) | Tag::Item | Tag::Strong,
            )
            | Event::End(_)
            | Event::SoftBreak
            | Event::Rule => page.text.push('\n'),
            other => panic!("{other:?} after {:?}", page.text),
        }
    }
    page
}

/// It would find what it is there for.
#[test]
fn it_sees_what_lives() {
    for live in [
        "@octocat",
        "cc @org/team",
        "#1",
        "o/r#1",
        "GH-1",
        "0123abc",
        "see o/r@0123abc",
        "http://x",
        "www.x.org",
        "mailto:a",
        "a@b.c",
        ":tada:",
        "$x$",
        "fixes #1",
        "\u{202e}x",
        "\u{1b}[31m",
    ] {
        assert!(std::panic::catch_unwind(|| is_dead(live)).is_err(), "{live:?}");
    }
    for live in [
        "![x](http://e/x.png)",
        "<img src=x>",
        "<!-- x -->",
        "> q",
        "```\nx\n```",
        "    x",
        "| a |\n|---|\n| b |",
        "- [ ] x",
        "x[^1]\n\n[^1]: y",
        "*x*",
        "~~x~~",
        "$$x$$",
    ] {
        assert!(std::panic::catch_unwind(|| read(live)).is_err(), "{live:?}");
    }
}
