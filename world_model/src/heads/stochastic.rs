//! A stochastic predictor with a small discrete latent variable beside state and action (LeCun 2022, section 4.3 and
//! figure 10).
//!
//! Where one action may have several outcomes, a predictor that minimises its error predicts their mean, which never
//! occurs. Here a code `z` selects the outcome: the prior `p(z | state, chunk)` is its probability, and
//! `next = predictor([state; chunk; z])` is the outcome. In training, a posterior `q(z | state, chunk, next)`,
//! which is given the outcome, draws the code by a straight-through sample; the rate `KL(q || p)` is penalised, so that
//! codes contain only what cannot be predicted. The latents of the model do not change.

mod draws;
mod dynamics;
mod engine;
mod report;
mod training;

use candle_core::{D, Tensor};
use candle_nn::ops::log_softmax;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

pub use draws::Draws;
pub use dynamics::StochasticDynamics;
pub use engine::{StochasticEngine, StochasticRollouts};
pub use report::{StochasticReport, report};
pub use training::{StochasticTrainingConfig, StochasticTrainingReport, fit_stochastic, train_stochastic};

use crate::Result;
use crate::families::jepa::{Jepa, ModelConfig};
use crate::families::jepa::{Predictor, PredictorConfig};
use crate::heads::{Head, require_sizes};
use crate::layers::{GatedMlp, Linear};
use crate::parameters::{WeightSource, Weights};

/// Shape of the predictor with codes. `C` codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StochasticConfig {
    /// Width `D` of the latents.
    pub latent_width: usize,
    /// Width `A` of an action chunk.
    #[serde(alias = "block_width")]
    pub chunk_width: usize,
    /// Codes `C`: the largest number of outcomes of one chunk.
    pub codes: usize,
    /// The predictor.
    pub predictor: PredictorConfig,
    /// Width of the hidden layers of prior and posterior.
    pub hidden: usize,
    /// Their residual hidden layers after the first.
    pub layers: usize,
}

impl StochasticConfig {
    /// For a model, with a predictor of the same shape and `codes` codes.
    pub fn for_model(model: &ModelConfig, codes: usize) -> Self {
        let (latent_width, chunk_width) = (model.latent_width, model.chunk_width());
        Self { latent_width, chunk_width, codes, predictor: model.predictor.clone(), hidden: 128, layers: 1 }
    }
}

/// A distribution over codes, given rows.
#[derive(Debug)]
struct CodeDistribution {
    trunk: GatedMlp,
    output: Linear,
}

impl CodeDistribution {
    fn new(source: &mut WeightSource, name: &str, inputs: usize, config: &StochasticConfig) -> Result<Self> {
        source.within(name, |source| {
            let trunk = GatedMlp::new(source, inputs, config.hidden, config.layers)?;
            // Small at first: all codes are equally probable.
            Ok(Self { trunk, output: Linear::new(source, "output", config.hidden, config.codes, 0.1)? })
        })
    }

    /// Logarithms of the probabilities, `[N, I]` → `[N, C]`.
    fn log_probabilities(&self, rows: &Tensor) -> Result<Tensor> {
        Ok(log_softmax(&self.output.forward(&self.trunk.forward(rows)?)?, D::Minus1)?)
    }
}

/// A predictor with codes, their prior, and the posterior of the training.
#[derive(Debug)]
pub struct StochasticPredictor {
    config: StochasticConfig,
    predictor: Predictor,
    prior: CodeDistribution,
    posterior: CodeDistribution,
    weights: Weights,
}

impl Head for StochasticPredictor {
    type Config = StochasticConfig;

    const FILE: &'static str = "stochastic.safetensors";

    fn build(config: StochasticConfig, mut source: WeightSource) -> Result<Self> {
        require_range("stochastic.latent_width", config.latent_width, 1, 4096)?;
        require_range("stochastic.chunk_width", config.chunk_width, 1, 25_600)?;
        require_range("stochastic.codes", config.codes, 1, 256)?;
        require_range("stochastic.predictor.hidden", config.predictor.hidden, 1, 8192)?;
        require_range("stochastic.predictor.layers", config.predictor.layers, 0, 64)?;
        require_range("stochastic.hidden", config.hidden, 1, 8192)?;
        require_range("stochastic.layers", config.layers, 0, 64)?;
        let (latent, chunk) = (config.latent_width, config.chunk_width);
        // "futures" is the prefix of the tensors in files that exist; seeds of fresh weights follow from it. (old name)
        let (predictor, prior, posterior) = source.within("futures", |source| {
            // old name
            Ok((
                Predictor::new(source, &config.predictor, latent, chunk + config.codes)?,
                CodeDistribution::new(source, "prior", latent + chunk, &config)?,
                CodeDistribution::new(source, "posterior", 2 * latent + chunk, &config)?,
            ))
        })?;
        let weights = source.finish()?;
        Ok(Self { config, predictor, prior, posterior, weights })
    }

    fn config(&self) -> &StochasticConfig {
        &self.config
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn require_fit(&self, model: &ModelConfig) -> Result<()> {
        let StochasticConfig { latent_width, chunk_width, .. } = self.config;
        let sizes =
            [("latent_width", latent_width, model.latent_width), ("chunk_width", chunk_width, model.chunk_width())];
        require_sizes("stochastic", &sizes)
    }
}

impl StochasticPredictor {
    /// A predictor with the weights of that of `model`, and fresh weights for codes, prior and posterior.
    ///
    /// # Errors
    /// When the config makes no sense or is of another model.
    pub fn beginning_at(model: &Jepa, config: StochasticConfig, seed: Seed) -> Result<Self> {
        let fresh = Self::build(config, WeightSource::fresh(seed))?;
        fresh.require_fit(model.config())?;
        if fresh.config.predictor != model.config().predictor {
            return Ok(fresh); // of another shape: no weights to take over
        }
        for (name, var) in model.weights().iter().filter(|(name, _)| name.starts_with("predictor.")) {
            let Some(own) = fresh.weights.get(&format!("futures.{name}")) else { continue }; // old name
            if own.dims() == var.dims() {
                own.set(var)?;
            } else {
                // The input layer: the columns of the code follow those of state and chunk.
                let known = var.dim(1)?;
                let codes = own.narrow(1, known, fresh.config.codes)?;
                own.set(&Tensor::cat(&[var.as_tensor(), &codes], 1)?)?;
            }
        }
        Ok(fresh)
    }

    /// The predictor; its actions are `[chunk; code]`, `A + C` values.
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// Logarithms of the probabilities `[N, C]` of the codes that lead from `states [N, D]` by `chunks [N, A]` to
    /// `nexts [N, D]`.
    fn posterior(&self, states: &Tensor, chunks: &Tensor, nexts: &Tensor) -> Result<Tensor> {
        self.posterior.log_probabilities(&Tensor::cat(&[states, chunks, &(nexts - states)?], 1)?)
    }

    /// Logarithms of the probabilities `[N, C]` of the codes, without the outcome.
    fn prior(&self, states: &Tensor, chunks: &Tensor) -> Result<Tensor> {
        self.prior.log_probabilities(&Tensor::cat(&[states, chunks], 1)?)
    }
}
