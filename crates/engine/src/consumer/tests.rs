//! The engine together with the caller's side, against a scripted cluster on a driven clock.

mod commits;
mod fetching;
mod group;
mod lookups;
mod positions;
mod rig;
