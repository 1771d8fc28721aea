//! Several futures: a predictor with a small discrete latent variable beside state and action (LeCun 2022, section 4.3 and figure 10: what the past
//! does not tell is told by `z`).
//!
//! Where the world may go one way or another, a predictor that minimises its error predicts the middle, where the world never goes. Here a code `z` of
//! a few says which way: the prior `p(z | state, block)` knows how probable each is, and `next = predictor([state; block; z])` has an answer for each. In
//! training a posterior `q(z | state, block, next)` that sees what happened draws the code, through a straight-through sample; the rate `KL(q || p)` is
//! paid for, so that codes say only what cannot be predicted. The model's latents stay as they are.

mod draws;
mod engine;
mod report;
mod training;

use candle_core::{D, Tensor};
use candle_nn::ops::log_softmax;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

pub use draws::Draws;
pub use engine::{FuturesEngine, Imagined};
pub use report::{FuturesReport, report};
pub use training::{FuturesLesson, train_futures};

use crate::Result;
use crate::jepa::{Jepa, ModelConfig};
use crate::layers::{GatedTrunk, Linear};
use crate::ops::{tensor, with_values};
use crate::parameters::{Source, Weights};
use crate::part::{Part, require_sizes};
use crate::predictor::{Predictor, PredictorConfig};

/// Shape of the predictor with codes. `C` codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FuturesConfig {
    /// Width `D` of the latents.
    pub latent_width: usize,
    /// Width `A` of an action block.
    pub block_width: usize,
    /// Codes `C`: the most branches that one block may have.
    pub codes: usize,
    /// The predictor.
    pub predictor: PredictorConfig,
    /// Width of the hidden layers of prior and posterior.
    pub hidden: usize,
    /// Their residual hidden layers after the first.
    pub layers: usize,
}

impl FuturesConfig {
    /// For a model, with a predictor of the same shape and `codes` codes.
    pub fn for_model(model: &ModelConfig, codes: usize) -> Self {
        let (latent_width, block_width) = (model.latent_width, model.block_width());
        Self { latent_width, block_width, codes, predictor: model.predictor.clone(), hidden: 128, layers: 1 }
    }
}

/// From rows to one score for every code.
#[derive(Debug)]
struct Guess {
    trunk: GatedTrunk,
    output: Linear,
}

impl Guess {
    fn new(source: &mut Source, name: &str, inputs: usize, config: &FuturesConfig) -> Result<Self> {
        source.within(name, |source| {
            let trunk = GatedTrunk::new(source, inputs, config.hidden, config.layers)?;
            // Small at first: every code is as probable as the others.
            Ok(Self { trunk, output: Linear::new(source, "output", config.hidden, config.codes, 0.1)? })
        })
    }

    /// Logarithms of the probabilities, `[N, I]` → `[N, C]`.
    fn log_probabilities(&self, rows: &Tensor) -> Result<Tensor> {
        Ok(log_softmax(&self.output.forward(&self.trunk.forward(rows)?)?, D::Minus1)?)
    }
}

/// A predictor with codes, their prior, and the posterior that taught them.
#[derive(Debug)]
pub struct Futures {
    config: FuturesConfig,
    predictor: Predictor,
    prior: Guess,
    posterior: Guess,
    weights: Weights,
}

impl Part for Futures {
    type Config = FuturesConfig;

    const FILE: &'static str = "futures.safetensors";

    fn build(config: FuturesConfig, mut source: Source) -> Result<Self> {
        require_range("futures.latent_width", config.latent_width, 1, 4096)?;
        require_range("futures.block_width", config.block_width, 1, 25_600)?;
        require_range("futures.codes", config.codes, 1, 256)?;
        require_range("futures.predictor.hidden", config.predictor.hidden, 1, 8192)?;
        require_range("futures.predictor.layers", config.predictor.layers, 0, 64)?;
        require_range("futures.hidden", config.hidden, 1, 8192)?;
        require_range("futures.layers", config.layers, 0, 64)?;
        let (latent, block) = (config.latent_width, config.block_width);
        let (predictor, prior, posterior) = source.within("futures", |source| {
            Ok((
                Predictor::new(source, &config.predictor, latent, block + config.codes)?,
                Guess::new(source, "prior", latent + block, &config)?,
                Guess::new(source, "posterior", 2 * latent + block, &config)?,
            ))
        })?;
        let weights = source.finish()?;
        Ok(Self { config, predictor, prior, posterior, weights })
    }

    fn config(&self) -> &FuturesConfig {
        &self.config
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn require_fit(&self, model: &ModelConfig) -> Result<()> {
        let FuturesConfig { latent_width, block_width, .. } = self.config;
        let sizes =
            [("latent_width", latent_width, model.latent_width), ("block_width", block_width, model.block_width())];
        require_sizes("futures", &sizes)
    }
}

impl Futures {
    /// One that begins where the predictor of `model` is: the same weights, and fresh ones for codes, prior and posterior.
    ///
    /// # Errors
    /// When the config makes no sense or is of another model.
    pub fn beginning_at(model: &Jepa, config: FuturesConfig, seed: Seed) -> Result<Self> {
        let futures = Self::build(config, Source::fresh(seed))?;
        futures.require_fit(model.config())?;
        if futures.config.predictor != model.config().predictor {
            return Ok(futures); // of another shape: nothing to take over
        }
        for (name, var) in model.weights().iter().filter(|(name, _)| name.starts_with("predictor.")) {
            let Some(own) = futures.weights.get(&format!("futures.{name}")) else { continue };
            if own.dims() == var.dims() {
                own.set(var)?;
            } else {
                // The input layer: what it makes of the code comes after what it makes of state and block.
                let known = var.dim(1)?;
                let codes = own.narrow(1, known, futures.config.codes)?;
                own.set(&Tensor::cat(&[var.as_tensor(), &codes], 1)?)?;
            }
        }
        Ok(futures)
    }

    /// The predictor; its blocks are `[block; code]`, `A + C` values.
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// Logarithms of the probabilities `[N, C]` of the codes that lead from `states [N, D]` by `blocks [N, A]` to `nexts [N, D]`.
    fn posterior(&self, states: &Tensor, blocks: &Tensor, nexts: &Tensor) -> Result<Tensor> {
        self.posterior.log_probabilities(&Tensor::cat(&[states, blocks, &(nexts - states)?], 1)?)
    }

    /// Logarithms of the probabilities `[N, C]` of the codes to come.
    fn prior(&self, states: &Tensor, blocks: &Tensor) -> Result<Tensor> {
        self.prior.log_probabilities(&Tensor::cat(&[states, blocks], 1)?)
    }

    /// The code `[N]` that explains best how each of `states [N, D]` became one of `nexts [N, D]` by `blocks [N, A]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn explain(&self, states: &[f32], blocks: &[f32], nexts: &[f32]) -> Result<Vec<usize>> {
        let FuturesConfig { latent_width, block_width, codes, .. } = self.config;
        let count = states.len() / latent_width;
        let rows = |values: &[f32], width: usize| tensor(values.to_vec(), (count, width));
        let posterior =
            self.posterior(&rows(states, latent_width)?, &rows(blocks, block_width)?, &rows(nexts, latent_width)?)?;
        let best = |row: &[f32]| (0..codes).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
        Ok(with_values(&posterior, |values| values.chunks_exact(codes).map(best).collect())?)
    }
}
