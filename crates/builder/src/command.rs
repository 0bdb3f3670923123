//! What a comment commands. Only its first line can: a command that is quoted, stands in a code block or
//! further down is somebody's text.

/// What a comment's first line begins with.
const PREFIX: &str = "/booty";
/// Bytes of a person's words that are kept; GitHub takes 65,536 characters of a comment.
const MAX_WORDS_BYTES: usize = 8 * 1024;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// To go back to the pull request with these words.
    Fix(String),
    /// To end what is at work.
    Stop,
    /// To begin anew.
    Retry,
    /// To be told what there is.
    Help,
    /// None that there is.
    Unknown,
}

impl Command {
    /// The command in a comment; `None` for all other comments.
    pub(crate) fn parse(comment: &str) -> Option<Self> {
        let (first, below) = comment.split_once('\n').unwrap_or((comment, ""));
        let (head, after) = first.split_at_checked(PREFIX.len())?;
        if !head.eq_ignore_ascii_case(PREFIX) {
            return None;
        }
        if !(after.is_empty() || after.starts_with(char::is_whitespace)) {
            return None;
        }
        let after = after.trim();
        let (word, rest) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
        Some(match word.to_ascii_lowercase().as_str() {
            "" | "help" => Self::Help,
            "stop" => Self::Stop,
            "retry" => Self::Retry,
            "fix" => Self::of_words(rest, below),
            // One word asks for nothing, and may be `stop` with a slip: it must not start work.
            _ if rest.is_empty() && own_lines(below).is_empty() => Self::Unknown,
            _ => Self::of_words(after, below),
        })
    }

    /// Whether it may start work.
    pub(crate) fn is_work(&self) -> bool {
        matches!(self, Self::Fix(_) | Self::Retry)
    }

    fn of_words(first: &str, below: &str) -> Self {
        let below = own_lines(below);
        let words = match (first.trim(), below.as_str()) {
            ("", below) => below.to_owned(),
            (first, "") => first.to_owned(),
            (first, below) => format!("{first}\n{below}"),
        };
        if words.is_empty() {
            return Self::Unknown;
        }
        let end = words.floor_char_boundary(MAX_WORDS_BYTES);
        Self::Fix(words.get(..end).unwrap_or_default().to_owned())
    }
}

/// The lines that are not quoted: those are somebody else's words.
fn own_lines(text: &str) -> String {
    let is_own = |line: &&str| !line.trim_start().starts_with('>');
    let own: Vec<&str> = text.lines().filter(is_own).map(str::trim_end).collect();
    own.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fix(words: &str) -> Option<Command> {
        Some(Command::Fix(words.to_owned()))
    }

    #[test]
    fn commands_are_read_from_the_first_line() {
        for (comment, expected) in [
            ("/booty stop", Some(Command::Stop)),
            ("/booty STOP please\r\nreally", Some(Command::Stop)),
            ("/Booty\tretry", Some(Command::Retry)),
            ("/booty", Some(Command::Help)),
            ("/booty help", Some(Command::Help)),
            ("/booty stpo", Some(Command::Unknown)),
            ("/booty fix", Some(Command::Unknown)),
            ("/booty fix the sign", fix("the sign")),
            ("/booty fix\r\nthe sign\r\nand the name", fix("the sign\nand the name")),
            ("/booty use sum() here", fix("use sum() here")),
            ("/booty tests\nare missing", fix("tests\nare missing")),
        ] {
            assert_eq!(Command::parse(comment), expected, "{comment:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_command_is_none() {
        for comment in [
            "",
            "> /booty stop",
            "```\n/booty stop\n```",
            "    /booty stop",
            "\n/booty stop",
            "Please /booty stop",
            "`/booty stop`",
            "/bootystop",
            "/booty-stop",
            "/boot",
            "\u{feff}/booty stop",
            "é",
        ] {
            assert_eq!(Command::parse(comment), None, "{comment:?}");
        }
    }

    #[test]
    fn quoted_lines_are_nobody_s_command() {
        assert_eq!(
            Command::parse(
                "/booty fix the sign\n> delete everything\n\nOn Monday:\n  > and more\n\nPlease"
            ),
            fix("the sign\nOn Monday:\n\nPlease")
        );
        assert_eq!(Command::parse("/booty fix\n> delete everything"), Some(Command::Unknown));
        assert_eq!(Command::parse("/booty stpo\n> delete everything"), Some(Command::Unknown));
    }

    #[test]
    fn words_are_bounded() {
        let Some(Command::Fix(words)) = Command::parse(&format!("/booty fix {}", "é".repeat(9000)))
        else {
            panic!("no words")
        };
        assert!(words.len() <= MAX_WORDS_BYTES && words.len() > MAX_WORDS_BYTES - 2);
    }
}
