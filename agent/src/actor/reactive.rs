//! Mode-1: the policy's proposal is executed, without imagining anything (LeCun 2022, section 3.1).

use mindseye_interface::Rng;

use super::{Actor, Choice, Deadline, Fallback, Imagination};
use crate::Result;
use crate::directive::Directive;
use crate::latent::{Latent, Plan};
use crate::model_source::ModelSource;
use crate::pooling::mean_tokens;

/// Proposes plans without imagining: for Mode-1, and as a start of the search in Mode-2.
pub trait Policy: Send {
    /// Plans for getting from `state` to the goal of `directive`, the best one first; none for goals that the policy
    /// does not know.
    ///
    /// # Errors
    /// When the state does not fit the policy.
    fn propose(&self, state: &Latent, directive: &Directive) -> Result<Vec<Plan>>;
}

/// The policy that was distilled from a planner and lies beside its model. It takes the mean tokens of state and goal.
#[derive(Debug, Clone)]
pub struct DistilledPolicy {
    source: ModelSource,
}

impl DistilledPolicy {
    /// The policy beside the model of `source`; `None` if it has none.
    ///
    /// # Errors
    /// When the file of the policy is broken or belongs to another model.
    pub fn of(source: &ModelSource) -> Result<Option<Self>> {
        Ok(source.policy()?.map(|_| Self { source: source.clone() }))
    }
}

impl Policy for DistilledPolicy {
    fn propose(&self, state: &Latent, directive: &Directive) -> Result<Vec<Plan>> {
        let Some(policy) = self.source.policy()? else { return Ok(Vec::new()) };
        if directive.goal.values().is_empty() {
            return Ok(Vec::new()); // it knows goal images only
        }
        let mean = |latent: &Latent| mean_tokens(latent.values(), latent.shape()).into_owned();
        let (state, goal) = (mean(state), mean(&directive.goal));
        let proposals = policy.proposals(&state, &goal)?;
        let length = directive.horizon_chunks * directive.chunk_width();
        let plan = |proposal: Vec<f32>| -> Result<Plan> {
            // A policy of another horizon is cut, or holds still at the end.
            let held = directive.neutral.iter().copied().cycle();
            let values = proposal.into_iter().chain(held).take(length).collect();
            Ok(Plan::new(directive.horizon_chunks, directive.chunk_width(), values)?)
        };
        proposals.into_iter().flatten().map(plan).collect()
    }
}

/// Executes the policy's first proposal; without a policy it holds still.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reactive;

impl Actor for Reactive {
    fn act(&mut self, imagination: &Imagination<'_>, _rng: &mut Rng, _deadline: &Deadline<'_>) -> Result<Choice> {
        let directive = imagination.directive;
        let (horizon, chunk_width) = (directive.horizon_chunks, directive.chunk_width());
        match imagination.proposals().first() {
            Some(plan) => Ok(Choice::unplanned(Plan::new(horizon, chunk_width, directive.bounded(plan.values()))?)),
            None => {
                let held = Choice::unplanned(directive.hold_plan());
                Ok(Choice { fallback: Some(Fallback::HoldStill), ..held })
            }
        }
    }

    fn reset(&mut self) {}
}
