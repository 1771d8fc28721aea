//! A bounded log of the plans that a search scored: for people, who want to see what was considered.
//!
//! The search never reads it.

use super::population::Candidate;

/// Plans with their energies, thinned evenly: of the plans that were scored every `stride`-th is kept, from the first
/// on. Where one more would exceed the limit, every other one is dropped and the stride doubles, so that early and late
/// plans are both there and what is kept depends on their order alone.
#[derive(Debug)]
pub(super) struct CandidateLog {
    limit: usize,
    stride: usize,
    seen: usize,
    kept: Vec<Candidate>,
}

impl CandidateLog {
    /// An empty log of at most `limit` plans; with 0 it keeps and allocates nothing.
    pub fn new(limit: usize) -> Self {
        Self { limit, stride: 1, seen: 0, kept: Vec::new() }
    }

    /// Adds `sequences [H * A]` in their order. Those whose energy is not finite are passed over: they count for
    /// nothing in the search, either.
    pub fn extend(&mut self, sequences: &[Vec<f32>], energies: &[f32]) {
        if self.limit == 0 {
            return;
        }
        for (actions, &energy) in sequences.iter().zip(energies).filter(|(_, energy)| energy.is_finite()) {
            let number = self.seen;
            self.seen += 1;
            if !number.is_multiple_of(self.stride) {
                continue;
            }
            if self.kept.len() == self.limit {
                let mut position = 0;
                self.kept.retain(|_| {
                    position += 1;
                    position % 2 == 1
                });
                self.stride *= 2;
            }
            if self.kept.len() < self.limit && number.is_multiple_of(self.stride) {
                self.kept.push(Candidate { actions: actions.clone(), energy });
            }
        }
    }

    /// What was kept, in the order in which it was scored.
    pub fn into_kept(self) -> Vec<Candidate> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of the plans that are kept of `count`, which come in groups of `group`.
    fn kept(limit: usize, count: usize, group: usize) -> Vec<usize> {
        let mut log = CandidateLog::new(limit);
        let all: Vec<Vec<f32>> = (0..count).map(|number| vec![number as f32]).collect();
        for group in all.chunks(group) {
            let energies: Vec<f32> = group.iter().map(|plan| -plan[0]).collect();
            log.extend(group, &energies);
        }
        log.into_kept().iter().map(|candidate| candidate.actions[0] as usize).collect()
    }

    #[test]
    fn early_and_late_plans_are_kept_at_even_distances_whatever_the_groups() {
        assert_eq!(kept(8, 5, 2), [0, 1, 2, 3, 4]);
        assert_eq!(kept(8, 8, 3), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(kept(8, 9, 3), [0, 2, 4, 6, 8]);
        assert_eq!(kept(8, 100, 7), [0, 16, 32, 48, 64, 80, 96]);
        assert_eq!(kept(5, 12, 1), [0, 4, 8], "an odd limit");
        assert_eq!(kept(1, 100, 10), [0]);
        for limit in 2..40 {
            let one_by_one = kept(limit, 777, 1);
            assert!(one_by_one.len() <= limit && one_by_one.len() >= limit / 2, "{limit}: {one_by_one:?}");
            assert_eq!(one_by_one, kept(limit, 777, 64));
        }
    }

    #[test]
    fn without_a_limit_nothing_is_kept_and_energies_that_are_not_finite_never_are() {
        assert_eq!(kept(0, 10, 3), [0; 0]);
        let mut log = CandidateLog::new(4);
        log.extend(&[vec![0.0], vec![1.0], vec![2.0]], &[f32::NAN, 3.0, f32::INFINITY]);
        let kept = log.into_kept();
        assert_eq!((kept.len(), kept[0].actions[0], kept[0].energy), (1, 1.0, 3.0));
    }
}
