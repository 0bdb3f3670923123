//! A GitHub to test against: REST, Git Data, deliveries, git over HTTP, faults on demand.
