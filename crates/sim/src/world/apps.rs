//! GitHub Apps: their keys, where they are installed, and the tokens they act with.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use super::World;
use super::model::{Repo, Token};
use crate::answer::Refusal;
use crate::view::NewApp;

/// How long an installation's token lives, by the simulator's clock.
const TOKEN_LIFE: TimeDelta = TimeDelta::hours(1);
/// Bytes of PKCS#8 before the key proper, for RSA keys whose lengths take two bytes.
const PKCS8_HEAD: usize = 26;

/// How far a permission goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    Read,
    Write,
    Admin,
}

impl Access {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => Some(Self::Read),
            "write" => Some(Self::Write),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// By the permission's name: `checks`, `contents`, …
pub(crate) type Permissions = BTreeMap<String, Access>;

#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) id: u64,
    pub(crate) client_id: String,
    pub(crate) slug: String,
    pub(crate) permissions: Permissions,
    /// DER of the public key; the private one is given away and not kept.
    public_key: Vec<u8>,
    pub(crate) created_at: DateTime<Utc>,
}

impl App {
    /// The account that it acts as.
    pub(crate) fn bot(&self) -> String {
        format!("{}[bot]", self.slug)
    }

    /// Whether it signed these bytes.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, &self.public_key)
            .verify(message, signature)
            .is_ok()
    }

    pub(crate) fn may(&self, permission: &str, least: Access) -> bool {
        self.permissions.get(permission).is_some_and(|given| *given >= least)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    pub(crate) app: u64,
    /// Login of the account that it is installed on.
    pub(crate) account: String,
    /// Ids of the repositories; `None` for all of the account.
    pub(crate) repositories: Option<BTreeSet<u64>>,
    pub(crate) suspended_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Installation {
    pub(crate) fn covers(&self, repo: &Repo) -> bool {
        repo.owner.eq_ignore_ascii_case(&self.account)
            && self.repositories.as_ref().is_none_or(|ids| ids.contains(&repo.id))
    }
}

/// What an installation's token may do.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) installation: u64,
    pub(crate) app: u64,
    pub(crate) permissions: Permissions,
    /// Ids of repositories, where it was narrowed to some.
    pub(crate) repositories: Option<BTreeSet<u64>>,
    pub(crate) expires_at: DateTime<Utc>,
}

impl World {
    /// Makes an App with a fresh key.
    pub(crate) fn create_app(
        &mut self,
        slug: &str,
        permissions: &[(String, String)],
    ) -> Result<NewApp, Refusal> {
        if self.apps.values().any(|app| app.slug == slug) {
            return Err(Refusal::invalid("Integration", "name", "already_exists"));
        }
        let mut given = Permissions::from([("metadata".to_owned(), Access::Read)]);
        for (name, access) in permissions {
            let access = Access::parse(access)
                .ok_or_else(|| Refusal::invalid("Integration", "permissions", "invalid"))?;
            given.insert(name.clone(), access);
        }
        let key = KeyPair::generate(KeySize::Rsa2048).map_err(Refusal::server)?;
        let private: Pkcs8V1Der<'_> = key.as_der().map_err(Refusal::server)?;
        let private_key = pem(private.as_ref())?;
        let id = self.next_id();
        let random: [u8; 8] = self.rng.random();
        let app = App {
            id,
            client_id: format!("Iv23li{}", hex::encode(random)),
            slug: slug.to_owned(),
            permissions: given,
            public_key: key.public_key().as_ref().to_vec(),
            created_at: self.now(),
        };
        self.user(&app.bot());
        let made = NewApp { id, client_id: app.client_id.clone(), private_key };
        self.apps.insert(id, app);
        Ok(made)
    }

    /// Installs an App on an account: on these repositories, or on all when none is named.
    pub(crate) fn install_app(
        &mut self,
        app: u64,
        account: &str,
        repositories: &[String],
    ) -> Result<u64, Refusal> {
        self.app(app)?;
        let account = self.user(account).login;
        if self
            .installations
            .values()
            .any(|found| found.app == app && found.account.eq_ignore_ascii_case(&account))
        {
            return Err(Refusal::unprocessable("the App is installed on this account already"));
        }
        let mut ids = BTreeSet::new();
        for name in repositories {
            let name = name.rsplit('/').next().unwrap_or(name);
            ids.insert(self.repo(&format!("{account}/{name}"))?.id);
        }
        let (id, now) = (self.next_id(), self.now());
        self.installations.insert(
            id,
            Installation {
                id,
                app,
                account,
                repositories: (!repositories.is_empty()).then_some(ids),
                suspended_at: None,
                created_at: now,
                updated_at: now,
            },
        );
        Ok(id)
    }

    pub(crate) fn suspend_installation(
        &mut self,
        installation: u64,
        suspended: bool,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let found = self.installations.get_mut(&installation).ok_or_else(Refusal::not_found)?;
        found.suspended_at = suspended.then_some(now);
        found.updated_at = now;
        Ok(())
    }

    /// Takes the App away; its tokens die with it.
    pub(crate) fn uninstall_app(&mut self, installation: u64) -> Result<(), Refusal> {
        self.installations.remove(&installation).ok_or_else(Refusal::not_found)?;
        self.tokens.retain(
            |_, token| !matches!(token, Token::App(grant) if grant.installation == installation),
        );
        Ok(())
    }

    pub(crate) fn app(&self, id: u64) -> Result<&App, Refusal> {
        self.apps.get(&id).ok_or_else(Refusal::not_found)
    }

    /// The App's own installation; another App's isn't there.
    pub(crate) fn installation_of(&self, app: u64, id: u64) -> Result<&Installation, Refusal> {
        self.installations.get(&id).filter(|found| found.app == app).ok_or_else(Refusal::not_found)
    }

    /// Where an App is installed on a repository.
    pub(crate) fn installation_on(&self, app: u64, repo: &Repo) -> Option<&Installation> {
        self.installations.values().find(|found| found.app == app && found.covers(repo))
    }

    /// All that are installed on a repository and not suspended.
    pub(crate) fn installed_on<'a>(
        &'a self,
        repo: &'a Repo,
    ) -> impl Iterator<Item = &'a Installation> {
        self.installations
            .values()
            .filter(|found| found.suspended_at.is_none() && found.covers(repo))
    }

    /// The repositories that a grant reaches, by name.
    pub(crate) fn granted(&self, grant: &Grant) -> Vec<&Repo> {
        let installation = self.installations.get(&grant.installation);
        self.repos
            .values()
            .filter(|repo| installation.is_some_and(|installation| installation.covers(repo)))
            .filter(|repo| grant.repositories.as_ref().is_none_or(|ids| ids.contains(&repo.id)))
            .collect()
    }

    pub(crate) fn reaches(&self, grant: &Grant, repo: &Repo) -> bool {
        self.installations.get(&grant.installation).is_some_and(|found| found.covers(repo))
            && grant.repositories.as_ref().is_none_or(|ids| ids.contains(&repo.id))
    }

    /// Makes a token of an installation, with no more than the App was given.
    pub(crate) fn create_installation_token(
        &mut self,
        app: u64,
        installation: u64,
        permissions: Option<Permissions>,
        repositories: Option<BTreeSet<u64>>,
    ) -> Result<(String, Grant), Refusal> {
        let found = self.installation_of(app, installation)?;
        if found.suspended_at.is_some() {
            return Err(Refusal::forbidden("This installation has been suspended"));
        }
        let given = &self.app(app)?.permissions;
        let asked = permissions.unwrap_or_else(|| given.clone());
        if asked.iter().any(|(name, access)| given.get(name).is_none_or(|most| most < access)) {
            return Err(Refusal::unprocessable(
                "The permissions requested are not granted to this installation.",
            ));
        }
        let mut permissions = asked;
        permissions.insert("metadata".to_owned(), Access::Read);
        let grant = Grant {
            installation,
            app,
            permissions,
            repositories,
            expires_at: self.now() + TOKEN_LIFE,
        };
        let bytes: [u8; 18] = self.rng.random();
        let token = format!("ghs_{}", hex::encode(bytes));
        self.tokens.insert(token.clone(), Token::App(grant.clone()));
        Ok((token, grant))
    }
}

/// The key as GitHub hands it out: PKCS#1 in lines of 64.
fn pem(pkcs8: &[u8]) -> Result<String, Refusal> {
    let key = pkcs8.get(PKCS8_HEAD..).unwrap_or_default();
    // The head is cut by its length: make sure that a key is left.
    KeyPair::from_der(key).map_err(Refusal::server)?;
    let packed = STANDARD.encode(key);
    let mut text = String::from("-----BEGIN RSA PRIVATE KEY-----\n");
    for (at, letter) in packed.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str("\n-----END RSA PRIVATE KEY-----\n");
    Ok(text)
}
