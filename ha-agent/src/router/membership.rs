//! A router as a member of a sync group: what its group makes of it.

use std::sync::Arc;

use ha_common::election::{Cause, MemberId};
use ha_common::group::{Fitness, GroupView};

/// A place in a group.
#[derive(Clone, Debug)]
pub struct Membership {
    pub group: Arc<str>,
    /// The members' names, in the group's order.
    pub members: Arc<[String]>,
    /// What it goes by; `None` until the group has met.
    pub lent: Option<GroupView>,
    /// The member that keeps the group from taking over although a timer has run out.
    pub waits_for: Option<MemberId>,
    /// And the first member whose timer has run out.
    pub ran_out: Option<MemberId>,
}

impl Membership {
    /// A new member.
    pub fn new(group: Arc<str>, members: Arc<[String]>) -> Self {
        Self {
            group,
            members,
            lent: None,
            waits_for: None,
            ran_out: None,
        }
    }

    /// The name of the group and those of its members, for words.
    pub fn names(&self) -> (&str, &[String]) {
        (&self.group, &self.members)
    }

    /// A member's name.
    pub fn name(&self, MemberId(member): MemberId) -> Option<&str> {
        self.members.get(usize::from(member)).map(String::as_str)
    }

    /// Which other member keeps it out, in words.
    pub fn obstacle(&self) -> Option<String> {
        let lent = self.lent?;
        let by = lent.held_by?;
        match lent.fitness {
            Fitness::Unfit(cause) => {
                let cause = Cause::Fault(cause);
                let words = cause.with_names::<String>(&[]).in_group(Some(self.names()));
                Some(words.to_string())
            }
            Fitness::Waiting => {
                let name = self.name(by)?;
                Some(format!("waiting for member {name} of group {}", self.group))
            }
            Fitness::Ready => None,
        }
    }
}
