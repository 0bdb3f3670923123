//! Git without git: mirrors, checkouts, change sets.
