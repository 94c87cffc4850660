//! What a router wants on its host: one value that holds until it changes, and no list of things to do. Whoever
//! carries it out compares it with what is there, as often as need be.

/// What is wanted of the addresses, routes and rules of a virtual router, and of the device of its virtual MAC.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wanted {
    /// It is not known yet whether the router carries on from an earlier life: what that has left stays as it is.
    #[default]
    Undecided,
    /// None of ours is there, and the device is off.
    Nothing,
    /// All of them are there, and the device is on.
    Everything,
}
