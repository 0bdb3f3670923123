//! What the operator decides about the builder.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use booty_alert::AutoBuild;
use booty_events::stream::INBOX_MAX_AGE;
use booty_model::{Options, Setting};
use booty_sandbox::SandboxSettings;
use booty_service::{AllowList, Env, ReadAccess, common};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use url::Url;

use crate::budget::{Limits, Prices, Scope, What};

/// The label that starts a job when nothing else is said.
pub const DEFAULT_TRIGGER_LABEL: &str = "agent:builder";
const DEFAULT_MAX_EVENT_AGE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
const DEFAULT_LEASE: Duration = Duration::from_secs(30);
const DEFAULT_ORIGIN_WAIT: Duration = Duration::from_secs(60);
/// A job that waits for a day's budget costs one read of a key each time, and an operator who raises the
/// limit does not wait long.
const DEFAULT_BUDGET_LOOK: Duration = Duration::from_secs(10 * 60);
/// All services are to be done 25 s after a request to stop, and a job needs time to be handed back.
const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(16);

/// The builder's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `TRIGGER_LABEL`
    pub trigger_label: String,
    /// `ALLOWED_REPOS`, or else `TARGET_REPO_URL`. None: nothing is allowed.
    pub allowed: AllowList,
    /// `TARGET_BRANCH`; the repository's default branch when none.
    pub target_branch: Option<String>,
    /// `GITHUB_READ_TOKEN`, or else tokens from forge.
    pub read_access: ReadAccess,
    /// `GITHUB_API_URL`
    pub api_url: Url,
    /// `GITHUB_GIT_URL`: what `/owner/name.git` is appended to. Never taken from a payload, so that no
    /// delivery can send the token elsewhere.
    pub git_url: Url,
    /// `WORKER_COUNT`: jobs at one time.
    pub worker_count: usize,
    /// `MAX_EVENT_AGE`
    pub max_event_age: Duration,
    /// `MODEL`, `MODEL_API_KEY`, `MODEL_BASE_URL`
    pub model: ModelSettings,
    /// `MODEL_FALLBACK`, `MODEL_FALLBACK_API_KEY`, `MODEL_FALLBACK_BASE_URL`: who is asked in the place
    /// of a model that can't answer.
    pub model_fallback: Option<ModelSettings>,
    /// `MODEL_PRICES`, and what is known of prices besides.
    pub prices: Prices,
    /// `BUILDER_ROUNDS`; a repository's `.booty.yml` can lower it.
    pub rounds: u32,
    /// `BUILDER_FOLLOW_UPS`: how often a pull request is gone back to after a verdict against it.
    pub follow_ups: u32,
    /// `BUILDER_UNFINISHED`: what becomes of the best attempt of a job that gives up.
    pub unfinished: Unfinished,
    /// `BUILDER_REQUESTS`: how often a pull request is gone back to because a person asks.
    pub requests: u32,
    /// `OBSV_AUTO_BUILD`: what an issue that was made from an alert may start.
    pub auto_build: AutoBuild,
    /// How long after a label forge may take to write down where a marked issue comes from. It does so
    /// before it sets the first label, so only a lost record is ever waited for.
    pub origin_wait: Duration,
    /// `BUDGET_…`: what jobs may cost.
    pub budgets: Limits,
    /// How often a job that waits for the budget of a day looks whether there is some.
    pub budget_look: Duration,
    /// `BOOTY_SANDBOX`, `BOOTY_SANDBOX_RO`
    pub sandbox: SandboxSettings,
    /// `BOOTY_DATA_DIR`: mirrors and checkouts lie in `workspaces/` in it.
    pub data_dir: PathBuf,
    /// `LEASE`: how long a job's worker may be silent.
    pub lease: Duration,
    /// The name under which leases are held; set by the binary.
    pub holder: String,
    /// The child that talks to the model; set by the binary.
    pub agent: AgentProgram,
    /// Waits before a failed job is tried again; the last one repeats.
    pub retry_delays: Vec<Duration>,
    /// How long a job in hand may go on after a request to stop.
    pub shutdown_grace: Duration,
    /// What time it is.
    pub clock: fn() -> DateTime<Utc>,
}

/// What becomes of the best attempt of a job that gives up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unfinished {
    /// A draft that says what fails, and that never ends by itself.
    #[default]
    Draft,
    /// Nothing is pushed.
    None,
}

impl FromStr for Unfinished {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "draft" => Ok(Self::Draft),
            "none" => Ok(Self::None),
            _ => Err("is neither `draft` nor `none`"),
        }
    }
}

/// A model, and how it is reached.
#[derive(Debug, Clone, Default)]
pub struct ModelSettings {
    /// `provider:name`
    pub spec: String,
    /// The provider's key.
    pub api_key: Option<SecretString>,
    /// Another place than the provider's usual one.
    pub base_url: Option<String>,
}

/// How the agent is started: a program that calls [`crate::agent::main`].
#[derive(Debug, Clone, Default)]
pub struct AgentProgram {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it reads besides itself and the system's folders: in its cage there is nothing else.
    pub files: Vec<PathBuf>,
    /// Variables that say which certificates the operator trusts; their files are shown to it, too. Of the
    /// builder's environment it gets nothing else.
    pub certificates: BTreeMap<String, PathBuf>,
}

impl Settings {
    /// Reads them; mistakes are kept in `env`. The binary sets `holder` and `agent` afterwards.
    pub fn from_env(env: &mut Env) -> Self {
        let common::GithubUrls { api: api_url, git: git_url } = common::github_urls(env);
        let max_event_age = env.duration_or("MAX_EVENT_AGE", DEFAULT_MAX_EVENT_AGE);
        if max_event_age > INBOX_MAX_AGE {
            env.problem("MAX_EVENT_AGE", "is above 7d, for which the inbox keeps deliveries");
        }
        let settings = Self {
            trigger_label: env
                .optional("TRIGGER_LABEL")
                .unwrap_or_else(|| DEFAULT_TRIGGER_LABEL.to_owned()),
            allowed: AllowList::from_env(env),
            target_branch: env.optional("TARGET_BRANCH"),
            read_access: ReadAccess::from_env(env),
            api_url,
            git_url,
            worker_count: usize::try_from(env.number_or("WORKER_COUNT", 2, 1..=64)).unwrap_or(2),
            max_event_age,
            model: {
                let spec = env.required("MODEL");
                model(env, spec, ["MODEL", "MODEL_API_KEY", "MODEL_BASE_URL"])
            },
            model_fallback: fallback(env),
            prices: prices(env),
            rounds: u32::try_from(env.number_or("BUILDER_ROUNDS", 3, 1..=10)).unwrap_or(3),
            follow_ups: u32::try_from(env.number_or("BUILDER_FOLLOW_UPS", 2, 0..=10)).unwrap_or(2),
            unfinished: env.parse_or("BUILDER_UNFINISHED", Unfinished::default()),
            requests: u32::try_from(env.number_or("BUILDER_REQUESTS", 5, 0..=50)).unwrap_or(5),
            auto_build: env.parse_or("OBSV_AUTO_BUILD", AutoBuild::default()),
            origin_wait: DEFAULT_ORIGIN_WAIT,
            budgets: Limits::from_env(env),
            budget_look: DEFAULT_BUDGET_LOOK,
            sandbox: sandbox(env),
            data_dir: common::data_dir(env),
            lease: env.duration_or("LEASE", DEFAULT_LEASE),
            holder: String::new(),
            agent: AgentProgram::default(),
            retry_delays: [2, 8, 30, 60].map(Duration::from_secs).to_vec(),
            shutdown_grace: DEFAULT_SHUTDOWN_GRACE,
            clock: Utc::now,
        };
        settings.check_money(env);
        settings
    }

    /// A limit in dollars that was asked for and can't hold is a mistake; a default one holds as far as it
    /// can.
    fn check_money(&self, env: &mut Env) {
        let spec = &self.model.spec;
        let is_known = spec.is_empty() || self.prices.know(spec);
        if is_known || !self.budgets.money_is_asked_for {
            return;
        }
        for scope in [Scope::Job, Scope::Issue, Scope::Day] {
            let name = scope.setting(What::Usd);
            if env.optional(name).is_some_and(|value| value != Limits::NONE) {
                let model = &self.model;
                let problem = format!(
                    "can't hold, because the price of {model:?} is not known; unset it, and limit \
                     tokens instead"
                );
                env.problem(name, &problem);
            }
        }
    }
}

/// Reads key and base URL of the model `spec`; `names` are the variables of spec, key and base URL.
fn model(env: &mut Env, spec: String, names: [&str; 3]) -> ModelSettings {
    let [spec_name, key_name, url_name] = names;
    let api_key = env.secret(key_name);
    let base_url = env.optional(url_name);
    let options =
        Options { api_key: api_key.clone(), base_url: base_url.clone(), ..Options::default() };
    match booty_model::check(&spec, &options) {
        // Said already, when it is one that is needed.
        _ if spec.is_empty() => {}
        Ok(()) => {}
        Err(booty_model::Error::BadSetting { what, why }) => {
            let name = match what {
                Setting::ApiKey => key_name,
                Setting::BaseUrl => url_name,
                Setting::Socket => spec_name,
            };
            env.problem(name, &why);
        }
        Err(booty_model::Error::UnknownProvider { known, .. }) => {
            let problem = format!("{spec:?} is not provider:name with one of: {known}");
            env.problem(spec_name, &problem);
        }
        Err(error) => env.problem(spec_name, &error.to_string()),
    }
    ModelSettings { spec, api_key, base_url }
}

fn fallback(env: &mut Env) -> Option<ModelSettings> {
    let names = ["MODEL_FALLBACK", "MODEL_FALLBACK_API_KEY", "MODEL_FALLBACK_BASE_URL"];
    let spec = env.optional("MODEL_FALLBACK").unwrap_or_default();
    let fallback = model(env, spec, names);
    if !fallback.spec.is_empty() {
        return Some(fallback);
    }
    if fallback.api_key.is_some() || fallback.base_url.is_some() {
        env.problem("MODEL_FALLBACK", "is not set, but its key or base URL is");
    }
    None
}

fn prices(env: &mut Env) -> Prices {
    let Some(path) = env.optional("MODEL_PRICES") else { return Prices::default() };
    match booty_model::Prices::load(Path::new(&path)) {
        Ok(own) => own.into(),
        Err(error) => {
            env.problem("MODEL_PRICES", &error.to_string());
            Prices::default()
        }
    }
}

fn sandbox(env: &mut Env) -> SandboxSettings {
    let backend = env.optional("BOOTY_SANDBOX");
    let read_only = env.optional("BOOTY_SANDBOX_RO").unwrap_or_default();
    SandboxSettings::from_words(backend.as_deref(), &read_only).unwrap_or_else(|relative| {
        env.problem("BOOTY_SANDBOX_RO", &format!("{relative:?} is not an absolute path"));
        SandboxSettings::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let needed = [
            ("BOOTY_DATA_DIR", "/tmp/booty"),
            ("GITHUB_READ_TOKEN", "t"),
            ("MODEL", "script:model.yml"),
        ];
        let mut env = Env::from_map(needed.into_iter().chain(values.iter().copied()));
        let settings = Settings::from_env(&mut env);
        let problems = env.finish().err().map(|errors| errors.0).unwrap_or_default();
        (settings, problems.into_iter().map(|problem| problem.name).collect())
    }

    #[test]
    fn where_git_is_follows_from_where_the_api_is() {
        for (api, git) in [
            ("https://api.github.com", "https://github.com/"),
            ("https://git.corp.example/api/v3/", "https://git.corp.example/"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000/"),
        ] {
            assert_eq!(read(&[("GITHUB_API_URL", api)]).0.git_url.as_str(), git);
        }
        let both = [("GITHUB_API_URL", "http://a"), ("GITHUB_GIT_URL", "http://b/git")];
        assert_eq!(read(&both).0.git_url.as_str(), "http://b/git");
    }

    #[test]
    fn a_limit_in_dollars_needs_a_price_when_it_was_asked_for() {
        assert!(read(&[]).1.is_empty(), "the defaults hold as far as prices are known");
        assert!(read(&[("BUDGET_DAY_USD", "none")]).1.is_empty());
        let asked = [("BUDGET_JOB_USD", "1.50"), ("BUDGET_DAY_USD", "20")];
        assert_eq!(read(&asked).1, ["BUDGET_JOB_USD", "BUDGET_DAY_USD"]);
    }

    #[test]
    fn every_mistake_is_named() {
        let (_, problems) = read(&[
            ("GITHUB_API_URL", "ftp://x"),
            ("MAX_EVENT_AGE", "8d"),
            ("ALLOWED_REPOS", "octo"),
            ("BUILDER_ROUNDS", "0"),
            ("BUILDER_FOLLOW_UPS", "11"),
            ("BUILDER_UNFINISHED", "merge"),
            ("BUILDER_REQUESTS", "51"),
            ("OBSV_AUTO_BUILD", "yes"),
            ("BOOTY_SANDBOX_RO", "/opt/x:relative"),
            ("MODEL", "skynet:t800"),
            ("MODEL_FALLBACK", "anthropic:claude-sonnet-5-5"),
            ("MODEL_FALLBACK_BASE_URL", "https://user:sesame@gateway.example"),
            ("MODEL_PRICES", "/nowhere/prices.toml"),
        ]);
        let expected = [
            "GITHUB_API_URL",
            "MAX_EVENT_AGE",
            "ALLOWED_REPOS",
            "MODEL",
            "MODEL_FALLBACK_BASE_URL",
            "MODEL_PRICES",
            "BUILDER_ROUNDS",
            "BUILDER_FOLLOW_UPS",
            "BUILDER_UNFINISHED",
            "BUILDER_REQUESTS",
            "OBSV_AUTO_BUILD",
            "BOOTY_SANDBOX_RO",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_model_needs_what_its_provider_needs() {
        let problems = |values: &[(&str, &str)]| read(values).1;
        let claude = ("MODEL", "anthropic:claude-sonnet-5-5");
        assert_eq!(problems(&[claude]), ["MODEL_API_KEY"]);
        assert!(problems(&[claude, ("MODEL_API_KEY", "k")]).is_empty());
        // A gateway may know who we are without one.
        assert!(problems(&[claude, ("MODEL_BASE_URL", "http://gateway:4000")]).is_empty());
        assert!(problems(&[("MODEL", "ollama:qwen3:8b")]).is_empty());
        assert_eq!(problems(&[("MODEL_FALLBACK", "openai:gpt-5.4")]), ["MODEL_FALLBACK_API_KEY"]);
        assert_eq!(problems(&[("MODEL_FALLBACK_API_KEY", "k")]), ["MODEL_FALLBACK"]);
        let fallback = [("MODEL_FALLBACK", "openai:gpt-5.4"), ("MODEL_FALLBACK_API_KEY", "k")];
        let (settings, problems) = read(&fallback);
        assert!(problems.is_empty());
        assert_eq!(settings.model_fallback.unwrap().spec, "openai:gpt-5.4");
    }
}
