//! From `MODEL` to a model.

use std::path::Path;

use secrecy::SecretString;

use crate::{Error, Model, scripted::ScriptedModel};

/// The providers that [`open`] knows.
pub const KNOWN_PROVIDERS: &[&str] = &["script"];

/// What a provider may need beside its name.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The provider's key.
    pub api_key: Option<SecretString>,
    /// Another place than the provider's usual one.
    pub base_url: Option<String>,
}

/// Makes the model that `spec` (`provider:name`) names. Asks nobody yet.
///
/// # Errors
/// [`Error::UnknownProvider`] lists the providers there are; a script that can't be read or
/// understood is an error here, not at the first question.
pub fn open(spec: &str, _options: &Options) -> Result<Box<dyn Model>, Error> {
    match spec.split_once(':') {
        Some(("script", path)) if !path.is_empty() => {
            Ok(Box::new(ScriptedModel::load(Path::new(path))?))
        }
        _ => {
            Err(Error::UnknownProvider { spec: spec.to_owned(), known: KNOWN_PROVIDERS.join(", ") })
        }
    }
}
