//! Perceptrons on plain slices, forward and backward: values of many rows, and the gradients on those rows. No gradient
//! is computed for a weight, so the backward pass costs about as much as the forward pass.

use crate::Result;
use crate::layers::{GatedMlp, Linear, Norm};
use crate::ops::{
    InferenceLinear, Precision, RoundedRows, gate_rows, gate_rows_back, normalise_rows_back, normalise_rows_keeping,
    silu_back_in_place, silu_in_place, with_values,
};
use crate::scratch::BufferPool;

/// An affine map, a norm and an activation, with the transposed map for the backward pass.
#[derive(Debug, Clone)]
struct Layer {
    forward: InferenceLinear,
    back: InferenceLinear,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Layer {
    fn of((linear, norm): (&Linear, &Norm)) -> Result<Self> {
        Ok(Self {
            forward: linear.packed(Precision::F32)?,
            back: linear.transposed()?,
            scale: with_values(&norm.scale, <[f32]>::to_vec)?,
            shift: with_values(&norm.shift, <[f32]>::to_vec)?,
        })
    }
}

/// A first layer and residual ones with fixed weights. `C` is the width inside a layer, `W` that of the hidden state.
#[derive(Debug, Clone)]
pub(crate) struct MlpBackward {
    gated: bool,
    layers: Vec<Layer>,
}

/// What one layer keeps of `n` rows in the forward pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct SavedActivations {
    /// Normalised rows `[n, C]`, and those scaled and shifted.
    normal: Vec<f32>,
    affine: Vec<f32>,
    /// 1 / standard deviation, `[n]`.
    inverse_std: Vec<f32>,
}

/// Scratch memory.
#[derive(Debug, Default)]
pub(crate) struct BackwardScratch {
    active: Vec<f32>,
    on_inner: Vec<f32>,
    pub rounded: RoundedRows,
}

impl MlpBackward {
    /// The layers `first` and `others`, gated or not.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub(crate) fn new(first: (&Linear, &Norm), others: &[(Linear, Norm)], gated: bool) -> Result<Self> {
        let others = others.iter().map(|(linear, norm)| (linear, norm));
        Ok(Self { gated, layers: std::iter::once(first).chain(others).map(Layer::of).collect::<Result<_>>()? })
    }

    /// Number of layers: as many [`SavedActivations`] are needed.
    pub(crate) fn len(&self) -> usize {
        self.layers.len()
    }

    /// Width `W` of the hidden state.
    fn hidden(&self) -> usize {
        let inner = self.layers[0].forward.outputs();
        if self.gated { inner / 2 } else { inner }
    }

    /// Rows `input [n, I]` → `hidden [n, W]`; `saved` is what [`MlpBackward::back`] needs.
    pub(crate) fn forward(
        &self,
        input: &[f32],
        hidden: &mut Vec<f32>,
        saved: &mut [SavedActivations],
        scratch: &mut BackwardScratch,
    ) {
        let width = self.hidden();
        let rows = input.len() / self.layers[0].forward.inputs();
        for (index, (layer, saved)) in self.layers.iter().zip(saved).enumerate() {
            let SavedActivations { normal, affine, inverse_std } = saved;
            layer.forward.replace(if index == 0 { input } else { hidden }, normal, &mut scratch.rounded);
            inverse_std.resize(rows, 0.0);
            affine.resize(normal.len(), 0.0);
            normalise_rows_keeping(normal, inverse_std, affine, &layer.scale, &layer.shift);
            scratch.active.resize(rows * width, 0.0);
            if self.gated {
                gate_rows(affine, &mut scratch.active, width);
            } else {
                scratch.active.copy_from_slice(affine);
                silu_in_place(&mut scratch.active);
            }
            if index == 0 {
                std::mem::swap(hidden, &mut scratch.active);
            } else {
                hidden.iter_mut().zip(&scratch.active).for_each(|(hidden, active)| *hidden += active);
            }
        }
    }

    /// Gradients on the hidden state, `on_hidden [n, W]`, which is overwritten → gradients on the input, `on_input [n,
    /// I]`.
    pub(crate) fn back(
        &self,
        on_hidden: &mut [f32],
        on_input: &mut Vec<f32>,
        saved: &[SavedActivations],
        scratch: &mut BackwardScratch,
    ) {
        let width = self.hidden();
        for (index, (layer, saved)) in self.layers.iter().zip(saved).enumerate().rev() {
            scratch.on_inner.clear();
            scratch.on_inner.extend_from_slice(&saved.affine);
            if self.gated {
                gate_rows_back(&mut scratch.on_inner, on_hidden, width);
            } else {
                silu_back_in_place(&mut scratch.on_inner, on_hidden);
            }
            normalise_rows_back(&saved.normal, &saved.inverse_std, &layer.scale, &mut scratch.on_inner);
            if index == 0 {
                layer.back.replace(&scratch.on_inner, on_input, &mut scratch.rounded);
            } else {
                layer.back.apply(&scratch.on_inner, on_hidden, true, &mut scratch.rounded);
            }
        }
    }
}

/// A gated perceptron with its output map, for heads that are evaluated on every predicted state.
#[derive(Debug, Clone)]
pub(crate) struct HeadGradients {
    mlp: MlpBackward,
    output: (InferenceLinear, InferenceLinear),
    pool: BufferPool<HeadBuffers>,
}

#[derive(Debug, Default)]
struct HeadBuffers {
    saved: Vec<SavedActivations>,
    hidden: Vec<f32>,
    scratch: BackwardScratch,
}

impl HeadGradients {
    /// `output` of `mlp`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub(crate) fn new(mlp: &GatedMlp, output: &Linear) -> Result<Self> {
        Ok(Self {
            mlp: MlpBackward::new((&mlp.input, &mlp.input_norm), &mlp.layers, true)?,
            output: (output.packed(Precision::F32)?, output.transposed()?),
            pool: BufferPool::default(),
        })
    }

    /// Rows `[N, I]` → `[N, O]`.
    pub(crate) fn values(&self, rows: &[f32]) -> Vec<f32> {
        self.pool.lend(|buffers| self.forward(rows, buffers))
    }

    /// The values `[N, O]` of rows `[N, I]`, and the gradients on those rows; `upstream` gives the gradients on the
    /// values, from the values.
    pub(crate) fn values_and_gradients(
        &self,
        rows: &[f32],
        upstream: impl FnOnce(&[f32]) -> Vec<f32>,
    ) -> (Vec<f32>, Vec<f32>) {
        self.pool.lend(|buffers| {
            let values = self.forward(rows, buffers);
            let mut gradients = Vec::new();
            self.output.1.replace(&upstream(&values), &mut buffers.hidden, &mut buffers.scratch.rounded);
            self.mlp.back(&mut buffers.hidden, &mut gradients, &buffers.saved, &mut buffers.scratch);
            (values, gradients)
        })
    }

    fn forward(&self, rows: &[f32], buffers: &mut HeadBuffers) -> Vec<f32> {
        buffers.saved.resize(self.mlp.len(), SavedActivations::default());
        self.mlp.forward(rows, &mut buffers.hidden, &mut buffers.saved, &mut buffers.scratch);
        let mut values = Vec::new();
        self.output.0.replace(&buffers.hidden, &mut values, &mut buffers.scratch.rounded);
        values
    }
}
