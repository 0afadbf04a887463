//! The client against a scripted cluster on a driven clock.

mod connections;
mod coordinators;
mod metadata;
mod probe;
mod requests;
