//! From `MODEL` to a model.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;

use crate::{
    Error, Model,
    remote::{PROVIDERS, Remote},
    scripted::ScriptedModel,
};

/// The providers that [`open`] knows.
pub const KNOWN_PROVIDERS: &[&str] = &["anthropic", "openai", "openai-chat", "ollama", "script"];

/// Providers send something at least every 15 s while they live; a minute of silence is a hang.
const DEFAULT_SILENCE: Duration = Duration::from_secs(60);
/// About a million tokens: more than any model writes.
const DEFAULT_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// What a provider may need beside its name.
#[derive(Debug, Clone)]
pub struct Options {
    /// The provider's key.
    pub api_key: Option<SecretString>,
    /// Another place than the provider's usual one: what its own clients call the base URL.
    pub base_url: Option<String>,
    /// A Unix socket that every connection goes through, whatever host the URL names. TLS is spoken
    /// through it with that host.
    pub socket: Option<PathBuf>,
    /// How long nothing may arrive before the provider is given up.
    pub silence: Duration,
    /// The most bytes of text, thoughts and arguments that one answer may hold.
    pub answer_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_key: None,
            base_url: None,
            socket: None,
            silence: DEFAULT_SILENCE,
            answer_bytes: DEFAULT_ANSWER_BYTES,
        }
    }
}

/// Makes the model that `spec` (`provider:name`) names. Asks nobody yet.
///
/// # Errors
/// [`Error::UnknownProvider`] lists the providers there are; a setting that can't be used, or a script
/// that can't be read or understood, is an error here, not at the first question.
pub fn open(spec: &str, options: &Options) -> Result<Box<dyn Model>, Error> {
    match spec.split_once(':') {
        Some(("script", path)) if !path.is_empty() => {
            Ok(Box::new(ScriptedModel::load(Path::new(path))?))
        }
        _ => Ok(Box::new(remote(spec, options)?)),
    }
}

/// What [`open`] would say of the settings, without reading a script.
///
/// # Errors
/// As [`open`].
pub fn check(spec: &str, options: &Options) -> Result<(), Error> {
    match spec.split_once(':') {
        Some(("script", path)) if !path.is_empty() => Ok(()),
        _ => remote(spec, options).map(drop),
    }
}

/// Where the provider of `provider:name` is asked when no base URL is given. `None`: nowhere, or it is
/// not known.
pub fn usual_base_url(spec: &str) -> Option<&'static str> {
    let (provider, _) = spec.split_once(':')?;
    PROVIDERS.iter().find(|known| known.name == provider).map(|known| known.base_url)
}

fn remote(spec: &str, options: &Options) -> Result<Remote, Error> {
    let unknown =
        || Error::UnknownProvider { spec: spec.to_owned(), known: KNOWN_PROVIDERS.join(", ") };
    let (provider, name) = spec.split_once(':').ok_or_else(unknown)?;
    let provider = PROVIDERS.iter().find(|known| known.name == provider).ok_or_else(unknown)?;
    if name.trim().is_empty() {
        return Err(unknown());
    }
    Remote::new(provider, name.trim(), options)
}
