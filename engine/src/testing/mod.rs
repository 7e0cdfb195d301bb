//! Fakes of the world, for tests of the engine and of step kinds.
