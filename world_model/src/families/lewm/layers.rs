//! Layers of a LeWM, under the names of its checkpoints.

use candle_core::Tensor;

use super::config::{ActionConfig, TransformerConfig, VisionConfig};
use crate::layers::Linear;
use crate::ops::{self, with_values};
use crate::parameters::{Initial, WeightSource};
use crate::{Error, Result};

/// Added to variances by the encoder's norms.
pub(super) const VISION_EPSILON: f32 = 1e-12;
/// Added to variances by the predictor's norms that are followed by the action's scale and shift.
pub(super) const MODULATED_EPSILON: f32 = 1e-6;
/// Added to variances by all other norms.
pub(super) const EPSILON: f32 = 1e-5;

/// Layer norm with scale and shift.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    pub scale: Tensor,
    pub shift: Tensor,
    pub epsilon: f32,
}

impl Norm {
    pub fn new(source: &mut WeightSource, name: &str, width: usize, epsilon: f32) -> Result<Self> {
        source.within(name, |source| {
            let scale = source.weight("weight", &[width], Initial::Constant(1.0))?;
            Ok(Self { scale, shift: source.weight("bias", &[width], Initial::Constant(0.0))?, epsilon })
        })
    }

    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Ok(ops::affine_norm(input, &self.scale, &self.shift, self.epsilon)?)
    }
}

/// `[.., I]` → `[.., O]`.
pub(super) fn apply(linear: &Linear, input: &Tensor) -> Result<Tensor> {
    let mut shape = input.dims().to_vec();
    let inputs = shape.pop().unwrap_or(0);
    let rows = linear.forward(&input.reshape((input.elem_count() / inputs.max(1), inputs))?)?;
    shape.push(rows.dim(1)?);
    Ok(rows.reshape(shape)?)
}

fn linear(source: &mut WeightSource, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
    Linear::new(source, name, inputs, outputs, 1.0)
}

/// The encoder: a vision transformer (Dosovitskiy et al. 2021) whose class token is the image's representation.
#[derive(Debug, Clone)]
pub(super) struct Vision {
    config: VisionConfig,
    patch: Linear,
    class: Tensor,
    positions: Tensor,
    layers: Vec<VisionLayer>,
    norm: Norm,
}

#[derive(Debug, Clone)]
struct VisionLayer {
    before: Norm,
    parts: [Linear; 3],
    output: Linear,
    after: Norm,
    widen: Linear,
    narrow: Linear,
}

impl Vision {
    pub fn new(source: &mut WeightSource, config: &VisionConfig) -> Result<Self> {
        let VisionConfig { image_side, patch, width, layers, hidden, .. } = *config;
        let across = image_side / patch;
        let embeddings = |source: &mut WeightSource| {
            let class = source.weight("cls_token", &[1, 1, width], Initial::Constant(0.0))?;
            let bound = Initial::Uniform { bound: 0.03 };
            let positions = source.weight("position_embeddings", &[1, across * across + 1, width], bound)?;
            let values = 3 * patch * patch;
            let patch = source.within("patch_embeddings.projection", |source| {
                let (stored, used) = ([width, 3, patch, patch], [width, values]);
                let weight = source.weight_as("weight", &stored, &used, Initial::for_inputs(values))?;
                Ok(Linear { weight, bias: source.weight("bias", &[width], Initial::Constant(0.0))? })
            })?;
            Ok((class, positions, patch))
        };
        let (class, positions, patch) = source.within("embeddings", embeddings)?;
        let layers = (0..layers).map(|index| {
            source.within(&format!("encoder.layer.{index}"), |source| {
                let before = Norm::new(source, "layernorm_before", width, VISION_EPSILON)?;
                let parts = source.within("attention.attention", |source| {
                    let mut part = |name| linear(source, name, width, width);
                    Ok([part("query")?, part("key")?, part("value")?])
                })?;
                Ok(VisionLayer {
                    before,
                    parts,
                    output: linear(source, "attention.output.dense", width, width)?,
                    after: Norm::new(source, "layernorm_after", width, VISION_EPSILON)?,
                    widen: linear(source, "intermediate.dense", width, hidden)?,
                    narrow: linear(source, "output.dense", hidden, width)?,
                })
            })
        });
        let layers = layers.collect::<Result<_>>()?;
        let norm = Norm::new(source, "layernorm", width, VISION_EPSILON)?;
        Ok(Self { config: config.clone(), patch, class, positions, layers, norm })
    }

    /// Tokens `[B, 1 + P, D]` before the first layer, of images `[B, 3, H, W]`. Images of another size than the
    /// model's get interpolated positions.
    pub fn embeddings(&self, images: &Tensor) -> Result<Tensor> {
        let (patches, grid) = patches_of(images, self.config.patch)?;
        let batch = patches.dim(0)?;
        let class = self.class.broadcast_as((batch, 1, self.config.width))?;
        let across = self.config.image_side / self.config.patch;
        let tokens = Tensor::cat(&[&class, &apply(&self.patch, &patches)?], 1)?;
        if grid == (across, across) {
            return Ok(tokens.broadcast_add(&self.positions)?);
        }
        let of_class = self.positions.narrow(1, 0, 1)?;
        let of_patches = with_values(&self.positions.narrow(1, 1, across * across)?, |values| {
            resample(values, (across, across), grid, self.config.width)
        })?;
        let of_patches = ops::tensor(of_patches, (1, grid.0 * grid.1, self.config.width))?;
        Ok(tokens.broadcast_add(&Tensor::cat(&[&of_class, &of_patches], 1)?)?)
    }

    /// Class tokens `[B, D]` of images `[B, 3, H, W]`.
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let mut tokens = self.embeddings(images)?;
        for layer in &self.layers {
            let mixed = apply(&joined(&layer.parts)?, &layer.before.forward(&tokens)?)?;
            let mixed = ops::attention(&mixed, self.config.heads, ops::Visible::All)?;
            tokens = (tokens + apply(&layer.output, &mixed)?)?;
            let wide = ops::gelu(&apply(&layer.widen, &layer.after.forward(&tokens)?)?)?;
            tokens = (tokens + apply(&layer.narrow, &wide)?)?;
        }
        let class = tokens.narrow(1, 0, 1)?.contiguous()?;
        self.norm.forward(&class.reshape((class.dim(0)?, self.config.width))?)
    }
}

/// Patches `[B, P, 3 * patch * patch]` (channel, row, column within each) of images `[B, 3, H, W]`, and (rows, columns)
/// of patches. Pixels at the right and lower edge that do not fill a patch are left out.
fn patches_of(images: &Tensor, patch: usize) -> Result<(Tensor, (usize, usize))> {
    let (batch, channels, height, width) = images.dims4()?;
    let grid = (height / patch, width / patch);
    if channels != 3 || grid.0 == 0 || grid.1 == 0 {
        return Err(Error::Shape {
            operation: "encoding images",
            expected: format!("3 channels of at least {patch}x{patch} pixels"),
            got: format!("{channels} of {height}x{width}"),
        });
    }
    let values = with_values(images, |pixels| {
        let mut values = Vec::with_capacity(batch * grid.0 * grid.1 * 3 * patch * patch);
        for image in pixels.chunks_exact(3 * height * width) {
            for (top, left) in (0..grid.0).flat_map(|row| (0..grid.1).map(move |column| (row * patch, column * patch)))
            {
                for (channel, row) in (0..3).flat_map(|channel| (top..top + patch).map(move |row| (channel, row))) {
                    let start = (channel * height + row) * width + left;
                    values.extend_from_slice(&image[start..start + patch]);
                }
            }
        }
        values
    })?;
    Ok((ops::tensor(values, (batch, grid.0 * grid.1, 3 * patch * patch))?, grid))
}

/// Bicubic resampling (a = -0.75, pixel centres at halves, edges repeated) of a grid `from` of rows of `width` values
/// to a grid `to`.
fn resample(values: &[f32], from: (usize, usize), to: (usize, usize), width: usize) -> Vec<f32> {
    let weights = |from: usize, to: usize, index: usize| -> [(usize, f32); 4] {
        let place = (index as f32 + 0.5) * from as f32 / to as f32 - 0.5;
        let (first, part) = (place.floor(), place - place.floor());
        std::array::from_fn(|tap| {
            let source = (first as isize + tap as isize - 1).clamp(0, from as isize - 1);
            (source as usize, cubic(part - (tap as f32 - 1.0)))
        })
    };
    let mut output = Vec::with_capacity(to.0 * to.1 * width);
    for (row, column) in (0..to.0).flat_map(|row| (0..to.1).map(move |column| (row, column))) {
        let mut mixed = vec![0.0f32; width];
        for (source_row, row_weight) in weights(from.0, to.0, row) {
            for (source_column, column_weight) in weights(from.1, to.1, column) {
                let start = (source_row * from.1 + source_column) * width;
                let weight = row_weight * column_weight;
                mixed.iter_mut().zip(&values[start..start + width]).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        output.extend(mixed);
    }
    output
}

/// The cubic convolution kernel (Keys 1981) with a = -0.75.
fn cubic(distance: f32) -> f32 {
    const A: f32 = -0.75;
    let x = distance.abs();
    if x <= 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    } else {
        0.0
    }
}

/// One map to the outputs of all `parts`, side by side.
fn joined(parts: &[Linear]) -> Result<Linear> {
    let weights: Vec<&Tensor> = parts.iter().map(|part| &part.weight).collect();
    let biases: Vec<&Tensor> = parts.iter().map(|part| &part.bias).collect();
    Ok(Linear { weight: Tensor::cat(&weights, 0)?, bias: Tensor::cat(&biases, 0)? })
}

/// `D` → hidden → `D` with a batch norm between: SIGReg can shape its output, which it cannot do with that of a layer
/// norm.
#[derive(Debug, Clone)]
pub(super) struct Projector {
    pub widen: Linear,
    pub scale: Tensor,
    pub shift: Tensor,
    pub mean: Tensor,
    pub variance: Tensor,
    pub narrow: Linear,
}

impl Projector {
    pub fn new(source: &mut WeightSource, name: &str, width: usize, hidden: usize) -> Result<Self> {
        source.within(&format!("{name}.net"), |source| {
            let widen = linear(source, "0", width, hidden)?;
            let mut statistic =
                |name, value| source.within("1", |source| source.weight(name, &[hidden], Initial::Constant(value)));
            let (scale, shift) = (statistic("weight", 1.0)?, statistic("bias", 0.0)?);
            let (mean, variance) = (statistic("running_mean", 0.0)?, statistic("running_var", 1.0)?);
            Ok(Self { widen, scale, shift, mean, variance, narrow: linear(source, "3", hidden, width)? })
        })
    }

    /// `[N, D]` → `[N, D]` by the running statistics of training.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let inner = self.widen.forward(input)?.broadcast_sub(&self.mean)?;
        let inverse = (&self.variance + f64::from(EPSILON))?.sqrt()?.recip()?;
        let normal = inner.broadcast_mul(&(inverse * &self.scale)?)?.broadcast_add(&self.shift)?;
        self.narrow.forward(&ops::gelu(&normal)?)
    }
}

/// Action chunks `[N, A]` → `[N, D]`.
#[derive(Debug, Clone)]
pub(super) struct ActionEncoder {
    pub smooth: Linear,
    pub widen: Linear,
    pub narrow: Linear,
}

impl ActionEncoder {
    pub fn new(source: &mut WeightSource, config: &ActionConfig, width: usize) -> Result<Self> {
        source.within("action_encoder", |source| {
            let ActionConfig { chunk_width, smoothed, hidden } = *config;
            let smooth = source.within("patch_embed", |source| {
                let (stored, used) = ([smoothed, chunk_width, 1], [smoothed, chunk_width]);
                let weight = source.weight_as("weight", &stored, &used, Initial::for_inputs(chunk_width))?;
                Ok(Linear { weight, bias: source.weight("bias", &[smoothed], Initial::Constant(0.0))? })
            })?;
            let widen = linear(source, "embed.0", smoothed, hidden)?;
            Ok(Self { smooth, widen, narrow: linear(source, "embed.2", hidden, width)? })
        })
    }

    pub fn forward(&self, chunks: &Tensor) -> Result<Tensor> {
        self.narrow.forward(&ops::silu(&self.widen.forward(&self.smooth.forward(chunks)?)?)?)
    }
}

/// The predictor: a causal transformer over frames; the action that follows a frame scales, shifts and gates its layers
/// (AdaLN-zero, Peebles and Xie 2023).
#[derive(Debug, Clone)]
pub(super) struct Predictor {
    pub config: TransformerConfig,
    pub positions: Tensor,
    pub layers: Vec<PredictorLayer>,
    pub norm: Norm,
}

/// Each half of a layer has two norms: one under the action's scale and shift, one of its own.
#[derive(Debug, Clone)]
pub(super) struct PredictorLayer {
    pub modulation: Linear,
    pub attention_norm: Norm,
    pub query_key_value: Tensor,
    pub output: Linear,
    pub perceptron_norm: Norm,
    pub widen: Linear,
    pub narrow: Linear,
}

impl Predictor {
    pub fn new(source: &mut WeightSource, config: &TransformerConfig, width: usize) -> Result<Self> {
        let TransformerConfig { history, layers, heads, head_width, hidden } = *config;
        let inner = heads * head_width;
        source.within("predictor", |source| {
            let positions = source.weight("pos_embedding", &[1, history, width], Initial::Uniform { bound: 1.7 })?;
            let layers = (0..layers).map(|index| {
                source.within(&format!("transformer.layers.{index}"), |source| {
                    let modulation = Linear::new(source, "adaLN_modulation.1", width, 6 * width, 0.0)?;
                    let attention_norm = Norm::new(source, "attn.norm", width, EPSILON)?;
                    let query_key_value =
                        source.weight("attn.to_qkv.weight", &[3 * inner, width], Initial::for_inputs(width))?;
                    Ok(PredictorLayer {
                        modulation,
                        attention_norm,
                        query_key_value,
                        output: linear(source, "attn.to_out.0", inner, width)?,
                        perceptron_norm: Norm::new(source, "mlp.net.0", width, EPSILON)?,
                        widen: linear(source, "mlp.net.1", width, hidden)?,
                        narrow: linear(source, "mlp.net.4", hidden, width)?,
                    })
                })
            });
            let layers = layers.collect::<Result<_>>()?;
            let norm = Norm::new(source, "transformer.norm", width, EPSILON)?;
            Ok(Self { config: config.clone(), positions, layers, norm })
        })
    }

    /// The embedding after each of `T` frames `[B, T, D]` and the embedded action chunk that follows it `[B, T, D]`,
    /// `[B, T, D]`.
    pub fn forward(&self, frames: &Tensor, actions: &Tensor) -> Result<Tensor> {
        let (batch, tokens, width) = frames.dims3()?;
        let mut hidden = frames.broadcast_add(&self.positions.narrow(1, 0, tokens)?)?;
        let condition = ops::silu(actions)?;
        for layer in &self.layers {
            let six = apply(&layer.modulation, &condition)?;
            let part = |index: usize| Ok::<_, crate::Error>(six.narrow(2, index * width, width)?);
            let modulated = |hidden: &Tensor, shift: usize| -> Result<Tensor> {
                let scale = (part(shift + 1)? + 1.0)?;
                Ok(((ops::standardise(hidden, MODULATED_EPSILON)? * scale)? + part(shift)?)?)
            };
            let normal = layer.attention_norm.forward(&modulated(&hidden, 0)?)?;
            let rows = normal.reshape((batch * tokens, width))?;
            let mixed = ops::product(&rows, &layer.query_key_value)?.reshape((batch, tokens, ()))?;
            let mixed = ops::attention(&mixed, self.config.heads, ops::Visible::Frames(1))?;
            hidden = (hidden + (apply(&layer.output, &mixed)? * part(2)?)?)?;
            let normal = layer.perceptron_norm.forward(&modulated(&hidden, 3)?)?;
            let wide = ops::gelu(&apply(&layer.widen, &normal)?)?;
            hidden = (hidden + (apply(&layer.narrow, &wide)? * part(5)?)?)?;
        }
        self.norm.forward(&hidden)
    }
}
