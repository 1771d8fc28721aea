//! Sampling and gradients: iCEM whose best candidates take some steps down the gradient before the next distribution is
//! fitted to them (Bharadhwaj, Xie and Shkurti 2020, "Model-predictive control via cross-entropy and gradient-based
//! optimization").

use mindseye_interface::config::require_range;
use mindseye_interface::{Result as InterfaceResult, Rng};
use serde::{Deserialize, Serialize};

use super::descent::{Descent, Optimiser};
use super::population::Candidate;
use super::search::Search;
use super::{Actor, Choice, Deadline, Icem, IcemConfig, Imagination};
use crate::Result;

/// Settings of the hybrid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HybridConfig {
    /// The sampling part.
    pub sampling: IcemConfig,
    /// Best candidates of a round that take steps down the gradient.
    pub refined: usize,
    /// Steps that they take.
    pub steps: usize,
    /// How gradients become steps.
    pub optimiser: Optimiser,
    /// Length of a step, in normalised actions (Adam) or per gradient (SGD).
    pub learning_rate: f32,
}

impl Default for HybridConfig {
    fn default() -> Self {
        let sampling = IcemConfig { samples: 48, iterations: 4, ..IcemConfig::default() };
        Self { sampling, refined: 4, steps: 3, optimiser: Optimiser::Adam, learning_rate: 0.1 }
    }
}

impl HybridConfig {
    pub(crate) fn validate(&self) -> InterfaceResult<()> {
        self.sampling.validate()?;
        require_range("planner.refined", self.refined, 1, self.sampling.samples)?;
        require_range("planner.steps", self.steps, 1, 1000)?;
        require_range("planner.learning_rate", self.learning_rate, 1e-6, 100.0)
    }
}

/// The planner; between ticks it keeps its previous plan and elites.
pub struct Hybrid {
    config: HybridConfig,
    icem: Icem,
}

impl Hybrid {
    /// A planner that has not planned yet.
    pub fn new(config: HybridConfig) -> Self {
        let icem = Icem::new(config.sampling.clone());
        Self { config, icem }
    }
}

impl Actor for Hybrid {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let config = &self.config;
        let mut improve = |search: &mut Search<'_>, candidates| refined(config, search, candidates);
        self.icem.search(imagination, rng, deadline, config.refined, &mut improve)
    }

    fn reset(&mut self) {
        self.icem.reset();
    }
}

/// `candidates` (best first) and where the best of them get to, best first.
fn refined(config: &HybridConfig, search: &mut Search<'_>, mut candidates: Vec<Candidate>) -> Result<Vec<Candidate>> {
    let (chosen, mut begun) = (config.refined.min(candidates.len()), 0);
    let mut found = Vec::new();
    while begun < chosen {
        let Some(plans) = search.side_by_side(chosen - begun, config.steps)? else { break };
        let of_group = candidates[begun..begun + plans].iter();
        let mut sequences: Vec<Vec<f32>> = of_group.map(|candidate| candidate.actions.clone()).collect();
        begun += plans;
        let Some(improved) = descended(config, search, &mut sequences)? else { break };
        found.extend(improved);
    }
    if !found.is_empty() {
        candidates.extend(found);
        candidates.sort_by(|a, b| a.energy.total_cmp(&b.energy));
    }
    Ok(candidates)
}

/// Where `sequences` get to, best first; `None` if the time was up before.
fn descended(
    config: &HybridConfig,
    search: &mut Search<'_>,
    sequences: &mut [Vec<f32>],
) -> Result<Option<Vec<Candidate>>> {
    let values = sequences.iter().map(Vec::len).sum();
    let mut descent = Descent::new(config.optimiser, config.learning_rate, values);
    search.follow(sequences);
    for _ in 0..config.steps {
        let Some(gradients) = search.differentiate(sequences)? else { return Ok(None) };
        descent.step(sequences, &gradients);
    }
    search.score_improved(sequences.len(), sequences)
}
