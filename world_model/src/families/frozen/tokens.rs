//! From images to the tokens that a state consists of: the frozen encoder's, averaged over squares of patches, without
//! what their place alone says of them.

use std::sync::Arc;

use mindseye_interface::{Frame, Image, Observation};

use crate::families::vit::{FrozenEncoder, Vit};
use crate::latent::LatentShape;
use crate::model::{ClipSpec, Model as _};
use crate::{Error, Result};

/// A scale below which all images give the same tokens.
const LEAST_SCALE: f64 = 1e-6;

/// A frozen encoder, and how its tokens become states.
#[derive(Debug, Clone)]
pub struct FrozenTokens {
    encoder: FrozenEncoder,
    pool: usize,
    /// Rows and columns of tokens, after averaging.
    grid: [usize; 2],
    /// Mean over the training images, `[P, D]`.
    pub(super) mean: Vec<f32>,
    /// One over the standard deviation of all that is left.
    pub(super) scale: f32,
}

impl FrozenTokens {
    /// The encoder of `vit`, one image per state, its tokens averaged over squares of `pool` x `pool`; not yet centred.
    ///
    /// # Errors
    /// [`Error::Shape`] for a model without an encoder of colour images, or a grid that such squares do not fill.
    pub fn new(vit: Arc<Vit>, pool: usize) -> Result<Self> {
        let encoder = FrozenEncoder::new(vit, ClipSpec::SINGLE)?;
        let config = encoder.vit().config().encoder.as_ref();
        let [_, rows, columns] = config.map_or([0; 3], |encoder| encoder.grid());
        if pool == 0 || rows == 0 || !rows.is_multiple_of(pool) || !columns.is_multiple_of(pool) {
            let expected = format!("a pool that divides the encoder's {rows}x{columns} patches");
            return Err(Error::Shape { operation: "a frozen encoder", expected, got: pool.to_string() });
        }
        let grid = [rows / pool, columns / pool];
        let values = grid[0] * grid[1] * encoder.spec().latent.width;
        Ok(Self { encoder, pool, grid, mean: vec![0.0; values], scale: 1.0 })
    }

    /// Tokens and width of a state.
    pub fn shape(&self) -> LatentShape {
        LatentShape { tokens: self.grid[0] * self.grid[1], width: self.encoder.spec().latent.width }
    }

    /// Rows and columns of a state's tokens.
    pub fn grid(&self) -> [usize; 2] {
        self.grid
    }

    /// Height and width of the encoder's images, pixels.
    pub fn image_size(&self) -> [usize; 2] {
        self.encoder.spec().cameras.first().map_or([0; 2], |camera| [camera.height, camera.width])
    }

    /// The encoder.
    pub fn encoder(&self) -> &FrozenEncoder {
        &self.encoder
    }

    /// The state `[P, D]` of an image.
    ///
    /// # Errors
    /// [`Error::Shape`] for an image of another size.
    pub fn state(&self, image: Image) -> Result<Vec<f32>> {
        let mut tokens = self.raw(image)?;
        self.centre(&mut tokens);
        Ok(tokens)
    }

    /// Tokens as the encoder gives them, averaged over squares, `[P, D]`.
    pub(super) fn raw(&self, image: Image) -> Result<Vec<f32>> {
        let frames = vec![Frame::new(&"".into(), image, 0.0)];
        let observation = Observation { frames, proprioception: Vec::new(), tick: 0, time_secs: 0.0 };
        let latents = self.encoder.encode(&[observation])?;
        let width = self.shape().width;
        let patches = latents.first().map_or(&[][..], |latent| latent.values());
        let prefix = self.encoder.vit().encoder().map_or(0, |encoder| encoder.prefix());
        let patches = patches.get(prefix * width..).unwrap_or(&[]);
        if self.pool == 1 {
            return Ok(patches.to_vec());
        }
        let ([rows, columns], pool) = (self.grid, self.pool);
        let mut pooled = vec![0.0; rows * columns * width];
        let share = 1.0 / (pool * pool) as f32;
        for (index, patch) in patches.chunks_exact(width).enumerate() {
            let (row, column) = (index / (columns * pool) / pool, index % (columns * pool) / pool);
            let place = &mut pooled[(row * columns + column) * width..][..width];
            place.iter_mut().zip(patch).for_each(|(sum, value)| *sum += share * value);
        }
        Ok(pooled)
    }

    /// Measures the mean of `states [N, P, D]` at every place, and one standard deviation of all that is left.
    ///
    /// # Errors
    /// [`Error::Data`] when all of them are the same: such an encoder tells nothing apart.
    pub(super) fn measure(&mut self, states: &[f32]) -> Result<()> {
        let values = self.shape().values();
        let count = states.len() / values.max(1);
        let mut sums = vec![0.0_f64; values];
        for state in states.chunks_exact(values) {
            sums.iter_mut().zip(state).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let mean: Vec<f64> = sums.iter().map(|sum| sum / count.max(1) as f64).collect();
        let square = |state: &[f32]| -> f64 {
            state.iter().zip(&mean).map(|(&value, mean)| (f64::from(value) - mean).powi(2)).sum()
        };
        let variance = states.chunks_exact(values).map(square).sum::<f64>() / states.len().max(1) as f64;
        let deviation = variance.sqrt();
        if !deviation.is_finite() || deviation < LEAST_SCALE {
            let (expected, got) = ("tokens that differ between images".into(), format!("deviation {deviation:e}"));
            return Err(Error::Data { field: "tokens of the encoder", expected, got });
        }
        self.mean = mean.into_iter().map(|value| value as f32).collect();
        self.scale = (1.0 / deviation) as f32;
        Ok(())
    }

    /// Takes the mean off `states [N, P, D]` and scales what is left.
    pub(super) fn centre(&self, states: &mut [f32]) {
        for state in states.chunks_exact_mut(self.mean.len().max(1)) {
            state.iter_mut().zip(&self.mean).for_each(|(value, mean)| *value = (*value - mean) * self.scale);
        }
    }
}
