//! What a tick expects of its plan, beside what holding still would give: for people.

use mindseye_interface::Observation;

use super::{Agent, TickReport};
use crate::Result;
use crate::directive::Directive;
use crate::latent::{Latent, Plans, Rollouts};

/// Distances to the goal: unweighted energies of the goal's own term, averaged over samples.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedDistances {
    /// Of the observed state.
    pub now: f32,
    /// After every chunk of the plan, `[H]`; empty where nothing was imagined.
    pub planned: Vec<f32>,
    /// After as many chunks of holding still; `None` where no action is known to hold still, or nothing can be
    /// imagined.
    pub holding_still: Option<Vec<f32>>,
}

impl Agent {
    /// What the newest tick, which gave `report` for `observation`, expects; `None` where that tick failed.
    ///
    /// # Errors
    /// When the goal's distance cannot be measured.
    pub fn expected_distances(
        &self,
        report: &TickReport,
        observation: &Observation,
    ) -> Result<Option<ExpectedDistances>> {
        let Some(newest) = self.newest_of(report) else { return Ok(None) };
        let directive = &report.directive;
        let planned = report.expected.as_ref().map(|expected| self.distances(expected, directive)).transpose()?;
        let hold = directive.hold_plan();
        let imagined = (hold.horizon() > 0 && self.modules.actor.predicts())
            .then(|| self.imagine(report, observation, &Plans::from(&hold), None));
        let holding_still = match imagined {
            Some(Ok(Some(rollouts))) => Some(self.distances(&rollouts, directive)?),
            Some(Ok(None) | Err(_)) | None => None,
        };
        let now = self.distance(&newest.latent, directive)?;
        Ok(Some(ExpectedDistances { now, planned: planned.unwrap_or_default(), holding_still }))
    }

    /// Distances of the states of the first plan in `rollouts`, chunk by chunk.
    fn distances(&self, rollouts: &Rollouts, directive: &Directive) -> Result<Vec<f32>> {
        let samples = rollouts.samples();
        let of_chunk = |chunk: usize| -> Result<f32> {
            let distances = (0..samples).map(|sample| self.distance(&rollouts.state(0, sample, chunk), directive));
            Ok(distances.sum::<Result<f32>>()? / samples.max(1) as f32)
        };
        (0..rollouts.horizon()).map(of_chunk).collect()
    }

    /// The energy of the goal's own term at `latent`.
    fn distance(&self, latent: &Latent, directive: &Directive) -> Result<f32> {
        let energies = self.modules.cost.energies_of(latent, directive)?;
        Ok(energies.iter().find(|(name, _)| name == directive.goal_term).map_or(f32::NAN, |(_, energy)| *energy))
    }
}
