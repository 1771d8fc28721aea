//! Planners by name, with their settings.

use mindseye_interface::Result;
use mindseye_interface::config::Validate;
use serde::{Deserialize, Serialize};

use crate::actor::{
    Actor, CategoricalCem, CategoricalCemConfig, Cem, CemConfig, Gradient, GradientConfig, Hold, Hybrid, HybridConfig,
    Icem, IcemConfig, Mppi, MppiConfig, PredictiveSampling, PredictiveSamplingConfig, RandomActions, RandomShooting,
    RandomShootingConfig, Reactive,
};

/// Which planner, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PlannerConfig {
    /// See [`Icem`].
    Icem(IcemConfig),
    /// See [`Cem`].
    Cem(CemConfig),
    /// See [`Mppi`].
    Mppi(MppiConfig),
    /// See [`PredictiveSampling`].
    PredictiveSampling(PredictiveSamplingConfig),
    /// See [`RandomShooting`].
    RandomShooting(RandomShootingConfig),
    /// See [`Gradient`].
    Gradient(GradientConfig),
    /// See [`Hybrid`].
    Hybrid(HybridConfig),
    /// See [`CategoricalCem`].
    CategoricalCem(CategoricalCemConfig),
    /// Mode-1: what the policy proposes, see [`Reactive`].
    Policy,
    /// See [`RandomActions`].
    Random,
    /// See [`Hold`].
    Hold,
}

impl PlannerConfig {
    /// A planner with these settings that has not planned yet.
    pub fn build(&self) -> Box<dyn Actor> {
        match self {
            Self::Icem(config) => Box::new(Icem::new(config.clone())),
            Self::Cem(config) => Box::new(Cem::new(config.clone())),
            Self::Mppi(config) => Box::new(Mppi::new(config.clone())),
            Self::PredictiveSampling(config) => Box::new(PredictiveSampling::new(config.clone())),
            Self::RandomShooting(config) => Box::new(RandomShooting::new(config.clone())),
            Self::Gradient(config) => Box::new(Gradient::new(config.clone())),
            Self::Hybrid(config) => Box::new(Hybrid::new(config.clone())),
            Self::CategoricalCem(config) => Box::new(CategoricalCem::new(config.clone())),
            Self::Policy => Box::new(Reactive),
            Self::Random => Box::new(RandomActions),
            Self::Hold => Box::new(Hold),
        }
    }
    /// The name under which task files know this kind of planner.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Icem(_) => "icem",
            Self::Cem(_) => "cem",
            Self::Mppi(_) => "mppi",
            Self::PredictiveSampling(_) => "predictive_sampling",
            Self::RandomShooting(_) => "random_shooting",
            Self::Gradient(_) => "gradient",
            Self::Hybrid(_) => "hybrid",
            Self::CategoricalCem(_) => "categorical_cem",
            Self::Policy => "policy",
            Self::Random => "random",
            Self::Hold => "hold",
        }
    }

    /// The nearest planner that needs no slopes: for worlds that can only be sampled.
    #[must_use]
    pub fn without_slopes(&self) -> Self {
        match self {
            Self::Gradient(_) | Self::Policy => Self::Icem(IcemConfig::default()),
            Self::Hybrid(config) => Self::Icem(config.sampling.clone()),
            other => other.clone(),
        }
    }

    /// The same planner with as many samples that it imagines about `plans` plans a tick (one that slopes are carried back from counts
    /// three times), and as many elites in proportion. The number of rounds stays as it is.
    #[must_use]
    pub fn scaled_to(&self, plans: usize) -> Self {
        let scaled = |samples: &mut usize, elites: Option<&mut usize>, share: usize| {
            let before = std::mem::replace(samples, share.max(2));
            if let Some(elites) = elites {
                *elites = (*elites * *samples / before.max(1)).clamp(2, *samples);
            }
        };
        let mut result = self.clone();
        match &mut result {
            Self::Icem(config) => scaled(&mut config.samples, Some(&mut config.elites), plans / config.iterations),
            Self::Cem(config) => scaled(&mut config.samples, Some(&mut config.elites), plans / config.iterations),
            Self::Mppi(config) => scaled(&mut config.samples, Some(&mut config.elites), plans / config.iterations),
            Self::PredictiveSampling(config) => scaled(&mut config.samples, None, plans / config.iterations),
            Self::RandomShooting(config) => scaled(&mut config.samples, None, plans),
            Self::Gradient(config) => scaled(&mut config.samples, None, plans / (3 * config.iterations + 1)),
            Self::Hybrid(HybridConfig { sampling, refined, steps, .. }) => {
                let share = plans / sampling.iterations;
                *refined = (*refined).min(share / 2 / (3 * *steps + 1)).max(1);
                let rest = share.saturating_sub(*refined * (3 * *steps + 1));
                scaled(&mut sampling.samples, Some(&mut sampling.elites), rest);
                *refined = (*refined).min(sampling.samples);
            }
            Self::CategoricalCem(config) => {
                scaled(&mut config.samples, Some(&mut config.elites), plans / config.iterations);
            }
            Self::Policy | Self::Random | Self::Hold => {}
        }
        result
    }
}

impl Validate for PlannerConfig {
    fn validate(&self) -> Result<()> {
        match self {
            Self::Icem(config) => config.validate(),
            Self::Cem(config) => config.validate(),
            Self::Mppi(config) => config.validate(),
            Self::PredictiveSampling(config) => config.validate(),
            Self::RandomShooting(config) => config.validate(),
            Self::Gradient(config) => config.validate(),
            Self::Hybrid(config) => config.validate(),
            Self::CategoricalCem(config) => config.validate(),
            Self::Policy | Self::Random | Self::Hold => Ok(()),
        }
    }
}
