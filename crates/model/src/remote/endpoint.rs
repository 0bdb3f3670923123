//! Where a provider is, and the client that goes there.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::redirect;
use secrecy::ExposeSecret as _;
use url::Url;

use super::{CONNECT_TIMEOUT, IDLE_CONNECTION, Wire};
use crate::{Error, Options, Setting};

/// The version of the Messages API whose fields are read here.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// A provider.
pub(crate) struct Provider {
    pub(crate) name: &'static str,
    wire: Wire,
    pub(crate) base_url: &'static str,
    /// Whether its own place wants a key.
    needs_key: bool,
}

/// All of them.
pub(crate) const PROVIDERS: &[Provider] = &[
    Provider {
        name: "anthropic",
        wire: Wire::Messages,
        base_url: "https://api.anthropic.com/v1/",
        needs_key: true,
    },
    Provider {
        name: "openai",
        wire: Wire::Responses,
        base_url: "https://api.openai.com/v1/",
        needs_key: true,
    },
    Provider {
        name: "openai-chat",
        wire: Wire::Chat,
        base_url: "https://api.openai.com/v1/",
        needs_key: true,
    },
    Provider {
        name: "ollama",
        wire: Wire::Chat,
        base_url: "http://127.0.0.1:11434/v1/",
        needs_key: false,
    },
];

/// A wire, and who it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    pub(crate) wire: Wire,
    /// OpenAI itself, as against servers that copied its API and refuse what they don't know of it.
    pub(crate) is_openai: bool,
    /// Mistral: refuses to be asked for counts, which it sends anyway, and ids of others' calls.
    pub(crate) is_mistral: bool,
}

impl Provider {
    /// Where it is asked.
    pub(crate) fn url(&self, options: &Options) -> Result<Url, Error> {
        let bad = |why: &str| Error::BadSetting { what: Setting::BaseUrl, why: why.to_owned() };
        let given = options.base_url.as_deref();
        if given.is_none() && self.needs_key && options.api_key.is_none() {
            let why = format!("is not set, and {} wants one", self.name);
            return Err(Error::BadSetting { what: Setting::ApiKey, why });
        }
        // What is wrong with it is not repeated: people paste keys into URLs.
        let mut url = Url::parse(given.unwrap_or(self.base_url))
            .map_err(|error| bad(&format!("can't be read: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("is neither http:// nor https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(
                "holds a user or a password; a key belongs into the key's own setting",
            ));
        }
        if url.fragment().is_some() {
            return Err(bad("holds a #fragment, which no server gets to see"));
        }
        let is_versioned = url.path().trim_end_matches('/').ends_with("/v1");
        let mut path = url.path_segments_mut().map_err(|()| bad("has no path"))?;
        path.pop_if_empty();
        match self.wire {
            Wire::Messages if is_versioned => path.push("messages"),
            // Anthropic's own clients take the base URL without it.
            Wire::Messages => path.extend(["v1", "messages"]),
            Wire::Chat => path.extend(["chat", "completions"]),
            Wire::Responses => path.push("responses"),
        };
        drop(path);
        Ok(url)
    }

    pub(crate) fn dialect(&self, url: &Url) -> Dialect {
        let host = url.host_str().unwrap_or_default();
        let is_openai = host == "api.openai.com" || host.ends_with(".openai.azure.com");
        Dialect { wire: self.wire, is_openai, is_mistral: host == "api.mistral.ai" }
    }
}

/// A client that goes there and nowhere else: it reads no proxy variables and follows no redirect,
/// which would carry the conversation to another place.
pub(crate) fn client(provider: &Provider, options: &Options) -> Result<reqwest::Client, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    if provider.wire == Wire::Messages {
        let version = HeaderValue::from_static(ANTHROPIC_VERSION);
        headers.insert(HeaderName::from_static("anthropic-version"), version);
    }
    if let Some(key) = &options.api_key {
        let (name, value) = match provider.wire {
            Wire::Messages => {
                (HeaderName::from_static("x-api-key"), key.expose_secret().to_owned())
            }
            Wire::Chat | Wire::Responses => {
                (header::AUTHORIZATION, format!("Bearer {}", key.expose_secret()))
            }
        };
        let mut value = HeaderValue::try_from(value).map_err(|_| Error::BadSetting {
            what: Setting::ApiKey,
            why: "holds characters that no header can carry; was it copied whole?".to_owned(),
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let mut client = reqwest::Client::builder()
        .user_agent(concat!("booty/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(redirect::Policy::none())
        .no_proxy();
    if let Some(socket) = &options.socket {
        if !socket.is_absolute() {
            let why = "is not an absolute path".to_owned();
            return Err(Error::BadSetting { what: Setting::Socket, why });
        }
        client = client.unix_socket(socket.as_path());
    }
    client.build().map_err(|error| Error::FailFast {
        why: format!("the HTTP client can't be made: {}", error.without_url()),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("anthropic", "https://gateway.example", "https://gateway.example/v1/messages")]
    #[case("anthropic", "https://gateway.example/v1/", "https://gateway.example/v1/messages")]
    #[case("anthropic", "https://x.example/a/", "https://x.example/a/v1/messages")]
    #[case("openai", "https://x.example/v1", "https://x.example/v1/responses")]
    #[case(
        "openai",
        "https://r.openai.azure.com/openai/v1/?api-version=preview",
        "https://r.openai.azure.com/openai/v1/responses?api-version=preview"
    )]
    #[case("openai-chat", "http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1/chat/completions")]
    #[case(
        "openai-chat",
        "https://api.perplexity.ai",
        "https://api.perplexity.ai/chat/completions"
    )]
    fn the_base_url_is_what_the_providers_own_clients_take(
        #[case] provider: &str,
        #[case] base: &str,
        #[case] expected: &str,
    ) {
        let provider = PROVIDERS.iter().find(|p| p.name == provider).unwrap();
        let options = Options { base_url: Some(base.to_owned()), ..Options::default() };
        assert_eq!(provider.url(&options).unwrap().as_str(), expected);
    }

    #[test]
    fn every_provider_is_at_home_somewhere() {
        let homes: Vec<String> = PROVIDERS
            .iter()
            .map(|provider| {
                let options = Options { api_key: Some("k".into()), ..Options::default() };
                provider.url(&options).unwrap().to_string()
            })
            .collect();
        let expected = [
            "https://api.anthropic.com/v1/messages",
            "https://api.openai.com/v1/responses",
            "https://api.openai.com/v1/chat/completions",
            "http://127.0.0.1:11434/v1/chat/completions",
        ];
        assert_eq!(homes, expected);
    }
}
