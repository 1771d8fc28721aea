//! The predictor on plain slices: what plans are rolled out with.

use rayon::prelude::*;

use super::config::Conditioning;
use super::network::PredictorShape;
use crate::Result;
use crate::cancel::Cancel;
use crate::families::vit::BlocksConfig;
use crate::families::vit::blocks::{Blocks, map_rows, norm_rows};
use crate::families::vit::parameters::{Norm, Parameters, linear, missing};
use crate::families::vit::trainable::EPSILON;
use crate::ops::{InferenceLinear, Precision, Visible, with_values};
use crate::parameters::Weights;

/// Weights in memory by their names.
struct InMemory<'a>(&'a Weights);

impl Parameters for InMemory<'_> {
    fn values(&mut self, name: &str) -> Result<Vec<f32>> {
        let weight = self.0.get(name).ok_or_else(|| missing(name))?;
        Ok(with_values(weight, <[f32]>::to_vec)?)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Frames of tokens and the chunks between and after them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sequence<'a> {
    /// `[T, P, D]`.
    pub frames: &'a [f32],
    /// `[T, A]`.
    pub chunks: &'a [f32],
}

/// The predictor, ready to run.
#[derive(Debug, Clone)]
pub(super) struct TokenEngine {
    shape: PredictorShape,
    entry: InferenceLinear,
    action: InferenceLinear,
    blocks: Blocks,
    norm: Norm,
    output: InferenceLinear,
    positions: Vec<f32>,
}

impl TokenEngine {
    /// Copies `weights`, those of the blocks in `precision`.
    pub fn new(shape: &PredictorShape, weights: &Weights, precision: Precision) -> Result<Self> {
        let parameters = &mut InMemory(weights);
        let (width, exact) = (shape.config.width, Precision::F32);
        let config = BlocksConfig {
            width,
            layers: shape.config.layers,
            heads: shape.config.heads,
            hidden: 4 * width,
            qkv_bias: true,
            gated: false,
            layer_scale: false,
            epsilon: EPSILON,
            rotary: None,
        };
        Ok(Self {
            entry: linear(parameters, "predictor.embed", exact)?,
            action: linear(parameters, "predictor.action_encoder", exact)?,
            blocks: Blocks::read(parameters, "predictor.", config, precision)?,
            norm: Norm::read(parameters, "predictor.norm")?,
            output: linear(parameters, "predictor.proj", exact)?,
            positions: shape.positions(),
            shape: shape.clone(),
        })
    }

    /// The tokens that follow the last frame of `sequence`, `[P, D]`.
    pub fn next(&self, sequence: Sequence<'_>) -> Vec<f32> {
        let (tokens, rows) = (self.shape.tokens(), self.shape.rows());
        let (width, pool) = (self.shape.config.width, self.blocks.pool());
        let entered = map_rows(&self.entry, sequence.frames, pool);
        let actions = map_rows(&self.action, sequence.chunks, pool);
        let count = actions.len() / width;
        let mut hidden = Vec::with_capacity(count * rows * width);
        let places = self.positions.chunks_exact(tokens * width);
        let frames = entered.chunks_exact(tokens * width).zip(places).zip(actions.chunks_exact(width));
        let is_token = self.shape.config.conditioning == Conditioning::Token;
        for ((frame, places), action) in frames {
            if is_token {
                hidden.extend_from_slice(action);
            }
            for (token, place) in frame.chunks_exact(width).zip(places.chunks_exact(width)) {
                let placed = token.iter().zip(place).map(|(value, place)| value + place);
                match is_token {
                    true => hidden.extend(placed),
                    false => hidden.extend(placed.zip(action).map(|(value, action)| value + action)),
                }
            }
        }
        self.blocks.run(&mut hidden, None, Visible::Frames(rows), &mut |_, _| {});
        let newest = norm_rows(&self.norm, EPSILON, &hidden[(count * rows - tokens) * width..]);
        let mut next = map_rows(&self.output, &newest, pool);
        let last = &sequence.frames[sequence.frames.len() - next.len()..];
        next.iter_mut().zip(last).for_each(|(value, last)| *value += last);
        next
    }

    /// Rolls `chunks [H, A]` out after `context`, whose chunks are those between its frames, `[T - 1, A]`: `[H, P, D]`.
    pub fn rollout(&self, context: Sequence<'_>, chunks: &[f32], cancel: Cancel<'_>) -> Result<Vec<f32>> {
        let (frame, chunk, most) =
            (self.shape.tokens() * self.shape.width, self.shape.chunk_width, self.shape.config.context);
        let (mut frames, seen) = (context.frames.to_vec(), context.frames.len() / frame);
        let executed = [context.chunks, chunks].concat();
        for step in 0..chunks.len() / chunk {
            cancel.check()?;
            let end = seen + step;
            let first = end.saturating_sub(most);
            let window =
                Sequence { frames: &frames[first * frame..end * frame], chunks: &executed[first * chunk..end * chunk] };
            let next = self.next(window);
            frames.extend_from_slice(&next);
        }
        Ok(frames.split_off(seen * frame))
    }

    /// [`TokenEngine::rollout`] of every plan of `plans [N, H, A]`, on the current rayon pool where `threads` is above
    /// 1.
    pub fn rollouts(
        &self,
        context: Sequence<'_>,
        plans: &[f32],
        plan_len: usize,
        threads: usize,
        cancel: Cancel<'_>,
    ) -> Result<Vec<f32>> {
        let each = |plan: &[f32]| self.rollout(context, plan, cancel);
        let rollouts: Vec<Vec<f32>> = match threads {
            0 | 1 => plans.chunks_exact(plan_len).map(each).collect::<Result<_>>()?,
            _ => plans.par_chunks_exact(plan_len).map(each).collect::<Result<_>>()?,
        };
        Ok(rollouts.concat())
    }
}
