//! The plan under way within a search: what remains of the previous plan, and what the search makes of it.

use super::population::Candidate;
use crate::latent::Plan;

/// Keeps the best form of the plan under way, so that it can go on where no other plan promises clearly more (see
/// [`crate::Task::switch_margin`]).
#[derive(Debug)]
pub(super) struct PlanUnderWay {
    /// What remains of the previous plan.
    start: Option<Plan>,
    margin: f32,
    best: Option<Candidate>,
    /// Which of the sequences that are being improved comes from it.
    followed: Option<usize>,
}

impl PlanUnderWay {
    /// The plan that starts as `start`; another one must promise the share `margin` more than it does.
    pub fn new(start: Option<Plan>, margin: f32) -> Self {
        Self { start: start.filter(|_| margin > 0.0), margin, best: None, followed: None }
    }

    /// `sequences` are about to be improved.
    pub fn follow(&mut self, sequences: &[Vec<f32>]) {
        self.followed = self.position(sequences);
    }

    /// The next sequences are others than those before.
    pub fn forget_group(&mut self) {
        self.followed = None;
    }

    /// Takes the `energies` of `sequences` into account, the first of which is number `first` of its group.
    pub fn note(&mut self, sequences: &[Vec<f32>], energies: &[f32], first: usize) {
        let followed = self.followed.and_then(|index| index.checked_sub(first));
        for index in self.position(sequences).into_iter().chain(followed) {
            let (Some(sequence), Some(&energy)) = (sequences.get(index), energies.get(index)) else { continue };
            if energy.is_finite() && self.best.as_ref().is_none_or(|known| energy < known.energy) {
                self.best = Some(Candidate { actions: sequence.clone(), energy });
            }
        }
    }

    /// The plan under way, where `other` is the better one.
    pub fn challenged_by(&self, other: &Candidate) -> Option<Candidate> {
        self.best.clone().filter(|own| other.energy < own.energy)
    }

    /// Whether `own` goes on although `other` is better: holding still has the energy `hold`.
    pub fn goes_on(&self, own: &Candidate, other: &Candidate, hold: f32) -> bool {
        other.energy >= own.energy - self.margin * (hold - own.energy).max(0.0)
    }

    fn position(&self, sequences: &[Vec<f32>]) -> Option<usize> {
        let start = self.start.as_ref()?.values();
        sequences.iter().position(|sequence| sequence == start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(energy: f32) -> Candidate {
        Candidate { actions: vec![9.0, 9.0], energy }
    }

    fn under_way(margin: f32) -> PlanUnderWay {
        PlanUnderWay::new(Plan::new(1, 2, vec![0.1, 0.2]).ok(), margin)
    }

    #[test]
    fn another_plan_must_promise_more_by_the_margin() {
        let mut plan = under_way(0.5);
        assert!(plan.challenged_by(&candidate(0.1)).is_none(), "not scored yet");
        plan.note(&[vec![0.3, 0.3], vec![0.1, 0.2]], &[0.1, 1.0], 0);
        assert!(plan.challenged_by(&candidate(1.2)).is_none(), "it is the better one anyway");
        assert_eq!(plan.challenged_by(&candidate(0.6)).map(|own| own.actions), Some(vec![0.1, 0.2]));
        let goes_on = |energy: f32, hold: f32| {
            let other = candidate(energy);
            plan.challenged_by(&other).is_some_and(|own| plan.goes_on(&own, &other, hold))
        };
        // Holding still costs 2: the plan promises 1, another must promise 1.5.
        assert!(goes_on(0.6, 2.0) && !goes_on(0.4, 2.0));
        assert!(!goes_on(0.99, 0.8), "a plan that promises nothing is not kept");
        let mut without = under_way(0.0);
        without.note(&[vec![0.1, 0.2]], &[1.0], 0);
        assert!(without.challenged_by(&candidate(0.99)).is_none(), "the best is taken");
    }

    #[test]
    fn what_the_search_makes_of_it_is_the_plan_under_way() {
        let mut plan = under_way(0.5);
        let group = [vec![0.3, 0.3], vec![0.1, 0.2]];
        plan.follow(&group);
        plan.note(&group, &[0.1, 1.0], 0);
        plan.note(&[vec![0.4, 0.3], vec![0.2, 0.2]], &[0.1, 0.8], 0); // one step of improvement
        plan.note(&[vec![0.2, 0.1]], &[0.9], 1); // scored in parts: number 1, a step too far
        assert_eq!(plan.challenged_by(&candidate(0.5)).map(|own| own.actions), Some(vec![0.2, 0.2]));
        plan.forget_group();
        plan.note(&[vec![0.5, 0.5], vec![0.6, 0.6]], &[0.2, 0.2], 0);
        assert_eq!(plan.challenged_by(&candidate(0.5)).map(|own| own.energy), Some(0.8), "others are others");
    }
}
