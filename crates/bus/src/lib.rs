//! JetStream: streams, publishing, consuming, leases, journal and spool.
