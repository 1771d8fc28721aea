//! Actor: proposes plans, has them imagined and judged, improves them, and acts (LeCun 2022, section 3.1, Mode-2).

mod cem;
mod colored_noise;
mod hold;
mod icem;
mod population;
mod random;

use std::cell::Cell;

pub use cem::{Cem, CemConfig};
pub use colored_noise::ColoredNoise;
pub use hold::Hold;
pub use icem::{Icem, IcemConfig};
use mindseye_interface::{Clock, Rng};
pub use random::RandomActions;

use crate::Result;
use crate::configurator::Directive;
use crate::cost::CostModule;
use crate::latent::{Latent, Plan, Plans};
use crate::world_model::WorldModel;

/// When an actor must have decided.
pub struct Deadline<'a> {
    /// Tells the time.
    pub clock: &'a dyn Clock,
    /// The moment, seconds on that clock.
    pub at_secs: f64,
}

impl Deadline<'_> {
    /// Whether the moment has passed.
    pub fn passed(&self) -> bool {
        self.clock.now_secs() >= self.at_secs
    }
}

/// What an actor can ask: "and what if I did this?"
pub struct Imagination<'a> {
    world_model: &'a dyn WorldModel,
    cost: &'a CostModule,
    start: &'a Latent,
    /// What is wanted this tick.
    pub directive: &'a Directive,
    rows: Cell<usize>,
}

impl<'a> Imagination<'a> {
    /// Imagination of what follows from `start`.
    pub fn new(
        world_model: &'a dyn WorldModel,
        cost: &'a CostModule,
        start: &'a Latent,
        directive: &'a Directive,
    ) -> Self {
        Self { world_model, cost, start, directive, rows: Cell::new(0) }
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

    /// States imagined so far.
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
}

/// Decides what to do.
pub trait Actor: Send {
    /// The best plan found by the deadline. Even after the deadline the answer is a legal plan: the last one, shifted, or holding
    /// still.
    ///
    /// # Errors
    /// When imagining fails, or no plan has a finite energy.
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice>;

    /// Forgets the last plan: a new episode or a new goal begins.
    fn reset(&mut self);
}
