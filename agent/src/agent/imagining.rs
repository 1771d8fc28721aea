//! What plans would lead to from the state of the newest tick: for people, after the decision.

use mindseye_interface::Observation;

use super::{Agent, TickReport};
use crate::Result;
use crate::latent::{Plans, Rollouts};
use crate::memory::Transition;
use crate::world_model::Dynamics;

impl Agent {
    /// From the next tick on reports list at most `limit` of the plans that were scored
    /// ([`TickReport::candidates`]), those of early and of late rounds alike. 0, the default, lists none. Decisions do
    /// not depend on it.
    pub fn keep_candidates(&mut self, limit: usize) {
        self.candidates = limit;
    }

    /// Rollouts `[N, S, H, P, D]` of `plans` from the state of the newest tick, which gave `report` for `observation`,
    /// with all that led to it: by the agent's own world model, or by `dynamics` of the same model in its place. `None`
    /// where that tick failed. Nothing is remembered of it.
    ///
    /// # Errors
    /// The model's.
    pub fn imagine(
        &self,
        report: &TickReport,
        observation: &Observation,
        plans: &Plans,
        dynamics: Option<&dyn Dynamics>,
    ) -> Result<Option<Rollouts>> {
        let Some(newest) = self.newest_of(report) else { return Ok(None) };
        let history = self.history(&newest.latent, newest.tick, &newest.arrival);
        let context = history.context(self.proprioception(observation));
        let rollouts = match dynamics {
            Some(dynamics) => dynamics.rollout(&context, plans)?,
            None => self.modules.world_model.rollout(&context, plans)?,
        };
        Ok(Some(rollouts))
    }

    /// What memory has of the tick that gave `report`, if it is the newest.
    pub(super) fn newest_of(&self, report: &TickReport) -> Option<&Transition> {
        self.modules.memory.recent(1).first().copied().filter(|newest| newest.tick == report.tick)
    }
}
