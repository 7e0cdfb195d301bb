//! Restores into real servers.
