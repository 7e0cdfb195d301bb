//! Plans and mistakes of small runbooks over a few kinds that do nothing.

mod absent;
mod approval;
mod composite_mistakes;
mod composites;
mod disabled;
mod fixture;
mod flow;
mod mistakes;
mod parameters;
mod planning;
mod shape;
mod speed;
mod stages;
mod types;
