//! What an actor can ask: the energies of plans, and their gradients.

use std::cell::Cell;

use mindseye_world_model::{Cancel, Context, Dynamics, Recording};

use crate::cost::{CostModule, Gradients};
use crate::directive::Directive;
use crate::latent::{Latent, Plan, Plans, Rollouts};
use crate::{Error, Result};

/// The world model, its context and the cost of one tick.
pub struct Imagination<'a> {
    dynamics: &'a dyn Dynamics,
    cost: &'a CostModule,
    context: Context<'a>,
    /// What the tick is about.
    pub directive: &'a Directive,
    proposals: Vec<Plan>,
    predicted_states: Cell<usize>,
    candidates: usize,
}

/// Plans with their energies.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Energies `[N]`, lower is better.
    pub energies: Vec<f32>,
    /// Index of the plan with the lowest finite energy (the first of equal ones), and its rollout `[1, S, H, P, D]`.
    pub best: Option<(usize, Rollouts)>,
}

/// A pass forward through model and cost.
pub(super) struct Forward {
    recording: Recording,
    gradients: Gradients,
    states: usize,
}

/// Predicted states that a pass back through the model counts for: a product for the gradients on its inputs, and the
/// pass forward again.
const STATES_PER_BACKWARD: usize = 2;

impl<'a> Imagination<'a> {
    /// Imagination of what follows from `start`.
    pub fn new(dynamics: &'a dyn Dynamics, cost: &'a CostModule, start: &'a Latent, directive: &'a Directive) -> Self {
        let context = Context::of(start);
        Self {
            dynamics,
            cost,
            context,
            directive,
            proposals: Vec::new(),
            predicted_states: Cell::new(0),
            candidates: 0,
        }
    }

    /// The same with all that is known at the start, in place of the state alone.
    #[must_use]
    pub fn with_context(self, context: Context<'a>) -> Self {
        Self { context, ..self }
    }

    /// The same with plans that a policy proposes: they are scored in the first round, and the first of them is
    /// executed when there is neither time to search nor a previous plan.
    ///
    /// # Errors
    /// [`Error::Shape`] unless every plan fits the directive.
    pub fn with_proposals(self, proposals: Vec<Plan>) -> Result<Self> {
        let expected = (self.directive.horizon_chunks, self.directive.chunk_width());
        match proposals.iter().map(|plan| (plan.horizon(), plan.chunk_width())).find(|shape| *shape != expected) {
            None => Ok(Self { proposals, ..self }),
            Some(got) => Err(Error::Shape {
                operation: "proposing",
                expected: format!("{} chunks of {} values", expected.0, expected.1),
                got: format!("{} of {}", got.0, got.1),
            }),
        }
    }

    /// The same for a search that keeps at most `limit` of the plans that it scores in [`super::Choice::candidates`];
    /// 0, as before this call, keeps none. What is chosen does not depend on it.
    #[must_use]
    pub fn with_candidates(self, limit: usize) -> Self {
        Self { candidates: limit, ..self }
    }

    /// How many scored plans are to be kept.
    pub(super) fn candidates(&self) -> usize {
        self.candidates
    }

    /// What a policy proposes.
    pub fn proposals(&self) -> &[Plan] {
        &self.proposals
    }

    /// Energies `[N]` of `plans`, lower is better.
    ///
    /// # Errors
    /// The world model's and the cost's.
    pub fn energies(&self, plans: &Plans) -> Result<Vec<f32>> {
        Ok(self.scores(plans)?.energies)
    }

    /// Energies of `plans`, and the rollout of the best of them.
    ///
    /// # Errors
    /// The world model's and the cost's.
    pub fn scores(&self, plans: &Plans) -> Result<Scores> {
        self.scores_until(plans, Cancel::never())
    }

    /// As [`Imagination::scores`], as long as they are wanted.
    ///
    /// # Errors
    /// As [`Imagination::scores`], and [`Error::Cancelled`].
    pub(super) fn scores_until(&self, plans: &Plans, cancel: Cancel<'_>) -> Result<Scores> {
        let rollouts = self.dynamics.rollout(&Context { cancel, ..self.context }, plans)?;
        cancel.check()?;
        self.count(rollouts.states());
        Scores::new(self.cost.energies(&rollouts, plans, self.directive)?, &rollouts)
    }

    /// Energies `[N]` of `plans`, and their gradients `[N, H, A]`.
    ///
    /// # Errors
    /// The world model's and the cost's; [`Error::NotDifferentiable`] where one of them has no gradients.
    pub fn energies_and_gradients(&self, plans: &Plans) -> Result<(Vec<f32>, Vec<f32>)> {
        let (scores, gradients) = self.scores_and_gradients(plans)?;
        Ok((scores.energies, gradients))
    }

    /// Energies of `plans`, the rollout of the best of them, and the gradients of the energies, `[N, H, A]`.
    ///
    /// # Errors
    /// As [`Imagination::energies_and_gradients`].
    pub fn scores_and_gradients(&self, plans: &Plans) -> Result<(Scores, Vec<f32>)> {
        self.scores_and_gradients_until(plans, Cancel::never())
    }

    /// As [`Imagination::scores_and_gradients`], as long as they are wanted.
    ///
    /// # Errors
    /// As [`Imagination::scores_and_gradients`], and [`Error::Cancelled`].
    pub(super) fn scores_and_gradients_until(&self, plans: &Plans, cancel: Cancel<'_>) -> Result<(Scores, Vec<f32>)> {
        let (scores, forward) = self.forward_until(plans, cancel)?;
        Ok((scores, self.back_until(forward, cancel)?))
    }

    /// The first half of [`Imagination::scores_and_gradients_until`]: the scores, and what [`Imagination::back_until`]
    /// needs.
    pub(super) fn forward_until(&self, plans: &Plans, cancel: Cancel<'_>) -> Result<(Scores, Forward)> {
        let (rollouts, recording) = self.dynamics.rollout_recorded(&Context { cancel, ..self.context }, plans)?;
        cancel.check()?;
        self.count(rollouts.states());
        let (energies, gradients) = self.cost.energies_and_gradients(&rollouts, plans, self.directive)?;
        Ok((Scores::new(energies, &rollouts)?, Forward { recording, gradients, states: rollouts.states() }))
    }

    /// The second half: the gradients `[N, H, A]` of the energies on the plans.
    pub(super) fn back_until(&self, forward: Forward, cancel: Cancel<'_>) -> Result<Vec<f32>> {
        let Forward { recording, gradients, states } = forward;
        let mut on_plans = gradients.plans;
        let through_states = self.dynamics.vjp(recording, &gradients.states, cancel)?;
        self.count(STATES_PER_BACKWARD * states);
        on_plans.iter_mut().zip(through_states).for_each(|(gradient, through)| *gradient += through);
        Ok(on_plans)
    }

    /// Does the work of scoring `plans`, with gradients or without, and forgets the result: for measuring its time. It
    /// does not count as predicted states.
    pub(super) fn try_out(&self, plans: &Plans, with_gradients: bool, cancel: Cancel<'_>) -> Result<()> {
        let before = self.predicted_states.get();
        let tried = if with_gradients {
            self.scores_and_gradients_until(plans, cancel).map(|_| ())
        } else {
            self.scores_until(plans, cancel).map(|_| ())
        };
        self.predicted_states.set(before);
        tried
    }

    /// Numbers of a state, `P * D`.
    pub(super) fn state_len(&self) -> usize {
        self.context.latents.last().map_or(0, |latent| latent.values().len())
    }

    /// States predicted so far; one from which gradients were carried back counts three times.
    pub fn predicted_states(&self) -> usize {
        self.predicted_states.get()
    }

    fn count(&self, states: usize) {
        self.predicted_states.set(self.predicted_states.get() + states);
    }
}

impl Scores {
    fn new(energies: Vec<f32>, rollouts: &Rollouts) -> Result<Self> {
        let finite = energies.iter().enumerate().filter(|(_, energy)| energy.is_finite());
        let best = finite.min_by(|a, b| a.1.total_cmp(b.1)).map(|(index, _)| index);
        let best = best.map(|index| Ok::<_, Error>((index, rollout_of(rollouts, index)?))).transpose()?;
        Ok(Self { energies, best })
    }
}

/// The rollout of plan `index` alone, `[1, S, H, P, D]`.
fn rollout_of(rollouts: &Rollouts, index: usize) -> Result<Rollouts> {
    let length = rollouts.samples() * rollouts.horizon() * rollouts.state_len();
    let values = rollouts.values()[index * length..(index + 1) * length].to_vec();
    Ok(Rollouts::new([1, rollouts.samples(), rollouts.horizon(), rollouts.tokens(), rollouts.width()], values)?)
}
