//! Git repositories on disk, and git's own HTTP protocol.

mod diff;
mod http;
mod store;
mod tree;

pub(crate) use diff::FileDiff;
pub(crate) use http::{GitRequest, GitVerb, git_request, serve_git};
pub(crate) use store::{Commit, GitError, Person, Store, is_sha};
pub(crate) use tree::{Edit, Mode, PathFault, check_path};
