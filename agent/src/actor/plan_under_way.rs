//! The plan under way within a search: what remains of the previous plan, and what the search makes of it.

use super::population::Candidate;
use crate::latent::Plan;

/// Keeps the best form of the plan under way, so that it can go on where no other plan is clearly better (see
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
    /// The plan that starts as `start`; another one must be better by the share `margin` of its energy.
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

    /// The plan under way, where `other` is better, but not by the margin.
    pub fn preferred_to(&self, other: &Candidate) -> Option<Candidate> {
        let own = self.best.as_ref()?;
        let limit = own.energy - self.margin * own.energy.abs();
        (limit..own.energy).contains(&other.energy).then(|| own.clone())
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
    fn another_plan_must_be_better_by_the_margin() {
        let mut plan = under_way(0.5);
        assert!(plan.preferred_to(&candidate(0.1)).is_none(), "not scored yet");
        plan.note(&[vec![0.3, 0.3], vec![0.1, 0.2]], &[0.1, 1.0], 0);
        assert_eq!(plan.preferred_to(&candidate(0.6)).map(|own| own.actions), Some(vec![0.1, 0.2]));
        assert!(plan.preferred_to(&candidate(0.4)).is_none());
        assert!(plan.preferred_to(&candidate(1.2)).is_none(), "it is the better one anyway");
        let mut plan = under_way(0.5);
        plan.note(&[vec![0.1, 0.2]], &[-1.0], 0);
        assert!(plan.preferred_to(&candidate(-1.4)).is_some() && plan.preferred_to(&candidate(-1.6)).is_none());
        let mut without = under_way(0.0);
        without.note(&[vec![0.1, 0.2]], &[1.0], 0);
        assert!(without.preferred_to(&candidate(0.99)).is_none(), "the best is taken");
    }

    #[test]
    fn what_the_search_makes_of_it_is_the_plan_under_way() {
        let mut plan = under_way(0.5);
        let group = [vec![0.3, 0.3], vec![0.1, 0.2]];
        plan.follow(&group);
        plan.note(&group, &[0.1, 1.0], 0);
        plan.note(&[vec![0.4, 0.3], vec![0.2, 0.2]], &[0.1, 0.8], 0); // one step of improvement
        plan.note(&[vec![0.2, 0.1]], &[0.9], 1); // scored in parts: number 1, a step too far
        assert_eq!(plan.preferred_to(&candidate(0.5)).map(|own| own.actions), Some(vec![0.2, 0.2]));
        plan.forget_group();
        plan.note(&[vec![0.5, 0.5], vec![0.6, 0.6]], &[0.2, 0.2], 0);
        assert_eq!(plan.preferred_to(&candidate(0.5)).map(|own| own.energy), Some(0.8), "others are others");
    }
}
