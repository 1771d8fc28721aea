//! Rolling out plans with a LeWM: its predictor on plain slices, without repeating unchanged parts.
//!
//! A plain rollout runs the predictor over all frames of the window for every predicted chunk. Here
//!
//! - keys and values of frames that keep their position are kept (while the window grows; once it slides, all positions
//!   change and nothing can be reused);
//! - in the last layer only the newest frame has a query and goes through the perceptron, the others are keys and
//!   values;
//! - scale, shift and gate of a frame's layers depend on its action alone: they are computed once and used in every
//!   window;
//! - batch norm is folded into the map before it.
//!
//! Every row has the same bits beside any other rows, so the number of threads changes nothing but the time.

use rayon::prelude::*;

use super::engine_weights::{Affine, Layer, Perceptron};
use super::layers::{EPSILON, MODULATED_EPSILON};
use super::network::Lewm;
use crate::cancel::Cancel;
use crate::layers::Linear;
use crate::ops::{
    InferenceLinear, Precision, RoundedRows, affine_norm_rows, attend_one, modulated_norm_rows, silu_in_place,
    vectorised, with_values,
};
use crate::scratch::{BufferPool, group_of, room};
use crate::{Error, Result};

/// Most plans rolled out together: their buffers stay in the second-level cache.
const GROUP: usize = 160;

/// A LeWM's predictor, action encoder and outward projector, ready for rolling out plans.
#[derive(Debug, Clone)]
pub struct LewmEngine {
    width: usize,
    chunk_width: usize,
    history: usize,
    heads: usize,
    inner: usize,
    actions: [InferenceLinear; 3],
    positions: Vec<f32>,
    layers: Vec<Layer>,
    norm: Affine,
    outward: Perceptron,
    pool: BufferPool<Scratch>,
}

/// Buffers of a group of `R` plans (rows). They are used again for the next group: values that were not written are
/// left over from earlier use.
#[derive(Debug, Default)]
struct Scratch {
    /// Embeddings of all frames, `[F, R, D]`.
    frames: Vec<f32>,
    /// Scales, shifts and gates of all frames and layers, `[F, L, R, 6 D]`.
    modulations: Vec<f32>,
    /// Keys and values of the frames in the window, by layer, `[T, R, 2 I]`.
    kept: Vec<Vec<f32>>,
    chunks: Vec<f32>,
    hidden: Vec<f32>,
    normal: Vec<f32>,
    queries: Vec<f32>,
    mixed: Vec<f32>,
    wide: Vec<f32>,
    narrow: Vec<f32>,
    rounded: RoundedRows,
}

impl LewmEngine {
    /// Copies the weights of `model` that rollouts need.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(model: &Lewm) -> Result<Self> {
        Self::with_precision(model, Precision::F32)
    }

    /// Copies the weights of `model` that rollouts need, those of the layers in `precision` (action encoder and
    /// projector stay exact).
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn with_precision(model: &Lewm, precision: Precision) -> Result<Self> {
        let (predictor, config) = (&model.predictor, &model.config.predictor);
        let (width, inner) = (model.config.width(), config.heads * config.head_width);
        let exact = |linear: &Linear| linear.packed(Precision::F32);
        let unbiased = |weight: &[f32]| InferenceLinear::new(weight, &vec![0.0; weight.len() / width], precision);
        let mut layers = Vec::with_capacity(predictor.layers.len());
        for layer in &predictor.layers {
            let query_key_value = with_values(&layer.query_key_value, <[f32]>::to_vec)?;
            let (query, key_value) = query_key_value.split_at(inner * width);
            layers.push(Layer {
                modulation: layer.modulation.packed(precision)?,
                attention_norm: Affine::of(&layer.attention_norm)?,
                query: unbiased(query),
                key_value: unbiased(key_value),
                output: layer.output.packed(precision)?,
                perceptron_norm: Affine::of(&layer.perceptron_norm)?,
                perceptron: Perceptron::of(&layer.widen, &layer.narrow, precision)?,
            });
        }
        let actions = &model.actions;
        Ok(Self {
            width,
            chunk_width: model.config.action.chunk_width,
            history: config.history,
            heads: config.heads,
            inner,
            actions: [exact(&actions.smooth)?, exact(&actions.widen)?, exact(&actions.narrow)?],
            positions: with_values(&predictor.positions, <[f32]>::to_vec)?,
            layers,
            norm: Affine::of(&predictor.norm)?,
            outward: Perceptron::folded(&model.outward)?,
            pool: BufferPool::default(),
        })
    }

    /// Width `D` of an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Width `A` of an action chunk.
    pub fn chunk_width(&self) -> usize {
        self.chunk_width
    }

    /// Rolls `plans [N, H, A]` out after the frames `context [C, D]`, between which the chunks `past [C - 1, A]` were
    /// executed; the embeddings after every chunk, `[N, H, D]`. Chunks are standardised as in training. On `threads` >
    /// 1 groups of plans are divided over the current rayon pool; the result is the same.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn rollout(
        &self,
        context: &[f32],
        past: &[f32],
        plans: &[f32],
        horizon: usize,
        threads: usize,
    ) -> Result<Vec<f32>> {
        self.rollout_until(context, past, plans, horizon, threads, Cancel::never())
    }

    /// The same, as long as it is wanted.
    ///
    /// # Errors
    /// As [`LewmEngine::rollout`], and [`Error::Cancelled`].
    pub fn rollout_until(
        &self,
        context: &[f32],
        past: &[f32],
        plans: &[f32],
        horizon: usize,
        threads: usize,
        cancel: Cancel<'_>,
    ) -> Result<Vec<f32>> {
        let (plan_len, seen) = (horizon * self.chunk_width, context.len() / self.width);
        let fits = seen > 0
            && context.len() == seen * self.width
            && past.len() == (seen - 1) * self.chunk_width
            && plan_len > 0
            && plans.len().is_multiple_of(plan_len);
        if !fits {
            let (width, chunk) = (self.width, self.chunk_width);
            let (context, past, plans) = (context.len(), past.len(), plans.len());
            return Err(Error::Shape {
                operation: "rollout",
                expected: format!("frames of {width} values, a chunk of {chunk} between two, plans of {plan_len}"),
                got: format!("{context} values of frames, {past} of chunks, {plans} of plans"),
            });
        }
        let rollout_len = horizon * self.width;
        let mut rollouts = vec![0.0; plans.len() / plan_len * rollout_len];
        let group = group_of(plans.len() / plan_len, threads, GROUP);
        let (plan_group, rollout_group) = (group * plan_len, group * rollout_len);
        let roll = |(plans, rollouts): (&[f32], &mut [f32])| {
            self.pool.lend(|scratch| self.roll_group((context, past), plans, horizon, rollouts, scratch, cancel))
        };
        if threads > 1 {
            plans.par_chunks(plan_group).zip(rollouts.par_chunks_mut(rollout_group)).try_for_each(roll)?;
        } else {
            plans.chunks(plan_group).zip(rollouts.chunks_mut(rollout_group)).try_for_each(roll)?;
        }
        Ok(rollouts)
    }

    /// Floating-point operations of the matrix products of one plan of `horizon` chunks after `seen` frames.
    pub fn operations(&self, seen: usize, horizon: usize) -> f64 {
        let modulation: f64 = self.layers.iter().map(|layer| layer.modulation.operations()).sum();
        let of_action = self.actions.iter().map(InferenceLinear::operations).sum::<f64>() + modulation;
        let of_query =
            |layer: &Layer| layer.query.operations() + layer.output.operations() + layer.perceptron.operations();
        let mut operations = (seen - 1 + horizon) as f64 * of_action;
        for newest in seen - 1..seen - 1 + horizon {
            let slides = newest + 1 > self.history || newest + 1 == seen;
            let fresh = if slides { (newest + 1).min(self.history) } else { 1 } as f64;
            for (index, layer) in self.layers.iter().enumerate() {
                let queries = if index + 1 == self.layers.len() { 1.0 } else { fresh };
                operations += fresh * layer.key_value.operations() + queries * of_query(layer);
            }
            operations += self.outward.operations();
        }
        operations
    }

    fn roll_group(
        &self,
        (context, past): (&[f32], &[f32]),
        plans: &[f32],
        horizon: usize,
        rollouts: &mut [f32],
        scratch: &mut Scratch,
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let (rows, width, chunk_width) = (plans.len() / (horizon * self.chunk_width), self.width, self.chunk_width);
        let seen = context.len() / width;
        let frame_len = rows * width;
        let frames = room(&mut scratch.frames, (seen + horizon) * frame_len);
        for (frame, embeddings) in context.chunks_exact(width).zip(frames.chunks_exact_mut(frame_len)) {
            embeddings.chunks_exact_mut(width).for_each(|embedding| embedding.copy_from_slice(frame));
        }
        room(&mut scratch.modulations, (seen - 1 + horizon) * self.layers.len() * 6 * frame_len);
        scratch.kept.resize(self.layers.len(), Vec::new());
        for kept in &mut scratch.kept {
            room(kept, self.history.min(seen - 1 + horizon) * rows * 2 * self.inner);
        }
        for (frame, chunk) in past.chunks_exact(chunk_width).enumerate() {
            scratch.chunks.clear();
            (0..rows).for_each(|_| scratch.chunks.extend_from_slice(chunk));
            self.modulate(frame, scratch);
        }
        let mut window = None;
        for step in 0..horizon {
            cancel.check()?;
            let newest = seen - 1 + step;
            scratch.chunks.clear();
            for plan in plans.chunks_exact(horizon * chunk_width) {
                scratch.chunks.extend_from_slice(&plan[step * chunk_width..(step + 1) * chunk_width]);
            }
            self.modulate(newest, scratch);
            window = Some(self.predict(rows, newest, window, scratch));
            let next = &scratch.frames[(newest + 1) * frame_len..(newest + 2) * frame_len];
            for (rollout, frame) in rollouts.chunks_exact_mut(horizon * width).zip(next.chunks_exact(width)) {
                rollout[step * width..(step + 1) * width].copy_from_slice(frame);
            }
        }
        Ok(())
    }

    /// Writes scales, shifts and gates for the action chunks `scratch.chunks [R, A]` that follow frame `frame`.
    fn modulate(&self, frame: usize, scratch: &mut Scratch) {
        let [smooth, widen, narrow] = &self.actions;
        let Scratch { chunks, wide, mixed, modulations, rounded, .. } = scratch;
        let wide = widen.write(smooth.write(chunks, mixed, rounded), wide, rounded);
        silu_in_place(wide);
        let mixed = narrow.write(wide, mixed, rounded);
        silu_in_place(mixed);
        let of_layer = mixed.len() * 6;
        let modulations = modulations[frame * self.layers.len() * of_layer..].chunks_exact_mut(of_layer);
        for (layer, modulations) in self.layers.iter().zip(modulations) {
            layer.modulation.apply(mixed, modulations, false, rounded);
        }
    }

    /// Writes the embeddings `[R, D]` after frame `newest` to `scratch.frames`. `before` is the first frame of the
    /// window that the keys and values in `scratch.kept` belong to, if any. Gives the first frame of the new window.
    fn predict(&self, rows: usize, newest: usize, before: Option<usize>, scratch: &mut Scratch) -> usize {
        let Scratch { frames, modulations, kept, hidden, normal, queries, mixed, wide, narrow, rounded, .. } = scratch;
        let (width, count) = (self.width, self.layers.len());
        let (frame_len, modulation_len, kept_len) = (rows * width, rows * 6 * width, rows * 2 * self.inner);
        let window = (newest + 1).saturating_sub(self.history);
        let first = if before == Some(window) { newest } else { window };
        let mut hidden = room(hidden, (newest + 1 - first) * frame_len);
        for (frame, hidden) in (first..).zip(hidden.chunks_exact_mut(frame_len)) {
            let position = &self.positions[(frame - window) * width..][..width];
            let embeddings = frames[frame * frame_len..(frame + 1) * frame_len].chunks_exact(width);
            for (hidden, embedding) in hidden.chunks_exact_mut(width).zip(embeddings) {
                let sums = embedding.iter().zip(position).map(|(value, position)| value + position);
                hidden.iter_mut().zip(sums).for_each(|(hidden, sum)| *hidden = sum);
            }
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let of_frame = |frame: usize| &modulations[(frame * count + index) * modulation_len..][..modulation_len];
            let all: Vec<&[f32]> = (first..=newest).map(of_frame).collect();
            let normal_rows = room(normal, hidden.len());
            self.normalise(hidden, &all, 0, &layer.attention_norm, normal_rows);
            let fresh = &mut kept[index][(first - window) * kept_len..(newest + 1 - window) * kept_len];
            layer.key_value.apply(normal_rows, fresh, false, rounded);
            // In the last layer only the newest frame continues.
            let first_query = if index + 1 == count { newest } else { first };
            let skipped = first_query - first;
            hidden = &mut hidden[skipped * frame_len..];
            let queries = layer.query.write(&normal_rows[skipped * frame_len..], queries, rounded);
            let mixed = room(mixed, queries.len());
            self.attend(rows, first_query - window, &kept[index], queries, mixed);
            self.add_gated(hidden, &all[skipped..], 2, layer.output.write(mixed, narrow, rounded));
            let normal_rows = room(normal, hidden.len());
            self.normalise(hidden, &all[skipped..], 3, &layer.perceptron_norm, normal_rows);
            let change = room(narrow, hidden.len());
            layer.perceptron.apply(normal_rows, change, wide, rounded);
            self.add_gated(hidden, &all[skipped..], 5, change);
        }
        let normal = room(normal, frame_len);
        affine_norm_rows(hidden, normal, &self.norm.scale, &self.norm.shift, EPSILON);
        let next = &mut frames[(newest + 1) * frame_len..(newest + 2) * frame_len];
        self.outward.apply(normal, next, wide, rounded);
        window
    }

    /// Both norms before a half of a layer: with the action's shift (vector `vector` of its six) and scale (the next),
    /// then the layer's own.
    fn normalise(&self, hidden: &[f32], modulations: &[&[f32]], vector: usize, norm: &Affine, output: &mut [f32]) {
        let width = self.width;
        let frames = hidden.len() / modulations.len();
        let parts = hidden.chunks_exact(frames).zip(output.chunks_exact_mut(frames)).zip(modulations);
        for ((hidden, output), modulation) in parts {
            let rows = hidden.chunks_exact(width).zip(output.chunks_exact_mut(width));
            for ((row, output), six) in rows.zip(modulation.chunks_exact(6 * width)) {
                let (shift, scale) = six[vector * width..(vector + 2) * width].split_at(width);
                modulated_norm_rows(
                    row,
                    output,
                    (scale, shift),
                    MODULATED_EPSILON,
                    (&norm.scale, &norm.shift),
                    EPSILON,
                );
            }
        }
    }

    /// `hidden += gate * change`, the gate being vector `vector` of the six.
    fn add_gated(&self, hidden: &mut [f32], modulations: &[&[f32]], vector: usize, change: &[f32]) {
        let width = self.width;
        let frames = hidden.len() / modulations.len();
        vectorised(
            #[inline(always)]
            || {
                let parts = hidden.chunks_exact_mut(frames).zip(change.chunks_exact(frames)).zip(modulations);
                for ((hidden, change), modulation) in parts {
                    let rows = hidden.chunks_exact_mut(width).zip(change.chunks_exact(width));
                    for ((row, change), six) in rows.zip(modulation.chunks_exact(6 * width)) {
                        let gate = &six[vector * width..(vector + 1) * width];
                        let changes = gate.iter().zip(change);
                        for (value, (gate, change)) in row.iter_mut().zip(changes) {
                            *value += gate * change;
                        }
                    }
                }
            },
        );
    }

    /// Attention of the `queries [T, R, I]`, of the frames from position `first` of the window on, to `key_values`:
    /// `mixed [T, R, I]`.
    fn attend(&self, rows: usize, first: usize, key_values: &[f32], queries: &[f32], mixed: &mut [f32]) {
        let (inner, head) = (self.inner, self.inner / self.heads);
        let frames = queries.chunks_exact(rows * inner).zip(mixed.chunks_exact_mut(rows * inner));
        for (token, (queries, mixed)) in frames.enumerate() {
            let seen = &key_values[..(first + token + 1) * rows * 2 * inner];
            for (row, (query, output)) in queries.chunks_exact(inner).zip(mixed.chunks_exact_mut(inner)).enumerate() {
                let of_row = seen.chunks_exact(rows * 2 * inner).map(|frame| &frame[row * 2 * inner..][..2 * inner]);
                attend_one(query, of_row, head, output);
            }
        }
    }
}
