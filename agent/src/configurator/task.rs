//! A task in one file.

use std::collections::BTreeMap;

use mindseye_interface::config::{Validate, require_range};
use mindseye_interface::{Error, Result};
use mindseye_world_model::{AdaptationConfig, LatentMetric, Precision};
use serde::{Deserialize, Serialize};

use super::goal::{Names, validate_bounds};
use super::{Aims, Bounds, FocusConfig, FuturesConfig, GoalConfig, KeepOut, ModeConfig, PlannerConfig};
use crate::cost::{GoalDistance, Named, Reduction, StateReader};
use crate::memory::SoftMemoryConfig;
use crate::perception::Completion;

/// What is wanted, how it is judged, and how much thought may go into it. The goal itself (a picture, or the values of a pose) comes with the run
/// unless the task says it.
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
    /// What kind of goal it is.
    #[serde(default)]
    pub goal: GoalConfig,
    /// Places not to be in; what that costs is the weight `keep_out`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_out: Vec<KeepOut>,
    /// Where to stay; what leaving it costs is the weight `workspace`.
    #[serde(default, skip_serializing_if = "Bounds::is_empty")]
    pub workspace: Bounds,
    /// What of a goal picture counts; by default everything that the metric sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<FocusConfig>,
    /// Weights of cost terms by name: `goal_distance`, `pose` or `region` (as the goal's kind is), `effort`, `smoothness`, `action_limits`,
    /// `keep_out`, `workspace`, `curiosity`, `critic`.
    pub weights: BTreeMap<String, f32>,
    /// More futures per plan than one, and what is thought of their spread; one by default.
    #[serde(default)]
    pub futures: Option<FuturesConfig>,
    /// Whether to act at once or after thinking.
    #[serde(default)]
    pub mode: ModeConfig,
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
    /// Whether a background of another colour than the training pictures' is seen as theirs (see [`crate::perception::BackgroundAdaptation`]), where
    /// the checkpoint knows theirs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adapt_background: bool,
    /// How the world model learns from what is lived; by default it stays as it was trained.
    #[serde(default)]
    pub adaptation: Option<AdaptationConfig>,
    /// How what comes of what is remembered: what adaptation learns from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory: SoftMemoryConfig,
}

fn is_default(memory: &SoftMemoryConfig) -> bool {
    *memory == SoftMemoryConfig::default()
}

fn yes() -> bool {
    true
}

/// When a sub-goal is done with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubGoals {
    /// A sub-goal is reached below this energy of the goal's own term (unweighted; 1 is the mean energy of one action block).
    pub reached_energy: f32,
    /// A sub-goal is given up after this many ticks.
    pub timeout_ticks: usize,
    /// Whether the first sub-goal is kept for ever: for seeing what going on to the next is worth.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
}

impl Default for SubGoals {
    fn default() -> Self {
        Self { reached_energy: 0.1, timeout_ticks: 20, frozen: false }
    }
}

impl Task {
    /// The part of the task that speaks of the state by name, if one does: such a task needs a reader.
    pub fn names_states(&self) -> Option<&'static str> {
        let parts = [
            ("goal", !self.goal.is_picture()),
            ("focus", self.focus.is_some()),
            ("keep_out", !self.keep_out.is_empty()),
            ("workspace", !self.workspace.is_empty()),
        ];
        parts.into_iter().find(|(_, names)| *names).map(|(part, _)| part)
    }

    /// What the task wants and forbids of a state that `reader` reads, where the run's goal has the values `run_goal` by name.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`] naming the dimension and those there are.
    pub fn aims(&self, reader: &dyn StateReader, run_goal: &BTreeMap<String, f64>) -> crate::Result<Aims> {
        Names { reader, run_goal }.aims(&self.goal, &self.keep_out, &self.workspace)
    }

    /// Refuses weights of what the task does not have, and what has no weight.
    fn require_sense(&self) -> Result<()> {
        let has = [
            (GoalDistance::NAME, self.goal.is_picture(), "a goal that is a picture"),
            (Named::POSE, self.goal.term() == Named::POSE, "a goal of the kind pose"),
            (Named::REGION, self.goal.term() == Named::REGION, "a goal of the kind region"),
            (Named::KEEP_OUT, !self.keep_out.is_empty(), "places to keep out of"),
            (Named::WORKSPACE, !self.workspace.is_empty(), "a workspace"),
        ];
        for (name, has, what) in has {
            let (weighed, optional) = (self.weights.contains_key(name), name == GoalDistance::NAME);
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
        self.goal.validate()?;
        self.focus.as_ref().map_or(Ok(()), FocusConfig::validate)?;
        if self.focus.is_some() && !self.goal.is_picture() {
            return Err(Error::field("focus", "a goal that is a picture", "another kind"));
        }
        for place in &self.keep_out {
            require_range("keep_out.bounds", place.bounds.len(), 1, 4096)?;
            validate_bounds("keep_out.bounds", &place.bounds)?;
            require_range("keep_out.margin", place.margin, 0.0, 1e9)?;
        }
        validate_bounds("workspace", &self.workspace)?;
        self.require_sense()?;
        self.mode.validate()?;
        self.futures.as_ref().map_or(Ok(()), FuturesConfig::validate)?;
        self.adaptation.as_ref().map_or(Ok(()), AdaptationConfig::validate)?;
        self.with_policy.as_ref().map_or(Ok(()), PlannerConfig::validate)?;
        self.memory.validate()?;
        self.planner.validate()
    }
}
