//! Characters that show nothing, and texts that are the same to some file system.

use unicode_normalization::UnicodeNormalization;

/// Whether a character shows nothing, turns the text around it, or only changes the one before it:
/// Unicode's default ignorable code points, which hold zero-width, bidi and tag characters,
/// and the interlinear marks.
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is a control character other than newline and tab.
pub(crate) fn is_control(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// A text without what shows nothing, with one kind of line end.
pub(crate) fn visible(text: &str) -> String {
    let lines = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}', '\u{85}'], "\n");
    lines.chars().filter(|c| !is_hidden(*c) && !is_control(*c)).collect()
}

/// The same without terminal control sequences as well.
pub(crate) fn shown(text: &str) -> String {
    visible(&without_escapes(text))
}

/// Takes out terminal control sequences: `ESC [ … letter`, `ESC ] … BEL` and `ESC` with one more;
/// the first two also with the one character that stands for theirs.
pub(crate) fn without_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let kind = match c {
            '\u{1b}' => rest.next(),
            '\u{9b}' => Some('['),
            '\u{9d}' => Some(']'),
            _ => {
                kept.push(c);
                continue;
            }
        };
        match kind {
            Some('[') => while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {},
            // The text of such a sequence never has a line end.
            Some(']') => {
                while rest.next_if(|c| !matches!(c, '\u{7}' | '\u{1b}' | '\n')).is_some() {}
            }
            _ => continue,
        }
        rest.next_if(|c| *c != '\n');
    }
    kept
}

/// One form for all texts that differ in case, composition, width or hidden characters. It takes
/// more for the same than any file system does, which is the safe side.
pub(crate) fn fold(text: &str) -> String {
    let once = |text: String| -> String {
        let shown = text.nfkc().filter(|c| !is_hidden(*c));
        shown
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
            .nfkc()
            .filter(|c| !is_hidden(*c))
            .collect()
    };
    // A letter may only take its last form after it was decomposed by the first pass.
    once(once(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(".GIT", ".git")]
    #[case(".g\u{200c}it", ".git")]
    #[case(".gı\u{feff}t", ".git")]
    #[case(".github\u{e0041}", ".github")]
    #[case("．ｇｉｔ", ".git")]
    #[case("CODEOWNERſ", "codeowners")]
    #[case("\u{212a}ey", "key")]
    #[case("STRASSE", "strasse")]
    #[case("straße", "strasse")]
    #[case("e\u{301}", "é")]
    fn folds(#[case] spelling: &str, #[case] folded: &str) {
        assert_eq!(fold(spelling), folded);
    }

    #[rstest]
    #[case("\u{1b}[1;31mred\u{1b}[0m", "red")]
    #[case("\u{9b}31mred\u{9b}0m", "red")]
    #[case("\u{1b}]8;;https://e.example\u{7}link\u{1b}]8;;\u{7}", "link")]
    #[case("\u{9d}0;title\u{7}text", "text")]
    #[case("\u{1b}(Btext\u{1b}", "Btext")]
    fn terminal_sequences_go(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn one_kind_of_line_end() {
        assert_eq!(visible("a\r\nb\rc\u{2028}d\u{0}\u{1b}[31m\te"), "a\nb\nc\nd[31m\te");
    }
}
