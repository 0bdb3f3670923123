//! Logs, traces and their correlation.
