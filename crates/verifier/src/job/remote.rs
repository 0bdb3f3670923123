//! Where the repository is, and what it means when it can't be had.

use booty_workspace::{Error, Remote};

use super::{Stop, end::End};
use crate::{
    order::Order,
    shared::{Pause, Shared, chain, scope},
};

/// The repository under its address, never under one from a payload: no delivery can send the token
/// elsewhere.
pub(super) async fn of(shared: &Shared, order: &Order) -> Result<Remote, Stop> {
    let mut url = shared.settings.git_url.clone();
    let name = format!("{}.git", order.repository.name());
    match url.path_segments_mut() {
        Ok(mut path) => path.pop_if_empty().extend([order.repository.owner(), name.as_str()]),
        Err(()) => {
            let why = "GITHUB_GIT_URL is no place for repositories".to_owned();
            return Err(Stop::Pause(Pause::Failed { why }));
        }
    };
    let token = shared.tokens.token(&scope(&order.repository, order.installation)).await?;
    Ok(Remote { url, token: Some(token) })
}

/// What it means for the check when the trees can't be had.
pub(super) fn explain(order: &Order, error: &Error) -> Stop {
    let why = chain(error);
    let neutral = |reason, title| Stop::End(End::neutral(order, reason, title, &why));
    match error {
        // It may be so each time, and each time costs a whole clone: to be counted.
        Error::TimedOut { .. } | Error::Damaged { .. } => Stop::Pause(Pause::Failed { why }),
        _ if error.is_retryable() => Stop::Pause(Pause::away(why)),
        Error::NotFound { .. } => neutral("head_gone", "the head or its base is gone"),
        Error::TooLarge { .. } => neutral("too_large", "too large to be judged"),
        Error::Hostile { .. } => Stop::End(End::hostile(order, &why)),
        Error::Unrelated { .. } => neutral("unrelated", "the histories have nothing in common"),
        _ => Stop::Pause(Pause::Failed { why }),
    }
}
