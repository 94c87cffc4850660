//! Virtual routers in the order in which their adverts are due: a binary heap that knows each router's place in it.
//!
//! A router can be moved or taken out in logarithmic time, and nothing is allocated but when one is added.

use ha_common::units::Instant;

/// The queue. Routers are numbered from zero.
#[derive(Clone, Debug, Default)]
pub(super) struct DueQueue {
    /// Numbers of routers; none is due before its parent, which stands at half its place.
    heap: Vec<usize>,
    /// By number.
    routers: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    due: Instant,
    place: Option<usize>,
}

impl DueQueue {
    /// Makes room for so many routers; the only allocation.
    pub(super) fn reserve(&mut self, routers: usize) {
        if routers > self.routers.len() {
            self.routers.resize(routers, Entry::default());
            self.heap.reserve(routers - self.heap.len());
        }
    }

    /// The router whose advert is due first, and when.
    pub(super) fn first(&self) -> Option<(Instant, usize)> {
        let id = *self.heap.first()?;
        Some((self.routers[id].due, id))
    }

    /// When this router's next advert is due; nothing if it is not in the queue.
    pub(super) fn due(&self, id: usize) -> Option<Instant> {
        let entry = self.routers.get(id)?;
        entry.place.map(|_| entry.due)
    }

    /// This router's next advert is due then.
    pub(super) fn put(&mut self, id: usize, due: Instant) {
        self.reserve(id + 1);
        self.routers[id].due = due;
        let place = self.routers[id].place.unwrap_or_else(|| {
            self.heap.push(id);
            self.heap.len() - 1
        });
        let place = self.rise(place, id);
        self.sink(place, id);
    }

    /// Takes this router out.
    pub(super) fn remove(&mut self, id: usize) {
        let Some(place) = self.routers.get_mut(id).and_then(|it| it.place.take()) else {
            return;
        };
        let Some(last) = self.heap.pop().filter(|last| *last != id) else {
            return;
        };
        let place = self.rise(place, last);
        self.sink(place, last);
    }

    /// Puts `id` there or nearer to the root; where.
    fn rise(&mut self, mut place: usize, id: usize) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            let above = self.heap[parent];
            if self.rank(above) <= self.rank(id) {
                break;
            }
            self.set(place, above);
            place = parent;
        }
        self.set(place, id);
        place
    }

    /// Puts `id` there or farther from the root.
    fn sink(&mut self, mut place: usize, id: usize) {
        loop {
            let children = 2 * place + 1..(2 * place + 3).min(self.heap.len());
            let Some(child) = children.min_by_key(|child| self.rank(self.heap[*child])) else {
                break;
            };
            let below = self.heap[child];
            if self.rank(id) <= self.rank(below) {
                break;
            }
            self.set(place, below);
            place = child;
        }
        self.set(place, id);
    }

    fn rank(&self, id: usize) -> (Instant, usize) {
        (self.routers[id].due, id)
    }

    fn set(&mut self, place: usize, id: usize) {
        self.heap[place] = id;
        self.routers[id].place = Some(place);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The reference is a map that is searched from end to end.
        #[test]
        fn the_first_is_the_one_that_is_due_first(
            steps in prop::collection::vec((0..12usize, prop::option::of(0..40u64)), 0..200)
        ) {
            let mut queue = DueQueue::default();
            let mut reference = BTreeMap::new();
            for (id, due) in steps {
                if let Some(due) = due {
                    queue.put(id, Instant(due));
                    reference.insert(id, Instant(due));
                } else {
                    queue.remove(id);
                    reference.remove(&id);
                }
                let first = reference.iter().map(|(id, due)| (*due, *id)).min();
                prop_assert_eq!(queue.first(), first);
                prop_assert_eq!(queue.due(id), reference.get(&id).copied());
            }
        }
    }

    #[test]
    fn nothing_is_allocated_once_there_is_room() {
        let mut queue = DueQueue::default();
        queue.reserve(100);
        let room = (queue.heap.capacity(), queue.routers.capacity());
        for round in 0..50u64 {
            for id in 0..100 {
                queue.put(id, Instant(round * 100 + (id as u64 * 37) % 101));
            }
            for id in (0..100).step_by(3) {
                queue.remove(id);
            }
        }
        assert_eq!((queue.heap.capacity(), queue.routers.capacity()), room);
    }
}
