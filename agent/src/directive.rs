//! The words that all modules share: what one tick is about, and how a state became known.
//!
//! Every module may use this one; it uses none of them, so that the modules form no circle.

mod missing_frames;
mod mode;
mod reduction;
mod state_goals;
pub mod terms;

use std::sync::Arc;

use mindseye_interface::ActionSpace;
use mindseye_world_model::AdaptationConfig;

pub use missing_frames::{Imputation, MissingFrames, StateSource};
pub use mode::{Mode, ModeOrder, ModeReason};
pub use reduction::Reduction;
pub use state_goals::{Interval, KeepOutBox, StateGoals, StateTarget};

use crate::latent::{Latent, Plan};

/// What the modules are to do in one tick. It does not change during the tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Directive {
    /// Name of the task.
    pub task: Arc<str>,
    /// The state to bring about, `[P, D]`; empty where the goal is no image.
    pub goal: Arc<Latent>,
    /// Name of the cost term that measures the distance to the goal.
    pub goal_term: &'static str,
    /// What is wanted and forbidden of named dimensions of the state.
    pub state_goals: Arc<StateGoals>,
    /// Number of the sub-goal. Every goal that an agent is given has numbers of its own.
    pub sub_goal: usize,
    /// Planning horizon, action chunks.
    pub horizon_chunks: usize,
    /// Control steps per action chunk.
    pub action_chunk: usize,
    /// Numbers per action.
    pub action_width: usize,
    /// The normalised action `[action_width]` of one control step that holds still now. Empty where none is known: an
    /// absolutely commanded body whose position has never been observed.
    pub neutral: Arc<[f32]>,
    /// Which numbers of an action have one value only `[action_width]`: what never moved in the recordings is never
    /// commanded to. Every plan has 0 there. Empty: none.
    pub frozen: Arc<[bool]>,
    /// Normalised actions of the first control steps of every plan, one after the other: they will have been executed
    /// before this tick's plan can be, so that they are conditions of it. Empty: none.
    pub committed: Arc<[f32]>,
    /// The most that a number of a normalised action may differ from the one of the control step before
    /// `[action_width]`, infinite where there is no limit. Every plan keeps to it. Empty: none.
    pub max_step: Arc<[f32]>,
    /// The normalised action before the first one of a plan `[action_width]`, where it is known: the newest that was
    /// executed, or the one that holds still.
    pub before: Arc<[f32]>,
    /// Control steps executed since the tick before, at most `action_chunk`: the previous plan has moved on by so many.
    pub executed_steps: usize,
    /// Control steps from this tick to the next, from 1 to `action_chunk`: so many of the chunk are executed.
    pub replan_every: usize,
    /// Share of what the plan under way promises by which another must promise more to take its place.
    pub switch_margin: f32,
    /// Weights of cost terms by name; a term without a weight takes no part.
    pub weights: Vec<(String, f32)>,
    /// How energies over the horizon become one number.
    pub reduction: Reduction,
    /// `k` in the energy of a plan: the mean over its samples plus `k` times their standard deviation.
    pub risk: f32,
    /// Time to decide, seconds.
    pub budget_secs: f64,
    /// What is believed when an image is missing or implausible.
    pub missing_frames: MissingFrames,
    /// What stands in for a state that was not observed.
    pub imputation: Imputation,
    /// Whether and how the world model is corrected online.
    pub adaptation: Option<AdaptationConfig>,
    /// Whether to plan.
    pub mode: ModeOrder,
}

/// Which numbers of an action of `space` have one value only; empty where all can change.
pub(crate) fn frozen_dimensions(space: &ActionSpace) -> Arc<[bool]> {
    let frozen: Vec<bool> = space.low.iter().zip(&space.high).map(|(low, high)| low == high).collect();
    if frozen.contains(&true) { frozen.into() } else { Arc::default() }
}

impl Directive {
    /// A directive to reach `goal` within `horizon_chunks`, with actions of `action_width` numbers and `action_chunk`
    /// control steps a chunk: goal distance of the last state only, no deadline, always Mode-2.
    pub fn towards(goal: Latent, horizon_chunks: usize, (action_chunk, action_width): (usize, usize)) -> Self {
        Self {
            task: "".into(),
            goal: Arc::new(goal),
            goal_term: terms::GOAL_DISTANCE,
            state_goals: Arc::default(),
            sub_goal: 0,
            horizon_chunks,
            action_chunk,
            action_width,
            neutral: vec![0.0; action_width].into(),
            frozen: Arc::default(),
            committed: Arc::default(),
            max_step: Arc::default(),
            before: Arc::default(),
            executed_steps: action_chunk,
            replan_every: action_chunk,
            switch_margin: 0.0,
            weights: vec![(terms::GOAL_DISTANCE.into(), 1.0)],
            reduction: Reduction::Last,
            risk: 0.0,
            budget_secs: f64::INFINITY,
            missing_frames: MissingFrames::default(),
            imputation: Imputation::default(),
            adaptation: None,
            mode: ModeOrder::Use(Mode::Mode2, ModeReason::Task),
        }
    }

    /// Numbers per action chunk.
    pub fn chunk_width(&self) -> usize {
        self.action_chunk * self.action_width
    }

    /// The weight of the cost term `name`.
    pub fn weight(&self, name: &str) -> Option<f32> {
        self.weights.iter().find(|(known, _)| known == name).map(|(_, weight)| *weight)
    }

    /// The chunk that holds still, `[chunk_width]`; empty where that is not known.
    pub fn hold_chunk(&self) -> Vec<f32> {
        self.neutral.repeat(self.action_chunk)
    }

    /// The plan that holds still, `[horizon_chunks, chunk_width]`; of no chunks where that is not known.
    pub fn hold_plan(&self) -> Plan {
        let (horizon, width) = (self.horizon_chunks, self.chunk_width());
        Plan::new(horizon, width, self.neutral.repeat(horizon * self.action_chunk))
            .unwrap_or_else(|_| Plan::zeros(0, width))
    }

    /// `plan` after its first `steps` control steps have been executed: it ends in as many steps that hold still.
    pub fn shifted(&self, plan: &Plan, steps: usize) -> Plan {
        let values = self.shifted_values(plan.values(), steps);
        Plan::new(plan.horizon(), plan.chunk_width(), values).unwrap_or_else(|_| self.hold_plan())
    }

    /// The same for the values of a plan.
    pub(crate) fn shifted_values(&self, values: &[f32], steps: usize) -> Vec<f32> {
        let executed = (steps * self.action_width).min(values.len());
        let held = self.neutral.iter().copied().cycle();
        values[executed..].iter().copied().chain(held).take(values.len()).collect()
    }

    /// `values` of a plan, within the bounds of normalised actions; where a value is not a number, the one that holds
    /// still.
    pub fn bounded(&self, values: &[f32]) -> Vec<f32> {
        let held = |index: usize| self.neutral.get(index % self.action_width.max(1)).copied().unwrap_or(0.0);
        let legal = |(index, value): (usize, &f32)| if value.is_nan() { held(index) } else { value.clamp(-1.0, 1.0) };
        let mut bounded: Vec<f32> = values.iter().enumerate().map(legal).collect();
        self.constrain(&mut bounded);
        bounded
    }

    /// Makes the `values` of a plan, from its first control step on, what every plan of this tick is: frozen numbers
    /// are 0, it begins with the committed actions, and no number changes by more than it may. All candidates of a
    /// search pass here.
    pub fn constrain(&self, values: &mut [f32]) {
        self.freeze(values);
        values.iter_mut().zip(self.committed.iter()).for_each(|(value, committed)| *value = *committed);
        self.limit_steps(values);
    }

    /// Moves the numbers of a plan towards those before, until none differs by more than it may. Committed actions
    /// stay: they will have been executed.
    fn limit_steps(&self, values: &mut [f32]) {
        let width = self.action_width.max(1);
        for (part, &most) in self.max_step.iter().enumerate().filter(|(_, most)| most.is_finite()) {
            let mut before = self.before.get(part).copied();
            for (step, value) in values.iter_mut().skip(part).step_by(width).enumerate() {
                let is_committed = step * width + part < self.committed.len();
                if let (Some(before), false) = (before, is_committed) {
                    *value = value.clamp(before - most, before + most);
                }
                before = Some(*value);
            }
        }
    }

    /// `plan` as every plan of this tick is.
    pub(crate) fn constrained(&self, plan: Plan) -> Plan {
        let begins = self.committed.is_empty() || plan.values().starts_with(&self.committed);
        if begins && self.max_step.is_empty() {
            return plan;
        }
        let mut values = plan.values().to_vec();
        self.constrain(&mut values);
        Plan::new(plan.horizon(), plan.chunk_width(), values).unwrap_or(plan)
    }

    /// Takes the gradients `[N, H * A]` of plans off the numbers that no plan of this tick can change.
    pub(crate) fn constrain_gradients(&self, gradients: &mut [f32]) {
        self.freeze(gradients);
        let length = (self.horizon_chunks * self.chunk_width()).max(1);
        for plan in gradients.chunks_mut(length).filter(|_| !self.committed.is_empty()) {
            plan.iter_mut().zip(self.committed.iter()).for_each(|(gradient, _)| *gradient = 0.0);
        }
    }

    /// Sets the frozen numbers in the `values` of plans, or of their gradients, to 0.
    pub fn freeze(&self, values: &mut [f32]) {
        for (index, _) in self.frozen.iter().enumerate().filter(|(_, frozen)| **frozen) {
            values.iter_mut().skip(index).step_by(self.action_width.max(1)).for_each(|value| *value = 0.0);
        }
    }
}
