//! The planner of a task between states that are known as latents: what an agent with that task would do there.

use std::sync::Arc;

use mindseye_interface::{Seed, SystemClock};
use mindseye_world_model::{Checkpoint, Context, Dynamics, InferenceOptions};

use super::cost;
use super::training::directive;
use crate::actor::{Deadline, DistilledPolicy, Imagination, Policy as _};
use crate::configurator::Task;
use crate::cost::{CostModule, GoalDistance};
use crate::directive::Directive;
use crate::latent::{Latent, Plan, Plans};
use crate::model_source::ModelSource;
use crate::{Error, Result};

/// Plans from recorded states to recorded goals, without a deadline: with the actor, the costs and the policy of an
/// agent.
pub struct LatentPlanner {
    source: ModelSource,
    dynamics: Box<dyn Dynamics>,
    cost: CostModule,
    directive: Directive,
    task: Task,
    has_policy: bool,
}

impl LatentPlanner {
    /// The planner of `task` with the model of `checkpoint`, for plans of `horizon_chunks` action chunks.
    ///
    /// # Errors
    /// [`Error::Task`] when the task has costs of named states, which a latent does not say; the model's and the
    /// cost's errors.
    pub fn new(checkpoint: &Arc<Checkpoint>, task: &Task, horizon_chunks: usize) -> Result<Self> {
        if let Some(field) = task.names_states() {
            return Err(Error::task(field, "an image as goal and no costs of named states", field));
        }
        let source = ModelSource::from(checkpoint);
        let inference = InferenceOptions { precision: task.precision, ..InferenceOptions::default() };
        Ok(Self {
            dynamics: checkpoint.dynamics(&inference)?,
            cost: cost(task, GoalDistance::new(checkpoint.statistics.factor(task.metric))?),
            directive: Directive { horizon_chunks, ..directive(checkpoint, task)? },
            task: task.clone(),
            has_policy: DistilledPolicy::of(&source)?.is_some(),
            source,
        })
    }

    /// The plan that an agent finds from `start [D]` to `goal [D]`.
    ///
    /// # Errors
    /// The model's, the cost's and the policy's; [`Error::NoFiniteEnergy`].
    pub fn plan(&self, start: &[f32], goal: &[f32], seed: Seed) -> Result<Plan> {
        let (start, goal) = (Latent::global(start.to_vec()), Latent::global(goal.to_vec()));
        let directive = Directive { goal: Arc::new(goal), ..self.directive.clone() };
        let imagination = Imagination::new(&*self.dynamics, &self.cost, &start, &directive);
        let proposals = match DistilledPolicy::of(&self.source)? {
            Some(policy) => policy.propose(&start, &directive)?,
            None => Vec::new(),
        };
        let imagination = imagination.with_proposals(proposals)?;
        let planner = self.task.planner_with_policy.as_ref().filter(|_| self.has_policy).unwrap_or(&self.task.planner);
        let clock = SystemClock::start();
        let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
        Ok(planner.build().act(&imagination, &mut seed.rng(), &deadline)?.plan)
    }

    /// The state `[D]` in which the model predicts that `chunks [H, A]` end.
    ///
    /// # Errors
    /// The model's.
    pub fn end_of(&self, start: &[f32], chunks: &[f32]) -> Result<Vec<f32>> {
        let width = self.directive.chunk_width();
        let plans = Plans::new(1, chunks.len() / width.max(1), width, chunks.to_vec())?;
        let rollouts = self.dynamics.rollout(&Context::of(&Latent::global(start.to_vec())), &plans)?;
        let values = rollouts.values();
        Ok(values[values.len() - start.len()..].to_vec())
    }

    /// The action that holds still, `[A]` of one control step, normalised.
    pub fn neutral(&self) -> &[f32] {
        &self.directive.neutral
    }

    /// Which numbers of an action have one value only; empty where all can change.
    pub fn frozen(&self) -> &[bool] {
        &self.directive.frozen
    }
}
