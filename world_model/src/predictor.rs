//! From a latent and an action block to the next latent: a residual perceptron, `[B, D]` and `[B, A]` → `[B, D]`.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::{Linear, Norm};
use crate::network::Network;
use crate::ops::{self, Precision};
use crate::parameters::Source;

/// Settings of the predictor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictorConfig {
    /// Width of the hidden layers. Planning time grows with its square.
    pub hidden: usize,
    /// Residual hidden layers after the first.
    pub layers: usize,
    /// Whether every hidden layer multiplies two maps of its input (one of them through SiLU) instead of activating one. Contact needs
    /// products: where the pusher touches a turned block is its place times the block's angle. Twice the weights.
    #[serde(default)]
    pub gated: bool,
}

/// `h = f(norm(W [z; a]))`, `h += f(norm(W h))` per layer, `z' = z + W h`, where `f` is SiLU, or with gates `f(p, q) = silu(p) q` of
/// the two halves of its input.
#[derive(Debug, Clone)]
pub struct Predictor {
    pub(crate) gated: bool,
    pub(crate) input: Linear,
    pub(crate) input_norm: Norm,
    pub(crate) layers: Vec<(Linear, Norm)>,
    pub(crate) output: Linear,
}

/// Fresh output weights are small, so that training starts from "nothing changes".
const INITIAL_OUTPUT_GAIN: f32 = 0.1;

impl Predictor {
    /// Builds the predictor for latents `[D]` and action blocks `[A]`.
    ///
    /// # Errors
    /// As [`Source::weight`].
    pub fn new(source: &mut Source, config: &PredictorConfig, latent_width: usize, block_width: usize) -> Result<Self> {
        let hidden = config.hidden;
        let inner = if config.gated { 2 * hidden } else { hidden };
        source.within("predictor", |source| {
            let layer = |source: &mut Source, index: usize| {
                let linear = Linear::new(source, &format!("layer_{index}"), hidden, inner, 1.0)?;
                Ok((linear, Norm::new(source, &format!("norm_{index}"), inner, 1)?))
            };
            Ok(Self {
                gated: config.gated,
                input: Linear::new(source, "input", latent_width + block_width, inner, 1.0)?,
                input_norm: Norm::new(source, "input_norm", inner, 1)?,
                layers: (0..config.layers).map(|index| layer(source, index)).collect::<Result<_>>()?,
                output: Linear::new(source, "output", hidden, latent_width, INITIAL_OUTPUT_GAIN)?,
            })
        })
    }

    /// `latents [B, D]`, `blocks [B, A]` → the latents one block later, `[B, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, latents: &Tensor, blocks: &Tensor) -> Result<Tensor> {
        let joined = Tensor::cat(&[latents, blocks], 1)?;
        let activate = |inner: &Tensor| if self.gated { ops::gate(inner) } else { ops::silu(inner) };
        let mut hidden = activate(&self.input_norm.forward(&self.input.forward(&joined)?)?)?;
        for (linear, norm) in &self.layers {
            hidden = (&hidden + activate(&norm.forward(&linear.forward(&hidden)?)?)?)?;
        }
        Ok((latents + self.output.forward(&hidden)?)?)
    }
    /// What is added to a latent, from rows `[z; a]`, on plain slices.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub(crate) fn packed(&self, precision: Precision) -> Result<Network> {
        Network::new(self.gated, (&self.input, &self.input_norm), &self.layers, &self.output, precision)
    }
}
