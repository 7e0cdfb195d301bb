//! Looks at the world without touching it: runs plan-phase steps, preflights and probes.
