//! Actor: proposes plans, has them imagined and judged, improves them, and acts (LeCun 2022, section 3.1, Mode-2); or does what a policy
//! proposes (Mode-1).

mod arbiter;
mod categorical_cem;
mod cem;
mod colored_noise;
mod descent;
mod gradient;
mod hold;
mod hybrid;
mod icem;
mod mppi;
mod population;
mod predictive_sampling;
mod random;
mod random_shooting;
mod reactive;
mod search;

use std::cell::Cell;

pub use arbiter::Arbiter;
pub use categorical_cem::{CategoricalCem, CategoricalCemConfig};
pub use cem::{Cem, CemConfig};
pub use colored_noise::ColoredNoise;
pub use descent::Optimiser;
pub use gradient::{Gradient, GradientConfig};
pub use hold::Hold;
pub use hybrid::{Hybrid, HybridConfig};
pub use icem::{Icem, IcemConfig};
use mindseye_interface::{Clock, Rng};
pub use mppi::{Mppi, MppiConfig};
pub use predictive_sampling::{PredictiveSampling, PredictiveSamplingConfig};
pub use random::RandomActions;
pub use random_shooting::{RandomShooting, RandomShootingConfig};
pub use reactive::{DistilledPolicy, Policy, Reactive};
use serde::{Deserialize, Serialize};

use crate::configurator::{Directive, Mode, ModeReason};
use crate::cost::CostModule;
use crate::latent::{Latent, Plan, Plans};
use crate::world_model::WorldModel;
use crate::{Error, Result};

/// When an actor must have decided.
pub struct Deadline<'a> {
    /// Tells the time.
    pub clock: &'a dyn Clock,
    /// The moment, seconds on that clock; infinite where there is all the time in the world.
    pub at_secs: f64,
}

/// What an actor can ask: "and what if I did this?"
pub struct Imagination<'a> {
    world_model: &'a dyn WorldModel,
    cost: &'a CostModule,
    start: &'a Latent,
    /// What is wanted this tick.
    pub directive: &'a Directive,
    proposals: Vec<Plan>,
    rows: Cell<usize>,
}

/// Rows that a pass back through the model counts for: a product for the slopes on its inputs, and all of the way forward again.
const ROWS_BACK: usize = 2;

impl<'a> Imagination<'a> {
    /// Imagination of what follows from `start`.
    pub fn new(
        world_model: &'a dyn WorldModel,
        cost: &'a CostModule,
        start: &'a Latent,
        directive: &'a Directive,
    ) -> Self {
        Self { world_model, cost, start, directive, proposals: Vec::new(), rows: Cell::new(0) }
    }

    /// The same with plans that a policy proposes: they are judged among the first, and the first of them is what to do when there is
    /// neither time to search nor a last plan.
    ///
    /// # Errors
    /// [`Error::Shape`] unless every plan fits the directive.
    pub fn with_proposals(self, proposals: Vec<Plan>) -> Result<Self> {
        let expected = (self.directive.horizon_blocks, self.directive.block_width());
        match proposals.iter().map(|plan| (plan.horizon(), plan.block_width())).find(|shape| *shape != expected) {
            None => Ok(Self { proposals, ..self }),
            Some(got) => Err(Error::Shape {
                operation: "proposing",
                expected: format!("{} blocks of {} values", expected.0, expected.1),
                got: format!("{} of {}", got.0, got.1),
            }),
        }
    }

    /// What a policy proposes.
    pub fn proposals(&self) -> &[Plan] {
        &self.proposals
    }

    /// Energies `[N]` of `plans`, lower is better.
    ///
    /// # Errors
    /// The world model's and the cost's.
    pub fn energies(&self, plans: &Plans) -> Result<Vec<f32>> {
        let rollouts = self.world_model.imagine(self.start, plans)?;
        self.rows.set(self.rows.get() + rollouts.states());
        self.cost.judge(&rollouts, plans, self.directive)
    }

    /// Energies `[N]` of `plans`, and their slopes `[N, H, A]`.
    ///
    /// # Errors
    /// The world model's and the cost's; [`Error::NoSlopes`] where one of them has none.
    pub fn energies_and_slopes(&self, plans: &Plans) -> Result<(Vec<f32>, Vec<f32>)> {
        let (mut energies, mut on_plans) = (Vec::new(), Vec::new());
        let through_states = self.world_model.differentiate(self.start, plans, &mut |rollouts| {
            self.rows.set(self.rows.get() + (1 + ROWS_BACK) * rollouts.states());
            let (judged, slopes) = self.cost.judge_with_slopes(rollouts, plans, self.directive)?;
            (energies, on_plans) = (judged, slopes.plans);
            Ok(slopes.states)
        })?;
        on_plans.iter_mut().zip(through_states).for_each(|(slope, through)| *slope += through);
        Ok((energies, on_plans))
    }

    /// States imagined so far; one from which slopes were carried back counts three times.
    pub fn rows(&self) -> usize {
        self.rows.get()
    }
}

/// What an actor decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The plan; its first block is executed.
    pub plan: Plan,
    /// The best energy after every round of improvement: never rising. Empty for actors that do not imagine.
    pub energies: Vec<f32>,
    /// What this is instead of a plan that was thought out, when there was no time for one.
    pub fallback: Option<Fallback>,
    /// Whether it was thought about.
    pub mode: Mode,
    /// Why so.
    pub reason: ModeReason,
}

impl Choice {
    /// A choice that needed no imagination.
    fn unthinking(plan: Plan) -> Self {
        Self { plan, energies: Vec::new(), fallback: None, mode: Mode::Mode1, reason: ModeReason::Task }
    }
}

/// What is done when there was no time to think, in the order in which it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// The rest of the last plan.
    LastPlan,
    /// What the policy proposes.
    Policy,
    /// Nothing.
    HoldStill,
}

/// Decides what to do.
pub trait Actor: Send {
    /// The best plan found by the deadline. Even after the deadline the answer is a legal plan ([`Choice::fallback`]).
    ///
    /// # Errors
    /// When imagining fails, or no plan has a finite energy.
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice>;

    /// Forgets the last plan: a new episode or a new goal begins.
    fn reset(&mut self);
}
