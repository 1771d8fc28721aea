//! iCEM (Pinneri et al. 2020): cross-entropy search with coloured noise, kept elites, and a warm start from the
//! previous plan.

use mindseye_interface::config::require_range;
use mindseye_interface::{Result as InterfaceResult, Rng};
use serde::{Deserialize, Serialize};

use super::pace::Paces;
use super::population::{Candidate, Noise, fit};
use super::previous_plan::PreviousPlan;
use super::search::Search;
use super::{Actor, Choice, Deadline, Imagination};
use crate::Result;

/// Settings of iCEM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IcemConfig {
    /// Plans imagined per iteration.
    pub samples: usize,
    /// Rounds of sampling and refitting.
    pub iterations: usize,
    /// Best plans that the next distribution is fitted to.
    pub elites: usize,
    /// Share of the elites that take part in the next round and, shifted, in the next tick.
    pub kept_elites: f32,
    /// Share of the old mean and standard deviation that survives a refit.
    pub momentum: f32,
    /// Colour of the noise: power falls as `1 / f^beta`.
    pub noise_beta: f64,
    /// Standard deviation at the start of a tick, in normalised actions.
    pub initial_std: f32,
    /// Smallest standard deviation.
    pub least_std: f32,
}

impl Default for IcemConfig {
    fn default() -> Self {
        Self {
            samples: 64,
            iterations: 5,
            elites: 10,
            kept_elites: 0.3,
            momentum: 0.1,
            noise_beta: 2.0,
            initial_std: 1.0,
            least_std: 0.05,
        }
    }
}

impl IcemConfig {
    /// The cross-entropy method (Rubinstein 1999) as a special case: white noise, no kept elites, no momentum. Numbers
    /// are those that LeWorldModel plans with (arXiv 2603.19312).
    pub fn cem() -> Self {
        Self {
            samples: 300,
            iterations: 30,
            elites: 30,
            kept_elites: 0.0,
            momentum: 0.0,
            noise_beta: 0.0,
            initial_std: 1.0,
            least_std: 0.0,
        }
    }

    pub(crate) fn validate(&self) -> InterfaceResult<()> {
        require_range("planner.samples", self.samples, 2, 1_000_000)?;
        require_range("planner.iterations", self.iterations, 1, 1000)?;
        require_range("planner.elites", self.elites, 1, self.samples)?;
        require_range("planner.kept_elites", self.kept_elites, 0.0, 1.0)?;
        require_range("planner.momentum", self.momentum, 0.0, 0.999)?;
        require_range("planner.noise_beta", self.noise_beta, 0.0, 10.0)?;
        require_range("planner.initial_std", self.initial_std, 1e-6, 100.0)?;
        require_range("planner.least_std", self.least_std, 0.0, 100.0)
    }
}

/// The planner; between ticks it keeps its previous plan and elites.
pub struct Icem {
    config: IcemConfig,
    noise: Noise,
    previous: PreviousPlan,
    elites: Vec<Candidate>,
    paces: Paces,
}

/// What may be done to a round's candidates (best first) before the next distribution is fitted to the best of them.
type Improve<'a> = dyn FnMut(&mut Search<'_>, Vec<Candidate>) -> Result<Vec<Candidate>> + 'a;

impl Icem {
    /// A planner that has not planned yet.
    pub fn new(config: IcemConfig) -> Self {
        let noise = Noise::new(config.noise_beta);
        Self { config, noise, previous: PreviousPlan::default(), elites: Vec::new(), paces: Paces::default() }
    }

    fn kept(&self) -> usize {
        (self.config.kept_elites * self.config.elites as f32).round() as usize
    }

    /// The search; `improve` sees the best of every round, `keep` or at least the elites.
    pub(super) fn search(
        &mut self,
        imagination: &Imagination<'_>,
        rng: &mut Rng,
        deadline: &Deadline<'_>,
        keep: usize,
        improve: &mut Improve<'_>,
    ) -> Result<Choice> {
        let directive = imagination.directive;
        let most_kept = self.kept();
        let Self { config, noise, previous, elites, paces } = self;
        let mut search = Search::new(imagination, deadline, previous, paces);
        let mut mean = search.centre();
        let mut std = vec![config.initial_std; mean.len()];
        // Elites take part in the next round, and in the next tick as far as they are not executed yet.
        let (mut kept, mut steps) = (std::mem::take(elites), directive.executed_steps);
        kept.truncate(if search.start().is_some() { most_kept } else { 0 });
        let mut proposals = search.proposals();
        for iteration in 0..config.iterations {
            let is_last = iteration > 0 && iteration + 1 == config.iterations;
            let (proposed, shown) = (kept.len() + proposals.len(), usize::from(is_last));
            let mut draw = |index: usize| match kept.get(index) {
                Some(elite) if steps == 0 => elite.actions.clone(),
                Some(elite) => directive.shifted_values(&elite.actions, steps),
                None if index < proposed => proposals[index - kept.len()].clone(),
                None if index < proposed + shown => mean.clone(),
                None => noise.around(&mean, &std, directive.action_width, rng),
            };
            let count = config.samples.max(proposed + shown);
            let Some(candidates) = search.score(keep.max(config.elites), count, &mut draw)? else { break };
            let mut candidates = improve(&mut search, candidates)?;
            candidates.truncate(config.elites);
            let values = candidates.len() * mean.len();
            let fitted = search.refit(values, || fit(&candidates));
            kept = candidates.iter().take(most_kept).cloned().collect();
            (*elites, steps) = (candidates, 0);
            proposals.clear();
            let Some((fitted_mean, fitted_std)) = fitted else { break };
            let blend = |old: &mut Vec<f32>, new: Vec<f32>, least: f32| {
                let momentum = config.momentum;
                old.iter_mut()
                    .zip(new)
                    .for_each(|(old, new)| *old = (momentum * *old + (1.0 - momentum) * new).max(least));
            };
            blend(&mut mean, fitted_mean, f32::NEG_INFINITY);
            blend(&mut std, fitted_std, config.least_std);
        }
        search.finish(previous)
    }
}

impl Actor for Icem {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        self.search(imagination, rng, deadline, 0, &mut |_, candidates| Ok(candidates))
    }

    fn reset(&mut self) {
        self.previous.forget();
        self.elites.clear();
    }
}
