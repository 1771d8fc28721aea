//! Configurator: turns a task into one immutable directive per tick, and moves on to the next sub-goal (LeCun 2022, section 3).

mod aims;
mod focus;
mod futures;
mod goal;
mod mode;
mod planner;
mod sequence;
mod switchboard;
mod task;

use std::sync::Arc;

pub use aims::{Aims, Interval, Place, Wanted};
pub use focus::{Focus, FocusConfig};
pub use futures::{FutureKind, FuturesConfig};
pub use goal::{Bounds, GoalConfig, KeepOut};
pub use mode::{Confidence, Mode, ModeConfig, ModeOrder, ModeReason};
pub use planner::PlannerConfig;
pub use sequence::SequenceConfigurator;
pub use switchboard::{Assigner, Switchboard};
pub use task::{SubGoals, Task};

use mindseye_world_model::AdaptationConfig;

use crate::cost::Reduction;
use crate::latent::Latent;
use crate::memory::Memory;
use crate::perception::Completion;

/// What the modules are to do in one tick; nothing changes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Directive {
    /// Name of the task.
    pub task: Arc<str>,
    /// The state to bring about; empty where the goal is no picture.
    pub goal: Arc<Latent>,
    /// Name of the cost term that says how far the goal is.
    pub goal_term: &'static str,
    /// What is wanted and forbidden of the state as people name it.
    pub aims: Arc<Aims>,
    /// Index of the sub-goal that this is.
    pub sub_goal: usize,
    /// How far to imagine, action blocks.
    pub horizon_blocks: usize,
    /// Control steps per block.
    pub action_block: usize,
    /// Numbers per action.
    pub action_width: usize,
    /// Weights of cost terms by name; a term without a weight takes no part.
    pub weights: Vec<(String, f32)>,
    /// How energies over the horizon become one number.
    pub reduction: Reduction,
    /// What a unit of spread among the futures of a plan counts for beside their mean energy; 0 for nothing.
    pub risk: f32,
    /// Time to decide, seconds.
    pub budget_secs: f64,
    /// What is believed when a picture is missing or cannot be true.
    pub completion: Completion,
    /// Whether and how the world model learns from what is lived.
    pub adaptation: Option<AdaptationConfig>,
    /// Whether to think.
    pub mode: ModeOrder,
}

impl Directive {
    /// Numbers per action block.
    pub fn block_width(&self) -> usize {
        self.action_block * self.action_width
    }

    /// The weight of the cost term `name`.
    pub fn weight(&self, name: &str) -> Option<f32> {
        self.weights.iter().find(|(known, _)| known == name).map(|(_, weight)| *weight)
    }
}

/// Decides what the tick is about.
pub trait Configurator: Send {
    /// The directive of the next tick, from what is remembered of the last ones.
    fn configure(&self, memory: &dyn Memory) -> Directive;
}
