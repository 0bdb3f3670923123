//! What the values of `.booty.yml` may be. Its reader and its JSON Schema both take them from here.

use std::{ops::RangeInclusive, time::Duration};

/// A command below a second is no command; one above an hour holds a worker too long.
pub(crate) const TIMEOUT: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3_600);
pub(crate) const COMMAND_BYTES: RangeInclusive<usize> = 1..=4_096;
/// Of one entry of a list and of a path.
pub(crate) const TEXT_BYTES: RangeInclusive<usize> = 1..=1_000;
pub(crate) const MAX_VARIABLES: usize = 50;
pub(crate) const VARIABLE_BYTES: RangeInclusive<usize> = 0..=4_096;
pub(crate) const MAX_PATTERNS: usize = 200;
pub(crate) const FILES: RangeInclusive<u64> = 1..=500;
pub(crate) const LINES: RangeInclusive<u64> = 1..=50_000;
/// What forge can put into one effect.
pub(crate) const BYTES: RangeInclusive<u64> = 1_024..=16 * 1024 * 1024;
pub(crate) const MAX_REGISTRIES: usize = 10;
pub(crate) const ROUNDS: RangeInclusive<u64> = 1..=10;
/// Below a thousand tokens no model reads an issue; above a hundred million it is no limit.
pub(crate) const TOKENS: RangeInclusive<u64> = 1_000..=100_000_000;
/// A cent is the least that a budget is worth writing down for.
pub(crate) const COST_USD: RangeInclusive<f64> = 0.01..=1_000.0;
/// A job that works a whole day is lost.
pub(crate) const WALL: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(24 * 3_600);
/// A test that fails six times in a row is not flaky.
pub(crate) const FLAKY_RETRIES: RangeInclusive<u64> = 0..=5;
pub(crate) const EVIDENCE_BUDGET: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3_600);
/// What GitHub takes as the name of a label, in characters.
pub(crate) const LABEL_CHARS: RangeInclusive<usize> = 1..=50;
