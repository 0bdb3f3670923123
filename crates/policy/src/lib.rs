//! What a repository may ask and a change may touch; pure functions.
