//! Configurator: turns a task and its goals into one immutable directive per tick, and moves on to the next sub-goal
//! (LeCun 2022, section 3).

mod goal;
mod key_frames;
mod mode;
mod planner;
mod samples;
mod sequence;
mod task;

pub(crate) use goal::state_goals;
pub use goal::{Bounds, GoalConfig, KeepOut, RunGoal};
pub use key_frames::key_frames;
pub use mode::{Confidence, ModeConfig};
pub use planner::PlannerConfig;
pub use samples::{SampleSource, SamplesConfig};
pub use sequence::{SequenceConfigurator, SubGoal};
pub use task::{SubGoals, Task};

use crate::Result;
pub use crate::directive::{Directive, Interval, KeepOutBox, Mode, ModeOrder, ModeReason, StateGoals, StateTarget};
use crate::memory::Memory;

/// Decides what the tick is about.
pub trait Configurator: Send {
    /// The directive of the next tick, from what is remembered of the last ones.
    fn configure(&self, memory: &dyn Memory) -> Directive;

    /// Whether there is a goal to pursue.
    fn has_goal(&self) -> bool;

    /// Pursues `goals` from the next tick on, one after the other. Their numbers follow on from those of all goals
    /// before.
    ///
    /// # Errors
    /// When there is no goal among them.
    fn set_goals(&mut self, goals: Vec<SubGoal>) -> Result<()>;
}
