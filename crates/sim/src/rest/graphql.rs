//! The part of GraphQL that REST can't do: drafts.
//!
//! <https://docs.github.com/graphql/reference/mutations#markpullrequestreadyforreview>

use async_graphql_parser::types::{
    DocumentOperations, ExecutableDocument, Field, OperationType, Selection, SelectionSet,
};
use async_graphql_parser::{Pos, Positioned, parse_query};
use serde_json::{Map, Value, json};

use super::Caller;
use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::show;
use crate::world::{Access, Permission, Repo, Scope, World};

pub(super) fn run(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let Some(query) = call.body.get("query").and_then(Value::as_str) else {
        return Ok(failed(&[json!({
            "message": "A query attribute must be specified and must be a string.",
        })]));
    };
    let document = match parse_query(query) {
        Ok(document) => document,
        Err(error) => return Ok(failed(&[json!({"message": format!("Parse error: {error}")})])),
    };
    let Some((kind, set)) = operation(&document, call) else {
        return Ok(failed(&[json!({"message": "No operation named like that in the document"})]));
    };
    let mut running = Running {
        world,
        call,
        variables: call.body.get("variables").cloned().unwrap_or_default(),
        document: &document,
        errors: Vec::new(),
    };
    let root = if kind == OperationType::Mutation { Object::Mutation } else { Object::Query };
    let mut path = Vec::new();
    match running.select(&root, set, &mut path) {
        Ok(data) if running.errors.is_empty() => Ok(Answer::ok(json!({"data": data}))),
        Ok(data) => Ok(Answer::ok(json!({"data": data, "errors": running.errors}))),
        // What GitHub finds before it runs anything.
        Err(error) => Ok(failed(&[error])),
    }
}

fn failed(errors: &[Value]) -> Answer {
    Answer::ok(json!({"errors": errors}))
}

fn operation<'a>(
    document: &'a ExecutableDocument,
    call: &Call,
) -> Option<(OperationType, &'a SelectionSet)> {
    let wanted = call.body.get("operationName").and_then(Value::as_str);
    let found = match &document.operations {
        DocumentOperations::Single(one) => one,
        DocumentOperations::Multiple(all) => {
            all.iter().find(|(name, _)| Some(name.as_str()) == wanted)?.1
        }
    };
    Some((found.node.ty, &found.node.selection_set.node))
}

/// What fields are asked of.
#[derive(Clone, Debug)]
enum Object {
    Query,
    Mutation,
    Repository(String),
    PullRequest(String, u64),
    /// The payload of a mutation.
    Payload(Box<Object>, Value),
    /// Type and members that need no looking up.
    Plain(&'static str, Map<String, Value>),
}

impl Object {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::Repository(_) => "Repository",
            Self::PullRequest(..) => "PullRequest",
            Self::Payload(..) => "Payload",
            Self::Plain(name, _) => name,
        }
    }

    fn is(&self, condition: &str) -> bool {
        condition == self.type_name()
            || (condition == "Node" && matches!(self, Self::Repository(_) | Self::PullRequest(..)))
    }
}

enum Found {
    Leaf(Value),
    Object(Object),
    /// Null, and an error that says why.
    Error(&'static str, String),
    Unknown,
}

struct Running<'a> {
    world: &'a mut World,
    call: &'a Call,
    variables: Value,
    document: &'a ExecutableDocument,
    errors: Vec<Value>,
}

impl Running<'_> {
    fn select(
        &mut self,
        of: &Object,
        set: &SelectionSet,
        path: &mut Vec<String>,
    ) -> Result<Value, Value> {
        let mut body = Map::new();
        self.select_into(of, set, path, &mut body)?;
        Ok(Value::Object(body))
    }

    fn select_into(
        &mut self,
        of: &Object,
        set: &SelectionSet,
        path: &mut Vec<String>,
        body: &mut Map<String, Value>,
    ) -> Result<(), Value> {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.to_string();
                    path.push(key.clone());
                    let value = self.field(of, field, path)?;
                    path.pop();
                    body.insert(key, value);
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    if condition.is_none_or(|on| of.is(on.node.on.node.as_str())) {
                        self.select_into(of, &fragment.node.selection_set.node, path, body)?;
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let fragment = self.document.fragments.get(name).ok_or_else(
                        || json!({"message": format!("Fragment {name} was used, but not defined")}),
                    )?;
                    if of.is(fragment.node.type_condition.node.on.node.as_str()) {
                        self.select_into(of, &fragment.node.selection_set.node, path, body)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        of: &Object,
        field: &Positioned<Field>,
        path: &mut Vec<String>,
    ) -> Result<Value, Value> {
        let name = field.node.name.node.as_str();
        let arguments = self.arguments(&field.node)?;
        let set = &field.node.selection_set.node;
        if matches!(of, Object::Mutation) {
            self.rehearse(&arguments, set, path)?;
        }
        match self.resolve(of, name, &arguments) {
            Found::Leaf(value) => Ok(value),
            Found::Object(object) if set.items.is_empty() => Err(json!({
                "message": format!(
                    "Field must have selections (field '{name}' returns {} but has no selections. \
                     Did you mean '{name} {{ ... }}'?)",
                    object.type_name()
                ),
            })),
            Found::Object(object) => self.select(&object, set, path),
            Found::Error(kind, message) => {
                let mut error = json!({
                    "type": kind,
                    "path": path,
                    "locations": [at(field.pos)],
                    "message": message,
                });
                if kind == "FORBIDDEN" {
                    error["extensions"] = json!({"saml_failure": false});
                }
                self.errors.push(error);
                Ok(Value::Null)
            }
            Found::Unknown => Err(json!({
                "path": ["query", name],
                "extensions": {
                    "code": "undefinedField", "typeName": of.type_name(), "fieldName": name,
                },
                "locations": [at(field.pos)],
                "message": format!("Field '{name}' doesn't exist on type '{}'", of.type_name()),
            })),
        }
    }

    /// A selection that can't be answered is refused before anything is done.
    fn rehearse(
        &mut self,
        arguments: &Value,
        set: &SelectionSet,
        path: &mut Vec<String>,
    ) -> Result<(), Value> {
        let id = arguments.pointer("/input/pullRequestId").and_then(Value::as_str);
        if let Some((key, number)) = id.and_then(|id| self.pull_of_node(id)) {
            let payload = Object::Payload(Box::new(Object::PullRequest(key, number)), Value::Null);
            let known = self.errors.len();
            self.select(&payload, set, path)?;
            self.errors.truncate(known);
        }
        Ok(())
    }

    fn arguments(&self, field: &Field) -> Result<Value, Value> {
        let mut all = Map::new();
        for (name, value) in &field.arguments {
            let missing = |name: &str| json!({"message": format!("Variable ${name} of type ID! was provided invalid value")});
            let value = value.node.clone().into_const_with(|variable| {
                let given = self.variables.get(variable.as_str());
                let given = given.cloned().ok_or_else(|| missing(variable.as_str()))?;
                serde_json::from_value(given).map_err(|error| json!({"message": error.to_string()}))
            })?;
            let value = value.into_json().map_err(|error| json!({"message": error.to_string()}))?;
            all.insert(name.node.to_string(), value);
        }
        Ok(Value::Object(all))
    }

    fn resolve(&mut self, of: &Object, name: &str, arguments: &Value) -> Found {
        if name == "__typename" {
            return Found::Leaf(of.type_name().into());
        }
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
        match (of, name) {
            (Object::Query, "viewer") => Found::Object(self.actor(&self.call.viewer)),
            (Object::Query, "repository") => self.repository(text("owner"), text("name")),
            (Object::Query, "node") => self.node(text("id")),
            (Object::Mutation, "markPullRequestReadyForReview") => self.set_draft(arguments, false),
            (Object::Mutation, "convertPullRequestToDraft") => self.set_draft(arguments, true),
            (Object::Payload(pull, _), "pullRequest") => Found::Object((**pull).clone()),
            (Object::Payload(_, id), "clientMutationId") => Found::Leaf(id.clone()),
            (Object::Repository(key), "pullRequest") => {
                let number = arguments.get("number").and_then(Value::as_u64).unwrap_or_default();
                if self.world.pull(key, number).is_ok() {
                    return Found::Object(Object::PullRequest(key.clone(), number));
                }
                Found::Error(
                    "NOT_FOUND",
                    format!("Could not resolve to a PullRequest with the number of {number}."),
                )
            }
            (Object::Repository(key), _) => self.of_repository(key, name),
            (Object::PullRequest(key, number), _) => self.of_pull(key, *number, name),
            (Object::Plain(_, members), _) => {
                members.get(name).cloned().map_or(Found::Unknown, Found::Leaf)
            }
            _ => Found::Unknown,
        }
    }

    fn repository(&self, owner: &str, name: &str) -> Found {
        let key = format!("{owner}/{name}").to_lowercase();
        match self.world.repo(&key) {
            Ok(repo) if self.may(repo, Access::Read) => Found::Object(Object::Repository(key)),
            _ => Found::Error(
                "NOT_FOUND",
                format!("Could not resolve to a Repository with the name '{owner}/{name}'."),
            ),
        }
    }

    fn node(&self, id: &str) -> Found {
        match self.pull_of_node(id) {
            Some((key, number)) => Found::Object(Object::PullRequest(key, number)),
            None => Found::Error(
                "NOT_FOUND",
                format!("Could not resolve to a node with the global id of '{id}'"),
            ),
        }
    }

    /// The pull request with this global id, if the caller may see it.
    fn pull_of_node(&self, id: &str) -> Option<(String, u64)> {
        self.world.repos.iter().filter(|(_, repo)| self.may(repo, Access::Read)).find_map(
            |(key, repo)| {
                let mut all = repo.issues.values();
                let found = all.find(|issue| {
                    issue.pull.as_ref().is_some_and(|p| show::node("PullRequest", p.id) == id)
                })?;
                Some((key.clone(), found.number))
            },
        )
    }

    fn of_repository(&self, key: &str, name: &str) -> Found {
        let Ok(repo) = self.world.repo(key) else { return Found::Unknown };
        Found::Leaf(match name {
            "id" => show::node("Repository", repo.id).into(),
            "databaseId" => repo.id.into(),
            "name" => repo.name.clone().into(),
            "nameWithOwner" => repo.full_name().into(),
            "isPrivate" => repo.private.into(),
            "isFork" => repo.parent.is_some().into(),
            "owner" => return Found::Object(self.actor(&repo.owner)),
            _ => return Found::Unknown,
        })
    }

    fn of_pull(&self, key: &str, number: u64, name: &str) -> Found {
        let (Ok(issue), Ok(pull)) = (self.world.issue(key, number), self.world.pull(key, number))
        else {
            return Found::Unknown;
        };
        Found::Leaf(match name {
            "id" => show::node("PullRequest", pull.id).into(),
            "databaseId" => pull.id.into(),
            "number" => number.into(),
            "title" => issue.title.clone().into(),
            "body" => issue.body.clone().unwrap_or_default().into(),
            "isDraft" => pull.draft.into(),
            "merged" => pull.merged_at.is_some().into(),
            "closed" => (!issue.open).into(),
            "locked" => issue.locked.into(),
            "state" => match (issue.open, pull.merged_at) {
                (true, _) => "OPEN",
                (false, Some(_)) => "MERGED",
                (false, None) => "CLOSED",
            }
            .into(),
            "url" => {
                let repo = self.world.repo(key).map(Repo::full_name).unwrap_or_default();
                format!("{}/{repo}/pull/{number}", self.world.base).into()
            }
            "headRefOid" => pull.head_sha.to_string().into(),
            "headRefName" => pull.head.clone().into(),
            "baseRefOid" => pull.base_sha.to_string().into(),
            "baseRefName" => pull.base.clone().into(),
            "isCrossRepository" => {
                let base = self.world.repo(key).map(|repo| repo.id).ok();
                (pull.head_repo != base).into()
            }
            "createdAt" => show::time(issue.created_at),
            "updatedAt" => show::time(issue.updated_at),
            "author" => return Found::Object(self.actor(&issue.author)),
            "repository" => return Found::Object(Object::Repository(key.to_owned())),
            _ => return Found::Unknown,
        })
    }

    fn actor(&self, login: &str) -> Object {
        let mut members = Map::new();
        // GraphQL leaves the suffix out that REST has.
        let (kind, short) = match login.strip_suffix("[bot]") {
            Some(short) => ("Bot", short),
            None => ("User", login),
        };
        members.insert("login".to_owned(), short.into());
        let id = self.world.known_user(login).map_or(0, |user| user.id);
        members.insert("id".to_owned(), show::node(kind, id).into());
        members.insert("databaseId".to_owned(), id.into());
        Object::Plain(kind, members)
    }

    fn may(&self, repo: &Repo, access: Access) -> bool {
        match &self.call.caller {
            Caller::App { .. } => false,
            Caller::Person { login, .. } => repo.permission(login) >= Permission::Read,
            Caller::Installation { grant, .. } => {
                let has = |name| grant.permissions.get(name).is_some_and(|given| *given >= access);
                self.world.reaches(grant, repo)
                    && has("pull_requests")
                    // GitHub wants both for drafts, although no contents change.
                    && (access < Access::Write || has("contents"))
            }
        }
    }

    fn set_draft(&mut self, arguments: &Value, draft: bool) -> Found {
        let input = arguments.get("input").cloned().unwrap_or_default();
        let id = input.get("pullRequestId").and_then(Value::as_str).unwrap_or_default();
        let Some((key, number)) = self.pull_of_node(id) else {
            return Found::Error(
                "NOT_FOUND",
                format!("Could not resolve to a node with the global id of '{id}'"),
            );
        };
        if let Err((kind, message)) = self.check_draft(&key, number, id, draft) {
            return Found::Error(kind, message);
        }
        let viewer = self.call.viewer.clone();
        if let Err(refusal) = self.world.set_draft(&key, number, &viewer, draft) {
            return Found::Error("UNPROCESSABLE", refusal.full_message());
        }
        let name =
            if draft { "convertPullRequestToDraft" } else { "markPullRequestReadyForReview" };
        *self.world.writes.entry(format!("mutation {name}")).or_default() += 1;
        let client = input.get("clientMutationId").cloned().unwrap_or_default();
        Found::Object(Object::Payload(Box::new(Object::PullRequest(key, number)), client))
    }

    fn check_draft(
        &self,
        key: &str,
        number: u64,
        id: &str,
        draft: bool,
    ) -> Result<(), (&'static str, String)> {
        let gone = |_| ("NOT_FOUND", "Could not resolve to a PullRequest.".to_owned());
        let repo = self.world.repo(key).map_err(gone)?;
        let (issue, pull) = (
            self.world.issue(key, number).map_err(gone)?,
            self.world.pull(key, number).map_err(gone)?,
        );
        let words = if draft {
            format!("convert the pull request {id} to draft.")
        } else {
            format!("mark the pull request {id} as ready for review.")
        };
        let denied = |who: &str| format!("{who} does not have permission to {words}");
        match &self.call.caller {
            Caller::Person { scope, .. } if *scope < Scope::Write => {
                let message = "Resource not accessible by personal access token";
                return Err(("FORBIDDEN", message.to_owned()));
            }
            Caller::Person { login, .. }
                if issue.author != *login && repo.permission(login) < Permission::Write =>
            {
                return Err(("FORBIDDEN", denied(login)));
            }
            _ if !self.may(repo, Access::Write) => {
                return Err(("FORBIDDEN", "Resource not accessible by integration".to_owned()));
            }
            _ => {}
        }
        if draft && !repo.drafts {
            return Err(("FORBIDDEN", denied(&self.call.viewer)));
        }
        if !issue.open {
            return Err(("UNPROCESSABLE", "Pull request is closed".to_owned()));
        }
        if pull.draft == draft {
            let state = if draft { "already a draft" } else { "not a draft" };
            return Err(("UNPROCESSABLE", format!("Pull request is {state}")));
        }
        Ok(())
    }
}

fn at(pos: Pos) -> Value {
    json!({"line": pos.line, "column": pos.column})
}
