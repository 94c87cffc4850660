//! How `status` and `peers` are shown to a person.

mod claims;
mod group;
mod held;
mod instance;
mod peers;
mod state;
mod status;
mod text;
mod tracked;

pub(super) use peers::render_peers;
pub(super) use status::{Detail, render_status};
