//! The state: users, tokens, repositories, and everything in them.

mod apps;
mod change;
mod checks;
mod forks;
mod inspect;
mod issues;
mod model;
mod pulls;
mod refs;
mod repos;
mod reviews;
mod statuses;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;

use chrono::{DateTime, SubsecRound, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::answer::Refusal;
use crate::faults::Faults;
use crate::hooks::Outbox;
use crate::limits::Limits;
use crate::settings::{SimSettings, Webhook};
use crate::view::RequestView;
pub(crate) use apps::{Access, App, Grant, Installation, Permissions};
pub(crate) use checks::{Annotation, CheckEdit, CheckOutput, CheckRun, CheckSuite};
pub(crate) use issues::{IssueEdit, check_label_look, check_label_name};
pub(crate) use model::{
    Comment, Happening, Hook, Issue, Label, Pull, Repo, Review, ReviewComment, Token, User,
};
pub use model::{Permission, ReviewState, Scope};
pub(crate) use pulls::NewPull;
pub(crate) use statuses::{NewStatus, Status, is_web};

/// Requests remembered for inspection; the oldest go first.
const REQUESTS_KEPT: usize = 50_000;

/// All state of one simulator.
#[derive(Debug)]
pub(crate) struct World {
    /// `http://127.0.0.1:PORT`.
    pub(crate) base: String,
    pub(crate) settings: SimSettings,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) rng: StdRng,
    next_id: u64,
    /// By login in lower case.
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) apps: BTreeMap<u64, App>,
    pub(crate) installations: BTreeMap<u64, Installation>,
    /// By `owner/name` in lower case.
    pub(crate) repos: BTreeMap<String, Repo>,
    pub(crate) outbox: Outbox,
    pub(crate) faults: Faults,
    pub(crate) limits: Limits,
    pub(crate) requests: VecDeque<RequestView>,
    /// Successful writes by route.
    pub(crate) writes: BTreeMap<String, u64>,
}

impl World {
    pub(crate) fn new(base: String, settings: SimSettings, outbox: Outbox) -> Self {
        Self {
            base,
            webhook: settings.webhook.clone(),
            rng: StdRng::seed_from_u64(settings.seed),
            next_id: 1_000_000,
            users: BTreeMap::new(),
            tokens: HashMap::new(),
            apps: BTreeMap::new(),
            installations: BTreeMap::new(),
            repos: BTreeMap::new(),
            outbox,
            faults: Faults::default(),
            limits: Limits::new(settings.paces),
            requests: VecDeque::new(),
            writes: BTreeMap::new(),
            settings,
        }
    }

    /// Now, in whole seconds as GitHub writes it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.settings.clock.now().trunc_subsecs(0)
    }

    /// Now, to the millisecond.
    pub(crate) fn instant(&self) -> DateTime<Utc> {
        self.settings.clock.now()
    }

    /// When something made now shows up in lists.
    pub(crate) fn visible_from(&self) -> DateTime<Utc> {
        self.instant() + self.faults.list_delay
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.next_id += 7;
        self.next_id
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    /// As GitHub's `X-GitHub-Request-Id` looks.
    pub(crate) fn request_id(&mut self) -> String {
        let words: [u16; 5] = self.rng.random();
        words.map(|word| format!("{word:04X}")).join(":")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.settings.data_dir.clone()
    }

    pub(crate) fn remember(&mut self, request: RequestView) {
        if self.requests.len() == REQUESTS_KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }

    /// The user, made if new.
    pub(crate) fn user(&mut self, login: &str) -> User {
        let key = login.to_lowercase();
        if let Some(user) = self.users.get(&key) {
            return user.clone();
        }
        let user = User { id: self.next_id(), login: login.to_owned(), created_at: self.now() };
        self.users.insert(key, user.clone());
        user
    }

    pub(crate) fn known_user(&self, login: &str) -> Option<&User> {
        self.users.get(&login.to_lowercase())
    }

    /// Makes a token for a user; the user is made if new.
    pub(crate) fn create_token(&mut self, login: &str, scope: Scope) -> String {
        let login = self.user(login).login;
        let bytes: [u8; 24] = self.rng.random();
        let token = format!("github_pat_{}", hex::encode(bytes));
        self.tokens.insert(token.clone(), Token::Person { login, scope });
        token
    }

    /// The repository with this key.
    pub(crate) fn repo(&self, key: &str) -> Result<&Repo, Refusal> {
        self.repos.get(&key.to_lowercase()).ok_or_else(Refusal::not_found)
    }

    pub(crate) fn repo_mut(&mut self, key: &str) -> Result<&mut Repo, Refusal> {
        self.repos.get_mut(&key.to_lowercase()).ok_or_else(Refusal::not_found)
    }
}
