//! The stages, one file each.

pub(crate) mod check;
pub(crate) mod evidence;
pub(crate) mod imports;
pub(crate) mod policy;
pub(crate) mod setup;
pub(crate) mod tests;
