//! A residual perceptron on plain slices: the layers of a predictor, or of a gated trunk, without graph, allocation per layer or locks.

use crate::Result;
use crate::adaptation::LastLayer;
use crate::layers::{Linear, Norm};
use crate::ops::{Map, Precision, Rounded, gate_rows, normalise_rows, silu_in_place, with_values};

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

    /// `silu(norm(inner))`, or the gated rows of `norm(inner)`; `inner` is used up.
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

/// `h = f(norm(W x))`, `h += f(norm(W h))` per layer, and an affine map of `h`, `[N, I]` → `[N, O]`. A row has the same bits whatever rows stand
/// beside it.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    gated: bool,
    input: (Map, Normalisation),
    layers: Vec<(Map, Normalisation)>,
    output: Map,
}

/// What a [`Network`] works in.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    hidden: Vec<f32>,
    inner: Vec<f32>,
    active: Vec<f32>,
    rounded: Rounded,
}

impl Buffers {
    /// The activations before the last layer, `[N, W]`, of the rows that went through last.
    pub fn hidden(&self) -> &[f32] {
        &self.hidden
    }
}

impl Network {
    /// Copies the weights, those between hidden layers (nearly all) in `precision`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(
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

    /// Width `I` of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.input.0.inputs()
    }

    /// The same network with another last layer.
    ///
    /// # Errors
    /// When the layer has another size.
    pub fn with_last_layer(&self, layer: &LastLayer) -> Result<Self> {
        layer.require(self.output.outputs(), self.output.inputs())?;
        Ok(Self { output: Map::new(&layer.weight, &layer.bias, Precision::F32), ..self.clone() })
    }

    /// Adds what comes of `rows [N, I]` to `outputs [N, O]`.
    pub fn add_to(&self, rows: &[f32], outputs: &mut [f32], buffers: &mut Buffers) {
        let Buffers { hidden, inner, active, rounded } = buffers;
        let (input, input_norm) = &self.input;
        let count = rows.len() / self.inputs();
        hidden.resize(count * self.output.inputs(), 0.0);
        active.resize(count * self.output.inputs(), 0.0);
        inner.resize(count * input.outputs(), 0.0);
        input.apply(rows, inner, false, rounded);
        input_norm.activate(inner, hidden, self.gated);
        for (map, norm) in &self.layers {
            map.apply(hidden, inner, false, rounded);
            norm.activate(inner, active, self.gated);
            hidden.iter_mut().zip(&*active).for_each(|(hidden, active)| *hidden += active);
        }
        self.output.apply(hidden, outputs, true, rounded);
    }
}
