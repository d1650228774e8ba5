//! A bounded queue in which each flow has its turn, so that one caller cannot fill it for others.

use std::collections::{BTreeMap, VecDeque};

/// Jobs by flow; flows are served in turn.
///
/// # Invariants
/// * `turn` names each flow that has jobs once, and no other.
/// * At most `max` jobs wait. Where all places are taken, a flow that has fewer jobs than the longest
///   takes the place of the longest's newest job.
#[derive(Debug)]
pub(super) struct FairQueue<K, T> {
    max: usize,
    len: usize,
    flows: BTreeMap<K, VecDeque<T>>,
    turn: VecDeque<K>,
}

impl<K: Ord + Copy, T> FairQueue<K, T> {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            max,
            len: 0,
            flows: BTreeMap::new(),
            turn: VecDeque::new(),
        }
    }

    /// Returns how many jobs are served before one that is put into `flow` now.
    pub(super) fn ahead(&self, flow: K) -> usize {
        let own = self.flows.get(&flow).map_or(0, VecDeque::len);
        let others = self.flows.iter().filter(|(other, _jobs)| **other != flow);
        others
            .map(|(_other, jobs)| jobs.len().min(own.saturating_add(1)))
            .sum::<usize>()
            .saturating_add(own)
    }

    /// Puts a job in; returns the job that found no place: this one, or the newest of the longest flow.
    pub(super) fn push(&mut self, flow: K, job: T) -> Option<T> {
        let mut driven_out = None;
        if self.len >= self.max {
            let own = self.flows.get(&flow).map_or(0, VecDeque::len);
            let longest = self.flows.iter().max_by_key(|(_flow, jobs)| jobs.len());
            let longest = longest.map(|(flow, jobs)| (*flow, jobs.len()));
            match longest {
                Some((longest, len)) if len > own.saturating_add(1) => {
                    driven_out = self.flows.get_mut(&longest).and_then(VecDeque::pop_back);
                    self.len = self.len.saturating_sub(1);
                }
                Some(_) | None => return Some(job),
            }
        }
        let jobs = self.flows.entry(flow).or_default();
        if jobs.is_empty() {
            self.turn.push_back(flow);
        }
        jobs.push_back(job);
        self.len = self.len.saturating_add(1);
        driven_out
    }

    /// Takes the next job out.
    pub(super) fn pop(&mut self) -> Option<T> {
        let flow = self.turn.pop_front()?;
        let jobs = self.flows.get_mut(&flow)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.flows.remove(&flow);
        } else {
            self.turn.push_back(flow);
        }
        self.len = self.len.saturating_sub(1);
        job
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flows_are_served_in_turn() {
        let mut queue = FairQueue::new(10);
        for job in ["a1", "a2", "a3"] {
            assert_eq!(queue.push('a', job), None);
        }
        assert_eq!(queue.ahead('b'), 1);
        assert_eq!(queue.push('b', "b1"), None);
        assert_eq!(queue.ahead('a'), 4);
        let served: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(served, ["a1", "b1", "a2", "a3"]);
    }

    #[test]
    fn a_full_queue_has_a_place_for_who_has_fewer() {
        let mut queue = FairQueue::new(4);
        for job in 0..4 {
            assert_eq!(queue.push('a', job), None);
        }
        assert_eq!(queue.push('a', 4), Some(4), "the flood itself is refused");
        assert_eq!(queue.push('b', 10), Some(3), "the flood's newest goes");
        assert_eq!(queue.push('b', 11), Some(2));
        assert_eq!(queue.push('b', 12), Some(12), "both have two");
        assert_eq!(queue.ahead('c'), 2);
    }

    proptest! {
        #[test]
        fn no_job_is_lost_and_the_bound_holds(
            steps in proptest::collection::vec((0_u8..6, any::<bool>()), 0..300)
        ) {
            let mut queue = FairQueue::new(8);
            let (mut put, mut out) = (0_u32, 0_u32);
            for (flow, is_push) in steps {
                if is_push {
                    put += 1;
                    out += u32::from(queue.push(flow, put).is_some());
                } else {
                    out += u32::from(queue.pop().is_some());
                }
                let waiting: usize = queue.flows.values().map(VecDeque::len).sum();
                prop_assert_eq!(waiting, queue.len);
                prop_assert!(queue.len <= 8);
                prop_assert_eq!(queue.turn.len(), queue.flows.len());
                prop_assert_eq!(u32::try_from(queue.len).expect("few"), put - out);
            }
        }
    }
}
