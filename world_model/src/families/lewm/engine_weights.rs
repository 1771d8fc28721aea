//! Weights of a LeWM's predictor, rearranged for rollouts.

use super::layers::{EPSILON, Norm, Projector};
use crate::Result;
use crate::layers::Linear;
use crate::ops::{InferenceLinear, Precision, RoundedRows, gelu_in_place, with_values};

/// Hidden units of a perceptron at a time.
const UNITS: usize = 256;

/// Scale and shift of a norm.
#[derive(Debug, Clone)]
pub(super) struct Affine {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

impl Affine {
    pub fn of(norm: &Norm) -> Result<Self> {
        Ok(Self {
            scale: with_values(&norm.scale, <[f32]>::to_vec)?,
            shift: with_values(&norm.shift, <[f32]>::to_vec)?,
        })
    }
}

/// One layer of the predictor.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub modulation: InferenceLinear,
    pub attention_norm: Affine,
    pub query: InferenceLinear,
    pub key_value: InferenceLinear,
    pub output: InferenceLinear,
    pub perceptron_norm: Affine,
    pub perceptron: Perceptron,
}

/// Two maps with GELU between them, by parts of the hidden units: the activations of a part stay in the second-level
/// cache.
#[derive(Debug, Clone)]
pub(super) struct Perceptron {
    /// Maps into some hidden units, and out of them.
    parts: Vec<(InferenceLinear, InferenceLinear)>,
}

impl Perceptron {
    /// `widen [K, D]` and `narrow [D, K]` with biases, row-major.
    fn new(widen: (&[f32], &[f32]), narrow: (&[f32], &[f32]), precision: Precision) -> Self {
        let (hidden, width) = (widen.1.len(), narrow.1.len());
        let parts = (0..hidden).step_by(UNITS).map(|first| {
            let last = (first + UNITS).min(hidden);
            let into = InferenceLinear::new(&widen.0[first * width..last * width], &widen.1[first..last], precision);
            let columns: Vec<f32> =
                narrow.0.chunks_exact(hidden).flat_map(|row| row[first..last].iter().copied()).collect();
            let bias = if first == 0 { narrow.1.to_vec() } else { vec![0.0; width] };
            (into, InferenceLinear::new(&columns, &bias, precision))
        });
        Self { parts: parts.collect() }
    }

    pub fn of(widen: &Linear, narrow: &Linear, precision: Precision) -> Result<Self> {
        let [into, into_bias, out, out_bias] = [&widen.weight, &widen.bias, &narrow.weight, &narrow.bias]
            .map(|tensor| with_values(tensor, <[f32]>::to_vec));
        Ok(Self::new((&into?, &into_bias?), (&out?, &out_bias?), precision))
    }

    /// Writes the output of `input [N, D]` to `output`; `hidden` and `rounded` are scratch memory.
    pub fn apply(&self, input: &[f32], output: &mut [f32], hidden: &mut Vec<f32>, rounded: &mut RoundedRows) {
        for (index, (widen, narrow)) in self.parts.iter().enumerate() {
            let hidden = widen.write(input, hidden, rounded);
            gelu_in_place(hidden);
            narrow.apply(hidden, output, index > 0, rounded);
        }
    }

    pub fn operations(&self) -> f64 {
        self.parts.iter().map(|(widen, narrow)| widen.operations() + narrow.operations()).sum()
    }

    /// A projector, with its batch norm folded into the map before it.
    pub fn folded(projector: &Projector) -> Result<Self> {
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
        Ok(Self::new((&weight, &bias), (&narrow.0, &narrow.1), Precision::F32))
    }
}
