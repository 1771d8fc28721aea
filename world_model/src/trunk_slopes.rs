//! Layers on plain slices, forward and back: values for many rows, and the slopes of what becomes of them on what went in. No slope is asked of
//! a weight, so that the way back costs about as much as the way forward.

use crate::Result;
use crate::adaptation::LastLayer;
use crate::layers::{GatedTrunk, Linear, Norm};
use crate::ops::{
    Map, Precision, Rounded, gate_rows, gate_rows_back, normalise_rows_back, normalise_rows_keeping,
    silu_back_in_place, silu_in_place, with_values,
};
use crate::scratch::Spare;

/// An affine map, a norm and an activation, with the map's transpose for the way back.
#[derive(Debug, Clone)]
struct Layer {
    forward: Map,
    back: Map,
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

/// A first layer and residual ones whose weights stay as they are. `C` is the width inside a layer, `W` that of the hidden state.
#[derive(Debug, Clone)]
pub(crate) struct TrunkSlopes {
    gated: bool,
    layers: Vec<Layer>,
}

/// What one layer keeps of `n` rows on its way forward.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    /// Normalised rows `[n, C]`, and those scaled and shifted.
    normal: Vec<f32>,
    affine: Vec<f32>,
    /// 1 / standard deviation, `[n]`.
    inverse_std: Vec<f32>,
}

/// Memory to work in.
#[derive(Debug, Default)]
pub(crate) struct Bench {
    active: Vec<f32>,
    on_inner: Vec<f32>,
    pub rounded: Rounded,
}

impl TrunkSlopes {
    /// The layers `first` and `others`, gated or not.
    pub fn new(first: (&Linear, &Norm), others: &[(Linear, Norm)], gated: bool) -> Result<Self> {
        let others = others.iter().map(|(linear, norm)| (linear, norm));
        Ok(Self { gated, layers: std::iter::once(first).chain(others).map(Layer::of).collect::<Result<_>>()? })
    }

    /// Number of layers: as many [`Kept`] are needed.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Width `W` of the hidden state.
    fn hidden(&self) -> usize {
        let inner = self.layers[0].forward.outputs();
        if self.gated { inner / 2 } else { inner }
    }

    /// Rows `input [n, I]` → `hidden [n, W]`; `kept` is what [`TrunkSlopes::back`] needs.
    pub fn forward(&self, input: &[f32], hidden: &mut Vec<f32>, kept: &mut [Kept], bench: &mut Bench) {
        let width = self.hidden();
        let rows = input.len() / self.layers[0].forward.inputs();
        for (index, (layer, Kept { normal, affine, inverse_std })) in self.layers.iter().zip(kept).enumerate() {
            layer.forward.replace(if index == 0 { input } else { hidden }, normal, &mut bench.rounded);
            inverse_std.resize(rows, 0.0);
            affine.resize(normal.len(), 0.0);
            normalise_rows_keeping(normal, inverse_std, affine, &layer.scale, &layer.shift);
            bench.active.resize(rows * width, 0.0);
            if self.gated {
                gate_rows(affine, &mut bench.active, width);
            } else {
                bench.active.copy_from_slice(affine);
                silu_in_place(&mut bench.active);
            }
            if index == 0 {
                std::mem::swap(hidden, &mut bench.active);
            } else {
                hidden.iter_mut().zip(&bench.active).for_each(|(hidden, active)| *hidden += active);
            }
        }
    }

    /// Slopes on the hidden state, `on_hidden [n, W]`, which is used up → slopes on the input, `on_input [n, I]`.
    pub fn back(&self, on_hidden: &mut [f32], on_input: &mut Vec<f32>, kept: &[Kept], bench: &mut Bench) {
        let width = self.hidden();
        for (index, (layer, kept)) in self.layers.iter().zip(kept).enumerate().rev() {
            bench.on_inner.clear();
            bench.on_inner.extend_from_slice(&kept.affine);
            if self.gated {
                gate_rows_back(&mut bench.on_inner, on_hidden, width);
            } else {
                silu_back_in_place(&mut bench.on_inner, on_hidden);
            }
            normalise_rows_back(&kept.normal, &kept.inverse_std, &layer.scale, &mut bench.on_inner);
            if index == 0 {
                layer.back.replace(&bench.on_inner, on_input, &mut bench.rounded);
            } else {
                layer.back.apply(&bench.on_inner, on_hidden, true, &mut bench.rounded);
            }
        }
    }
}

/// A gated trunk with its output map, for what is asked of every imagined state.
#[derive(Debug, Clone)]
pub(crate) struct HeadSlopes {
    trunk: TrunkSlopes,
    output: (Map, Map),
    spare: Spare<HeadTape>,
}

#[derive(Debug, Default)]
struct HeadTape {
    kept: Vec<Kept>,
    hidden: Vec<f32>,
    bench: Bench,
}

impl HeadSlopes {
    /// `output` of `trunk`.
    pub fn new(trunk: &GatedTrunk, output: &Linear) -> Result<Self> {
        Ok(Self {
            trunk: TrunkSlopes::new((&trunk.input, &trunk.input_norm), &trunk.layers, true)?,
            output: (output.packed(Precision::F32)?, output.transposed()?),
            spare: Spare::default(),
        })
    }

    /// The same trunk with another last layer.
    pub fn with_last_layer(&self, layer: &LastLayer) -> Self {
        Self { output: layer.maps(), ..self.clone() }
    }

    /// Rows `[N, I]` → the activations before the last layer `[N, W]`, and `[N, O]`.
    pub fn activations(&self, rows: &[f32]) -> (Vec<f32>, Vec<f32>) {
        self.spare.lend(|tape| {
            let values = self.forward(rows, tape);
            (tape.hidden.clone(), values)
        })
    }

    /// Rows `[N, I]` → `[N, O]`.
    pub fn values(&self, rows: &[f32]) -> Vec<f32> {
        self.spare.lend(|tape| self.forward(rows, tape))
    }

    /// The values `[N, O]` of rows `[N, I]`, and slopes on those rows, given what `pull` says of slopes on the values.
    pub fn values_and_slopes(&self, rows: &[f32], pull: impl FnOnce(&[f32]) -> Vec<f32>) -> (Vec<f32>, Vec<f32>) {
        self.spare.lend(|tape| {
            let values = self.forward(rows, tape);
            let mut slopes = Vec::new();
            self.output.1.replace(&pull(&values), &mut tape.hidden, &mut tape.bench.rounded);
            self.trunk.back(&mut tape.hidden, &mut slopes, &tape.kept, &mut tape.bench);
            (values, slopes)
        })
    }

    fn forward(&self, rows: &[f32], tape: &mut HeadTape) -> Vec<f32> {
        tape.kept.resize(self.trunk.len(), Kept::default());
        self.trunk.forward(rows, &mut tape.hidden, &mut tape.kept, &mut tape.bench);
        let mut values = Vec::new();
        self.output.0.replace(&tape.hidden, &mut values, &mut tape.bench.rounded);
        values
    }
}
