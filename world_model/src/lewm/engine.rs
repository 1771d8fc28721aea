//! Rolling out plans with a LeWM: its predictor on plain slices, without repeating what has not changed.
//!
//! The plain way runs the predictor over all frames in sight for every imagined block. Here
//!
//! - keys and values of frames that keep their position are kept (while the window grows; once it slides, positions begin anew and
//!   nothing of it can be reused);
//! - in the last layer only the newest frame asks and goes through the perceptron, the others are keys and values;
//! - scale, shift and gate of a frame's layers depend on its action alone: computed once, used in every window;
//! - batch norm is folded into the map before it.
//!
//! Every row has the same bits whatever rows stand beside it, so the number of threads changes nothing but the time.

use rayon::prelude::*;

use super::Lewm;
use super::layers::{EPSILON, MODULATED_EPSILON, Norm, Projector};
use crate::layers::Linear;
use crate::ops::{
    Map, Precision, Rounded, affine_norm_rows, attend_one, gelu_in_place, modulated_norm_rows, silu_in_place,
    vectorised, with_values,
};
use crate::scratch::{Spare, group_of, room};
use crate::{Error, Result};

/// Most plans rolled out together: what they need stays in the second-level cache.
const GROUP: usize = 160;
/// Hidden units of a perceptron at a time.
const UNITS: usize = 256;

#[derive(Debug, Clone)]
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Affine {
    fn of(norm: &Norm) -> Result<Self> {
        Ok(Self {
            scale: with_values(&norm.scale, <[f32]>::to_vec)?,
            shift: with_values(&norm.shift, <[f32]>::to_vec)?,
        })
    }
}

#[derive(Debug, Clone)]
struct Layer {
    modulation: Map,
    attention_norm: Affine,
    query: Map,
    key_value: Map,
    output: Map,
    perceptron_norm: Affine,
    perceptron: Perceptron,
}

/// Two maps with GELU between them, by parts of the hidden units: what a part holds of a group stays in the second-level cache.
#[derive(Debug, Clone)]
struct Perceptron {
    /// Into some hidden units and out of them.
    parts: Vec<(Map, Map)>,
}

impl Perceptron {
    /// `widen [K, D]` and `narrow [D, K]` with biases, row-major.
    fn new(widen: (&[f32], &[f32]), narrow: (&[f32], &[f32]), precision: Precision) -> Self {
        let (hidden, width) = (widen.1.len(), narrow.1.len());
        let parts = (0..hidden).step_by(UNITS).map(|first| {
            let last = (first + UNITS).min(hidden);
            let into = Map::new(&widen.0[first * width..last * width], &widen.1[first..last], precision);
            let columns: Vec<f32> =
                narrow.0.chunks_exact(hidden).flat_map(|row| row[first..last].iter().copied()).collect();
            let bias = if first == 0 { narrow.1.to_vec() } else { vec![0.0; width] };
            (into, Map::new(&columns, &bias, precision))
        });
        Self { parts: parts.collect() }
    }

    fn of(widen: &Linear, narrow: &Linear, precision: Precision) -> Result<Self> {
        let [into, into_bias, out, out_bias] = [&widen.weight, &widen.bias, &narrow.weight, &narrow.bias]
            .map(|tensor| with_values(tensor, <[f32]>::to_vec));
        Ok(Self::new((&into?, &into_bias?), (&out?, &out_bias?), precision))
    }

    /// Writes what becomes of `input [N, D]` to `output`; `hidden` and `rounded` are memory to work in.
    fn apply(&self, input: &[f32], output: &mut [f32], hidden: &mut Vec<f32>, rounded: &mut Rounded) {
        for (index, (widen, narrow)) in self.parts.iter().enumerate() {
            let hidden = widen.write(input, hidden, rounded);
            gelu_in_place(hidden);
            narrow.apply(hidden, output, index > 0, rounded);
        }
    }

    fn operations(&self) -> f64 {
        self.parts.iter().map(|(widen, narrow)| widen.operations() + narrow.operations()).sum()
    }
}

/// A LeWM's predictor, action encoder and outward projector, ready for rolling out plans.
#[derive(Debug, Clone)]
pub struct LewmEngine {
    width: usize,
    block_width: usize,
    history: usize,
    heads: usize,
    inner: usize,
    actions: [Map; 3],
    positions: Vec<f32>,
    layers: Vec<Layer>,
    norm: Affine,
    outward: Perceptron,
    /// Scratch memory that no group is using.
    spare: Spare<Scratch>,
}

/// What a group of plans has at hand while it is rolled out; `R` rows (plans). Kept for the next group: memory is taken once, and what
/// it holds is left over from before wherever it has not been written.
#[derive(Debug, Default)]
struct Scratch {
    /// Embeddings of all frames, `[F, R, D]`.
    frames: Vec<f32>,
    /// Scales, shifts and gates of all frames and layers, `[F, L, R, 6 D]`.
    modulations: Vec<f32>,
    /// Keys and values of the frames in the window, by layer, `[T, R, 2 I]`.
    kept: Vec<Vec<f32>>,
    blocks: Vec<f32>,
    hidden: Vec<f32>,
    normal: Vec<f32>,
    queries: Vec<f32>,
    mixed: Vec<f32>,
    wide: Vec<f32>,
    narrow: Vec<f32>,
    rounded: Rounded,
}

impl LewmEngine {
    /// Copies what rolling out needs of `model`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(model: &Lewm) -> Result<Self> {
        Self::with_precision(model, Precision::F32)
    }

    /// Copies what rolling out needs of `model`, the layers' weights in `precision` (those of action encoder and projector stay exact).
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn with_precision(model: &Lewm, precision: Precision) -> Result<Self> {
        let (predictor, config) = (&model.predictor, &model.config.predictor);
        let (width, inner) = (model.config.width(), config.heads * config.head_width);
        let exact = |linear: &Linear| linear.packed(Precision::F32);
        let unbiased = |weight: &[f32]| Map::new(weight, &vec![0.0; weight.len() / width], precision);
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
            block_width: model.config.action.block_width,
            history: config.history,
            heads: config.heads,
            inner,
            actions: [exact(&actions.smooth)?, exact(&actions.widen)?, exact(&actions.narrow)?],
            positions: with_values(&predictor.positions, <[f32]>::to_vec)?,
            layers,
            norm: Affine::of(&predictor.norm)?,
            outward: folded(&model.outward)?,
            spare: Spare::default(),
        })
    }

    /// Width `D` of an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Width `A` of an action block.
    pub fn block_width(&self) -> usize {
        self.block_width
    }

    /// Rolls `plans [N, H, A]` out after `context [C, D]`, between whose frames the blocks `past [C - 1, A]` were done; the embeddings
    /// after every block, `[N, H, D]`. Blocks are standardised as in training. On `threads` > 1 groups of plans are shared out on the
    /// current rayon pool; the result is the same.
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
        let (plan_len, seen) = (horizon * self.block_width, context.len() / self.width);
        let fits = seen > 0
            && context.len() == seen * self.width
            && past.len() == (seen - 1) * self.block_width
            && plan_len > 0
            && plans.len().is_multiple_of(plan_len);
        if !fits {
            let (width, block) = (self.width, self.block_width);
            let (context, past, plans) = (context.len(), past.len(), plans.len());
            return Err(Error::Shape {
                operation: "rollout",
                expected: format!("frames of {width} values, a block of {block} between two, plans of {plan_len}"),
                got: format!("{context} values of frames, {past} of blocks, {plans} of plans"),
            });
        }
        let rollout_len = horizon * self.width;
        let mut rollouts = vec![0.0; plans.len() / plan_len * rollout_len];
        let group = group_of(plans.len() / plan_len, threads, GROUP);
        let (plan_group, rollout_group) = (group * plan_len, group * rollout_len);
        let roll = |(plans, rollouts): (&[f32], &mut [f32])| {
            self.spare.lend(|scratch| self.roll_group(context, past, plans, horizon, rollouts, scratch));
        };
        if threads > 1 {
            plans.par_chunks(plan_group).zip(rollouts.par_chunks_mut(rollout_group)).for_each(roll);
        } else {
            plans.chunks(plan_group).zip(rollouts.chunks_mut(rollout_group)).for_each(roll);
        }
        Ok(rollouts)
    }

    /// Floating-point operations of the matrix products of one plan of `horizon` blocks after `seen` frames.
    pub fn operations(&self, seen: usize, horizon: usize) -> f64 {
        let modulation: f64 = self.layers.iter().map(|layer| layer.modulation.operations()).sum();
        let of_action = self.actions.iter().map(Map::operations).sum::<f64>() + modulation;
        let asking =
            |layer: &Layer| layer.query.operations() + layer.output.operations() + layer.perceptron.operations();
        let mut operations = (seen - 1 + horizon) as f64 * of_action;
        for newest in seen - 1..seen - 1 + horizon {
            let slides = newest + 1 > self.history || newest + 1 == seen;
            let fresh = if slides { (newest + 1).min(self.history) } else { 1 } as f64;
            for (index, layer) in self.layers.iter().enumerate() {
                let asked = if index + 1 == self.layers.len() { 1.0 } else { fresh };
                operations += fresh * layer.key_value.operations() + asked * asking(layer);
            }
            operations += self.outward.operations();
        }
        operations
    }

    fn roll_group(
        &self,
        context: &[f32],
        past: &[f32],
        plans: &[f32],
        horizon: usize,
        rollouts: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (rows, width, block_width) = (plans.len() / (horizon * self.block_width), self.width, self.block_width);
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
        for (frame, block) in past.chunks_exact(block_width).enumerate() {
            scratch.blocks.clear();
            (0..rows).for_each(|_| scratch.blocks.extend_from_slice(block));
            self.modulate(frame, scratch);
        }
        let mut window = None;
        for step in 0..horizon {
            let newest = seen - 1 + step;
            scratch.blocks.clear();
            for plan in plans.chunks_exact(horizon * block_width) {
                scratch.blocks.extend_from_slice(&plan[step * block_width..(step + 1) * block_width]);
            }
            self.modulate(newest, scratch);
            window = Some(self.predict(rows, newest, window, scratch));
            let next = &scratch.frames[(newest + 1) * frame_len..(newest + 2) * frame_len];
            for (rollout, frame) in rollouts.chunks_exact_mut(horizon * width).zip(next.chunks_exact(width)) {
                rollout[step * width..(step + 1) * width].copy_from_slice(frame);
            }
        }
    }

    /// Scales, shifts and gates that follow from the action blocks `scratch.blocks [R, A]` leaving frame `frame`.
    fn modulate(&self, frame: usize, scratch: &mut Scratch) {
        let [smooth, widen, narrow] = &self.actions;
        let Scratch { blocks, wide, mixed, modulations, rounded, .. } = scratch;
        let wide = widen.write(smooth.write(blocks, mixed, rounded), wide, rounded);
        silu_in_place(wide);
        let mixed = narrow.write(wide, mixed, rounded);
        silu_in_place(mixed);
        let of_layer = mixed.len() * 6;
        let modulations = modulations[frame * self.layers.len() * of_layer..].chunks_exact_mut(of_layer);
        for (layer, modulations) in self.layers.iter().zip(modulations) {
            layer.modulation.apply(mixed, modulations, false, rounded);
        }
    }

    /// Writes the embeddings `[R, D]` after frame `newest` to `scratch.frames`. `before` is the first frame of the window that the keys
    /// and values in `scratch.kept` belong to, if any; gives that of now.
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
            // In the last layer only the newest frame goes on.
            let asking = if index + 1 == count { newest } else { first };
            let skipped = asking - first;
            hidden = &mut hidden[skipped * frame_len..];
            let queries = layer.query.write(&normal_rows[skipped * frame_len..], queries, rounded);
            let mixed = room(mixed, queries.len());
            self.attend(rows, asking - window, &kept[index], queries, mixed);
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

    /// Both norms before a half of a layer: under the action's shift (vector `vector` of its six) and scale (the next), then the layer's own.
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

    /// What the asking frames, from position `first` of the window on, see with their `queries [T, R, I]` of the frames' `key_values`:
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

/// A projector, with its batch norm folded into the map before it.
fn folded(projector: &Projector) -> Result<Perceptron> {
    let inputs = projector.widen.weight.dim(1)?;
    let values = |tensor| with_values(tensor, <[f32]>::to_vec);
    let (mut weight, mut bias) = (values(&projector.widen.weight)?, values(&projector.widen.bias)?);
    let (scale, shift) = (values(&projector.scale)?, values(&projector.shift)?);
    let (mean, variance) = (values(&projector.mean)?, values(&projector.variance)?);
    for (index, row) in weight.chunks_exact_mut(inputs).enumerate() {
        let factor = scale[index] / (variance[index] + EPSILON).sqrt();
        row.iter_mut().for_each(|weight| *weight *= factor);
        bias[index] = (bias[index] - mean[index]) * factor + shift[index];
    }
    let narrow = (values(&projector.narrow.weight)?, values(&projector.narrow.bias)?);
    Ok(Perceptron::new((&weight, &bias), (&narrow.0, &narrow.1), Precision::F32))
}
