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
//! Plans are split into groups of a fixed size, so the number of threads changes nothing but the time.

use rayon::prelude::*;

use super::Lewm;
use super::layers::{EPSILON, MODULATED_EPSILON, Norm, Projector};
use crate::layers::Linear;
use crate::ops::{
    PackedLinear, affine_norm_rows, attend_one, gelu_in_place, modulated_norm_rows, silu_in_place, with_values,
};
use crate::{Error, Result};

/// Plans rolled out together.
const GROUP: usize = 64;

/// An affine map `[N, I]` → `[N, O]`.
#[derive(Debug, Clone)]
struct Map(PackedLinear);

impl Map {
    fn of(linear: &Linear) -> Result<Self> {
        let bias = with_values(&linear.bias, <[f32]>::to_vec)?;
        Ok(Self(with_values(&linear.weight, |weight| PackedLinear::new(weight, &bias))?))
    }

    /// The map of `weight [O, I]` without a bias.
    fn unbiased(weight: &[f32], inputs: usize) -> Self {
        Self(PackedLinear::new(weight, &vec![0.0; weight.len() / inputs]))
    }

    /// Writes the map of `input` over `output`, which gets the right length.
    fn apply(&self, input: &[f32], output: &mut Vec<f32>) {
        output.resize(input.len() / self.0.inputs() * self.0.outputs(), 0.0);
        self.0.apply(input, output, false);
    }

    /// Floating-point operations per row.
    fn operations(&self) -> f64 {
        (2 * self.0.inputs() * self.0.outputs()) as f64
    }
}

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
    widen: Map,
    narrow: Map,
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
    outward: [Map; 2],
}

/// What a group of plans has at hand while it is rolled out; `R` rows (plans).
#[derive(Default)]
struct Scratch {
    /// Embeddings of all frames so far, each `[R, D]`.
    frames: Vec<Vec<f32>>,
    /// Scales, shifts and gates of each frame and layer, `[R, 6 D]`.
    modulations: Vec<Vec<Vec<f32>>>,
    /// Keys and values of the frames in the window, by layer, each `[R, 2 I]`.
    kept: Vec<Vec<Vec<f32>>>,
    /// The first frame of the window that `kept` belongs to.
    window: usize,
    hidden: Vec<f32>,
    normal: Vec<f32>,
    queries: Vec<f32>,
    mixed: Vec<f32>,
    wide: Vec<f32>,
    narrow: Vec<f32>,
}

impl LewmEngine {
    /// Copies what rolling out needs of `model`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(model: &Lewm) -> Result<Self> {
        let (predictor, config) = (&model.predictor, &model.config.predictor);
        let (width, inner) = (model.config.width(), config.heads * config.head_width);
        let mut layers = Vec::with_capacity(predictor.layers.len());
        for layer in &predictor.layers {
            let query_key_value = with_values(&layer.query_key_value, <[f32]>::to_vec)?;
            let (query, key_value) = query_key_value.split_at(inner * width);
            layers.push(Layer {
                modulation: Map::of(&layer.modulation)?,
                attention_norm: Affine::of(&layer.attention_norm)?,
                query: Map::unbiased(query, width),
                key_value: Map::unbiased(key_value, width),
                output: Map::of(&layer.output)?,
                perceptron_norm: Affine::of(&layer.perceptron_norm)?,
                widen: Map::of(&layer.widen)?,
                narrow: Map::of(&layer.narrow)?,
            });
        }
        let actions = &model.actions;
        Ok(Self {
            width,
            block_width: model.config.action.block_width,
            history: config.history,
            heads: config.heads,
            inner,
            actions: [Map::of(&actions.smooth)?, Map::of(&actions.widen)?, Map::of(&actions.narrow)?],
            positions: with_values(&predictor.positions, <[f32]>::to_vec)?,
            layers,
            norm: Affine::of(&predictor.norm)?,
            outward: [folded(&model.outward)?, Map::of(&model.outward.narrow)?],
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
        let (plan_group, rollout_group) = (GROUP * plan_len, GROUP * rollout_len);
        let roll = |(plans, rollouts): (&[f32], &mut [f32])| self.roll_group(context, past, plans, horizon, rollouts);
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
        let asking = |layer: &Layer| {
            [&layer.query, &layer.output, &layer.widen, &layer.narrow].map(Map::operations).iter().sum::<f64>()
        };
        let outward: f64 = self.outward.iter().map(Map::operations).sum();
        let mut operations = (seen - 1 + horizon) as f64 * of_action;
        for newest in seen - 1..seen - 1 + horizon {
            let slides = newest + 1 > self.history || newest + 1 == seen;
            let fresh = if slides { (newest + 1).min(self.history) } else { 1 } as f64;
            for (index, layer) in self.layers.iter().enumerate() {
                let asked = if index + 1 == self.layers.len() { 1.0 } else { fresh };
                operations += fresh * layer.key_value.operations() + asked * asking(layer);
            }
            operations += outward;
        }
        operations
    }

    fn roll_group(&self, context: &[f32], past: &[f32], plans: &[f32], horizon: usize, rollouts: &mut [f32]) {
        let rows = plans.len() / (horizon * self.block_width);
        let mut scratch = Scratch { window: usize::MAX, ..Scratch::default() };
        scratch.frames = context.chunks_exact(self.width).map(|frame| frame.repeat(rows)).collect();
        for block in past.chunks_exact(self.block_width) {
            self.modulate(&block.repeat(rows), &mut scratch);
        }
        for step in 0..horizon {
            let blocks = plans.chunks_exact(horizon * self.block_width);
            let blocks: Vec<f32> = blocks
                .flat_map(|plan| &plan[step * self.block_width..(step + 1) * self.block_width])
                .copied()
                .collect();
            self.modulate(&blocks, &mut scratch);
            let next = self.predict(rows, &mut scratch);
            for (rollout, frame) in rollouts.chunks_exact_mut(horizon * self.width).zip(next.chunks_exact(self.width)) {
                rollout[step * self.width..(step + 1) * self.width].copy_from_slice(frame);
            }
            scratch.frames.push(next);
        }
    }

    /// Scales, shifts and gates that follow from the action blocks `[R, A]` leaving the next frame.
    fn modulate(&self, blocks: &[f32], scratch: &mut Scratch) {
        let [smooth, widen, narrow] = &self.actions;
        let Scratch { wide, mixed, modulations, .. } = scratch;
        smooth.apply(blocks, mixed);
        widen.apply(mixed, wide);
        silu_in_place(wide);
        narrow.apply(wide, mixed);
        silu_in_place(mixed);
        let of_layer = |layer: &Layer| {
            let mut six = Vec::new();
            layer.modulation.apply(mixed, &mut six);
            six
        };
        modulations.push(self.layers.iter().map(of_layer).collect());
    }

    /// The embeddings `[R, D]` after the newest frame.
    fn predict(&self, rows: usize, scratch: &mut Scratch) -> Vec<f32> {
        let (width, inner) = (self.width, self.inner);
        let newest = scratch.frames.len() - 1;
        let window = (newest + 1).saturating_sub(self.history);
        let first = if scratch.window == window { newest } else { window };
        if first == window {
            scratch.window = window;
            scratch.kept = vec![Vec::new(); self.layers.len()];
        }
        let mut hidden = std::mem::take(&mut scratch.hidden);
        hidden.clear();
        for frame in first..=newest {
            let position = &self.positions[(frame - window) * width..][..width];
            for embedding in scratch.frames[frame].chunks_exact(width) {
                hidden.extend(embedding.iter().zip(position).map(|(value, position)| value + position));
            }
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let modulations: Vec<&[f32]> =
                scratch.modulations[first..=newest].iter().map(|layers| layers[index].as_slice()).collect();
            self.normalise(&hidden, &modulations, 0, &layer.attention_norm, &mut scratch.normal);
            let mut key_values = Vec::new();
            layer.key_value.apply(&scratch.normal, &mut key_values);
            scratch.kept[index].extend(key_values.chunks_exact(rows * 2 * inner).map(<[f32]>::to_vec));
            // In the last layer only the newest frame goes on.
            let asking = if index + 1 == self.layers.len() { newest } else { first };
            let skipped = (asking - first) * rows * width;
            let modulations = &modulations[asking - first..];
            hidden.drain(..skipped);
            layer.query.apply(&scratch.normal[skipped..], &mut scratch.queries);
            let Scratch { queries, kept, mixed, .. } = scratch;
            self.attend(rows, asking - window, &kept[index], queries, mixed);
            layer.output.apply(&scratch.mixed, &mut scratch.narrow);
            self.add_gated(&mut hidden, modulations, 2, &scratch.narrow);
            self.normalise(&hidden, modulations, 3, &layer.perceptron_norm, &mut scratch.normal);
            layer.widen.apply(&scratch.normal, &mut scratch.wide);
            gelu_in_place(&mut scratch.wide);
            layer.narrow.apply(&scratch.wide, &mut scratch.narrow);
            self.add_gated(&mut hidden, modulations, 5, &scratch.narrow);
        }
        scratch.normal.resize(hidden.len(), 0.0);
        affine_norm_rows(&hidden, &mut scratch.normal, &self.norm.scale, &self.norm.shift, EPSILON);
        self.outward[0].apply(&scratch.normal, &mut scratch.wide);
        gelu_in_place(&mut scratch.wide);
        let mut next = Vec::new();
        self.outward[1].apply(&scratch.wide, &mut next);
        scratch.hidden = hidden;
        next
    }

    /// Both norms before a half of a layer: under the action's shift (vector `vector` of its six) and scale (the next), then the layer's own.
    fn normalise(&self, hidden: &[f32], modulations: &[&[f32]], vector: usize, norm: &Affine, output: &mut Vec<f32>) {
        output.resize(hidden.len(), 0.0);
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
        let parts = hidden.chunks_exact_mut(frames).zip(change.chunks_exact(frames)).zip(modulations);
        for ((hidden, change), modulation) in parts {
            let rows = hidden.chunks_exact_mut(width).zip(change.chunks_exact(width));
            for ((row, change), six) in rows.zip(modulation.chunks_exact(6 * width)) {
                let gate = &six[vector * width..(vector + 1) * width];
                row.iter_mut().zip(gate.iter().zip(change)).for_each(|(value, (gate, change))| *value += gate * change);
            }
        }
    }

    /// What the asking frames, from position `first` of the window on, see with their `queries [T, R, I]` of the frames' `key_values`:
    /// `mixed [T, R, I]`.
    fn attend(&self, rows: usize, first: usize, key_values: &[Vec<f32>], queries: &[f32], mixed: &mut Vec<f32>) {
        let (inner, head) = (self.inner, self.inner / self.heads);
        mixed.clear();
        mixed.resize(queries.len(), 0.0);
        let frames = queries.chunks_exact(rows * inner).zip(mixed.chunks_exact_mut(rows * inner));
        for (token, (queries, mixed)) in frames.enumerate() {
            let seen = &key_values[..=first + token];
            for (row, (query, output)) in queries.chunks_exact(inner).zip(mixed.chunks_exact_mut(inner)).enumerate() {
                let of_row = seen.iter().map(|frame| &frame[row * 2 * inner..][..2 * inner]);
                attend_one(query, of_row, head, output);
            }
        }
    }
}

/// The map into a projector's batch norm and the norm itself, as one.
fn folded(projector: &Projector) -> Result<Map> {
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
    Ok(Map(PackedLinear::new(&weight, &bias)))
}
