//! Turns a labelled issue into a proposal.
