//! What a run is made of.

use std::sync::Arc;

use mindseye_agent::{ModelSource, Task};
use mindseye_interface::{Benchmark, StartGoal};

use crate::RecordedActions;

/// All that a run without commands follows from, apart from `threads` and `detail`, on which its bits do not depend.
#[derive(Clone)]
pub struct RunSetup {
    /// The world. Goals and moves by hand are tried in a second one of it.
    pub benchmark: Arc<dyn Benchmark + Send + Sync>,
    /// The model, with what lies beside it.
    pub source: ModelSource,
    /// What is to be done, and how to plan. Its time budget is not kept: a run has no deadline.
    pub task: Task,
    /// Start and goals; the random choices of the agent are those of the evaluator's episode of this pair.
    pub pair: StartGoal,
    /// What is executed in place of the agent's actions until a person says otherwise, or until it ends.
    pub recorded: Option<Arc<RecordedActions>>,
    /// Threads for planning, 1 or more.
    pub threads: usize,
    /// How much is recorded for display.
    pub detail: Detail,
}

/// How much of a tick is recorded for display. What is not recorded is not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail {
    /// Most scored plans per tick, 64 by default; 0: none.
    pub candidates: usize,
    /// Whether the states of the best plan are drawn, where the model has a decoder; true by default.
    pub strip: bool,
    /// Most samples of the best plan's outcome, where the model has a state probe, and a stochastic predictor or an
    /// ensemble; 8 by default, 0: none.
    pub samples: usize,
}

impl Default for Detail {
    fn default() -> Self {
        Self { candidates: 64, strip: true, samples: 8 }
    }
}

impl Detail {
    /// Nothing for display: for runs that nobody watches.
    pub const NONE: Self = Self { candidates: 0, strip: false, samples: 0 };
}
