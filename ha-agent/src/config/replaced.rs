//! Instances that a reload replaces by another virtual router: to people they are the same instance with another
//! interface, family or VRID, to the protocol one leaves and another one comes.

use super::differences;
use super::model::Instance;
use super::plan::{Change, Restart, Sections};

/// Each that leaves with the one that comes in its place: of the same name, else of the same family and VRID. What
/// differs comes with it.
pub fn replaced<'c>(routers: &Sections<'c, Instance>) -> Vec<Change<'c, Instance>> {
    let mut coming: Vec<&'c Instance> = routers.starting().collect();
    let same_name = |old: &Instance, new: &Instance| old.name == new.name;
    let same_router =
        |old: &Instance, new: &Instance| (old.family, old.vrid) == (new.family, new.vrid);
    let mut leaving = routers.leaving.clone();
    let mut pairs = Vec::new();
    for is_same in [same_name, same_router] as [fn(&Instance, &Instance) -> bool; 2] {
        leaving.retain(|old| {
            let place = coming.iter().position(|new| is_same(old, new));
            pairs.extend(place.map(|place| (*old, coming.remove(place))));
            place.is_none()
        });
    }
    let change = |(old, new): (&'c Instance, &'c Instance)| Change {
        old,
        new,
        differences: differences::router(old, new),
        restart: Some(Restart::AnotherRouter),
    };
    pairs.into_iter().map(change).collect()
}
