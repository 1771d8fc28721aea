//! Planners by name, with their settings.

use mindseye_interface::Result;
use mindseye_interface::config::Validate;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::actor::{
    Actor, Gradient, GradientConfig, Hold, Hybrid, HybridConfig, Icem, IcemConfig, Mppi, MppiConfig,
    PredictiveSampling, PredictiveSamplingConfig, RandomActions,
};

/// Which planner, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "PlannerFile")]
pub enum PlannerConfig {
    /// See [`Icem`]. In files also `kind = "cem"`, see [`IcemConfig::cem`].
    Icem(IcemConfig),
    /// See [`Mppi`].
    Mppi(MppiConfig),
    /// See [`PredictiveSampling`].
    PredictiveSampling(PredictiveSamplingConfig),
    /// See [`Gradient`].
    Gradient(GradientConfig),
    /// See [`Hybrid`].
    Hybrid(HybridConfig),
    /// See [`RandomActions`].
    Random,
    /// See [`Hold`].
    Hold,
}

/// Planners as they stand in files: those of before are mapped to others, or refused with what to use instead.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum PlannerFile {
    Icem(IcemConfig),
    Cem(CemFile),
    Mppi(MppiConfig),
    PredictiveSampling(PredictiveSamplingConfig),
    Gradient(GradientConfig),
    Hybrid(HybridConfig),
    Random,
    Hold,
    RandomShooting(IgnoredAny),
    CategoricalCem(IgnoredAny),
    Policy,
}

/// Settings of `kind = "cem"`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CemFile {
    samples: usize,
    iterations: usize,
    elites: usize,
    initial_std: f32,
}

impl Default for CemFile {
    fn default() -> Self {
        let IcemConfig { samples, iterations, elites, initial_std, .. } = IcemConfig::cem();
        Self { samples, iterations, elites, initial_std }
    }
}

impl TryFrom<PlannerFile> for PlannerConfig {
    type Error = String;

    fn try_from(file: PlannerFile) -> std::result::Result<Self, String> {
        let removed = |kind: &str, instead: &str| Err(format!("planner.kind: {kind} was removed: use {instead}"));
        Ok(match file {
            PlannerFile::Icem(config) => Self::Icem(config),
            PlannerFile::Cem(CemFile { samples, iterations, elites, initial_std }) => {
                Self::Icem(IcemConfig { samples, iterations, elites, initial_std, ..IcemConfig::cem() })
            }
            PlannerFile::Mppi(config) => Self::Mppi(config),
            PlannerFile::PredictiveSampling(config) => Self::PredictiveSampling(config),
            PlannerFile::Gradient(config) => Self::Gradient(config),
            PlannerFile::Hybrid(config) => Self::Hybrid(config),
            PlannerFile::Random => Self::Random,
            PlannerFile::Hold => Self::Hold,
            PlannerFile::RandomShooting(_) => return removed("random_shooting", "icem with iterations = 1"),
            PlannerFile::CategoricalCem(_) => return removed("categorical_cem", "icem"),
            PlannerFile::Policy => return removed("policy", "mode = { kind = \"mode_1\" } beside any planner"),
        })
    }
}

impl PlannerConfig {
    /// Kinds of planners that search, as task files name them.
    pub const KINDS: [&str; 6] = ["icem", "cem", "mppi", "predictive_sampling", "gradient", "hybrid"];

    /// A planner with these settings and without a previous plan.
    pub fn build(&self) -> Box<dyn Actor> {
        match self {
            Self::Icem(config) => Box::new(Icem::new(config.clone())),
            Self::Mppi(config) => Box::new(Mppi::new(config.clone())),
            Self::PredictiveSampling(config) => Box::new(PredictiveSampling::new(config.clone())),
            Self::Gradient(config) => Box::new(Gradient::new(config.clone())),
            Self::Hybrid(config) => Box::new(Hybrid::new(config.clone())),
            Self::Random => Box::new(RandomActions),
            Self::Hold => Box::new(Hold),
        }
    }

    /// The name under which task files know this kind of planner.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Icem(_) => "icem",
            Self::Mppi(_) => "mppi",
            Self::PredictiveSampling(_) => "predictive_sampling",
            Self::Gradient(_) => "gradient",
            Self::Hybrid(_) => "hybrid",
            Self::Random => "random",
            Self::Hold => "hold",
        }
    }

    /// Whether it follows gradients of plans, which a world that can only be sampled does not have.
    pub fn needs_gradients(&self) -> bool {
        matches!(self, Self::Gradient(_) | Self::Hybrid(_))
    }

    /// The nearest planner that needs no gradients: for worlds that can only be sampled.
    #[must_use]
    pub fn without_gradients(&self) -> Self {
        match self {
            Self::Gradient(_) => Self::Icem(IcemConfig::default()),
            Self::Hybrid(config) => Self::Icem(config.sampling.clone()),
            other => other.clone(),
        }
    }

    /// The same planner with this many samples per round, and at most as many elites.
    #[must_use]
    pub fn with_samples(&self, samples: usize) -> Self {
        let mut result = self.clone();
        match &mut result {
            Self::Icem(config) => (config.samples, config.elites) = (samples, config.elites.min(samples)),
            Self::Mppi(config) => (config.samples, config.elites) = (samples, config.elites.min(samples)),
            Self::PredictiveSampling(config) => config.samples = samples,
            Self::Gradient(config) => config.samples = samples,
            Self::Hybrid(HybridConfig { sampling, refined, .. }) => {
                (sampling.samples, sampling.elites) = (samples, sampling.elites.min(samples));
                *refined = (*refined).min(samples);
            }
            Self::Random | Self::Hold => {}
        }
        result
    }

    /// The most plans that are held at once, and the field that says so: samples are scored in groups and count only as
    /// far as they are elites.
    pub(crate) fn plans_held(&self) -> (usize, &'static str) {
        match self {
            Self::Icem(config) => (4 * config.elites, "planner.elites"),
            Self::Mppi(config) => (3 * config.elites, "planner.elites"),
            Self::Hybrid(HybridConfig { sampling, refined, .. }) if *refined > sampling.elites => {
                (6 * refined, "planner.refined")
            }
            Self::Hybrid(HybridConfig { sampling, .. }) => (6 * sampling.elites, "planner.sampling.elites"),
            Self::PredictiveSampling(_) | Self::Gradient(_) | Self::Random | Self::Hold => (1, "planner.samples"),
        }
    }

    /// The same planner with as many samples that it imagines about `plans` plans a tick (one that gradients are
    /// carried back from counts three times), and as many elites in proportion. The number of rounds stays.
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
            Self::Mppi(config) => scaled(&mut config.samples, Some(&mut config.elites), plans / config.iterations),
            Self::PredictiveSampling(config) => scaled(&mut config.samples, None, plans / config.iterations),
            Self::Gradient(config) => scaled(&mut config.samples, None, plans / (3 * config.iterations + 1)),
            Self::Hybrid(HybridConfig { sampling, refined, steps, .. }) => {
                let share = plans / sampling.iterations;
                *refined = (*refined).min(share / 2 / (3 * *steps + 1)).max(1);
                let rest = share.saturating_sub(*refined * (3 * *steps + 1));
                scaled(&mut sampling.samples, Some(&mut sampling.elites), rest);
                *refined = (*refined).min(sampling.samples);
            }
            Self::Random | Self::Hold => {}
        }
        result
    }
}

impl Validate for PlannerConfig {
    fn validate(&self) -> Result<()> {
        match self {
            Self::Icem(config) => config.validate(),
            Self::Mppi(config) => config.validate(),
            Self::PredictiveSampling(config) => config.validate(),
            Self::Gradient(config) => config.validate(),
            Self::Hybrid(config) => config.validate(),
            Self::Random | Self::Hold => Ok(()),
        }
    }
}
