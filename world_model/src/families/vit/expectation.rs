//! How much a film surprises an encoder with a predictor of masked tokens, such as V-JEPA: what it shows against what
//! was to be expected from its beginning, in the space of the encoder's own tokens (Garrido et al. 2025, "Intuitive
//! physics understanding emerges from self-supervised pretraining on natural videos").
//!
//! The film is cut into overlapping windows of as many images as the encoder takes. Of each window the encoder sees the
//! first half; the predictor says what the tokens of the second half will be, and the surprise of the window is the
//! mean absolute difference from what the encoder makes of the whole window, each token standardised as in training.

use mindseye_interface::Image;

use super::blocks::standardised;
use super::encoder::{Clip, Grid, VitEncoder};
use super::folder::Vit;
use super::predictor::{Masked, VitPredictor};
use crate::{Error, Result};

/// Which mask token stands for what is to come.
const MASK_TOKEN: usize = 0;

/// An encoder and its predictor as a spectator.
pub struct Expectation<'a> {
    vit: &'a Vit,
    encoder: &'a VitEncoder,
    predictor: &'a VitPredictor,
    /// Images of a film from one frame of a window to the next.
    stride: usize,
}

impl<'a> Expectation<'a> {
    /// That of `vit`, whose frames are every `stride`-th image of a film: as far apart as those it has learnt from.
    ///
    /// # Errors
    /// [`Error::Shape`] for a model without predictor, of single images, or a stride of 0.
    pub fn new(vit: &'a Vit, stride: usize) -> Result<Self> {
        let refused = |expected: &str, got: String| Error::Shape {
            operation: "surprise of a film",
            expected: expected.to_owned(),
            got,
        };
        let (Some(encoder), Some(predictor)) = (vit.encoder(), vit.predictor()) else {
            return Err(refused("an encoder with a predictor of masked tokens", vit.to_string()));
        };
        let (frames, tubelet) = (encoder.config().frames, encoder.config().tubelet);
        if frames < 2 * tubelet || encoder.prefix() > 0 {
            return Err(refused("an encoder of clips without class token", format!("{frames} frames")));
        }
        if stride == 0 {
            return Err(refused("a stride of at least 1 image", "0".into()));
        }
        Ok(Self { vit, encoder, predictor, stride })
    }

    /// The surprise of every window of `film`, whose windows begin one tubelet of images apart.
    ///
    /// # Errors
    /// [`Error::Shape`] for a film that is shorter than a window.
    pub fn surprise(&self, film: &[Image]) -> Result<Vec<f64>> {
        let config = self.encoder.config();
        let (frames, [height, width]) = (config.frames, config.image);
        let span = (frames - 1) * self.stride + 1;
        if film.len() < span {
            return Err(Error::Shape {
                operation: "surprise of a film",
                expected: format!("at least {span} images ({frames} frames, each {} apart)", self.stride),
                got: film.len().to_string(),
            });
        }
        let mut values = Vec::with_capacity(film.len());
        for image in film {
            values.push(self.vit.preprocessing().apply(image)?.values);
        }
        let begins = (0..=film.len() - span).step_by(config.tubelet.max(1));
        let window = |first: usize| -> Vec<f32> {
            values[first..first + span].iter().step_by(self.stride).flatten().copied().collect()
        };
        begins.map(|first| self.of_window(&window(first), frames, [height, width])).collect()
    }

    fn of_window(&self, values: &[f32], frames: usize, [height, width]: [usize; 2]) -> Result<f64> {
        let clip = Clip { values, frames, height, width };
        let grid: Grid = self.encoder.grid(&clip)?;
        let (tokens, per_step) = (grid.tokens(), grid.rows * grid.columns);
        let seen: Vec<usize> = (0..(tokens / per_step / 2).max(1) * per_step).collect();
        let to_come: Vec<usize> = (seen.len()..tokens).collect();
        let levels = self.predictor.config().input > self.encoder.width();
        let (context, whole) = match levels {
            true => (self.encoder.encode_levels(&clip, Some(&seen))?, self.encoder.encode_levels(&clip, None)?),
            false => (self.encoder.encode_kept(&clip, &seen)?, self.encoder.encode(&clip)?),
        };
        let masked = Masked {
            context: &context,
            context_numbers: &seen,
            target_numbers: &to_come,
            grid,
            mask_token: MASK_TOKEN,
            is_image: false,
        };
        let predicted = self.predictor.predict(&masked)?.targets;
        let targets = standardised(&whole[seen.len() * (whole.len() / tokens)..], self.encoder.width());
        if targets.len() != predicted.len() {
            return Err(Error::Shape {
                operation: "surprise of a film",
                expected: format!("a predictor of the encoder's {} values", targets.len()),
                got: predicted.len().to_string(),
            });
        }
        let differences = predicted.iter().zip(&targets).map(|(one, other)| f64::from((one - other).abs()));
        Ok(differences.sum::<f64>() / predicted.len().max(1) as f64)
    }
}
