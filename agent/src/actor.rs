//! Actor: proposes plans, has them imagined and scored, improves them, and acts (LeCun 2022, section 3.1, Mode-2); or
//! executes what a policy proposes (Mode-1).

mod candidates;
mod colored_noise;
mod descent;
pub mod distillation;
mod gradient;
mod hold;
mod hybrid;
mod icem;
mod imagination;
mod mode_selector;
mod mppi;
pub(crate) mod pace;
mod plan_under_way;
mod population;
mod predictive_sampling;
mod previous_plan;
mod random;
mod reactive;
mod search;

pub use colored_noise::ColoredNoise;
pub use descent::Optimiser;
pub use gradient::{Gradient, GradientConfig};
pub use hold::Hold;
pub use hybrid::{Hybrid, HybridConfig};
pub use icem::{Icem, IcemConfig};
pub use imagination::{Imagination, Scores};
pub use mode_selector::ModeSelector;
pub use mppi::{Mppi, MppiConfig};
pub use predictive_sampling::{PredictiveSampling, PredictiveSamplingConfig};
pub use random::RandomActions;
pub use reactive::{DistilledPolicy, Policy, Reactive};

use mindseye_interface::{Clock, Rng};
use mindseye_world_model::Cancel;
use serde::{Deserialize, Serialize};

use crate::directive::{Mode, ModeReason};
use crate::latent::{Plan, Rollouts};
use crate::{Error, Result};

/// When an actor must have decided.
pub struct Deadline<'a> {
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The time, seconds on that clock; infinite without a deadline.
    pub at_secs: f64,
}

impl Deadline<'_> {
    /// The time that is left, seconds; not positive after the deadline.
    pub fn remaining_secs(&self) -> f64 {
        self.at_secs - self.clock.now_secs()
    }

    /// Whether there is none.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.at_secs == f64::INFINITY
    }

    /// What `work` gives; `None` where it was cancelled, the time being up.
    pub(crate) fn in_time<T>(&self, work: impl FnOnce(Cancel<'_>) -> Result<T>) -> Result<Option<T>> {
        let is_over = || self.remaining_secs() <= 0.0;
        let cancel = if self.is_unlimited() { Cancel::never() } else { Cancel::when(&is_over) };
        match work(cancel) {
            Err(Error::Cancelled) => Ok(None),
            done => done.map(Some),
        }
    }
}

/// What an actor decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The plan; its first chunk is executed.
    pub plan: Plan,
    /// The rollout of the plan, `[1, S, H, P, D]`, where it was imagined in the search.
    pub rollout: Option<Rollouts>,
    /// The best energy after every round of improvement, never rising; then that of the plan under way, where it goes
    /// on although another one is a little better. Empty for actors that do not imagine.
    pub energies: Vec<f32>,
    /// Plans that the search scored, with their energies, in the order in which they were scored: as many as
    /// [`Imagination::with_candidates`] asks for, evenly thinned.
    pub candidates: Vec<(Plan, f32)>,
    /// What the plan is instead of the result of a search, when there was no time for one.
    pub fallback: Option<Fallback>,
    /// How it was decided.
    pub mode: Mode,
    /// Why so.
    pub reason: ModeReason,
}

impl Choice {
    /// A choice without imagination.
    fn unplanned(plan: Plan) -> Self {
        let (mode, reason) = (Mode::Mode1, ModeReason::Task);
        Self { plan, rollout: None, energies: Vec::new(), candidates: Vec::new(), fallback: None, mode, reason }
    }
}

/// What is executed when there was no time to plan, in the order in which it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// The rest of the previous plan.
    #[serde(alias = "last_plan")]
    PreviousPlan,
    /// What the policy proposes.
    Policy,
    /// The action that holds still.
    HoldStill,
}

/// Decides what to do.
pub trait Actor: Send {
    /// The best plan found by the deadline. Even after the deadline the answer is a legal plan ([`Choice::fallback`]).
    ///
    /// # Errors
    /// When imagining fails, or no plan has a finite energy.
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice>;

    /// Drops the previous plan: a new episode or a new goal begins.
    fn reset(&mut self);

    /// Whether the plans of this actor are meant to follow from predictions: if so, the outcome of a plan that no
    /// search imagined (a fallback, a policy's proposal) is predicted after the decision.
    fn predicts(&self) -> bool {
        true
    }
}
