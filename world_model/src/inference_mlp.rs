//! A residual perceptron on plain slices: the hidden layers of a predictor or of a gated perceptron, without graph,
//! allocation per layer or locks.

use crate::Result;
use crate::layers::{GatedMlp, Linear, Norm};
use crate::ops::{InferenceLinear, Precision, RoundedRows, gate_rows, normalise_rows, silu_in_place, with_values};

#[derive(Debug, Clone)]
struct Normalisation {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Normalisation {
    fn of(norm: &Norm) -> Result<Self> {
        Ok(Self {
            scale: with_values(&norm.scale, <[f32]>::to_vec)?,
            shift: with_values(&norm.shift, <[f32]>::to_vec)?,
        })
    }

    /// `silu(norm(inner))`, or the gated rows of `norm(inner)`; `inner` is overwritten.
    fn activate(&self, inner: &mut [f32], output: &mut [f32], gated: bool) {
        normalise_rows(inner, &self.scale, &self.shift);
        if gated {
            gate_rows(inner, output, self.scale.len() / 2);
        } else {
            silu_in_place(inner);
            output.copy_from_slice(inner);
        }
    }
}

/// `h = f(norm(W x))`, `h += f(norm(W h))` per layer, and an affine map of `h`, `[N, I]` → `[N, O]`. A row has the same
/// bits beside any other rows.
#[derive(Debug, Clone)]
pub(crate) struct InferenceMlp {
    gated: bool,
    input: (InferenceLinear, Normalisation),
    layers: Vec<(InferenceLinear, Normalisation)>,
    output: InferenceLinear,
}

/// Scratch memory of an [`InferenceMlp`].
#[derive(Debug, Default)]
pub(crate) struct MlpScratch {
    hidden: Vec<f32>,
    inner: Vec<f32>,
    active: Vec<f32>,
    rounded: RoundedRows,
}

impl InferenceMlp {
    /// Copies the weights, those between hidden layers (nearly all) in `precision`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub(crate) fn new(
        gated: bool,
        input: (&Linear, &Norm),
        layers: &[(Linear, Norm)],
        output: &Linear,
        precision: Precision,
    ) -> Result<Self> {
        let layer = |(linear, norm): &(Linear, Norm)| Ok((linear.packed(precision)?, Normalisation::of(norm)?));
        Ok(Self {
            gated,
            input: (input.0.packed(Precision::F32)?, Normalisation::of(input.1)?),
            layers: layers.iter().map(layer).collect::<Result<_>>()?,
            output: output.packed(Precision::F32)?,
        })
    }

    /// Copies a gated perceptron and an affine map of its output.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub(crate) fn of_gated(mlp: &GatedMlp, output: &Linear, precision: Precision) -> Result<Self> {
        Self::new(true, (&mlp.input, &mlp.input_norm), &mlp.layers, output, precision)
    }

    /// Width `I` of an input row.
    pub(crate) fn inputs(&self) -> usize {
        self.input.0.inputs()
    }

    /// Adds the output of `rows [N, I]` to `outputs [N, O]`.
    pub(crate) fn add_to(&self, rows: &[f32], outputs: &mut [f32], scratch: &mut MlpScratch) {
        let MlpScratch { hidden, inner, active, rounded } = scratch;
        let (input, input_norm) = &self.input;
        let count = rows.len() / self.inputs();
        hidden.resize(count * self.output.inputs(), 0.0);
        active.resize(count * self.output.inputs(), 0.0);
        inner.resize(count * input.outputs(), 0.0);
        input.apply(rows, inner, false, rounded);
        input_norm.activate(inner, hidden, self.gated);
        for (linear, norm) in &self.layers {
            linear.apply(hidden, inner, false, rounded);
            norm.activate(inner, active, self.gated);
            hidden.iter_mut().zip(&*active).for_each(|(hidden, active)| *hidden += active);
        }
        self.output.apply(hidden, outputs, true, rounded);
    }
}
