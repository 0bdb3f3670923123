//! Words, strings and brackets of the four languages: enough to tell code from what only looks like
//! code. One pass, never back: a hostile file costs no more than its length.

use booty_policy::config::Language;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Word,
    Number,
    /// A string, with its quotes; also a character or a regular expression.
    Text,
    Punct,
}

/// One token; comments are none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// From 1.
    pub(super) line: u32,
    /// In bytes.
    pub(super) start: usize,
    /// Of the first token of a line: how far it is indented.
    pub(super) indent: Option<u32>,
}

/// A file's tokens, and which bracket closes which.
pub(super) struct Tokens<'a> {
    pub(super) list: Vec<Token<'a>>,
    partner: Vec<usize>,
}

/// A longer regular expression is read as a division.
const MAX_PATTERN: usize = 1_000;

/// Longest first.
const OPERATORS: [&str; 24] = [
    "===", "!==", "...", "..=", "**=", "//=", "==", "!=", ">=", "<=", "=>", "->", ":=", "::", "&&",
    "||", "??", "+=", "-=", "*=", "/=", "|=", "?.", "**",
];

impl<'a> Tokens<'a> {
    pub(super) fn of(language: Language, text: &'a str) -> Self {
        let mut lexer = Lexer {
            text,
            bytes: text.as_bytes(),
            at: 0,
            line: 1,
            indent: Some(0),
            continued: false,
            list: Vec::new(),
        };
        while lexer.at < lexer.bytes.len() {
            lexer.step(language);
        }
        let partner = partners(&lexer.list);
        Self { list: lexer.list, partner }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The text of a token; nothing past the end.
    pub(super) fn text(&self, at: usize) -> &'a str {
        self.list.get(at).map_or("", |token| token.text)
    }

    /// The text of the token that many places before; nothing before the start.
    pub(super) fn before(&self, at: usize, back: usize) -> &'a str {
        at.checked_sub(back).map_or("", |at| self.text(at))
    }

    pub(super) fn kind(&self, at: usize) -> Option<Kind> {
        self.list.get(at).map(|token| token.kind)
    }

    pub(super) fn is_word(&self, at: usize) -> bool {
        self.kind(at) == Some(Kind::Word)
    }

    pub(super) fn line(&self, at: usize) -> u32 {
        self.list.get(at).or(self.list.last()).map_or(1, |token| token.line)
    }

    /// Where the bracket that is opened here is closed; the end when it is not.
    pub(super) fn close(&self, at: usize) -> usize {
        self.partner.get(at).copied().unwrap_or(usize::MAX).min(self.len())
    }

    /// Whether these tokens stand here.
    pub(super) fn starts(&self, at: usize, what: &[&str]) -> bool {
        what.iter().enumerate().all(|(n, text)| self.text(at + n) == *text)
    }

    /// The tokens as one text with a space between, so that layout, quotes and trailing commas do not
    /// count.
    pub(super) fn normal(&self, from: usize, to: usize) -> String {
        let mut out = String::new();
        for at in from..to.min(self.len()) {
            let text = self.text(at);
            let is_trailing =
                text == "," && (at + 1 >= to || matches!(self.text(at + 1), ")" | "]" | "}"));
            if is_trailing || text == ";" {
                continue;
            }
            if !out.is_empty() {
                out.push(' ');
            }
            match self.kind(at) {
                Some(Kind::Text) => {
                    out.push('"');
                    out.push_str(content(text));
                    out.push('"');
                }
                _ => out.push_str(text),
            }
        }
        out
    }

    /// The parts between top-level commas of a bracket's inside.
    pub(super) fn split(&self, from: usize, to: usize, by: &str) -> Vec<(usize, usize)> {
        let mut parts = Vec::new();
        let (mut start, mut at) = (from, from);
        let to = to.min(self.len());
        while at < to {
            if self.text(at) == by {
                parts.push((start, at));
                start = at + 1;
            }
            at = self.after(at);
        }
        if start < to {
            parts.push((start, to));
        }
        parts
    }

    /// The next token on this level: past a bracket that opens here.
    pub(super) fn after(&self, at: usize) -> usize {
        match self.text(at) {
            "(" | "[" | "{" => (self.close(at) + 1).max(at + 1),
            _ => at + 1,
        }
    }

    /// The first of these on this level.
    pub(super) fn find(&self, from: usize, to: usize, what: &[&str]) -> Option<usize> {
        let mut at = from;
        while at < to.min(self.len()) {
            if self.kind(at) != Some(Kind::Text) && what.contains(&self.text(at)) {
                return Some(at);
            }
            at = self.after(at);
        }
        None
    }

    /// Without brackets that hold all of it.
    pub(super) fn bare(&self, mut from: usize, mut to: usize) -> (usize, usize) {
        while from + 1 < to && self.text(from) == "(" && self.close(from) + 1 == to {
            from += 1;
            to -= 1;
        }
        (from, to)
    }
}

/// A string without its quotes and prefix; anything else as it is.
pub(super) fn content(text: &str) -> &str {
    let Some(at) = text.find(['"', '\'', '`']) else { return text };
    let (prefix, inner) = text.split_at(at);
    if !prefix.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'#') {
        return text;
    }
    for quote in ["\"\"\"", "'''"] {
        if let Some(inner) = inner.strip_prefix(quote) {
            return inner.strip_suffix(quote).unwrap_or(inner);
        }
    }
    let inner = inner.trim_end_matches('#');
    let Some(quote) = inner.chars().next() else { return inner };
    let inner = inner.get(1..).unwrap_or_default();
    inner.strip_suffix(quote).unwrap_or(inner)
}

fn partners(list: &[Token<'_>]) -> Vec<usize> {
    let mut partner = vec![usize::MAX; list.len()];
    let mut open: Vec<usize> = Vec::new();
    for (at, token) in list.iter().enumerate() {
        if token.kind != Kind::Punct {
            continue;
        }
        let opener = match token.text {
            "(" | "[" | "{" => {
                open.push(at);
                continue;
            }
            ")" => "(",
            "]" => "[",
            "}" => "{",
            _ => continue,
        };
        if let Some(&last) = open.last().filter(|last| list[**last].text == opener) {
            partner[last] = at;
            partner[at] = last;
            open.pop();
        }
    }
    partner
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: u32,
    /// The indentation so far, while nothing else is on the line.
    indent: Option<u32>,
    /// The line before ended with a backslash.
    continued: bool,
    list: Vec<Token<'a>>,
}

impl Lexer<'_> {
    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn step(&mut self, language: Language) {
        let byte = self.byte(0);
        match byte {
            b'\n' => {
                self.line += 1;
                self.at += 1;
                self.indent = if self.continued { None } else { Some(0) };
                self.continued = false;
            }
            b' ' | b'\t' | b'\r' | 0x0c => {
                if let Some(indent) = &mut self.indent {
                    *indent = if byte == b'\t' { (*indent / 8 + 1) * 8 } else { *indent + 1 };
                }
                self.at += 1;
            }
            b'\\' => {
                self.continued = matches!(self.byte(1), b'\n' | b'\r');
                self.at += 1;
            }
            b'#' if language == Language::Python => self.skip_line(),
            b'#' if self.at == 0 && self.byte(1) == b'!' && language == Language::Node => {
                self.skip_line()
            }
            b'/' if language != Language::Python && self.byte(1) == b'/' => self.skip_line(),
            b'/' if language != Language::Python && self.byte(1) == b'*' => {
                self.skip_block(language == Language::Rust);
            }
            b'"' | b'\'' | b'`' => self.quoted(language, 0),
            b'/' if language == Language::Node && self.may_be_pattern() => self.pattern(),
            b'0'..=b'9' => self.number(),
            _ if is_word(byte) => self.word(language),
            _ => self.punct(),
        }
    }

    fn push(&mut self, kind: Kind, end: usize) {
        let end = end.min(self.bytes.len());
        let text = self.text.get(self.at..end).unwrap_or_default();
        let indent = self.indent.take();
        self.list.push(Token { kind, text, line: self.line, start: self.at, indent });
        self.line += newlines(text);
        self.at = end.max(self.at + 1);
    }

    fn skip_line(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }

    fn skip_block(&mut self, nests: bool) {
        let mut depth = 0_u32;
        while self.at < self.bytes.len() {
            match (self.byte(0), self.byte(1)) {
                (b'/', b'*') if nests || depth == 0 => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                (byte, _) => {
                    self.line += u32::from(byte == b'\n');
                    self.at += 1;
                }
            }
        }
    }

    fn number(&mut self) {
        let mut end = self.at + 1;
        while let Some(&byte) = self.bytes.get(end) {
            let next_is_digit = self.bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            let before = self.bytes[end - 1];
            let goes_on = is_word(byte)
                || (byte == b'.' && next_is_digit)
                || (matches!(byte, b'+' | b'-') && matches!(before, b'e' | b'E') && next_is_digit);
            if !goes_on {
                break;
            }
            end += 1;
        }
        self.push(Kind::Number, end);
    }

    fn word(&mut self, language: Language) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        let next = rest.get(length).copied().unwrap_or(0);
        let word = self.text.get(self.at..self.at + length).unwrap_or_default();
        let is_prefix = match language {
            Language::Python => {
                length <= 2
                    && matches!(next, b'"' | b'\'')
                    && word.bytes().all(|byte| b"rRbBuUfFtT".contains(&byte))
            }
            Language::Rust => {
                (matches!(word, "b" | "c") && matches!(next, b'"' | b'\''))
                    || (matches!(word, "r" | "br" | "cr") && is_raw(&rest[length..]))
            }
            _ => false,
        };
        if is_prefix {
            self.quoted(language, length)
        } else {
            self.push(Kind::Word, self.at + length)
        }
    }

    fn punct(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let known = OPERATORS.iter().find(|operator| rest.starts_with(operator.as_bytes()));
        self.push(Kind::Punct, self.at + known.map_or(1, |operator| operator.len()));
    }

    /// A string that starts `prefix` bytes from here.
    fn quoted(&mut self, language: Language, prefix: usize) {
        let start = self.at + prefix;
        let quote = self.bytes.get(start).copied().unwrap_or(0);
        let bytes = self.bytes;
        let is_triple = bytes.get(start..start + 3) == Some(&[quote; 3]);
        let end = match (language, quote) {
            (Language::Python, b'"' | b'\'') if is_triple => {
                find_end(bytes, start + 3, |rest| rest.starts_with(&[quote; 3]), true) + 3
            }
            (Language::Rust, b'"' | b'#') if prefix > 0 && self.is_raw_here(prefix) => {
                let hashes = bytes[start..].iter().take_while(|byte| **byte == b'#').count();
                raw_end(bytes, start + hashes + 1, hashes)
            }
            (Language::Rust, b'"') => {
                find_end(bytes, start + 1, |rest| rest.first() == Some(&b'"'), true) + 1
            }
            (Language::Rust, b'\'') => match char_end(self.text, start) {
                Some(end) => end,
                None => {
                    // A lifetime.
                    let rest = bytes.get(start + 1..).unwrap_or_default();
                    let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
                    return self.push(Kind::Word, start + 1 + length);
                }
            },
            (Language::Node, b'`') => template_end(bytes, start + 1),
            (Language::Go, b'`') => {
                find_end(bytes, start + 1, |rest| rest.first() == Some(&b'`'), false) + 1
            }
            _ => {
                let end =
                    find_end(bytes, start + 1, |rest| rest[0] == quote || rest[0] == b'\n', true);
                if bytes.get(end) == Some(&quote) { end + 1 } else { end }
            }
        };
        self.push(Kind::Text, end);
    }

    fn is_raw_here(&self, prefix: usize) -> bool {
        self.bytes.get(self.at + prefix - 1) == Some(&b'r')
    }

    /// Whether `/` starts a regular expression: not after a value.
    fn may_be_pattern(&self) -> bool {
        let Some(last) = self.list.last() else { return true };
        match last.kind {
            Kind::Number | Kind::Text => false,
            Kind::Word => {
                matches!(
                    last.text,
                    "return"
                        | "typeof"
                        | "case"
                        | "in"
                        | "of"
                        | "void"
                        | "delete"
                        | "await"
                        | "yield"
                )
            }
            Kind::Punct => !matches!(last.text, ")" | "]" | "}"),
        }
    }

    fn pattern(&mut self) {
        let mut in_class = false;
        let mut end = self.at + 1;
        // What is no pattern is found out on the way: not again and again to the end of a long line.
        while let Some(&byte) = self.bytes.get(end).filter(|_| end < self.at + MAX_PATTERN) {
            match byte {
                b'\n' => return self.punct(),
                b'\\' => end += 1,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'/' if !in_class => return self.push(Kind::Text, end + 1),
                _ => {}
            }
            end += 1;
        }
        self.punct();
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn newlines(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX)
}

/// Where a string ends: at the quote, not past it. A backslash hides one byte.
fn find_end(bytes: &[u8], from: usize, is_end: impl Fn(&[u8]) -> bool, escapes: bool) -> usize {
    let mut at = from;
    while at < bytes.len() {
        if escapes && bytes[at] == b'\\' {
            at += 2;
        } else if is_end(&bytes[at..]) {
            return at;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn is_raw(rest: &[u8]) -> bool {
    rest.iter().find(|byte| **byte != b'#') == Some(&b'"')
}

fn raw_end(bytes: &[u8], from: usize, hashes: usize) -> usize {
    let mut at = from;
    while at < bytes.len() {
        if bytes[at] == b'"' {
            let seen =
                bytes[at + 1..].iter().take(hashes).take_while(|byte| **byte == b'#').count();
            if seen == hashes {
                return at + 1 + hashes;
            }
            at += 1 + seen;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The end of a character; `None` of a lifetime.
fn char_end(text: &str, start: usize) -> Option<usize> {
    let rest = text.get(start + 1..)?;
    if rest.starts_with('\\') {
        let bytes = text.as_bytes();
        let end = find_end(bytes, start + 1, |rest| matches!(rest[0], b'\'' | b'\n'), true);
        return Some(end + 1);
    }
    let first = rest.chars().next()?;
    let end = start + 1 + first.len_utf8();
    (text.as_bytes().get(end) == Some(&b'\'')).then_some(end + 1)
}

/// The end of a template, whose `${}` may hold templates.
fn template_end(bytes: &[u8], from: usize) -> usize {
    // True: in a template; false: in braces.
    let mut stack = vec![true];
    let mut at = from;
    while at < bytes.len() {
        let in_template = stack.last().copied().unwrap_or(true);
        match (in_template, bytes[at]) {
            (_, b'\\') => at += 1,
            (true, b'`') | (false, b'}') => {
                stack.pop();
                if stack.is_empty() {
                    return at + 1;
                }
            }
            (true, b'$') if bytes.get(at + 1) == Some(&b'{') => {
                stack.push(false);
                at += 1;
            }
            (false, b'{') => stack.push(false),
            (false, b'`') => stack.push(true),
            (false, quote @ (b'"' | b'\'')) => {
                at = find_end(bytes, at + 1, |rest| rest[0] == quote || rest[0] == b'\n', true);
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
