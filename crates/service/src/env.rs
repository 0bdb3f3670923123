//! Settings from the environment, with all mistakes told at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    str::FromStr,
    time::Duration,
};

use secrecy::SecretString;
use thiserror::Error;

/// One setting that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// The variable.
    pub name: String,
    /// What is wrong and what to do. Never holds a secret's value.
    pub problem: String,
}

/// Every setting that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct SettingsErrors(pub Vec<SettingError>);

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = if self.0.len() == 1 { "setting" } else { "settings" };
        write!(f, "{} {many} can't be used:", self.0.len())?;
        for error in &self.0 {
            write!(f, "\n  {}: {}", error.name, error.problem)?;
        }
        write!(f, "\nEvery setting is described in docs/CONFIGURATION.md.")
    }
}

/// Reads settings and remembers what was wrong with them, so that [`Env::finish`] can say it all.
///
/// Each getter returns a usable value even after a mistake (a default, nothing, an empty secret);
/// nothing may be started before `finish` returned `Ok`.
pub struct Env {
    values: BTreeMap<String, String>,
    asked: BTreeSet<String>,
    errors: Vec<SettingError>,
}

impl Env {
    /// The process's own environment. Values that aren't UTF-8 are mistakes only when asked for.
    pub fn from_process() -> Self {
        Self::from_map(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    /// Given names and values.
    pub fn from_map<K: Into<String>, V: Into<String>>(
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self {
            values: values.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
            asked: BTreeSet::new(),
            errors: Vec::new(),
        }
    }

    /// The value, or nothing when it is unset or empty (compose files pass unset ones as empty).
    pub fn optional(&mut self, name: &str) -> Option<String> {
        self.asked.insert(name.to_owned());
        self.values.get(name).map(|v| v.trim()).filter(|v| !v.is_empty()).map(str::to_owned)
    }

    /// The value; a mistake when there is none.
    pub fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.problem(name, "is not set, and has no default");
            String::new()
        })
    }

    /// The parsed value, or nothing when it is unset.
    pub fn parse<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        let text = self.optional(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(name, &format!("{text:?} can't be read: {error}"));
                None
            }
        }
    }

    /// The parsed value, or the default.
    pub fn parse_or<T: FromStr>(&mut self, name: &str, default: T) -> T
    where
        T::Err: fmt::Display,
    {
        self.parse(name).unwrap_or(default)
    }

    /// A number within bounds, or the default.
    pub fn number_or(
        &mut self,
        name: &str,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> u64 {
        let value = self.parse_or(name, default);
        if bounds.contains(&value) {
            return value;
        }
        let (from, to) = bounds.into_inner();
        self.problem(name, &format!("{value} is not between {from} and {to}"));
        default
    }

    /// A length of time such as `30s`, `5m`, `3d`, or the default.
    pub fn duration_or(&mut self, name: &str, default: Duration) -> Duration {
        let Some(text) = self.optional(name) else { return default };
        humantime::parse_duration(&text).unwrap_or_else(|error| {
            self.problem(
                name,
                &format!("{text:?} is not a length of time such as 400ms, 30s, 5m or 3d: {error}"),
            );
            default
        })
    }

    /// `true`/`1`/`yes`/`on` or `false`/`0`/`no`/`off`, or the default.
    pub fn flag_or(&mut self, name: &str, default: bool) -> bool {
        let Some(text) = self.optional(name) else { return default };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => {
                self.problem(name, &format!("{text:?} is neither true nor false"));
                default
            }
        }
    }

    /// Comma-separated values, without empty ones.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        split(&self.optional(name).unwrap_or_default())
    }

    /// A secret from `NAME`, or from the file that `NAME_FILE` names.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.secret_text(name).map(SecretString::from)
    }

    /// Comma-separated secrets, so that they can be rotated.
    pub fn secret_list(&mut self, name: &str) -> Vec<SecretString> {
        split(&self.secret_text(name).unwrap_or_default())
            .into_iter()
            .map(SecretString::from)
            .collect()
    }

    fn secret_text(&mut self, name: &str) -> Option<String> {
        let file_name = format!("{name}_FILE");
        let direct = self.optional(name);
        let file = self.optional(&file_name);
        // Asked for under one name in the documentation.
        self.asked.remove(&file_name);
        match (direct, file) {
            (Some(_), Some(_)) => {
                self.problem(name, &format!("is set, and so is {file_name}; keep one of them"));
                None
            }
            (Some(text), None) => Some(text),
            (None, Some(path)) => match fs::read_to_string(&path) {
                Ok(text) if text.trim().is_empty() => {
                    self.problem(&file_name, &format!("{path} is empty"));
                    None
                }
                Ok(text) => Some(text.trim().to_owned()),
                Err(error) => {
                    self.problem(&file_name, &format!("{path} can't be read: {error}"));
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// Notes a mistake that only the asker can see, such as two settings that don't fit together.
    pub fn problem(&mut self, name: &str, problem: &str) {
        self.errors.push(SettingError { name: name.to_owned(), problem: problem.to_owned() });
    }

    /// The names that were asked for so far.
    pub fn asked(&self) -> impl Iterator<Item = &str> {
        self.asked.iter().map(String::as_str)
    }

    /// # Errors
    /// All mistakes, in the order in which they were found.
    pub fn finish(&mut self) -> Result<(), SettingsErrors> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(SettingsErrors(std::mem::take(&mut self.errors)))
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn all_mistakes_are_told_at_once_and_no_secret_is() {
        let mut env = Env::from_map([
            ("WORKER_COUNT", "many"),
            ("MAX_EVENT_AGE", "soon"),
            ("WEBHOOK_SECRET", "s3cr3t"),
            ("WEBHOOK_SECRET_FILE", "/nowhere"),
        ]);
        env.required("TARGET_REPO_URL");
        assert_eq!(env.parse_or("WORKER_COUNT", 2), 2);
        env.duration_or("MAX_EVENT_AGE", Duration::from_secs(1));
        env.secret("WEBHOOK_SECRET");
        let errors = env.finish().unwrap_err();
        let names: Vec<_> = errors.0.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["TARGET_REPO_URL", "WORKER_COUNT", "MAX_EVENT_AGE", "WEBHOOK_SECRET"]);
        assert!(!errors.to_string().contains("s3cr3t"));
        assert_eq!(env.finish(), Ok(()));
    }

    #[test]
    fn secrets_come_from_files_too_and_numbers_stay_text() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "one, 2").unwrap();
        let mut env = Env::from_map([
            ("A", "12345".to_owned()),
            ("B_FILE", file.path().display().to_string()),
        ]);
        assert_eq!(env.secret("A").unwrap().expose_secret(), "12345");
        let list: Vec<_> =
            env.secret_list("B").iter().map(|s| s.expose_secret().to_owned()).collect();
        assert_eq!(list, ["one", "2"]);
        assert_eq!(env.finish(), Ok(()));
        assert_eq!(env.asked().collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn empty_is_unset() {
        let mut env = Env::from_map([("A", "  ")]);
        assert_eq!(env.optional("A"), None);
    }
}
