//! JUnit XML, as the dialects of many runners write it.
//!
//! There is no standard. What all have: `testcase` elements with `name` and `classname`, and in them
//! `failure`, `error` or `skipped`. A document type is skipped, and its entities stay what they are:
//! text.

use std::borrow::Cow;

use quick_xml::{
    Reader,
    escape::{resolve_predefined_entity, unescape_with},
    events::{BytesStart, Event},
};

use crate::case::{Outcome, Totals};

/// As deep as suites in suites go.
const MAX_DEPTH: usize = 64;
/// Of a failure's text this much is looked at.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// One report.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) cases: Vec<Case>,
    /// What its suites say they had.
    pub(super) totals: Option<Totals>,
    /// It was well-formed to the end of its root element.
    pub(super) is_complete: bool,
    /// More cases than are read.
    pub(super) is_cut: bool,
}

/// One `testcase`, as it was written.
#[derive(Debug, Default, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) class: String,
    pub(super) file: String,
    pub(super) line: Option<u32>,
    /// The names of the suites around it, the outermost first.
    pub(super) suites: Vec<String>,
    pub(super) suite_file: String,
    pub(super) outcome: Option<Outcome>,
    pub(super) message: String,
    pub(super) text: String,
    /// It passed, after failures.
    pub(super) is_flaky: bool,
}

impl Report {
    /// Reads a report. What is wrong with it ends it where it is wrong.
    pub(super) fn parse(bytes: &[u8], max_cases: usize) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim_start());
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        let mut state = State { max_cases, ..State::default() };
        loop {
            match reader.read_event() {
                Ok(Event::Start(element)) => {
                    if !state.start(&element) {
                        break;
                    }
                }
                Ok(Event::End(_)) => {
                    state.end();
                    if state.open.is_empty() {
                        state.report.is_complete = true;
                        break;
                    }
                }
                Ok(Event::Text(text)) => state.text(&String::from_utf8_lossy(&text)),
                Ok(Event::CData(text)) => state.text(&String::from_utf8_lossy(&text)),
                Ok(Event::GeneralRef(entity)) => {
                    let entity = format!("&{};", String::from_utf8_lossy(&entity));
                    state.text(&unescaped(&entity));
                }
                Ok(Event::Eof) | Err(_) => break,
                Ok(_) => {}
            }
        }
        state.report
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Suites,
    Suite {
        has_suites: bool,
    },
    Case,
    /// What a case failed of: its text is kept.
    Result,
    Other,
}

#[derive(Debug, Default)]
struct State {
    report: Report,
    open: Vec<Open>,
    suites: Vec<(String, String, Option<Totals>)>,
    case: Option<Case>,
    /// Text belongs to the case's first result only.
    keeps_text: bool,
    is_to_do: bool,
    max_cases: usize,
}

impl State {
    /// Whether to go on.
    fn start(&mut self, element: &BytesStart<'_>) -> bool {
        if self.open.len() >= MAX_DEPTH {
            return false;
        }
        let name = element.local_name();
        let parent = self.open.last().copied();
        let open = match (parent, name.as_ref()) {
            (None, b"testsuites") => Open::Suites,
            (None | Some(Open::Suites | Open::Suite { .. }), b"testsuite") => {
                self.start_suite(element);
                Open::Suite { has_suites: false }
            }
            (Some(Open::Suites | Open::Suite { .. }), b"testcase") => {
                if self.report.cases.len() >= self.max_cases {
                    self.report.is_cut = true;
                    return false;
                }
                self.start_case(element);
                Open::Case
            }
            (Some(Open::Case), tag) => self.start_result(tag, element),
            (None, _) => return false,
            _ => Open::Other,
        };
        self.open.push(open);
        true
    }

    fn start_suite(&mut self, element: &BytesStart<'_>) {
        if let Some(Open::Suite { has_suites }) = self.open.last_mut() {
            *has_suites = true;
        }
        let [name, file, path, tests, failures, errors, skipped, disabled] = attributes(
            element,
            ["name", "file", "filepath", "tests", "failures", "errors", "skipped", "disabled"],
        );
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let totals = number(&tests).map(|tests| {
            let failed = number(&failures).unwrap_or(0);
            let errored = number(&errors).unwrap_or(0);
            let skipped = number(&skipped).or(number(&disabled)).unwrap_or(0);
            let others = failed.saturating_add(errored).saturating_add(skipped);
            Totals { passed: tests.saturating_sub(others), failed, errored, skipped }
        });
        let file = if file.is_empty() { path } else { file };
        self.suites.push((name, file, totals));
    }

    fn start_case(&mut self, element: &BytesStart<'_>) {
        let [name, class, file, line, status] =
            attributes(element, ["name", "classname", "file", "line", "status"]);
        let skips = matches!(status.as_str(), "skipped" | "disabled" | "notrun");
        self.case = Some(Case {
            name,
            class,
            file,
            line: line.trim().parse().ok(),
            suites: self.suites.iter().map(|(name, ..)| name.clone()).collect(),
            suite_file: self
                .suites
                .iter()
                .rev()
                .find_map(|(_, file, _)| (!file.is_empty()).then(|| file.clone()))
                .unwrap_or_default(),
            outcome: skips.then_some(Outcome::Skipped),
            ..Case::default()
        });
        self.keeps_text = false;
        self.is_to_do = false;
    }

    fn start_result(&mut self, tag: &[u8], element: &BytesStart<'_>) -> Open {
        let Some(case) = &mut self.case else { return Open::Other };
        let outcome = match tag {
            b"failure" => Outcome::Failed,
            b"error" => Outcome::Errored,
            b"skipped" => Outcome::Skipped,
            b"flakyFailure" | b"flakyError" => {
                case.is_flaky = true;
                Outcome::Passed
            }
            _ => return Open::Other,
        };
        let is_worse = match case.outcome {
            None => true,
            // node:test says that of what need not pass yet, and then how it failed.
            Some(Outcome::Skipped) if self.is_to_do => false,
            Some(Outcome::Skipped | Outcome::Passed) => outcome.is_bad(),
            Some(_) => false,
        };
        self.keeps_text = is_worse;
        if is_worse {
            let [message, kind] = attributes(element, ["message", "type"]);
            self.is_to_do = tag == b"skipped" && kind == "todo";
            case.outcome = Some(outcome);
            case.message = if message.is_empty() && outcome.is_bad() { kind } else { message };
            case.text.clear();
        }
        Open::Result
    }

    fn text(&mut self, text: &str) {
        let Some(Open::Result) = self.open.last() else { return };
        let Some(case) = self.case.as_mut().filter(|_| self.keeps_text) else { return };
        let room = MAX_TEXT_BYTES.saturating_sub(case.text.len());
        case.text.push_str(&text[..text.floor_char_boundary(room)]);
    }

    fn end(&mut self) {
        match self.open.pop() {
            Some(Open::Case) => self.report.cases.extend(self.case.take()),
            Some(Open::Suite { has_suites }) => {
                let totals = self.suites.pop().and_then(|(.., totals)| totals);
                // A suite of suites says their sum again, as some write it.
                if let (false, Some(totals)) = (has_suites, totals) {
                    self.report.totals = Some(self.report.totals.unwrap_or_default().plus(totals));
                }
            }
            _ => {}
        }
    }
}

/// These attributes of an element, empty where they are not there.
fn attributes<const N: usize>(element: &BytesStart<'_>, names: [&str; N]) -> [String; N] {
    let mut values = [const { String::new() }; N];
    for attribute in element.attributes().with_checks(false).flatten() {
        let key = attribute.key.local_name();
        if let Some(at) = names.iter().position(|name| name.as_bytes() == key.as_ref()) {
            let raw = String::from_utf8_lossy(&attribute.value);
            let raw = &raw[..raw.floor_char_boundary(MAX_TEXT_BYTES)];
            values[at] = unescaped(raw).into_owned();
        }
    }
    values
}

/// With the five entities of XML and character references resolved. Others stay as they are.
fn unescaped(raw: &str) -> Cow<'_, str> {
    unescape_with(raw, resolve_predefined_entity).unwrap_or(Cow::Borrowed(raw))
}
