//! Tokens of images and clips.

use std::path::{Path, PathBuf};

use mindseye_interface::MemoryLimit;
use mindseye_interface::memory::product;
use mindseye_world_model::families::vit::{Clip, Vit, VitEncoder, VitKind};
use serde::Serialize;

use crate::inputs::{ClipOptions, Sampling, for_clips, inputs_at};
use crate::{Error, Result};

/// What is kept of an image's or clip's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// All of them.
    #[default]
    None,
    /// The mean over the patches.
    Mean,
    /// The class token.
    Class,
}

/// Encodes files with one model.
#[derive(Debug)]
pub struct Encoding<'a> {
    /// The model.
    pub model: &'a Vit,
    /// Where it comes from, for errors.
    pub weights: &'a Path,
    /// How videos are cut.
    pub clips: ClipOptions,
    /// What is kept.
    pub pooling: Pooling,
}

/// An image or clip that was encoded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EncodedItem {
    /// Its file.
    pub file: PathBuf,
    /// Time of its first frame, seconds.
    pub start_secs: f64,
}

/// Tokens of many images or clips.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// What they are of.
    pub items: Vec<EncodedItem>,
    /// Tokens per item; 1 where they are pooled.
    pub tokens: usize,
    /// Width of a token.
    pub width: usize,
    /// `[items, tokens, width]`.
    pub values: Vec<f32>,
}

impl Tokens {
    /// Shape of the values; pooled ones have no dimension of tokens.
    pub fn shape(&self, pooling: Pooling) -> Vec<usize> {
        match pooling {
            Pooling::None => vec![self.items.len(), self.tokens, self.width],
            _ => vec![self.items.len(), self.width],
        }
    }
}

/// Frames and rate of a clip that a recipe uses in evaluation; 4 frames a second for V-JEPA 2, every fourth of 30 for
/// V-JEPA; images one a second.
pub(crate) fn usual_clips(encoder: &VitEncoder, kind: VitKind, frames: Option<usize>, fps: Option<f64>) -> ClipOptions {
    let trained = encoder.config().frames;
    let (usual_frames, usual_rate) = match kind {
        VitKind::Vjepa => (trained.min(16), 7.5),
        VitKind::Vjepa2 | VitKind::Vjepa21 => (trained.min(16), 4.0),
        VitKind::Ijepa | VitKind::Dinov2 => (1, 1.0),
    };
    ClipOptions { frames: frames.unwrap_or(usual_frames), sampling: Sampling::Rate(fps.unwrap_or(usual_rate)) }
}

impl Encoding<'_> {
    /// The encoder.
    fn encoder(&self) -> Result<&VitEncoder> {
        let missing = || Error::MissingPart { path: self.weights.to_path_buf(), part: "an encoder" };
        self.model.encoder().ok_or_else(missing)
    }

    /// Encodes the images and videos at `paths` (files and folders), on the threads of the current rayon pool.
    ///
    /// # Errors
    /// When a file cannot be read, an item has another number of tokens than those before, or tokens that are not
    /// finite, or the result needs more memory than there is.
    pub fn run(&self, paths: &[PathBuf]) -> Result<Tokens> {
        let encoder = self.encoder()?;
        self.clips.validate()?;
        let kind = self.model.config().kind;
        if !kind.takes_clips() && self.clips.frames != 1 {
            mindseye_interface::config::require_range("--frames (images alone)", self.clips.frames, 1, 1)?;
        }
        if self.pooling == Pooling::Class && !encoder.config().class_token {
            return Err(Error::MissingPart { path: self.weights.to_path_buf(), part: "a class token (--pool)" });
        }
        let width = encoder.width();
        let mut all = Tokens { items: Vec::new(), tokens: 0, width, values: Vec::new() };
        for path in paths {
            for input in inputs_at(path)? {
                for_clips(&input, self.model, self.clips, &mut |clip| {
                    let [height, width] = clip.size;
                    let view = Clip { values: &clip.values, frames: clip.frames, height, width };
                    let tokens = self.pooled(encoder, encoder.encode(&view)?);
                    all.add(input.path(), clip.start_secs, &tokens)
                })?;
            }
        }
        Ok(all)
    }

    fn pooled(&self, encoder: &VitEncoder, tokens: Vec<f32>) -> Vec<f32> {
        let width = encoder.width();
        match self.pooling {
            Pooling::None => tokens,
            Pooling::Class => tokens[..width].to_vec(),
            Pooling::Mean => {
                let patches = tokens[encoder.prefix() * width..].chunks_exact(width);
                let count = patches.len().max(1) as f32;
                let mut mean = vec![0.0; width];
                for patch in patches {
                    mean.iter_mut().zip(patch).for_each(|(mean, value)| *mean += value / count);
                }
                mean
            }
        }
    }
}

impl Tokens {
    fn add(&mut self, path: &Path, start_secs: f64, values: &[f32]) -> Result<()> {
        let tokens = values.len() / self.width;
        let broken = values.iter().filter(|value| !value.is_finite()).count();
        if broken > 0 {
            let got = format!("{broken} of {} numbers that are not", values.len());
            return Err(Error::file(path, format!("expected finite tokens, got {got}")));
        }
        if self.items.is_empty() {
            self.tokens = tokens;
        }
        if tokens != self.tokens {
            let expected = self.tokens;
            return Err(Error::file(
                path,
                format!("expected {expected} tokens as the files before have, got {tokens}"),
            ));
        }
        let needed = product(&[self.items.len() + 1, values.len(), 4]);
        MemoryLimit::default().require("tokens", needed)?;
        self.values.extend_from_slice(values);
        self.items.push(EncodedItem { file: path.to_path_buf(), start_secs });
        Ok(())
    }
}
