//! One trait over model providers, and a model that answers from a file.
