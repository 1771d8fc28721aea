//! From a latent and an action chunk to the next latent: a residual perceptron, `[B, D]` and `[B, A]` → `[B, D]`.

use candle_core::Tensor;

pub use super::config::PredictorConfig;
use crate::Result;
use crate::inference_mlp::InferenceMlp;
use crate::layers::{Linear, Norm};
use crate::ops::{self, Precision};
use crate::parameters::WeightSource;

/// `h = f(norm(W [z; a]))`, `h += f(norm(W h))` per layer, `z' = z + W h`, where `f` is SiLU, or with gates `f(p, q) =
/// silu(p) q` of the two halves of its input.
#[derive(Debug, Clone)]
pub struct Predictor {
    pub(crate) gated: bool,
    pub(crate) input: Linear,
    pub(crate) input_norm: Norm,
    pub(crate) layers: Vec<(Linear, Norm)>,
    pub(crate) output: Linear,
}

/// Fresh output weights are small, so that training starts from "no change".
const INITIAL_OUTPUT_GAIN: f32 = 0.1;

impl Predictor {
    /// Builds the predictor for latents `[D]` and action chunks `[A]`.
    ///
    /// # Errors
    /// As `WeightSource::weight`.
    pub fn new(
        source: &mut WeightSource,
        config: &PredictorConfig,
        latent_width: usize,
        chunk_width: usize,
    ) -> Result<Self> {
        let hidden = config.hidden;
        let inner = if config.gated { 2 * hidden } else { hidden };
        source.within("predictor", |source| {
            let layer = |source: &mut WeightSource, index: usize| {
                let linear = Linear::new(source, &format!("layer_{index}"), hidden, inner, 1.0)?;
                Ok((linear, Norm::new(source, &format!("norm_{index}"), inner, 1)?))
            };
            Ok(Self {
                gated: config.gated,
                input: Linear::new(source, "input", latent_width + chunk_width, inner, 1.0)?,
                input_norm: Norm::new(source, "input_norm", inner, 1)?,
                layers: (0..config.layers).map(|index| layer(source, index)).collect::<Result<_>>()?,
                output: Linear::new(source, "output", hidden, latent_width, INITIAL_OUTPUT_GAIN)?,
            })
        })
    }

    /// `latents [B, D]`, `chunks [B, A]` → the latents one chunk later, `[B, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, latents: &Tensor, chunks: &Tensor) -> Result<Tensor> {
        let joined = Tensor::cat(&[latents, chunks], 1)?;
        let activate = |inner: &Tensor| if self.gated { ops::gate(inner) } else { ops::silu(inner) };
        let mut hidden = activate(&self.input_norm.forward(&self.input.forward(&joined)?)?)?;
        for (linear, norm) in &self.layers {
            hidden = (&hidden + activate(&norm.forward(&linear.forward(&hidden)?)?)?)?;
        }
        Ok((latents + self.output.forward(&hidden)?)?)
    }

    /// The change of a latent, from rows `[z; a]`, on plain slices.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub(crate) fn packed(&self, precision: Precision) -> Result<InferenceMlp> {
        InferenceMlp::new(self.gated, (&self.input, &self.input_norm), &self.layers, &self.output, precision)
    }
}
