//! The engine together with the caller's side, against a scripted cluster on a driven clock.

mod assignors;
mod commits;
mod cooperative;
mod fetching;
mod group;
mod hostile;
mod leaving;
mod lookups;
mod patterns;
mod positions;
mod refreshing;
mod resets;
mod rig;
mod session;
mod sessions;

#[test]
fn events_and_actions_are_small() {
    assert!(size_of::<crate::consumer::Event>() <= 64);
    assert!(size_of::<crate::consumer::Action>() <= 64);
    assert!(size_of::<crate::consumer::ToCaller>() <= 128);
}
