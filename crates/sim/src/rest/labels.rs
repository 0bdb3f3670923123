//! Labels of repositories and of issues.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::show;
use crate::world::{Label, World, check_label_look, check_label_name};

pub(super) fn of_issue(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let issue = world.issue(&call.repo, call.number("number")?)?;
    let found = repo.labels_of(issue);
    Ok(call.page(found, |label| show::label(world, repo, label)))
}

pub(super) fn add(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    let names = call.label_names()?.unwrap_or_default();
    world.issue(&call.repo, number)?;
    world.add_labels(&call.repo, number, &call.viewer, &names)?;
    shown(world, call, number)
}

pub(super) fn set(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    let names = call.label_names()?.unwrap_or_default();
    world.issue(&call.repo, number)?;
    let ids = world.label_ids(&call.repo, &call.viewer, &names)?;
    world.set_labels(&call.repo, number, &call.viewer, ids)?;
    shown(world, call, number)
}

pub(super) fn clear(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    world.set_labels(&call.repo, call.number("number")?, &call.viewer, Vec::new())?;
    Ok(Answer::no_content())
}

pub(super) fn remove(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    world.remove_label(&call.repo, number, &call.viewer, call.param("name"))?;
    shown(world, call, number)
}

pub(super) fn list(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    Ok(call.page(repo.labels.iter().collect(), |label| show::label(world, repo, label)))
}

pub(super) fn create(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let name = call.required_text("name")?;
    let color = call.text("color")?.unwrap_or("ededed");
    let description = call.text("description")?;
    world.create_label(&call.repo, &call.viewer, name, color, description)?;
    Ok(Answer::created(one(world, call, name)?))
}

pub(super) fn get(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    one(world, call, call.param("name")).map(Answer::ok)
}

pub(super) fn edit(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let old = call.param("name");
    let repo = world.repo_mut(&call.repo)?;
    let label = repo.label(old).cloned().ok_or_else(Refusal::not_found)?;
    let name = call.text("new_name")?.unwrap_or(&label.name);
    check_label_name(name)?;
    if repo.label(name).is_some_and(|found| found.id != label.id) {
        return Err(Refusal::invalid("Label", "name", "already_exists"));
    }
    let changed = Label {
        id: label.id,
        name: name.to_owned(),
        color: call.text("color")?.unwrap_or(&label.color).to_lowercase(),
        description: call.text("description")?.map(str::to_owned).or(label.description),
    };
    check_label_look(&changed.color, changed.description.as_deref())?;
    if let Some(found) = repo.labels.iter_mut().find(|found| found.id == label.id) {
        *found = changed;
    }
    let body = one(world, call, name)?;
    let members = json!({"label": body, "changes": {}});
    world.emit(&call.repo, "label", "edited", &call.viewer, members);
    Ok(Answer::ok(body))
}

pub(super) fn delete(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let body = one(world, call, call.param("name"))?;
    let repo = world.repo_mut(&call.repo)?;
    let id = repo.label(call.param("name")).map(|label| label.id).ok_or_else(Refusal::not_found)?;
    repo.labels.retain(|label| label.id != id);
    for issue in repo.issues.values_mut() {
        issue.labels.retain(|label| *label != id);
    }
    world.emit(&call.repo, "label", "deleted", &call.viewer, json!({"label": body}));
    Ok(Answer::no_content())
}

fn shown(world: &World, call: &Call, number: u64) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let labels = repo.labels_of(world.issue(&call.repo, number)?);
    Ok(Answer::ok(labels.into_iter().map(|label| show::label(world, repo, label)).collect()))
}

fn one(world: &World, call: &Call, name: &str) -> Result<Value, Refusal> {
    let repo = world.repo(&call.repo)?;
    let label = repo.label(name).ok_or_else(Refusal::not_found)?;
    Ok(show::label(world, repo, label))
}
