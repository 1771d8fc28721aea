//! A decoder: draws latents as images, for display. It is trained after the model, on detached latents, and planning
//! never reads it.

mod appearance;
mod training;

use candle_core::{Device, Tensor};
use mindseye_interface::config::require_range;
use mindseye_interface::{Image, ImageSize, Seed};
use serde::{Deserialize, Serialize};

use self::appearance::{Appearance, TO_BYTE};
pub use self::training::{DecoderTrainingConfig, train_decoder};
use crate::families::jepa::{Jepa, ModelConfig};
use crate::heads::{Head, require_sizes};
use crate::layers::Linear;
use crate::ops::{self, with_values};
use crate::parameters::{Initial, WeightSource, Weights};
use crate::{Error, Result};

/// Shape of the decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Width of the latents.
    pub latent_width: usize,
    /// Side of the image, pixels.
    pub image_side: usize,
    /// Straight edges that the latent moves over the image.
    pub edges: usize,
    /// Width of the layers that turn a pixel's edges into its colour.
    pub mixing: usize,
    /// Width of the layers that read the edges from the latent.
    pub hidden: usize,
    /// Discs, each for a small thing of one colour.
    pub dots: usize,
}

impl DecoderConfig {
    /// The decoder for a model whose images show `dots` small things.
    pub fn for_model(model: &Jepa, dots: usize) -> Self {
        let ModelConfig { latent_width, image_side, .. } = *model.config();
        Self { latent_width, image_side, edges: 64, mixing: 64, hidden: 256, dots }
    }

    fn pixels(&self) -> usize {
        self.image_side * self.image_side
    }
}

/// Width of the layers that read the positions of dots.
const DOTS_HIDDEN: usize = 256;
/// How much larger than a linear layer's the first weights of the edges are: they have to turn at once.
const EDGES_GAIN: f32 = 2.0;
/// Largest component of an edge's normal, and largest offset, at first: edges of many directions, all over the image.
const FIRST_EDGES: [f32; 2] = [5.0, 2.6];
/// First radius of a dot, in half sides of the image, and logarithm of how sharp its border is.
const FIRST_DOT: [f32; 2] = [1.5 / 32.0, 2.8];

/// An image is a function of position and latent. A network reads from the latent where straight edges lie,
/// `u = a x + b y + c` for each; `tanh u` of all edges at a pixel give its colour and how much it covers the
/// background, by a small network that is the same everywhere. So a rigid body is drawn sharply wherever it is, and
/// however it is turned. Small things, whose few pixels edges would be slow to find, are discs on top of it: a network
/// of their own reads their centres.
#[derive(Debug)]
pub struct Decoder {
    config: DecoderConfig,
    trunk: [Linear; 3],
    edges: Linear,
    /// Normals `[H, 2]` and offsets `[H, 1]` that are added to what the latent says.
    edges_at_first: [Tensor; 2],
    mixing: [Linear; 3],
    dots: Option<Dots>,
    background: Tensor,
    weights: Weights,
}

/// Discs of one colour each, the later above the earlier.
#[derive(Debug)]
struct Dots {
    layers: [Linear; 3],
    /// What the latent itself adds to their centres.
    linear: Linear,
    radii: Tensor,
    borders: Tensor,
    colours: Tensor,
}

impl Head for Decoder {
    type Config = DecoderConfig;

    const FILE: &'static str = "decoder.safetensors";

    fn build(config: DecoderConfig, mut source: WeightSource) -> Result<Self> {
        let DecoderConfig { latent_width, image_side, edges, mixing, hidden, dots } = config;
        require_range("decoder.image_side", image_side, 1, 512)?;
        require_range("decoder.edges", edges, 1, 4096)?;
        require_range("decoder.mixing", mixing, 1, 4096)?;
        require_range("decoder.hidden", hidden, 1, 8192)?;
        require_range("decoder.dots", dots, 0, 64)?;
        let mut decoder = source.within("decoder", |source| {
            let trunk = [
                Linear::new(source, "trunk_0", latent_width, hidden, 1.0)?,
                Linear::new(source, "trunk_1", hidden, hidden, 1.0)?,
                Linear::new(source, "trunk_2", hidden, hidden, 1.0)?,
            ];
            let [normal, offset] = FIRST_EDGES.map(|bound| Initial::Uniform { bound });
            let edges_at_first =
                [source.weight("normals", &[edges, 2], normal)?, source.weight("offsets", &[edges, 1], offset)?];
            let edges = Linear::new(source, "edges", hidden, 3 * edges, EDGES_GAIN)?;
            let mixing = [
                Linear::new(source, "mixing_0", config.edges, mixing, 1.0)?,
                Linear::new(source, "mixing_1", mixing, mixing, 1.0)?,
                Linear::new(source, "mixing_2", mixing, 4, 1.0)?,
            ];
            let dots = if dots > 0 { Some(Dots::new(source, latent_width, dots)?) } else { None };
            let background = source.weight("background", &[config.pixels(), 3], Initial::Constant(0.0))?;
            Ok(Self { trunk, edges, edges_at_first, mixing, dots, background, weights: Weights::new(), config })
        })?;
        decoder.weights = source.finish()?;
        Ok(decoder)
    }

    fn config(&self) -> &DecoderConfig {
        &self.config
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn require_fit(&self, model: &ModelConfig) -> Result<()> {
        let DecoderConfig { latent_width, image_side, .. } = self.config;
        let sizes = [("latent_width", latent_width, model.latent_width), ("image_side", image_side, model.image_side)];
        require_sizes("decoder", &sizes)
    }
}

impl Dots {
    fn new(source: &mut WeightSource, latent_width: usize, dots: usize) -> Result<Self> {
        let [radius, border] = FIRST_DOT.map(Initial::Constant);
        Ok(Self {
            layers: [
                Linear::new(source, "dots_0", latent_width, DOTS_HIDDEN, 1.0)?,
                Linear::new(source, "dots_1", DOTS_HIDDEN, DOTS_HIDDEN, 1.0)?,
                Linear::new(source, "dots_2", DOTS_HIDDEN, 2 * dots, 1.0)?,
            ],
            linear: Linear::new(source, "dots_linear", latent_width, 2 * dots, 1.0)?,
            radii: source.weight("radii", &[dots], radius)?,
            borders: source.weight("borders", &[dots], border)?,
            colours: source.weight("colours", &[dots, 3], Initial::Constant(0.0))?,
        })
    }

    /// Their centres `[B, G, 2]` where the latents are `[B, D]`.
    fn centres(&self, latents: &Tensor) -> Result<Tensor> {
        let shape = (latents.dim(0)?, self.radii.dim(0)?, 2);
        Ok((three_layers(&self.layers, latents)? + self.linear.forward(latents)?)?.reshape(shape)?)
    }

    /// `colours` `[B * P, 3]` of the pixels at `places` `[B, P, 2]` with the dots on top.
    fn on_top(&self, mut colours: Tensor, places: &Tensor, centres: &Tensor) -> Result<Tensor> {
        let (images, count, _) = places.dims3()?;
        for dot in 0..self.radii.dim(0)? {
            let away = places.broadcast_sub(&centres.narrow(1, dot, 1)?)?.sqr()?.sum_keepdim(2)?;
            let away = (away + 1e-6)?.sqrt()?.reshape((images * count, 1))?;
            let inside = away.neg()?.broadcast_add(&self.radii.narrow(0, dot, 1)?)?;
            let covered = between_0_and_1(&inside.broadcast_mul(&self.borders.narrow(0, dot, 1)?.exp()?)?)?;
            let changed = colours.neg()?.broadcast_add(&self.colours.narrow(0, dot, 1)?)?;
            colours = (colours + changed.broadcast_mul(&covered)?)?;
        }
        Ok(colours)
    }
}

/// Some pixels of some images.
struct Pixels {
    /// Which, row by row, `[B * P]`.
    indices: Tensor,
    /// Their positions `(x, y, 1)`, each from -1 to 1 over the image, `[B, P, 3]`.
    positions: Tensor,
}

impl Pixels {
    /// The pixels `indices` `[B * P]` of `images` images of this side.
    fn new(indices: Vec<u32>, images: usize, side: usize) -> Result<Self> {
        let count = indices.len();
        let positions = indices.iter().flat_map(|&index| {
            let [x, y] = position(index as usize, side);
            [x, y, 1.0]
        });
        Ok(Self {
            positions: ops::tensor(positions.collect(), (images, count / images.max(1), 3))?,
            indices: Tensor::from_vec(indices, count, &Device::Cpu)?,
        })
    }
}

/// Position `(x, y)` of a pixel's centre, from -1 to 1 over an image.
fn position(index: usize, side: usize) -> [f32; 2] {
    [index % side, index / side].map(|along| (2.0 * along as f32 + 1.0) / side as f32 - 1.0)
}

/// `1 / (1 + e^-2x)`.
fn between_0_and_1(x: &Tensor) -> Result<Tensor> {
    Ok(x.tanh()?.affine(0.5, 0.5)?)
}

/// Three linear layers with activations between them.
fn three_layers(layers: &[Linear; 3], input: &Tensor) -> Result<Tensor> {
    let first = ops::silu(&layers[0].forward(input)?)?;
    layers[2].forward(&ops::silu(&layers[1].forward(&first)?)?)
}

impl Decoder {
    /// A fresh decoder of what `appearance` says of its images.
    fn fresh(config: DecoderConfig, appearance: &Appearance, seed: Seed) -> Result<Self> {
        let decoder = Self::build(config, WeightSource::fresh(seed))?;
        let values = |bytes: &[u8]| bytes.iter().map(|&byte| f32::from(byte) / TO_BYTE - 0.5).collect::<Vec<f32>>();
        let known = [("colours", values(&appearance.colours())), ("background", values(&appearance.background))];
        for (name, values) in known {
            if let Some(weight) = decoder.weights.get(&format!("decoder.{name}")) {
                weight.set(&Tensor::from_vec(values, weight.shape(), &Device::Cpu)?)?;
            }
        }
        Ok(decoder)
    }

    /// Colours `[B * P, 3]` in `[-0.5, 0.5]` of pixels of latents `[B, D]`, and the centres of the dots `[B, G, 2]`.
    fn forward(&self, latents: &Tensor, pixels: &Pixels) -> Result<(Tensor, Option<Tensor>)> {
        let (images, count, edges) = (latents.dim(0)?, pixels.positions.dim(1)?, self.config.edges);
        let features = ops::silu(&three_layers(&self.trunk, latents)?)?;
        let moved = self.edges.forward(&features)?.reshape((images, edges, 3))?;
        let lines = moved.broadcast_add(&Tensor::cat(&self.edges_at_first, 1)?)?.transpose(1, 2)?.contiguous()?;
        let at_pixels = pixels.positions.matmul(&lines)?.affine(0.5, 0.0)?.tanh()?;
        let mixed = three_layers(&self.mixing, &at_pixels.reshape((images * count, edges))?)?;
        let background = self.background.index_select(&pixels.indices, 0)?;
        let covered = between_0_and_1(&mixed.narrow(1, 3, 1)?.affine(0.5, 0.0)?)?;
        let colours = (&background + (mixed.narrow(1, 0, 3)? - &background)?.broadcast_mul(&covered)?)?;
        let Some(dots) = &self.dots else { return Ok((colours, None)) };
        let centres = dots.centres(latents)?;
        let colours = dots.on_top(colours, &pixels.positions.narrow(2, 0, 2)?, &centres)?;
        Ok((colours, Some(centres)))
    }

    /// Draws latents `[B, D]` (row-major), one image each.
    ///
    /// # Errors
    /// [`Error::Shape`] when the number of values is not a multiple of `D`.
    pub fn draw(&self, latents: &[f32]) -> Result<Vec<Image>> {
        let (width, side) = (self.config.latent_width, self.config.image_side);
        if latents.is_empty() || !latents.len().is_multiple_of(width) {
            let (expected, got) = (format!("a multiple of {width} values"), latents.len().to_string());
            return Err(Error::Shape { operation: "drawing latents", expected, got });
        }
        let size = ImageSize::square(side)?;
        let all = Pixels::new((0..self.config.pixels() as u32).collect(), 1, side)?;
        let drawn = latents.chunks_exact(width).map(|latent| {
            let latent = ops::tensor(latent.to_vec(), (1, width))?;
            let bytes = with_values(&self.forward(&latent, &all)?.0, |values| {
                let byte = |value: &f32| ((value + 0.5) * TO_BYTE).round().clamp(0.0, TO_BYTE) as u8;
                values.iter().map(byte).collect::<Vec<u8>>()
            })?;
            Ok(Image::new(size, bytes)?)
        });
        drawn.collect()
    }
}
