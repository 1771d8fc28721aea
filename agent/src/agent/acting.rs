//! The act phase of a tick.

use mindseye_interface::Observation;
use mindseye_world_model::Context;

use super::timing::LastReading;
use super::{Act, Agent};
use crate::Result;
use crate::actor::pace::{Expect, Pace};
use crate::actor::{Deadline, Imagination};
use crate::directive::Directive;
use crate::latent::{Latent, Plan, Plans, Rollouts};
use crate::memory::Arrival;
use crate::world_model::Dynamics;

impl Agent {
    /// The choice of the actor, and its expected outcome: the rollout of the search where there is one, or one of the
    /// chosen plan alone.
    pub(super) fn act(
        &mut self,
        latent: &Latent,
        observation: &Observation,
        directive: &Directive,
        arrival: &Arrival,
        deadline: &Deadline<'_>,
    ) -> Result<Act> {
        let history = self.history(latent, self.tick, arrival);
        let context = history.context(self.proprioception(observation));
        let dynamics: &dyn Dynamics = self.modules.world_model.as_ref();
        let imagination = Imagination::new(dynamics, &self.modules.cost, latent, directive).with_context(context);
        let imagination = match &self.modules.policy {
            Some(policy) => imagination.with_proposals(policy.propose(latent, directive)?)?,
            None => imagination,
        };
        let imagination = imagination.with_candidates(self.candidates);
        let newest = self.modules.memory.recent(1).first().map(|newest| newest.sub_goal);
        if newest.is_some_and(|newest| newest != directive.sub_goal) {
            self.modules.actor.reset(); // the previous plan had another goal
        }
        let mut rng = self.seed.child("actor").index(self.tick).rng();
        let looked = LastReading::of(deadline.clock);
        let watched = Deadline { clock: &looked, at_secs: deadline.at_secs };
        let mut choice = self.modules.actor.act(&imagination, &mut rng, &watched)?;
        // A fallback, or an actor that searches nothing, may know nothing of what is committed.
        choice.plan = directive.constrained(choice.plan);
        let since_secs = deadline.clock.now_secs() - looked.last_secs();
        let predicted_states = imagination.predicted_states();
        let expected = match choice.rollout.take() {
            None if self.modules.actor.predicts() => {
                expected_outcome(dynamics, &context, &choice.plan, deadline, &mut self.times.outcome)
            }
            rollout => rollout,
        };
        self.times.close(deadline.clock.now_secs(), since_secs);
        Ok(Act { choice, expected, predicted_states })
    }
}

/// What `plan`, which no search imagined, is expected to lead to, `[1, S, H, P, D]`: the whole of it if there is time,
/// else its first chunk alone, else nothing. What the rollouts take is kept in `pace`.
fn expected_outcome(
    dynamics: &dyn Dynamics,
    context: &Context<'_>,
    plan: &Plan,
    deadline: &Deadline<'_>,
    pace: &mut Pace,
) -> Option<Rollouts> {
    let (horizon, width) = (plan.horizon(), plan.chunk_width());
    if deadline.is_unlimited() {
        return dynamics.rollout(context, &Plans::from(plan)).ok();
    }
    pace.of_horizon(horizon);
    let first = |chunks: usize, pace: &mut Pace| {
        let plans = Plans::new(1, chunks, width, plan.values()[..chunks * width].to_vec()).ok()?;
        let before = deadline.clock.now_secs();
        let outcome = deadline.in_time(|cancel| Ok(dynamics.rollout(&Context { cancel, ..*context }, &plans)?)).ok()?;
        let secs = deadline.clock.now_secs() - before;
        match (&outcome, chunks == horizon) {
            (Some(_), true) => pace.add(1, secs),
            (Some(_), false) => pace.add_part(chunks, secs),
            (None, true) => pace.add_cancelled(1, secs),
            (None, false) => pace.add_cancelled_part(chunks, secs),
        }
        outcome
    };
    let fits = |expected_secs: Option<f64>| expected_secs.is_some_and(|secs| secs < deadline.remaining_secs());
    // Only where it rarely ends late: nothing that acts now waits for the later states.
    if fits(pace.expected_secs(1, Expect::High)) {
        return first(horizon, pace);
    }
    let per_chunk = pace.expected_secs(1, Expect::Typical).map_or(0.0, |secs| secs / horizon.max(1) as f64);
    if horizon == 0 || !fits(Some(per_chunk)) {
        return None;
    }
    let begun = first(1, pace)?;
    if horizon > 1 && fits(pace.expected_secs(1, Expect::High)) { first(horizon, pace) } else { Some(begun) }
}
