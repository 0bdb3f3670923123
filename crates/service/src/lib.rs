//! Run kit of every service: settings, signals, task policies, admin endpoints, exit codes.
