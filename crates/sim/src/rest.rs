//! The API's routes, and what every request goes through on its way to one.

mod access;
mod apps;
mod checks;
mod git_data;
mod graphql;
mod hooks;
mod issues;
mod jwt;
mod labels;
mod pulls;
mod repos;
mod reviews;
mod standing;
mod statuses;
mod users;

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::answer::{Answer, Refusal};
use crate::call::{Call, decode, parse_body};
use crate::limits::{self, Primary};
use crate::world::{Permission, World};
pub(crate) use access::{Caller, authenticate};

type Handler = fn(&mut World, &Call) -> Result<Answer, Refusal>;

/// One operation.
#[derive(Debug)]
struct Route {
    method: &'static str,
    /// `{name}` stands for a segment, `{*name}` for as many as are left for it.
    path: &'static str,
    /// Its page below <https://docs.github.com/rest/>.
    page: &'static str,
    needs: Needs,
    run: Handler,
}

/// What token and user must be allowed to do.
#[derive(Clone, Copy, Debug)]
enum Needs {
    /// Any valid token.
    Token,
    /// An App's own signature.
    Jwt,
    /// A token of an App's installation that may write this part of a repository.
    App(&'static str),
    /// Reading this part of a repository.
    Read(&'static str),
    /// Writing it, and at least this permission of the user.
    Write(&'static str, Permission),
    /// The same, and it counts as making content.
    Make(&'static str, Permission),
}

use Needs::{App, Jwt, Make, Read, Token, Write};
use Permission as P;

const fn route(
    method: &'static str,
    path: &'static str,
    needs: Needs,
    page: &'static str,
    run: Handler,
) -> Route {
    Route { method, path, page, needs, run }
}

#[rustfmt::skip]
static ROUTES: &[Route] = &[
    route("GET", "/user", Token, "users/users#get-the-authenticated-user", users::me),
    route("GET", "/users/{login}", Token, "users/users#get-a-user", users::get),
    route("POST", "/graphql", Token, "graphql", graphql::run),
    route("GET", "/app", Jwt, "apps/apps#get-the-authenticated-app", apps::me),
    route("GET", "/app/installations", Jwt, "apps/apps#list-installations-for-the-authenticated-app", apps::installations),
    route("GET", "/app/installations/{id}", Jwt, "apps/apps#get-an-installation-for-the-authenticated-app", apps::installation),
    route("POST", "/app/installations/{id}/access_tokens", Jwt, "apps/apps#create-an-installation-access-token-for-an-app", apps::create_token),
    route("GET", "/installation/repositories", Token, "apps/installations#list-repositories-accessible-to-the-app-installation", apps::repositories),
    route("DELETE", "/installation/token", Token, "apps/installations#revoke-an-installation-access-token", apps::revoke),
    route("GET", "/repos/{owner}/{repo}/installation", Jwt, "apps/apps#get-a-repository-installation-for-the-authenticated-app", apps::of_repository),
    route("GET", "/rate_limit", Token, "rate-limit/rate-limit#get-rate-limit-status-for-the-authenticated-user", users::rate_limit),

    route("GET", "/repos/{owner}/{repo}", Read("metadata"), "repos/repos#get-a-repository", repos::get),
    route("GET", "/repos/{owner}/{repo}/branches", Read("contents"), "branches/branches#list-branches", repos::branches),
    route("GET", "/repos/{owner}/{repo}/branches/{*branch}", Read("contents"), "branches/branches#get-a-branch", repos::branch),
    route("GET", "/repos/{owner}/{repo}/collaborators/{login}/permission", Read("metadata"), "collaborators/collaborators#get-repository-permissions-for-a-user", repos::permission),
    route("GET", "/repos/{owner}/{repo}/commits/{*ref}/check-runs", Read("checks"), "checks/runs#list-check-runs-for-a-git-reference", checks::of_ref),
    route("GET", "/repos/{owner}/{repo}/commits/{*ref}/check-suites", Read("checks"), "checks/suites#list-check-suites-for-a-git-reference", checks::suites_of_ref),
    route("GET", "/repos/{owner}/{repo}/commits/{*ref}/status", Read("statuses"), "commits/statuses#get-the-combined-status-for-a-specific-reference", statuses::combined),
    route("GET", "/repos/{owner}/{repo}/commits/{*ref}/statuses", Read("statuses"), "commits/statuses#list-commit-statuses-for-a-reference", statuses::list),
    route("GET", "/repos/{owner}/{repo}/commits/{*ref}/pulls", Read("pull_requests"), "commits/commits#list-pull-requests-associated-with-a-commit", pulls::of_commit),
    route("POST", "/repos/{owner}/{repo}/statuses/{sha}", Write("statuses", P::Write), "commits/statuses#create-a-commit-status", statuses::create),
    route("POST", "/repos/{owner}/{repo}/check-runs", App("checks"), "checks/runs#create-a-check-run", checks::create),
    route("PATCH", "/repos/{owner}/{repo}/check-runs/{id}", App("checks"), "checks/runs#update-a-check-run", checks::update),
    route("GET", "/repos/{owner}/{repo}/check-runs/{id}", Read("checks"), "checks/runs#get-a-check-run", checks::get),
    route("GET", "/repos/{owner}/{repo}/check-runs/{id}/annotations", Read("checks"), "checks/runs#list-check-run-annotations", checks::annotations),
    route("POST", "/repos/{owner}/{repo}/check-runs/{id}/rerequest", App("checks"), "checks/runs#rerequest-a-check-run", checks::rerequest),
    route("GET", "/repos/{owner}/{repo}/check-suites/{id}", Read("checks"), "checks/suites#get-a-check-suite", checks::suite),
    route("GET", "/repos/{owner}/{repo}/check-suites/{id}/check-runs", Read("checks"), "checks/runs#list-check-runs-in-a-check-suite", checks::of_suite),
    route("GET", "/repos/{owner}/{repo}/commits/{*ref}", Read("contents"), "commits/commits#get-a-commit", repos::commit),

    route("GET", "/repos/{owner}/{repo}/issues", Read("issues"), "issues/issues#list-repository-issues", issues::list),
    route("POST", "/repos/{owner}/{repo}/issues", Make("issues", P::Read), "issues/issues#create-an-issue", issues::create),
    route("GET", "/repos/{owner}/{repo}/issues/comments", Read("issues"), "issues/comments#list-issue-comments-for-a-repository", issues::all_comments),
    route("GET", "/repos/{owner}/{repo}/issues/comments/{id}", Read("issues"), "issues/comments#get-an-issue-comment", issues::get_comment),
    route("PATCH", "/repos/{owner}/{repo}/issues/comments/{id}", Write("issues", P::Read), "issues/comments#update-an-issue-comment", issues::edit_comment),
    route("DELETE", "/repos/{owner}/{repo}/issues/comments/{id}", Write("issues", P::Read), "issues/comments#delete-an-issue-comment", issues::delete_comment),
    route("GET", "/repos/{owner}/{repo}/issues/{number}", Read("issues"), "issues/issues#get-an-issue", issues::get),
    route("PATCH", "/repos/{owner}/{repo}/issues/{number}", Write("issues", P::Read), "issues/issues#update-an-issue", issues::edit),
    route("PUT", "/repos/{owner}/{repo}/issues/{number}/lock", Write("issues", P::Write), "issues/issues#lock-an-issue", issues::lock),
    route("DELETE", "/repos/{owner}/{repo}/issues/{number}/lock", Write("issues", P::Write), "issues/issues#unlock-an-issue", issues::unlock),
    route("GET", "/repos/{owner}/{repo}/issues/{number}/comments", Read("issues"), "issues/comments#list-issue-comments", issues::comments),
    route("POST", "/repos/{owner}/{repo}/issues/{number}/comments", Make("issues", P::Read), "issues/comments#create-an-issue-comment", issues::comment),
    route("GET", "/repos/{owner}/{repo}/issues/{number}/events", Read("issues"), "issues/events#list-issue-events", issues::events),
    route("GET", "/repos/{owner}/{repo}/issues/{number}/timeline", Read("issues"), "issues/timeline#list-timeline-events-for-an-issue", issues::timeline),

    route("GET", "/repos/{owner}/{repo}/issues/{number}/labels", Read("issues"), "issues/labels#list-labels-for-an-issue", labels::of_issue),
    route("POST", "/repos/{owner}/{repo}/issues/{number}/labels", Write("issues", P::Triage), "issues/labels#add-labels-to-an-issue", labels::add),
    route("PUT", "/repos/{owner}/{repo}/issues/{number}/labels", Write("issues", P::Triage), "issues/labels#set-labels-for-an-issue", labels::set),
    route("DELETE", "/repos/{owner}/{repo}/issues/{number}/labels", Write("issues", P::Triage), "issues/labels#remove-all-labels-from-an-issue", labels::clear),
    route("DELETE", "/repos/{owner}/{repo}/issues/{number}/labels/{name}", Write("issues", P::Triage), "issues/labels#remove-a-label-from-an-issue", labels::remove),
    route("GET", "/repos/{owner}/{repo}/labels", Read("issues"), "issues/labels#list-labels-for-a-repository", labels::list),
    route("POST", "/repos/{owner}/{repo}/labels", Write("issues", P::Write), "issues/labels#create-a-label", labels::create),
    route("GET", "/repos/{owner}/{repo}/labels/{name}", Read("issues"), "issues/labels#get-a-label", labels::get),
    route("PATCH", "/repos/{owner}/{repo}/labels/{name}", Write("issues", P::Write), "issues/labels#update-a-label", labels::edit),
    route("DELETE", "/repos/{owner}/{repo}/labels/{name}", Write("issues", P::Write), "issues/labels#delete-a-label", labels::delete),

    route("POST", "/repos/{owner}/{repo}/git/blobs", Write("contents", P::Write), "git/blobs#create-a-blob", git_data::create_blob),
    route("GET", "/repos/{owner}/{repo}/git/blobs/{sha}", Read("contents"), "git/blobs#get-a-blob", git_data::blob),
    route("POST", "/repos/{owner}/{repo}/git/trees", Write("contents", P::Write), "git/trees#create-a-tree", git_data::create_tree),
    route("GET", "/repos/{owner}/{repo}/git/trees/{*sha}", Read("contents"), "git/trees#get-a-tree", git_data::tree),
    route("POST", "/repos/{owner}/{repo}/git/commits", Write("contents", P::Write), "git/commits#create-a-commit", git_data::create_commit),
    route("GET", "/repos/{owner}/{repo}/git/commits/{sha}", Read("contents"), "git/commits#get-a-commit-object", git_data::commit),
    route("POST", "/repos/{owner}/{repo}/git/refs", Write("contents", P::Write), "git/refs#create-a-reference", git_data::create_ref),
    route("PATCH", "/repos/{owner}/{repo}/git/refs/{*ref}", Write("contents", P::Write), "git/refs#update-a-reference", git_data::update_ref),
    route("DELETE", "/repos/{owner}/{repo}/git/refs/{*ref}", Write("contents", P::Write), "git/refs#delete-a-reference", git_data::delete_ref),
    route("GET", "/repos/{owner}/{repo}/git/ref/{*ref}", Read("contents"), "git/refs#get-a-reference", git_data::get_ref),
    route("GET", "/repos/{owner}/{repo}/git/matching-refs/{*ref}", Read("contents"), "git/refs#list-matching-references", git_data::matching_refs),

    route("GET", "/repos/{owner}/{repo}/pulls", Read("pull_requests"), "pulls/pulls#list-pull-requests", pulls::list),
    route("POST", "/repos/{owner}/{repo}/pulls", Make("pull_requests", P::Read), "pulls/pulls#create-a-pull-request", pulls::create),
    route("GET", "/repos/{owner}/{repo}/pulls/{number}", Read("pull_requests"), "pulls/pulls#get-a-pull-request", pulls::get),
    route("PATCH", "/repos/{owner}/{repo}/pulls/{number}", Write("pull_requests", P::Read), "pulls/pulls#update-a-pull-request", pulls::edit),
    route("GET", "/repos/{owner}/{repo}/pulls/{number}/files", Read("pull_requests"), "pulls/pulls#list-pull-requests-files", pulls::files),
    route("GET", "/repos/{owner}/{repo}/pulls/{number}/commits", Read("pull_requests"), "pulls/pulls#list-commits-on-a-pull-request", pulls::commits),
    route("GET", "/repos/{owner}/{repo}/pulls/{number}/reviews", Read("pull_requests"), "pulls/reviews#list-reviews-for-a-pull-request", reviews::list),
    route("GET", "/repos/{owner}/{repo}/pulls/{number}/reviews/{id}", Read("pull_requests"), "pulls/reviews#get-a-review-for-a-pull-request", reviews::get),
    route("GET", "/repos/{owner}/{repo}/pulls/{number}/reviews/{id}/comments", Read("pull_requests"), "pulls/reviews#list-comments-for-a-pull-request-review", reviews::comments_of),
    route("GET", "/repos/{owner}/{repo}/pulls/{number}/comments", Read("pull_requests"), "pulls/comments#list-review-comments-on-a-pull-request", reviews::comments),
    route("PUT", "/repos/{owner}/{repo}/pulls/{number}/merge", Write("contents", P::Write), "pulls/pulls#merge-a-pull-request", pulls::merge),

    route("GET", "/repos/{owner}/{repo}/hooks", Read("repository_hooks"), "repos/webhooks#list-repository-webhooks", hooks::list),
    route("GET", "/repos/{owner}/{repo}/hooks/{hook}", Read("repository_hooks"), "repos/webhooks#get-a-repository-webhook", hooks::get),
    route("GET", "/repos/{owner}/{repo}/hooks/{hook}/deliveries", Read("repository_hooks"), "repos/webhooks#list-deliveries-for-a-repository-webhook", hooks::deliveries),
    route("GET", "/repos/{owner}/{repo}/hooks/{hook}/deliveries/{id}", Read("repository_hooks"), "repos/webhooks#get-a-delivery-for-a-repository-webhook", hooks::delivery),
    route("POST", "/repos/{owner}/{repo}/hooks/{hook}/deliveries/{id}/attempts", Write("repository_hooks", P::Admin), "repos/webhooks#redeliver-a-delivery-for-a-repository-webhook", hooks::redeliver),
];

/// An answered request, and what must be known about it afterwards.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    pub(crate) user: String,
    pub(crate) primary: Option<Primary>,
    /// `issues=write`, for the header that names it.
    pub(crate) accepted: Option<String>,
}

/// Answers one API request.
pub(crate) fn handle(
    world: &mut World,
    method: &Method,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    raw: &Bytes,
    in_flight: u32,
) -> Outcome {
    let mut outcome = Outcome {
        answer: Answer::no_content(),
        user: String::new(),
        primary: None,
        accepted: None,
    };
    let found = find(method, path);
    let page = format!(
        "https://docs.github.com/rest{}",
        found.as_ref().map_or(String::new(), |(route, _)| format!("/{}", route.page))
    );
    let result = (|| {
        if headers.get("user-agent").is_none_or(|value| value.is_empty()) {
            return Err(Refusal::forbidden(
                "Request forbidden by administrative rules. Please make sure your request has a \
                 User-Agent header.",
            ));
        }
        let caller = authenticate(world, headers)?;
        let login = caller.login().to_owned();
        outcome.user.clone_from(&login);
        let now = world.instant();
        let who = caller.in_limits(world);
        let is_write = method != Method::GET && method != Method::HEAD;
        let makes = found.as_ref().is_some_and(|(route, _)| matches!(route.needs, Make(..)));
        let is_free = found.as_ref().is_some_and(|(route, _)| route.path == "/rate_limit");
        let admitted = if is_free {
            Ok(())
        } else if in_flight > world.limits.paces.concurrent {
            Err(limits::secondary_limit(403, chrono::TimeDelta::seconds(60)))
        } else {
            world.limits.admit(&login, &who, is_write, makes, now)
        };
        outcome.primary = Some(world.limits.primary(&login, now));
        admitted?;
        let (route, params) = found.ok_or_else(Refusal::not_found)?;
        outcome.accepted = accepted(route.needs);
        let (repo, permission) = access::allow(world, route, &params, &caller)?;
        standing::check(world, route, &params, &repo, is_write)?;
        let body = if is_write { parse_body(raw)? } else { serde_json::Map::new() };
        let call = Call {
            path: path.to_owned(),
            query: url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
            viewer: login,
            caller,
            token: access::bearer(headers),
            permission,
            repo,
            params,
            body,
            base: world.base.clone(),
        };
        let answer = (route.run)(world, &call)?;
        // A query of GraphQL's is a POST too; its mutations are counted where they are done.
        if is_write && answer.status.is_success() && route.path != "/graphql" {
            *world.writes.entry(format!("{} {}", route.method, route.path)).or_default() += 1;
        }
        Ok(answer)
    })();
    outcome.answer = result.unwrap_or_else(|refusal| refusal.into_answer(&page));
    outcome
}

fn accepted(needs: Needs) -> Option<String> {
    match needs {
        Token | Jwt => None,
        App(area) => Some(format!("{area}=write")),
        Read(area) => Some(format!("{area}=read")),
        Write(area, _) | Make(area, _) => Some(format!("{area}=write")),
    }
}

fn find(method: &Method, path: &str) -> Option<(&'static Route, Vec<(&'static str, String)>)> {
    let given: Vec<String> = path.trim_start_matches('/').split('/').map(decode).collect();
    ROUTES
        .iter()
        .filter(|route| route.method == method.as_str())
        .find_map(|route| Some((route, capture(route.path, &given)?)))
}

fn capture(pattern: &'static str, given: &[String]) -> Option<Vec<(&'static str, String)>> {
    let mut params = Vec::new();
    let mut at = 0;
    let parts: Vec<&'static str> = pattern.trim_start_matches('/').split('/').collect();
    for (index, part) in parts.iter().enumerate() {
        if let Some(name) = part.strip_prefix("{*").and_then(|part| part.strip_suffix('}')) {
            let end = given.len().checked_sub(parts.len() - index - 1)?;
            let rest = given.get(at..end).filter(|rest| !rest.is_empty())?.join("/");
            params.push((name, rest));
            at = end;
            continue;
        }
        let segment = given.get(at)?;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) if !segment.is_empty() => params.push((name, segment.clone())),
            Some(_) => return None,
            None if part == segment => {}
            None => return None,
        }
        at += 1;
    }
    (at == given.len()).then_some(params)
}
