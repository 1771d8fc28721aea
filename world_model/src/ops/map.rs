//! Affine maps of rows with weights that stay, kept exactly or in fewer bits.

use serde::{Deserialize, Serialize};

use super::bfloat::BfloatLinear;
use super::packed::PackedLinear;
use super::quantised::{QuantisedLinear, Rounded};
use crate::scratch::room;

/// How the large weights of a rollout engine are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As they were trained.
    #[default]
    F32,
    /// Rounded to sixteen bits (bfloat16): half of the memory. Where the processor gains by it ([`BfloatLinear`]) rows are rounded
    /// likewise and multiplied about twice as fast; elsewhere weights are read as `f32`.
    Bf16,
    /// In eight bits ([`QuantisedLinear`]): a quarter of the memory, faster on processors with VNNI, and imagined states that are off by
    /// about a hundredth of a typical step.
    Int8,
}

/// Weights `[O, I]` and a bias `[O]` of a map of rows `[N, I]` → `[N, O]`.
#[derive(Debug, Clone)]
pub enum Map {
    /// Multiplied in `f32`.
    F32(PackedLinear),
    /// Multiplied as sixteen-bit floats.
    Bf16(BfloatLinear),
    /// Multiplied in whole numbers.
    Int8(QuantisedLinear),
}

impl Map {
    /// Keeps `weight [O, I]`, row-major, with `bias [O]`.
    ///
    /// # Panics
    /// When the weight is of another size: a bug of the caller.
    pub fn new(weight: &[f32], bias: &[f32], precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32(PackedLinear::new(weight, bias)),
            Precision::Bf16 if BfloatLinear::is_fast() => Self::Bf16(BfloatLinear::new(weight, bias)),
            Precision::Bf16 => Self::F32(PackedLinear::bf16(weight, bias)),
            Precision::Int8 => Self::Int8(QuantisedLinear::new(weight, bias)),
        }
    }

    /// Width `I` of a row that goes in.
    pub fn inputs(&self) -> usize {
        match self {
            Self::F32(map) => map.inputs(),
            Self::Bf16(map) => map.inputs(),
            Self::Int8(map) => map.inputs(),
        }
    }

    /// Width `O` of a row that comes out.
    pub fn outputs(&self) -> usize {
        match self {
            Self::F32(map) => map.outputs(),
            Self::Bf16(map) => map.outputs(),
            Self::Int8(map) => map.outputs(),
        }
    }

    /// Writes the map of `input [N, I]` to `output [N, O]`, or adds it; `rounded` is memory to work in.
    ///
    /// # Panics
    /// When the sizes do not fit: a bug of the caller.
    pub fn apply(&self, input: &[f32], output: &mut [f32], accumulate: bool, rounded: &mut Rounded) {
        match self {
            Self::F32(map) => map.apply(input, output, accumulate),
            Self::Bf16(map) => map.apply(input, output, accumulate, rounded),
            Self::Int8(map) => map.apply(input, output, accumulate, rounded),
        }
    }

    /// Writes the map of `input [N, I]` over `output`, which gets the right length.
    ///
    /// # Panics
    /// As [`Map::apply`].
    pub fn replace(&self, input: &[f32], output: &mut Vec<f32>, rounded: &mut Rounded) {
        output.resize(input.len() / self.inputs() * self.outputs(), 0.0);
        self.apply(input, output, false, rounded);
    }

    /// Writes the map of `input [N, I]` to the first values of `memory`, which grows where it must; those values.
    ///
    /// # Panics
    /// As [`Map::apply`].
    pub(crate) fn write<'a>(&self, input: &[f32], memory: &'a mut Vec<f32>, rounded: &mut Rounded) -> &'a mut [f32] {
        let output = room(memory, input.len() / self.inputs() * self.outputs());
        self.apply(input, output, false, rounded);
        output
    }

    /// Multiplications and additions per row.
    pub fn operations(&self) -> f64 {
        (2 * self.inputs() * self.outputs()) as f64
    }
}
