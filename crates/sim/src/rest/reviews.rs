//! Reviews of pull requests.

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::show;
use crate::world::{Review, ReviewComment, World};

pub(super) fn list(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    world.pull(&call.repo, number)?;
    let repo = world.repo(&call.repo)?;
    let found: Vec<&Review> =
        repo.reviews.values().filter(|review| review.pull == number).collect();
    Ok(call.page(found, |review| show::review(world, repo, review)))
}

pub(super) fn get(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let review = one(world, call)?;
    Ok(Answer::ok(show::review(world, world.repo(&call.repo)?, review)))
}

/// Of one review.
pub(super) fn comments_of(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let review = one(world, call)?.id;
    let repo = world.repo(&call.repo)?;
    let found: Vec<&ReviewComment> =
        repo.review_comments.values().filter(|comment| comment.review == review).collect();
    Ok(call.page(found, |comment| show::legacy_review_comment(world, repo, comment)))
}

/// Of all reviews of a pull request.
pub(super) fn comments(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    world.pull(&call.repo, number)?;
    let repo = world.repo(&call.repo)?;
    let mut found: Vec<&ReviewComment> = repo
        .review_comments
        .values()
        .filter(|comment| comment.pull == number)
        .filter(|comment| call.since().is_none_or(|since| comment.at >= since))
        .collect();
    // Without a sort the direction says nothing.
    if call.query("sort").is_some() && call.query("direction") == Some("desc") {
        found.reverse();
    }
    Ok(call.page(found, |comment| show::review_comment(world, repo, comment)))
}

fn one<'a>(world: &'a World, call: &Call) -> Result<&'a Review, Refusal> {
    let (number, id) = (call.number("number")?, call.number("id")?);
    world.pull(&call.repo, number)?;
    let review = world.repo(&call.repo)?.reviews.get(&id);
    review.filter(|review| review.pull == number).ok_or_else(Refusal::not_found)
}
