//! Affine maps of rows with fixed weights, kept exactly or in fewer bits.

use serde::{Deserialize, Serialize};

use super::bfloat::{BfloatLinear, RoundedRows};
use super::packed::PackedLinear;
use crate::scratch::room;

/// How the large weights of a rollout engine are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As they were trained.
    #[default]
    F32,
    /// Rounded to sixteen bits (bfloat16): half of the memory. Where the processor is faster with them (AMD from Zen 4
    /// on) input rows are rounded likewise and multiplied about twice as fast; elsewhere weights are read as `f32`.
    Bf16,
}

/// Weights `[O, I]` and a bias `[O]` of an affine map of rows, `[N, I]` → `[N, O]`.
#[derive(Debug, Clone)]
pub struct InferenceLinear(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// Multiplied in `f32`.
    F32(PackedLinear),
    /// Multiplied as sixteen-bit floats.
    Bf16(BfloatLinear),
}

impl InferenceLinear {
    /// Keeps `weight [O, I]`, row-major, with `bias [O]`.
    ///
    /// # Panics
    /// When the weight is of another size: a bug of the caller.
    pub fn new(weight: &[f32], bias: &[f32], precision: Precision) -> Self {
        Self(match precision {
            Precision::F32 => Kind::F32(PackedLinear::new(weight, bias)),
            Precision::Bf16 if BfloatLinear::is_fast() => Kind::Bf16(BfloatLinear::new(weight, bias)),
            Precision::Bf16 => Kind::F32(PackedLinear::bf16(weight, bias)),
        })
    }

    /// Width `I` of an input row.
    pub fn inputs(&self) -> usize {
        match &self.0 {
            Kind::F32(linear) => linear.inputs(),
            Kind::Bf16(linear) => linear.inputs(),
        }
    }

    /// Width `O` of an output row.
    pub fn outputs(&self) -> usize {
        match &self.0 {
            Kind::F32(linear) => linear.outputs(),
            Kind::Bf16(linear) => linear.outputs(),
        }
    }

    /// Writes the output of `input [N, I]` to `output [N, O]`, or adds it; `rounded` is scratch memory.
    ///
    /// # Panics
    /// When the sizes do not fit: a bug of the caller.
    pub fn apply(&self, input: &[f32], output: &mut [f32], accumulate: bool, rounded: &mut RoundedRows) {
        match &self.0 {
            Kind::F32(linear) => linear.apply(input, output, accumulate),
            Kind::Bf16(linear) => linear.apply(input, output, accumulate, rounded),
        }
    }

    /// Writes the output of `input [N, I]` over `output`, which gets the right length.
    ///
    /// # Panics
    /// As [`InferenceLinear::apply`].
    pub(crate) fn replace(&self, input: &[f32], output: &mut Vec<f32>, rounded: &mut RoundedRows) {
        output.resize(input.len() / self.inputs() * self.outputs(), 0.0);
        self.apply(input, output, false, rounded);
    }

    /// Writes the output of `input [N, I]` to the first values of `memory`, which grows where it must, and returns
    /// those values.
    ///
    /// # Panics
    /// As [`InferenceLinear::apply`].
    pub(crate) fn write<'a>(
        &self,
        input: &[f32],
        memory: &'a mut Vec<f32>,
        rounded: &mut RoundedRows,
    ) -> &'a mut [f32] {
        let output = room(memory, input.len() / self.inputs() * self.outputs());
        self.apply(input, output, false, rounded);
        output
    }

    /// Multiplications and additions per row.
    pub(crate) fn operations(&self) -> f64 {
        (2 * self.inputs() * self.outputs()) as f64
    }
}
