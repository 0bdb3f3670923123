//! Whether a function that an event names is one of the file's.

use regex::Regex;

/// Characters of a qualified name.
const MAX_NAME: usize = 100;

/// The function's own name as it stands in the file; `None` when the file has none of that name.
///
/// Of a qualified name the last part counts. `<module>`, `<anonymous>` and the like are no function's. Where
/// the language is known, the name must be defined in the file; elsewhere it must stand where a function's name stands.
pub(super) fn find<'t>(sent: &str, path: &str, text: &'t str) -> Option<&'t str> {
    if !is_name(sent) {
        return None;
    }
    let last = sent.rsplit(['.', ':']).next()?;
    if !last.chars().next().is_some_and(is_start) || !last.chars().all(is_inner) {
        return None;
    }
    definitions(path, &regex::escape(last)).iter().find_map(|definition| {
        let definition = Regex::new(&format!("(?m){definition}")).ok()?;
        Some(definition.captures(text)?.name("name")?.as_str())
    })
}

/// `[A-Za-z_$][A-Za-z0-9_$.:<>]{0,99}`
fn is_name(sent: &str) -> bool {
    sent.len() <= MAX_NAME
        && sent.chars().next().is_some_and(is_start)
        && sent.chars().all(|c| is_inner(c) || matches!(c, '.' | ':' | '<' | '>'))
}

fn is_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '$'
}

fn is_inner(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// How a function of this name is defined in the file's language.
fn definitions(path: &str, name: &str) -> Vec<String> {
    let name = format!("(?<name>{name})");
    // `\b` does not know that `$` belongs to a name.
    let end = r"(?:[^\w$]|$)";
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "py" | "pyi" => {
            vec![format!(r"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+{name}{end}")]
        }
        "rs" => vec![format!(r"\bfn[ \t]+{name}{end}")],
        "go" => vec![format!(r"^func[ \t]*(?:\([^)\n]*\)[ \t]*)?{name}{end}")],
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" => vec![
            format!(
                r"\b(?:function(?:[ \t]*\*[ \t]*|[ \t]+)|(?:const|let|var|class)[ \t]+){name}{end}"
            ),
            // A method.
            format!(r"^[ \t]*(?:[a-z]+[ \t]+){{0,4}}[*#]?{name}[ \t]*(?:<[^;\n]*>)?\([^;\n]*\{{"),
            // What a function is given to.
            format!(
                r"(?:^|[^\w$]){name}[ \t]*(?::[^=;\n]*)?[:=][ \t]*(?:async\b|function\b|\(|\w+[ \t]*=>)"
            ),
        ],
        // A word of prose is no function's name: an event must not choose words out of a whole text.
        _ => vec![
            format!(r"(?:^|[^\w$]){name}[ \t]*\("),
            format!(r"\b(?:def|defp|fun|func|function|sub|proc)[ \t]+(?:\w+\.)?{name}{end}"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_be_defined_where_the_language_is_known() {
        let python = "class Calc:\n    async def add(self):\n        # multiply\n        pass\n";
        let rust = "impl Calc {\n    pub fn add<T>(&self) {}\n}\n// fn_other\n";
        let go = "func (c *Calc) Add(a int) {\n}\nfunc Free() {}\n";
        let script = "export class Calc {\n  async add(a) { return a; }\n  sub = (a) => a;\n}\nfunction* all$() {}\nexports.mul = function () {};\nconst neg = x => -x;\nlet $id = 1;\nconst o = {\n  div: (a) => a,\n};\n";
        let ruby = "def add\n  a\nend\ndef self.make\nend\n";
        let java = "class Calc {\n  // returns the sum\n  int add (int a) {\n  }\n}\n";
        for (path, text, sent, expected) in [
            ("a.py", python, "add", Some("add")),
            ("a.py", python, "Calc.add", Some("add")),
            ("a.py", python, "Calc.<locals>.add", Some("add")),
            ("a.py", python, "Calc", Some("Calc")),
            ("a.py", python, "multiply", None),
            ("a.py", python, "ad", None),
            ("a.py", python, "<module>", None),
            ("a.py", python, "add.<lambda>", None),
            ("a.rs", rust, "calc::Calc::add", Some("add")),
            ("a.rs", rust, "calc::Calc<T>::add", Some("add")),
            ("a.rs", rust, "_other", None),
            ("a.go", go, "Add", Some("Add")),
            ("a.go", go, "main.Free", Some("Free")),
            ("a.go", go, "Calc", None),
            ("a.ts", script, "Calc.add", Some("add")),
            ("a.ts", script, "sub", Some("sub")),
            ("a.ts", script, "mul", Some("mul")),
            ("a.ts", script, "neg", Some("neg")),
            ("a.ts", script, "div", Some("div")),
            ("a.ts", script, "all$", Some("all$")),
            ("a.ts", script, "all", None),
            ("a.ts", script, "Object.<anonymous>", None),
            ("a.ts", script, "return", None),
            ("a.rb", ruby, "add", Some("add")),
            ("a.rb", ruby, "Calc.make", Some("make")),
            ("a.rb", ruby, "end", None),
            ("a.rb", ruby, "ad", None),
            ("A.java", java, "com.example.Calc.add", Some("add")),
            ("A.java", java, "returns", None),
            ("README.md", "Ignore all that.", "Ignore", None),
            ("a.ts", script, "$id", Some("$id")),
        ] {
            assert_eq!(find(sent, path, text), expected, "{path} {sent}");
        }
    }

    #[test]
    fn what_has_not_the_shape_of_a_name_is_none_even_if_it_is_there() {
        let text = "Ignore previous instructions. x-y 1a é a.b() $(id) \n";
        let long = "a".repeat(101);
        for sent in
            ["Ignore previous", "previous instructions", "x-y", "1a", "é", "$(id)", "", "a.", &long]
        {
            assert_eq!(find(sent, "a.txt", text), None, "{sent}");
        }
        assert_eq!(find(&long, "a.txt", &long), None);
    }
}
