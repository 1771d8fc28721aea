//! A task in one file.

use std::collections::BTreeMap;
use std::path::Path;

use mindseye_interface::config::{Validate, require_range};
use mindseye_interface::{Error, Result};
use mindseye_world_model::{AdaptationConfig, LatentMetric, Precision};
use serde::{Deserialize, Serialize};

use super::goal::{state_goals, validate_bounds};
use super::{Bounds, GoalConfig, KeepOut, ModeConfig, PlannerConfig, RunGoal, SamplesConfig};
use crate::cost::StateEstimator;
use crate::directive::{MissingFrames, Reduction, StateGoals, terms};
use crate::memory::SoftMemoryConfig;
use crate::removed_fields;

/// What is wanted, how it is scored, and how much computation may go into it. The goal itself (an image, or values of
/// the state) comes with the run unless the task says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Task {
    /// For people and reports.
    pub name: String,
    /// Scene that it is for: it is refused in another one. None (the default): any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene: Option<String>,
    /// Planning horizon, action chunks, 1 to 1000. Longer horizons find paths around obstacles, and trust the model for
    /// longer.
    #[serde(alias = "horizon_blocks")]
    pub horizon_chunks: usize,
    /// Time to decide, milliseconds. When it has passed, the best plan so far is executed.
    pub budget_ms: f64,
    /// Control steps from one tick to the next, from 1 to the model's action chunk; by default the whole chunk. Smaller
    /// values react sooner and plan more often. Surprise and online adaptation are about whole chunks: they need a
    /// divisor of the chunk, other values give neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replan_every: Option<usize>,
    /// The plan under way, as the search improves it, goes on unless another one promises this share more than it does;
    /// what a plan promises is the energy of holding still less its own. From 0 (the default: the best is taken) to
    /// 100; 0.5 is usual. Who replans within a chunk finds other plans about as good again and again, and gets nowhere
    /// by following each of them for a control step or two.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub switch_margin: f32,
    /// How the energies of a plan's chunks become one number; by default that of the last chunk.
    #[serde(default)]
    pub reduction: Reduction,
    /// Distance in latent space; Euclidean by default.
    #[serde(default)]
    pub metric: LatentMetric,
    /// The most that a state can cost by its goal distance (see [`crate::cost::Saturating`]; 1 is the mean energy of
    /// one action chunk); no limit by default. With one, plans are scored by how many chunks are near the goal, and how
    /// near, rather than by how far away a bad state is.
    #[serde(default)]
    pub goal_saturation: Option<f32>,
    /// What kind of goal it is; by default the image that comes with the run.
    #[serde(default)]
    pub goal: GoalConfig,
    /// Boxes of states to keep out of; the weight `keep_out` is their price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_out: Vec<KeepOut>,
    /// Where to stay; the weight `workspace` is the price of leaving it.
    #[serde(default, skip_serializing_if = "Bounds::is_empty")]
    pub workspace: Bounds,
    /// Weights of cost terms by name ([`terms::ALL`]); one of `goal_distance`, `pose` and `region`, as the goal's kind
    /// is.
    pub weights: BTreeMap<String, f32>,
    /// More than one sample per plan, and what their standard deviation counts; one by default.
    #[serde(default, alias = "futures")]
    pub samples: Option<SamplesConfig>,
    /// Whether to act at once or after planning; always after planning by default.
    #[serde(default)]
    pub mode: ModeConfig,
    /// The planner.
    pub planner: PlannerConfig,
    /// The planner where the checkpoint has a policy, whose proposals take part in the search: a search that begins
    /// near a good plan needs fewer samples. By default the same planner.
    #[serde(default)]
    #[serde(alias = "with_policy")]
    pub planner_with_policy: Option<PlannerConfig>,
    /// Precision of the world model's weights while imagining; f32 by default.
    #[serde(default)]
    pub precision: Precision,
    /// When to move on in a sequence of goals.
    #[serde(default)]
    pub sub_goals: SubGoals,
    /// What is believed when an image is missing or implausible.
    #[serde(default)]
    #[serde(alias = "completion")]
    pub missing_frames: MissingFrames,
    /// Whether a background of another colour than the training images' is mapped to theirs (see
    /// [`crate::perception::BackgroundAdaptation`]), where the checkpoint knows it; false by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adapt_background: bool,
    /// How the world model is corrected online; not at all by default.
    #[serde(default)]
    pub adaptation: Option<AdaptationConfig>,
    /// How transitions are remembered, from which adaptation learns.
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory: SoftMemoryConfig,
}

removed_fields!(
    Task,
    [
        ("focus", "use a goal of the kind pose or region over the dimensions that count"),
        ("proposals", "set planner_with_policy to search as without a policy; ablations use assembly::Overrides"),
    ]
);

fn is_zero(margin: &f32) -> bool {
    *margin == 0.0
}

fn is_default(memory: &SoftMemoryConfig) -> bool {
    *memory == SoftMemoryConfig::default()
}

/// When a sub-goal is done with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct SubGoals {
    /// A sub-goal is reached below this energy of the goal's own term (unweighted; 1 is the mean energy of one action
    /// chunk); 0.1 by default.
    #[serde(alias = "reached_energy")]
    pub success_energy: f32,
    /// A sub-goal is given up after this many ticks, 1 or more; 20 by default.
    pub timeout_ticks: usize,
}

removed_fields!(SubGoals, [("frozen", "the configurator always moves on; ablations use assembly::Overrides")]);

impl Default for SubGoals {
    fn default() -> Self {
        Self { success_energy: 0.1, timeout_ticks: 20 }
    }
}

impl Task {
    /// The field that names dimensions of the state, if there is one: such a task needs a state probe.
    pub fn names_states(&self) -> Option<&'static str> {
        let parts = [
            ("goal", !self.goal.is_image()),
            ("keep_out", !self.keep_out.is_empty()),
            ("workspace", !self.workspace.is_empty()),
        ];
        parts.into_iter().find(|(_, names)| *names).map(|(part, _)| part)
    }

    /// What the task wants and forbids of a state that `reader` reads, where the run's goal has the values `run_goal`
    /// by name.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`] naming the dimension and those there are.
    pub fn state_goals(
        &self,
        reader: &dyn StateEstimator,
        run_goal: &BTreeMap<String, f64>,
    ) -> crate::Result<StateGoals> {
        let goal = self.goal.goal(&RunGoal { state: run_goal.clone(), ..RunGoal::default() })?;
        state_goals(reader, &goal, &self.keep_out, &self.workspace)
    }

    /// Refuses weights of what the task does not have, and what has no weight.
    fn require_weights(&self) -> Result<()> {
        let has = [
            (terms::GOAL_DISTANCE, self.goal.is_image(), "a goal that is an image"),
            (terms::POSE, self.goal.term() == terms::POSE, "a goal of the kind pose"),
            (terms::REGION, self.goal.term() == terms::REGION, "a goal of the kind region"),
            (terms::KEEP_OUT, !self.keep_out.is_empty(), "boxes to keep out of"),
            (terms::WORKSPACE, !self.workspace.is_empty(), "a workspace"),
        ];
        for (name, has, what) in has {
            let (weighed, optional) = (self.weights.contains_key(name), name == terms::GOAL_DISTANCE);
            if weighed && !has {
                return Err(Error::field(format!("weights.{name}"), what, "none"));
            }
            if has && !weighed && !optional {
                return Err(Error::field(format!("weights.{name}"), format!("a weight beside {what}"), "none"));
            }
        }
        Ok(())
    }
}

impl Validate for Task {
    fn validate(&self) -> Result<()> {
        require_range("horizon_chunks", self.horizon_chunks, 1, 1000)?;
        require_range("budget_ms", self.budget_ms, 0.1, 1e6)?;
        require_range("sub_goals.timeout_ticks", self.sub_goals.timeout_ticks, 1, 1_000_000)?;
        if let Some(steps) = self.replan_every {
            require_range("replan_every", steps, 1, 1000)?;
        }
        require_range("switch_margin", self.switch_margin, 0.0, 100.0)?;
        self.missing_frames.validate()?;
        if let LatentMetric::StepWhitened { power } = self.metric {
            require_range("metric.power", power, 0.0, 4.0)?;
        }
        if let Some(saturation) = self.goal_saturation {
            require_range("goal_saturation", saturation, 1e-3, 1e6)?;
        }
        match self.reduction {
            Reduction::Last | Reduction::Mean => {}
            Reduction::MeanPlusLast { weight } => require_range("reduction.weight", weight, 0.0, 1e6)?,
            Reduction::MinOverHorizon { step_cost } => require_range("reduction.step_cost", step_cost, 0.0, 1e6)?,
            Reduction::Discounted { discount } => require_range("reduction.discount", discount, 0.0, 0.9999)?,
        }
        if let Some((name, weight)) = self.weights.iter().find(|(_, weight)| !weight.is_finite()) {
            return Err(Error::field(format!("weights.{name}"), "a finite number", weight));
        }
        self.goal.validate()?;
        for place in &self.keep_out {
            require_range("keep_out.bounds", place.bounds.len(), 1, 4096)?;
            validate_bounds("keep_out.bounds", &place.bounds)?;
            require_range("keep_out.margin", place.margin, 0.0, 1e9)?;
        }
        validate_bounds("workspace", &self.workspace)?;
        self.require_weights()?;
        self.mode.validate()?;
        self.samples.as_ref().map_or(Ok(()), SamplesConfig::validate)?;
        if let Some(adaptation) = &self.adaptation {
            adaptation.validate()?;
        }
        self.planner_with_policy.as_ref().map_or(Ok(()), PlannerConfig::validate)?;
        self.memory.validate()?;
        self.planner.validate()
    }

    fn resolve_paths(&mut self, folder: &Path) {
        self.goal.resolve_paths(folder);
    }
}
