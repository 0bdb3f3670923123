//! Repositories.

use serde_json::{Map, Value, json};

use super::{node, time, user};
use crate::world::{Permission, Repo, World};

/// Members that are addresses below the repository's own.
const URLS: [(&str, &str); 37] = [
    ("forks_url", "/forks"),
    ("keys_url", "/keys{/key_id}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("teams_url", "/teams"),
    ("hooks_url", "/hooks"),
    ("issue_events_url", "/issues/events{/number}"),
    ("events_url", "/events"),
    ("assignees_url", "/assignees{/user}"),
    ("branches_url", "/branches{/branch}"),
    ("tags_url", "/tags"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("trees_url", "/git/trees{/sha}"),
    ("statuses_url", "/statuses/{sha}"),
    ("languages_url", "/languages"),
    ("stargazers_url", "/stargazers"),
    ("contributors_url", "/contributors"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("commits_url", "/commits{/sha}"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("comments_url", "/comments{/number}"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("contents_url", "/contents/{+path}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("merges_url", "/merges"),
    ("archive_url", "/{archive_format}{/ref}"),
    ("downloads_url", "/downloads"),
    ("issues_url", "/issues{/number}"),
    ("pulls_url", "/pulls{/number}"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("labels_url", "/labels{/name}"),
    ("releases_url", "/releases{/id}"),
    ("deployments_url", "/deployments"),
    ("url", ""),
];

/// As webhooks carry it.
pub(crate) fn repository_in_event(world: &World, repo: &Repo) -> Value {
    let mut body = common(world, repo);
    body.insert("custom_properties".to_owned(), json!({}));
    Value::Object(body)
}

/// As answers carry it: with what the viewer may do.
pub(crate) fn repository(world: &World, repo: &Repo, viewer: &str) -> Value {
    let mut body = common(world, repo);
    let allowed = repo.permission(viewer);
    let may = |least: Permission| allowed >= least;
    body.insert(
        "permissions".to_owned(),
        json!({
            "admin": may(Permission::Admin), "maintain": may(Permission::Admin),
            "push": may(Permission::Write), "triage": may(Permission::Triage),
            "pull": may(Permission::Read),
        }),
    );
    for (name, flag) in [
        ("allow_squash_merge", true),
        ("allow_merge_commit", true),
        ("allow_rebase_merge", true),
        ("allow_auto_merge", false),
        ("delete_branch_on_merge", false),
    ] {
        body.insert(name.to_owned(), flag.into());
    }
    body.insert("network_count".to_owned(), 0.into());
    body.insert("subscribers_count".to_owned(), 0.into());
    Value::Object(body)
}

fn common(world: &World, repo: &Repo) -> Map<String, Value> {
    let full_name = repo.full_name();
    let api = format!("{}/repos/{full_name}", world.base);
    let html = format!("{}/{full_name}", world.base);
    let open = repo.open_issues();
    let facts = json!({
        "id": repo.id,
        "node_id": node("Repository", repo.id),
        "name": repo.name,
        "full_name": full_name,
        "private": repo.private,
        "owner": user(world, &repo.owner),
        "html_url": html,
        "description": null,
        "fork": repo.parent.is_some(),
        "created_at": time(repo.created_at),
        "updated_at": time(repo.updated_at),
        "pushed_at": time(repo.pushed_at),
        "git_url": html.replacen("http://", "git://", 1) + ".git",
        "ssh_url": format!("git@github.com:{full_name}.git"),
        "clone_url": format!("{html}.git"),
        "svn_url": html,
        "homepage": null,
        "size": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "language": null,
        "has_issues": repo.has_issues,
        "has_projects": true,
        "has_downloads": true,
        "has_wiki": true,
        "has_pages": false,
        "has_discussions": false,
        "forks_count": 0,
        "mirror_url": null,
        "archived": repo.archived,
        "disabled": false,
    });
    let more = json!({
        "open_issues_count": open,
        "license": null,
        "allow_forking": true,
        "is_template": false,
        "web_commit_signoff_required": false,
        "topics": [],
        "visibility": if repo.private { "private" } else { "public" },
        "forks": 0,
        "open_issues": open,
        "watchers": 0,
        "default_branch": repo.default_branch,
    });
    let mut body = Map::new();
    for part in [facts, more] {
        if let Value::Object(part) = part {
            body.extend(part);
        }
    }
    for (name, suffix) in URLS {
        body.insert(name.to_owned(), format!("{api}{suffix}").into());
    }
    body
}
