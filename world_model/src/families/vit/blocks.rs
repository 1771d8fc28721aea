//! A stack of transformer blocks on plain slices: what encoders, predictors and classifiers have in common.
//!
//! Rows (tokens) are divided into groups of a fixed size, and groups over the threads of the current rayon pool. A
//! block has two passes: norm, queries, keys and values, rotation; then attention and all that follows it row by row.
//! The groups do not depend on the number of threads, and so no bit does.

use std::fmt::Debug;

use rayon::prelude::*;

use super::config::BlocksConfig;
use super::parameters::{Norm, Parameters, linear, scaled_linear};
use super::rotation::Rotation;
use crate::Result;
use crate::ops::{
    AttentionScratch, HeadRows, InferenceLinear, Precision, RoundedRows, Visible, affine_norm_rows, attend_rows,
    gelu_in_place, silu_in_place,
};
use crate::scratch::{BufferPool, room};

/// Rows of a group: their hidden values stay in the second-level cache, and a matrix that is read once per group is
/// used often enough.
pub(in crate::families) const ROWS: usize = 128;

/// Blocks, ready to run.
#[derive(Debug, Clone)]
pub(in crate::families) struct Blocks {
    config: BlocksConfig,
    blocks: Vec<Block>,
    pool: BufferPool<Scratch>,
}

#[derive(Debug, Clone)]
struct Block {
    attention_norm: Norm,
    query_key_value: InferenceLinear,
    output: InferenceLinear,
    perceptron_norm: Norm,
    widen: InferenceLinear,
    narrow: InferenceLinear,
}

/// Buffers of a group of rows.
#[derive(Debug, Default)]
pub(in crate::families) struct Scratch {
    pub normal: Vec<f32>,
    pub wide: Vec<f32>,
    pub gated: Vec<f32>,
    pub mixed: Vec<f32>,
    pub head: Vec<f32>,
    pub attention: AttentionScratch,
    pub rounded: RoundedRows,
}

impl Blocks {
    /// The blocks whose names begin with `prefix`.
    pub fn read(
        parameters: &mut dyn Parameters,
        prefix: &str,
        config: BlocksConfig,
        precision: Precision,
    ) -> Result<Self> {
        let mut blocks = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            let named = |name: &str| format!("{prefix}blocks.{layer}.{name}");
            let [first, second] = match config.layer_scale {
                true => [Some(parameters.values(&named("ls1"))?), Some(parameters.values(&named("ls2"))?)],
                false => [None, None],
            };
            let [widen, narrow] = if config.gated { ["mlp.w12", "mlp.w3"] } else { ["mlp.fc1", "mlp.fc2"] };
            blocks.push(Block {
                attention_norm: Norm::read(parameters, &named("norm1"))?,
                query_key_value: linear(parameters, &named("attn.qkv"), precision)?,
                output: scaled_linear(parameters, &named("attn.proj"), first.as_deref(), precision)?,
                perceptron_norm: Norm::read(parameters, &named("norm2"))?,
                widen: linear(parameters, &named(widen), precision)?,
                narrow: scaled_linear(parameters, &named(narrow), second.as_deref(), precision)?,
            });
        }
        Ok(Self { config, blocks, pool: BufferPool::default() })
    }

    /// Scratch memory that callers share with the blocks.
    pub fn pool(&self) -> &BufferPool<Scratch> {
        &self.pool
    }

    /// Passes the tokens `hidden [N, D]` through all blocks, in place; `visit` gets them after each block.
    pub fn run(
        &self,
        hidden: &mut [f32],
        rotation: Option<&Rotation>,
        visible: Visible,
        visit: &mut dyn FnMut(usize, &[f32]),
    ) {
        let mut projected = vec![0.0; hidden.len() * 3];
        for (layer, block) in self.blocks.iter().enumerate() {
            self.project(block, hidden, rotation, &mut projected);
            let (width, len) = (self.config.width, ROWS * self.config.width);
            hidden.par_chunks_mut(len).enumerate().for_each(|(group, rows)| {
                self.pool.lend(|scratch| {
                    self.attend(&projected, group * ROWS, rows.len() / width, visible, scratch);
                    block.output.apply(&scratch.mixed[..rows.len()], rows, true, &mut scratch.rounded);
                    self.perceive(block, rows, scratch);
                });
            });
            visit(layer, hidden);
        }
    }

    /// Queries, keys and values of all tokens, rotated.
    fn project(&self, block: &Block, hidden: &[f32], rotation: Option<&Rotation>, projected: &mut [f32]) {
        let BlocksConfig { width, epsilon, .. } = self.config;
        let groups = hidden.par_chunks(ROWS * width).zip(projected.par_chunks_mut(ROWS * 3 * width));
        groups.enumerate().for_each(|(group, (rows, projected))| {
            self.pool.lend(|scratch| {
                let normal = room(&mut scratch.normal, rows.len());
                let norm = &block.attention_norm;
                affine_norm_rows(rows, normal, &norm.scale, &norm.shift, epsilon);
                block.query_key_value.apply(normal, projected, false, &mut scratch.rounded);
                if let Some(rotation) = rotation {
                    rotation.apply(projected, group * ROWS, width, self.config.head());
                }
            });
        });
    }

    /// Attention of the `count` tokens from `first` on, written to `scratch.mixed [count, D]`.
    fn attend(&self, projected: &[f32], first: usize, count: usize, visible: Visible, scratch: &mut Scratch) {
        let (width, head) = (self.config.width, self.config.head());
        let scale = 1.0 / (head as f32).sqrt();
        let Scratch { mixed, head: of_head, attention, .. } = scratch;
        let mixed = room(mixed, count * width);
        let tokens = projected.len() / (3 * width);
        let mut start = first;
        while start < first + count {
            let seen = visible.of(start, tokens);
            let end = seen.min(first + count);
            let rows = end - start;
            for at in (0..width).step_by(head) {
                let part = |first: usize, rows: usize| HeadRows { values: projected, first, stride: 3 * width, rows };
                let queries = part(start * 3 * width + at, rows);
                let (keys, values) = (part(width + at, seen), part(2 * width + at, seen));
                let output = room(of_head, rows * head);
                attend_rows(queries, keys, values, head, scale, attention, output);
                let places = mixed[(start - first) * width..].chunks_exact_mut(width);
                for (place, values) in places.zip(output.chunks_exact(head)) {
                    place[at..at + head].copy_from_slice(values);
                }
            }
            start = end;
        }
    }

    /// Adds the perceptron's change to `rows`.
    fn perceive(&self, block: &Block, rows: &mut [f32], scratch: &mut Scratch) {
        let Scratch { normal, wide, gated, rounded, .. } = scratch;
        let normal = room(normal, rows.len());
        let norm = &block.perceptron_norm;
        affine_norm_rows(rows, normal, &norm.scale, &norm.shift, self.config.epsilon);
        let wide = block.widen.write(normal, wide, rounded);
        if !self.config.gated {
            gelu_in_place(wide);
            return block.narrow.apply(wide, rows, true, rounded);
        }
        let hidden = self.config.hidden;
        let gated = room(gated, wide.len() / 2);
        for (gated, both) in gated.chunks_exact_mut(hidden).zip(wide.chunks_exact_mut(2 * hidden)) {
            let (gate, value) = both.split_at_mut(hidden);
            silu_in_place(gate);
            for ((gated, gate), value) in gated.iter_mut().zip(gate.iter()).zip(value.iter()) {
                *gated = gate * value;
            }
        }
        block.narrow.apply(gated, rows, true, rounded);
    }
}

/// Applies `map` to all rows of `input`, over the threads of the current pool.
pub(in crate::families) fn map_rows(map: &InferenceLinear, input: &[f32], pool: &BufferPool<Scratch>) -> Vec<f32> {
    let (inputs, outputs) = (map.inputs(), map.outputs());
    let mut output = vec![0.0; input.len() / inputs * outputs];
    let groups = input.par_chunks(ROWS * inputs).zip(output.par_chunks_mut(ROWS * outputs));
    groups.for_each(|(rows, output)| {
        pool.lend(|scratch| map.apply(rows, output, false, &mut scratch.rounded));
    });
    output
}

/// Layer norm of all rows of `input [N, D]`.
pub(in crate::families) fn norm_rows(norm: &Norm, epsilon: f32, input: &[f32]) -> Vec<f32> {
    let mut output = vec![0.0; input.len()];
    affine_norm_rows(input, &mut output, &norm.scale, &norm.shift, epsilon);
    output
}

/// Layer norm without scale and shift, with PyTorch's epsilon: how targets of predictors are normalised.
pub(in crate::families) fn standardised(input: &[f32], width: usize) -> Vec<f32> {
    let norm = Norm { scale: vec![1.0; width], shift: vec![0.0; width] };
    norm_rows(&norm, 1e-5, input)
}
