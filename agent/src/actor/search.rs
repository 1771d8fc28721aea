//! What every search for a plan shares: where it starts, what it has seen, when it must end, and what there is to do without it.

use super::population::{Candidate, ranked};
use super::{Choice, Deadline, Fallback, Imagination};
use crate::Result;
use crate::configurator::{Mode, ModeReason};
use crate::latent::{Plan, Plans};

/// Plans judged between two looks at the clock, where there is a deadline.
const GLANCE: usize = 32;

/// The plan of the tick before: where a search starts, and what to do when there is no time for one.
#[derive(Debug, Default)]
pub(super) struct LastPlan {
    plan: Option<Plan>,
    /// Blocks of it, from the first, that were thought of (a shifted plan ends in doing nothing).
    thought_of: usize,
}

impl LastPlan {
    /// A new episode begins.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// What is left of it a block later, if anything is and it fits.
    fn shifted(&self, horizon: usize, block_width: usize) -> Option<Plan> {
        let fits = |plan: &&Plan| (plan.horizon(), plan.block_width()) == (horizon, block_width);
        self.plan.as_ref().filter(fits).filter(|_| self.thought_of > 1).map(Plan::shifted)
    }
}

/// A search under way.
pub(super) struct Search<'a> {
    imagination: &'a Imagination<'a>,
    deadline: &'a Deadline<'a>,
    start: Option<Plan>,
    best: Option<Candidate>,
    energies: Vec<f32>,
    slowest_secs: f64,
}

impl<'a> Search<'a> {
    /// A search that starts from `last`.
    pub fn new(imagination: &'a Imagination<'a>, deadline: &'a Deadline<'a>, last: &LastPlan) -> Self {
        let directive = imagination.directive;
        let start = last.shifted(directive.horizon_blocks, directive.block_width());
        Self { imagination, deadline, start, best: None, energies: Vec::new(), slowest_secs: 0.0 }
    }

    /// The last plan, shifted by a block, `[H * A]`.
    pub fn start(&self) -> Option<&[f32]> {
        self.start.as_ref().map(Plan::values)
    }

    /// The last plan, shifted by a block, or doing nothing, `[H * A]`.
    pub fn centre(&self) -> Vec<f32> {
        self.start().map_or_else(|| vec![0.0; self.plan_len()], <[f32]>::to_vec)
    }

    /// What takes part in the first round beside what is drawn: the last plan, shifted by a block, and what the policy proposes.
    pub fn guesses(&self) -> Vec<Vec<f32>> {
        let start = self.start().map(<[f32]>::to_vec);
        start.into_iter().chain(self.imagination.proposals().iter().map(|plan| bounded(plan.values()))).collect()
    }

    /// Values `H * A` of a plan.
    pub fn plan_len(&self) -> usize {
        self.imagination.directive.horizon_blocks * self.imagination.directive.block_width()
    }

    /// Judges `sequences [H * A]`, in their order until the time is up; those with finite energies, best first (equal ones in their
    /// order). `None` if there was no time for any.
    pub fn judge(&mut self, mut sequences: Vec<Vec<f32>>) -> Result<Option<Vec<Candidate>>> {
        let glance = if self.deadline.at_secs.is_finite() { GLANCE } else { sequences.len() };
        let mut energies = Vec::with_capacity(sequences.len());
        for some in sequences.chunks(glance.max(1)) {
            let judged = self.timed(|search| search.imagination.energies(&search.plans(some)?))?;
            match judged {
                Some(judged) => energies.extend(judged),
                None => break,
            }
        }
        sequences.truncate(energies.len());
        if sequences.is_empty() {
            return Ok(None);
        }
        let ranked = ranked(sequences, energies)?;
        self.offer(&ranked[0]);
        Ok(Some(ranked))
    }

    /// Energies of `sequences [H * A]`, and their slopes; `None` if there was no time. All are imagined at once.
    pub fn differentiate(&mut self, sequences: &[Vec<f32>]) -> Result<Option<(Vec<f32>, Vec<f32>)>> {
        let Some((energies, slopes)) =
            self.timed(|search| search.imagination.energies_and_slopes(&search.plans(sequences)?))?
        else {
            return Ok(None);
        };
        let best = ranked(sequences.to_vec(), energies.clone())?.swap_remove(0);
        self.offer(&best);
        Ok(Some((energies, slopes)))
    }

    /// The decision, which `last` becomes.
    pub fn finish(self, last: &mut LastPlan) -> Result<Choice> {
        let directive = self.imagination.directive;
        let (horizon, block_width) = (directive.horizon_blocks, directive.block_width());
        let proposal = self.imagination.proposals().first();
        let (plan, fallback, thought_of) = match (self.best, self.start, proposal) {
            (Some(best), _, _) => (Plan::new(horizon, block_width, best.actions)?, None, horizon),
            (None, Some(start), _) => (start, Some(Fallback::LastPlan), last.thought_of - 1),
            (None, None, Some(plan)) => {
                (Plan::new(horizon, block_width, bounded(plan.values()))?, Some(Fallback::Policy), horizon)
            }
            (None, None, None) => (Plan::zeros(horizon, block_width), Some(Fallback::HoldStill), 0),
        };
        *last = LastPlan { plan: Some(plan.clone()), thought_of };
        Ok(Choice { plan, energies: self.energies, fallback, mode: Mode::Mode2, reason: ModeReason::Task })
    }

    fn offer(&mut self, challenger: &Candidate) {
        if self.best.as_ref().is_none_or(|best| challenger.energy < best.energy) {
            self.best = Some(challenger.clone());
        }
        self.energies.extend(self.best.as_ref().map(|best| best.energy));
    }

    fn plans(&self, sequences: &[Vec<f32>]) -> Result<Plans> {
        let directive = self.imagination.directive;
        Plans::new(sequences.len(), directive.horizon_blocks, directive.block_width(), sequences.concat())
    }

    /// Does `work` if it can be expected to be done by the deadline: as fast as the slowest so far.
    fn timed<T>(&mut self, work: impl FnOnce(&Self) -> Result<T>) -> Result<Option<T>> {
        let before = self.deadline.clock.now_secs();
        if before + self.slowest_secs >= self.deadline.at_secs {
            return Ok(None);
        }
        let done = work(self)?;
        self.slowest_secs = self.slowest_secs.max(self.deadline.clock.now_secs() - before);
        Ok(Some(done))
    }
}

/// `values` within what the body can do; what is not a number becomes doing nothing.
pub(super) fn bounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| if value.is_nan() { 0.0 } else { value.clamp(-1.0, 1.0) }).collect()
}
