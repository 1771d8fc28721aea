//! What every search for a plan shares: where it starts, what it has scored, when it must end, and what to do without
//! it.

use super::population::{Candidate, ranked};
use super::{Choice, Deadline, Fallback, Imagination};
use crate::Result;
use crate::directive::{Directive, Mode, ModeReason};
use crate::latent::{Plan, Plans, Rollouts};

/// Plans scored between two readings of the clock, where there is a deadline.
const PLANS_PER_CLOCK_READING: usize = 32;

/// The plan of the tick before: where a search starts, and what to do when there is no time for one.
#[derive(Debug, Default)]
pub(super) struct PreviousPlan {
    plan: Option<Plan>,
    /// Control steps of it, from the first, that were planned (a shifted plan ends in holding still).
    planned_steps: usize,
}

impl PreviousPlan {
    /// A new episode begins.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// What remains of it now that some steps have been executed, if anything does and it fits.
    fn remaining(&self, directive: &Directive) -> Option<Plan> {
        let shape = (directive.horizon_chunks, directive.chunk_width());
        let fits = |plan: &&Plan| (plan.horizon(), plan.chunk_width()) == shape;
        let plan = self.plan.as_ref().filter(fits).filter(|_| self.planned_steps > directive.executed_steps)?;
        Some(directive.shifted(plan, directive.executed_steps))
    }
}

/// A search under way.
pub(super) struct Search<'a> {
    imagination: &'a Imagination<'a>,
    deadline: &'a Deadline<'a>,
    start: Option<Plan>,
    best: Option<(Candidate, Option<Rollouts>)>,
    energies: Vec<f32>,
    slowest_secs: f64,
}

impl<'a> Search<'a> {
    /// A search that starts from `previous`.
    pub fn new(imagination: &'a Imagination<'a>, deadline: &'a Deadline<'a>, previous: &PreviousPlan) -> Self {
        let start = previous.remaining(imagination.directive);
        Self { imagination, deadline, start, best: None, energies: Vec::new(), slowest_secs: 0.0 }
    }

    /// What remains of the previous plan, `[H * A]`.
    pub fn start(&self) -> Option<&[f32]> {
        self.start.as_ref().map(Plan::values)
    }

    /// What remains of the previous plan, or holding still, `[H * A]`.
    pub fn centre(&self) -> Vec<f32> {
        self.start().map_or_else(|| self.imagination.directive.hold_plan().values().to_vec(), <[f32]>::to_vec)
    }

    /// What takes part in the first round beside what is drawn: what remains of the previous plan, and what the policy
    /// proposes.
    pub fn proposals(&self) -> Vec<Vec<f32>> {
        let start = self.start().map(<[f32]>::to_vec);
        let proposed = self.imagination.proposals().iter();
        let bounded = proposed.map(|plan| self.imagination.directive.bounded(plan.values()));
        start.into_iter().chain(bounded).collect()
    }

    /// Scores `sequences [H * A]`, in their order until the time is up; those with finite energies, best first (equal
    /// ones in their order). `None` if there was no time for any.
    pub fn score(&mut self, mut sequences: Vec<Vec<f32>>) -> Result<Option<Vec<Candidate>>> {
        let at_once = if self.deadline.at_secs.is_finite() { PLANS_PER_CLOCK_READING } else { sequences.len() };
        let mut energies: Vec<f32> = Vec::with_capacity(sequences.len());
        let mut best: Option<(f32, Rollouts)> = None;
        for some in sequences.chunks(at_once.max(1)) {
            let Some(scores) = self.timed(|search| search.imagination.scores(&search.plans(some)?))? else { break };
            if let Some((index, rollout)) = scores.best {
                let energy = scores.energies[index];
                if best.as_ref().is_none_or(|(lowest, _)| energy.total_cmp(lowest).is_lt()) {
                    best = Some((energy, rollout));
                }
            }
            energies.extend(scores.energies);
        }
        sequences.truncate(energies.len());
        if sequences.is_empty() {
            return Ok(None);
        }
        let ranked = ranked(sequences, energies)?;
        self.offer(&ranked[0], best.map(|(_, rollout)| rollout));
        Ok(Some(ranked))
    }

    /// The gradients `[N, H * A]` of the energies of `sequences [H * A]`; `None` if there was no time. All are imagined
    /// at once.
    pub fn differentiate(&mut self, sequences: &[Vec<f32>]) -> Result<Option<Vec<f32>>> {
        let differentiated = self.timed(|search| search.imagination.scores_and_gradients(&search.plans(sequences)?))?;
        let Some((scores, gradients)) = differentiated else { return Ok(None) };
        let best = ranked(sequences.to_vec(), scores.energies)?.swap_remove(0);
        self.offer(&best, scores.best.map(|(_, rollout)| rollout));
        Ok(Some(gradients))
    }

    /// The decision, which `previous` becomes.
    pub fn finish(self, previous: &mut PreviousPlan) -> Result<Choice> {
        let directive = self.imagination.directive;
        let (horizon, chunk_width) = (directive.horizon_chunks, directive.chunk_width());
        let all_steps = horizon * directive.action_chunk;
        let mut rollout = None;
        let (plan, fallback, planned_steps) = match (self.best, self.start, self.imagination.proposals().first()) {
            (Some((best, imagined)), ..) => {
                rollout = imagined;
                (Plan::new(horizon, chunk_width, best.actions)?, None, all_steps)
            }
            (None, Some(start), _) => {
                let planned = previous.planned_steps.saturating_sub(directive.executed_steps);
                (start, Some(Fallback::PreviousPlan), planned)
            }
            (None, None, Some(plan)) => {
                let plan = Plan::new(horizon, chunk_width, directive.bounded(plan.values()))?;
                (plan, Some(Fallback::Policy), all_steps)
            }
            (None, None, None) => (directive.hold_plan(), Some(Fallback::HoldStill), 0),
        };
        *previous = PreviousPlan { plan: Some(plan.clone()), planned_steps };
        let (mode, reason) = (Mode::Mode2, ModeReason::Task);
        Ok(Choice { plan, rollout, energies: self.energies, fallback, mode, reason })
    }

    fn offer(&mut self, challenger: &Candidate, rollout: Option<Rollouts>) {
        if self.best.as_ref().is_none_or(|(best, _)| challenger.energy < best.energy) {
            self.best = Some((challenger.clone(), rollout));
        }
        self.energies.extend(self.best.as_ref().map(|(best, _)| best.energy));
    }

    fn plans(&self, sequences: &[Vec<f32>]) -> Result<Plans> {
        let directive = self.imagination.directive;
        Ok(Plans::new(sequences.len(), directive.horizon_chunks, directive.chunk_width(), sequences.concat())?)
    }

    /// Does `work` if it can be expected to end by the deadline: as fast as the slowest so far.
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
