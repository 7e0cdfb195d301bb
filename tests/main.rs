//! End-to-end tests: the real binary, real servers, one file per feature.
