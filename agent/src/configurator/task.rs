//! A task in one file.

use std::collections::BTreeMap;

use mindseye_interface::config::{Validate, require_range};
use mindseye_interface::{Error, Result};
use mindseye_world_model::{LatentMetric, Precision};
use serde::{Deserialize, Serialize};

use super::PlannerConfig;
use crate::cost::Reduction;
use crate::perception::Completion;

/// What is wanted, how it is judged, and how much thought may go into it. The goal itself (a picture) comes with the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// For people and reports.
    pub name: String,
    /// How far to imagine, action blocks. Farther finds ways round obstacles, and trusts the model for longer.
    pub horizon_blocks: usize,
    /// Time to decide, milliseconds. When it has passed, the best plan so far is executed.
    pub budget_ms: f64,
    /// How the energies of a plan's blocks become one number.
    #[serde(default)]
    pub reduction: Reduction,
    /// Distance in latent space.
    #[serde(default)]
    pub metric: LatentMetric,
    /// The most that a state can cost by its goal distance, if anything (see [`crate::cost::Saturating`]; 1 is the mean energy of one
    /// action block). How far away a bad state is then counts little: plans are judged by how many blocks are near the goal, and how near.
    #[serde(default)]
    pub goal_saturation: Option<f32>,
    /// Weights of cost terms by name: `goal_distance`, `effort`, `action_limits`.
    pub weights: BTreeMap<String, f32>,
    /// How plans are found.
    pub planner: PlannerConfig,
    /// How plans are found where the checkpoint has a policy, whose proposals take part: a search that begins near a good plan needs fewer. By
    /// default as without one.
    #[serde(default)]
    pub with_policy: Option<PlannerConfig>,
    /// Whether plans that a policy proposes take part in the search at all.
    #[serde(default = "yes")]
    pub proposals: bool,
    /// How the weights of the world model are kept while imagining.
    #[serde(default)]
    pub precision: Precision,
    /// When to move on in a sequence of goals.
    #[serde(default)]
    pub sub_goals: SubGoals,
    /// What is believed when a picture is missing or cannot be true.
    #[serde(default)]
    pub completion: Completion,
}

fn yes() -> bool {
    true
}

/// When a sub-goal is done with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubGoals {
    /// A sub-goal is reached below this goal distance (unweighted; 1 is the mean energy of one action block).
    pub reached_energy: f32,
    /// A sub-goal is given up after this many ticks.
    pub timeout_ticks: usize,
}

impl Default for SubGoals {
    fn default() -> Self {
        Self { reached_energy: 0.1, timeout_ticks: 20 }
    }
}

impl Validate for Task {
    fn validate(&self) -> Result<()> {
        require_range("horizon_blocks", self.horizon_blocks, 1, 1000)?;
        require_range("budget_ms", self.budget_ms, 0.1, 1e6)?;
        require_range("sub_goals.timeout_ticks", self.sub_goals.timeout_ticks, 1, 1_000_000)?;
        require_range("completion.patience_ticks", self.completion.patience_ticks, 0, 1_000_000)?;
        if let Some(doubt) = self.completion.doubt_above {
            require_range("completion.doubt_above", doubt, 1e-6, 1e6)?;
        }
        if let LatentMetric::StepWhitened { power } = self.metric {
            require_range("metric.power", power, 0.0, 4.0)?;
        }
        if let Some(saturation) = self.goal_saturation {
            require_range("goal_saturation", saturation, 1e-3, 1e6)?;
        }
        match self.reduction {
            Reduction::Last | Reduction::Mean => {}
            Reduction::MeanPlusLast { weight } => require_range("reduction.weight", weight, 0.0, 1e6)?,
            Reduction::Soonest { per_block } => require_range("reduction.per_block", per_block, 0.0, 1e6)?,
            Reduction::Discounted { discount } => require_range("reduction.discount", discount, 0.0, 0.9999)?,
        }
        if let Some((name, weight)) = self.weights.iter().find(|(_, weight)| !weight.is_finite()) {
            return Err(Error::field(format!("weights.{name}"), "a finite number", weight));
        }
        self.with_policy.as_ref().map_or(Ok(()), PlannerConfig::validate)?;
        self.planner.validate()
    }
}
