//! Runs untrusted commands with limits, without network and secrets.
