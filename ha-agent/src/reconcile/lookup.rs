//! A set that is asked for each of the many addresses on an interface.
//!
//! A virtual router has few of its own: with 250 routers on an interface each would hash the addresses of all others,
//! several times at each look, and comparing with one or two costs a tenth of that.

use std::collections::HashSet;
use std::hash::Hash;

/// Up to how many elements comparing is cheaper than hashing.
const FEW: usize = 8;

/// The set.
#[derive(Debug)]
pub(super) enum Lookup<T> {
    Few(Vec<T>),
    Many(HashSet<T>),
}

impl<T: Eq + Hash> Lookup<T> {
    pub(super) fn contains(&self, wanted: &T) -> bool {
        match self {
            Self::Few(elements) => elements.contains(wanted),
            Self::Many(elements) => elements.contains(wanted),
        }
    }
}

impl<T: Eq + Hash> FromIterator<T> for Lookup<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let elements: Vec<T> = elements.into_iter().collect();
        if elements.len() <= FEW {
            Self::Few(elements)
        } else {
            Self::Many(elements.into_iter().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_hold_what_they_were_made_of_and_nothing_else() {
        for count in [0, 1, FEW, FEW + 1, 100] {
            let lookup: Lookup<usize> = (0..count).map(|number| number * 2).collect();
            assert_eq!(matches!(lookup, Lookup::Few(_)), count <= FEW);
            let found: Vec<_> = (0..2 * count + 2)
                .filter(|it| lookup.contains(it))
                .collect();
            let made_of: Vec<_> = (0..count).map(|number| number * 2).collect();
            assert_eq!(found, made_of);
        }
    }
}
