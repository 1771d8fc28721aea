//! Giving an agent goals, at any time.

use mindseye_interface::{Frame, Goal, Observation};

use super::Agent;
use crate::configurator::{Bounds, GoalConfig, KeepOut, RunGoal, SubGoal, Task};
use crate::cost::SharedEstimator;
use crate::directive::{StateGoals, terms};
use crate::latent::Latent;
use crate::{Error, Result};

/// What goals are made with: the task's own goal, what it forbids, and the estimator that reads named dimensions of the
/// state.
#[derive(Default)]
pub(super) struct GoalAssembly {
    goal: GoalConfig,
    keep_out: Vec<KeepOut>,
    workspace: Bounds,
    estimator: Option<SharedEstimator>,
}

impl Agent {
    /// The same for `task`, with an estimator of named dimensions of the state where there is one.
    #[must_use]
    pub(crate) fn with_task(self, task: &Task, estimator: Option<SharedEstimator>) -> Self {
        let (goal, keep_out, workspace) = (task.goal.clone(), task.keep_out.clone(), task.workspace.clone());
        Self { goals: GoalAssembly { goal, keep_out, workspace, estimator }, ..self }
    }

    /// Pursues `goal` from the next tick on. Memory and adaptation stay, the previous plan is dropped, and the goal has
    /// a sub-goal number that no goal had before. Several images are pursued one after the other. The goal's term has
    /// the weight of the task's own goal term.
    ///
    /// # Errors
    /// When an image does not fit the model, or the goal names a dimension of the state that no estimator reads.
    pub fn set_goal(&mut self, goal: Goal) -> Result<()> {
        let goals = self.sub_goals(&goal, &[])?;
        self.set_sub_goals(goals)
    }

    /// Pursues the task's own goal for a run that brings `goals`, one after the other: key frames come first, values of
    /// the state that the task leaves to the run are those of each goal, and proprioception at the goals is part of
    /// their latents where the model takes it.
    ///
    /// # Errors
    /// As [`Agent::set_goal`]; [`Error::GoalFile`] for a key frame that cannot be read.
    pub fn set_run_goals(&mut self, goals: &[RunGoal]) -> Result<()> {
        let goals = self.run_sub_goals(goals)?;
        self.set_sub_goals(goals)
    }

    /// Whether there is a goal to pursue.
    pub fn has_goal(&self) -> bool {
        self.modules.configurator.has_goal()
    }

    /// As [`Agent::set_run_goals`] for one goal that is what `observation` shows. A task whose own goal is no image
    /// pursues the image all the same.
    pub(crate) fn set_image_goal(&mut self, observation: Observation) -> Result<()> {
        if self.goals.goal.is_image() {
            return self.set_run_goals(&[RunGoal { observation, ..RunGoal::default() }]);
        }
        let goals = self.sub_goals(&Goal::image(&observation), &observation.proprioception)?;
        self.set_sub_goals(goals)
    }

    /// Pursues `goals` from the next tick on.
    pub(crate) fn set_sub_goals(&mut self, goals: Vec<SubGoal>) -> Result<()> {
        self.modules.configurator.set_goals(goals)?;
        self.modules.actor.reset();
        Ok(())
    }

    /// The sub-goals of [`Agent::set_run_goals`].
    fn run_sub_goals(&self, goals: &[RunGoal]) -> Result<Vec<SubGoal>> {
        let mut sub_goals = Vec::new();
        if let Some(first) = goals.first() {
            for frames in crate::configurator::key_frames(&self.goals.goal, &first.observation)? {
                sub_goals.extend(self.sub_goals(&Goal::Image(frames), &first.observation.proprioception)?);
            }
        }
        for goal in goals {
            sub_goals.extend(self.sub_goals(&self.goals.goal.goal(goal)?, &goal.observation.proprioception)?);
        }
        Ok(sub_goals)
    }

    /// The sub-goals of `goal`, at which `proprioception` is observed.
    fn sub_goals(&self, goal: &Goal, proprioception: &[f32]) -> Result<Vec<SubGoal>> {
        let state_goals = self.state_goals(goal)?;
        let image = |frames: &Vec<Frame>| -> Result<SubGoal> {
            let proprioception = proprioception.to_vec();
            let goal = Observation { frames: frames.clone(), proprioception, ..Observation::default() };
            let latent = self.modules.perception.encode_goal(&goal)?;
            let latent = latent.ok_or_else(|| Error::task("goal", "an image", "none"))?;
            Ok(SubGoal { latent, term: terms::GOAL_DISTANCE, state_goals: state_goals.clone() })
        };
        let named = |term| {
            let latent = Latent::global(Vec::new());
            Ok(vec![SubGoal { latent, term, state_goals: state_goals.clone() }])
        };
        match goal {
            Goal::Image(frames) => Ok(vec![image(frames)?]),
            Goal::ImageSequence(all) => all.iter().map(image).collect(),
            Goal::State(_) => named(terms::POSE),
            Goal::Region(_) => named(terms::REGION),
        }
    }

    /// What `goal` wants of named dimensions of the state, beside what the task forbids.
    fn state_goals(&self, goal: &Goal) -> Result<StateGoals> {
        let GoalAssembly { keep_out, workspace, estimator, .. } = &self.goals;
        let parts = [
            ("goal", matches!(goal, Goal::State(_) | Goal::Region(_))),
            ("keep_out", !keep_out.is_empty()),
            ("workspace", !workspace.is_empty()),
        ];
        match (parts.into_iter().find(|(_, names)| *names), estimator) {
            (None, _) => Ok(StateGoals::default()),
            (Some(_), Some(estimator)) => {
                crate::configurator::state_goals(estimator.as_ref(), goal, keep_out, workspace)
            }
            (Some((field, _)), None) => Err(Error::NoStateProbe { field }),
        }
    }
}
