//! Recorded episodes as a world model sees them.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Result, bail};
use mindseye_episodes::{CacheOptions, FrameCache};
use mindseye_interface::{ActionSpace, ImageSize};
use mindseye_world_model::encoder::Sensed;
use mindseye_world_model::{Checkpoint, LatentEpisodes};
use rayon::prelude::*;

use crate::progress::Meter;
use crate::sources::Sources;

/// Moments encoded at a time.
const CHUNK: usize = 256;

/// Latents of recorded episodes, one action block apart.
#[derive(Debug)]
pub struct Recorded {
    /// `[F, D]`.
    latents: Vec<f32>,
    /// The action block after every moment, `[F, A]`; of an episode's last moment zeros where there were fewer actions.
    blocks: Vec<f32>,
    /// Width `D`.
    pub width: usize,
    block_width: usize,
    /// True states `[F, K]`.
    states: Vec<f32>,
    /// Names of the true state's dimensions; none where nobody recorded it.
    pub state_names: Vec<String>,
    /// The moments of every episode of two and more.
    pub episodes: Vec<Range<usize>>,
}

impl Recorded {
    /// The episodes of the data sets at `data`, seen by the model of `checkpoint`.
    ///
    /// # Errors
    /// When a data set is broken, does not fit the model, or has no episode of at least two blocks.
    pub fn open(checkpoint: &Checkpoint, data: &[PathBuf]) -> Result<Self> {
        let model = &checkpoint.config.model;
        let sources = Sources::open(data, &[], &[])?;
        let side = model.image_side;
        let options = CacheOptions {
            image_size: Some(ImageSize::new(model.cameras * side, side)?),
            stride: model.action_block,
            ..CacheOptions::default()
        };
        let meter = Meter::new("decode", sources.frames(), "frames");
        let mut cache = sources.load(&options, &|done| meter.set(done, String::new))?;
        drop(meter);
        if sources.sidecar()?.is_none() {
            let ActionSpace { low, high, .. } = &checkpoint.config.action_space;
            let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
            cache.scale_actions(&narrow(low), &narrow(high)); // as in training
        }
        let (mut moments, mut episodes) = (Vec::new(), Vec::new());
        for episode in cache.episodes() {
            let first = moments.len();
            moments.extend(episode.clone().filter(|&moment| cache.has_picture(moment)));
            if moments.len() - first > 1 {
                episodes.push(first..moments.len());
            }
        }
        if episodes.is_empty() {
            bail!("{}: expected episodes of at least two blocks, got none", sources.path().display());
        }
        let latents = encode(checkpoint, &cache, &moments)?;
        let blocks = blocks(&cache, &moments, model.action_block);
        let states = moments.iter().flat_map(|&moment| cache.state(moment)).copied().collect();
        let state_names = cache.state_names().to_vec();
        Ok(Self {
            latents,
            blocks,
            width: model.latent_width,
            block_width: model.block_width(),
            states,
            state_names,
            episodes,
        })
    }

    /// The same for parts that learn from latents and blocks.
    ///
    /// # Errors
    /// None so far: there is a block for every latent.
    pub fn into_episodes(self) -> Result<LatentEpisodes> {
        Ok(LatentEpisodes::new(self.latents, self.blocks, (self.width, self.block_width), self.episodes)?)
    }

    /// The latent `[D]` of a moment.
    pub fn latent(&self, moment: usize) -> &[f32] {
        &self.latents[moment * self.width..(moment + 1) * self.width]
    }

    /// The action block `[A]` after a moment.
    pub fn block(&self, moment: usize) -> &[f32] {
        &self.blocks[moment * self.block_width..(moment + 1) * self.block_width]
    }

    /// The true state `[K]` at a moment; empty where nobody recorded it.
    pub fn state(&self, moment: usize) -> &[f32] {
        let width = self.state_names.len();
        &self.states[moment * width..(moment + 1) * width]
    }
}

/// Latents of moments with pictures.
fn encode(checkpoint: &Checkpoint, cache: &FrameCache, moments: &[usize]) -> Result<Vec<f32>> {
    let feels = checkpoint.config.model.proprioception_width > 0;
    let encode = |chunk: &[usize]| -> Result<Vec<f32>> {
        let pictures: Vec<u8> = chunk.iter().flat_map(|&moment| cache.picture(moment)).copied().collect();
        let felt = |&moment: &usize| if feels { cache.proprioception_at(moment) } else { &[] };
        let proprioception: Vec<f32> = chunk.iter().flat_map(felt).copied().collect();
        Ok(checkpoint.model.encode(Sensed { pictures: &pictures, proprioception: &proprioception })?)
    };
    let parts: Vec<Vec<f32>> = moments.par_chunks(CHUNK).map(encode).collect::<Result<_>>()?;
    Ok(parts.concat())
}

/// The actions of `steps` control steps after each of `moments`, zeros beyond the end of an episode.
fn blocks(cache: &FrameCache, moments: &[usize], steps: usize) -> Vec<f32> {
    let width = cache.action_width();
    let mut blocks = Vec::with_capacity(moments.len() * steps * width);
    for episode in cache.episodes() {
        let first = moments.partition_point(|&moment| moment < episode.start);
        let end = moments.partition_point(|&moment| moment < episode.end);
        for &moment in &moments[first..end] {
            let known = &cache.actions()[moment * width..(moment + steps).min(episode.end) * width];
            blocks.extend_from_slice(known);
            blocks.resize(blocks.len() + steps * width - known.len(), 0.0);
        }
    }
    blocks
}
