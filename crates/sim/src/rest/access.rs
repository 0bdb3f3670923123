//! Who calls, and what that caller may do.

use base64::Engine as _;
use http::{HeaderMap, StatusCode};

use super::{Needs, Route, jwt};
use crate::answer::Refusal;
use crate::world::{Access, Grant, Permission, Repo, Scope, Token, World};

/// Whom a request comes from.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// A person's token.
    Person { login: String, scope: Scope },
    /// An App that signed its claims.
    App { id: u64, slug: String },
    /// An installation's token.
    Installation { bot: String, grant: Grant },
}

impl Caller {
    /// The account that it acts as, and whose limits it uses.
    pub(crate) fn login(&self) -> &str {
        match self {
            Self::Person { login, .. } => login,
            Self::App { slug, .. } => slug,
            Self::Installation { bot, .. } => bot,
        }
    }

    /// Whether it acts for an App, and for no person.
    pub(crate) fn is_app(&self) -> bool {
        !matches!(self, Self::Person { .. })
    }

    /// As a broken limit names it.
    pub(crate) fn in_limits(&self, world: &World) -> String {
        match self {
            Self::Installation { grant, .. } => format!("installation ID {}", grant.installation),
            _ => {
                let id = world.known_user(self.login()).map_or(0, |user| user.id);
                format!("user ID {id}")
            }
        }
    }
}

/// The token's owner. No token counts as a bad one here: nothing that Booty does is anonymous.
pub(crate) fn authenticate(world: &World, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let bad = || {
        Refusal::new(StatusCode::UNAUTHORIZED, "Bad credentials")
            .documented("https://docs.github.com/rest")
    };
    let header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let Some(header) = header else {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Requires authentication"));
    };
    let (scheme, value) = header.split_once(' ').ok_or_else(bad)?;
    let token = match scheme.to_ascii_lowercase().as_str() {
        "token" | "bearer" => value.trim().to_owned(),
        "basic" => basic_password(value).ok_or_else(bad)?,
        _ => return Err(bad()),
    };
    if scheme.eq_ignore_ascii_case("bearer") && jwt::looks_like_one(&token) {
        let app = jwt::app(world, &token)?;
        return Ok(Caller::App { id: app.id, slug: app.slug.clone() });
    }
    match world.tokens.get(&token).ok_or_else(bad)? {
        Token::Person { login, scope } => {
            Ok(Caller::Person { login: login.clone(), scope: *scope })
        }
        Token::App(grant) if grant.expires_at <= world.instant() => Err(bad()),
        Token::App(grant) => {
            let found = world.installations.get(&grant.installation).ok_or_else(bad)?;
            if found.suspended_at.is_some() {
                return Err(Refusal::forbidden("This installation has been suspended"));
            }
            Ok(Caller::Installation { bot: world.app(grant.app)?.bot(), grant: grant.clone() })
        }
    }
}

/// What follows the scheme in `Authorization`.
pub(super) fn bearer(headers: &HeaderMap) -> String {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let value = header.and_then(|header| header.split_once(' ')).map(|(_, value)| value.trim());
    value.unwrap_or_default().to_owned()
}

fn basic_password(value: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    // Git takes the token as either.
    Some(
        if password.is_empty() || password == "x-oauth-basic" { user } else { password }.to_owned(),
    )
}

/// The key of the route's repository and the caller's role in it, if the caller may do this.
pub(super) fn allow(
    world: &World,
    route: &Route,
    params: &[(&'static str, String)],
    caller: &Caller,
) -> Result<(String, Permission), Refusal> {
    let param = |name| params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value);
    let is_app = matches!(caller, Caller::App { .. });
    match route.needs {
        Needs::Jwt if is_app => return Ok((String::new(), Permission::None)),
        Needs::Jwt => return Err(jwt::undecodable()),
        _ if is_app => return Err(Refusal::not_accessible_by_integration()),
        Needs::Token => return Ok((String::new(), Permission::None)),
        _ => {}
    }
    let (least, writes, area) = match route.needs {
        Needs::Read("repository_hooks") => (Permission::Admin, false, "repository_hooks"),
        Needs::Read(area) => (Permission::Read, false, area),
        Needs::Write(area, least) | Needs::Make(area, least) => (least, true, area),
        Needs::App(area) => (Permission::Read, true, area),
        Needs::Token | Needs::Jwt => (Permission::None, false, ""),
    };
    let key = format!("{}/{}", param("owner"), param("repo")).to_lowercase();
    let repo = world.repo(&key)?;
    match caller {
        Caller::App { .. } => Err(Refusal::not_accessible_by_integration()),
        Caller::Person { login, scope } => {
            let permission = repo.permission(login);
            if permission == Permission::None || (area == "repository_hooks" && permission < least)
            {
                return Err(Refusal::not_found());
            }
            if matches!(route.needs, Needs::App(_)) {
                return Err(Refusal::forbidden("You must authenticate via a GitHub App."));
            }
            if writes && (*scope < Scope::Write || permission < least) {
                return Err(Refusal::not_accessible());
            }
            Ok((key, permission))
        }
        Caller::Installation { grant, .. } => {
            let access = if writes { Access::Write } else { Access::Read };
            if !world.reaches(grant, repo) {
                return Err(Refusal::not_found());
            }
            if !holds(grant, repo, area, param("number"), access) {
                return Err(Refusal::not_accessible_by_integration());
            }
            // What the token was given is all that counts: an App has no role of its own.
            Ok((key, Permission::Write))
        }
    }
}

/// Whether a grant goes as far. A pull request is an issue too, so what the issues' routes do to
/// one is open to those who hold pull requests.
fn holds(grant: &Grant, repo: &Repo, area: &str, number: &str, access: Access) -> bool {
    let has = |area: &str| grant.permissions.get(area).is_some_and(|given| *given >= access);
    let is_pull = || {
        let number = number.parse::<u64>().ok();
        number.and_then(|number| repo.issues.get(&number)).is_some_and(|found| found.pull.is_some())
    };
    has(area) || (area == "issues" && has("pull_requests") && is_pull())
}
