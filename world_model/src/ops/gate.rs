//! Gated rows: one half of the channels decides how much of the other half goes on (SwiGLU without its matrices;
//! Shazeer 2020).

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::silu::sigmoid;
use super::{slice, tensor, vectorised, with_values};

/// `[.., 2 H]` → `[.., H]`: `silu(first half) * second half` of every row.
///
/// # Errors
/// When the last dimension is odd or the tensor is not a CPU `f32` tensor.
pub(crate) fn gate(input: &Tensor) -> Result<Tensor> {
    input.contiguous()?.apply_op1(Gate)
}

/// Writes the gated rows of `input [N, 2 H]` to `output [N, H]`.
pub(crate) fn gate_rows(input: &[f32], output: &mut [f32], width: usize) {
    vectorised(
        #[inline(always)]
        || {
            for (row, output) in input.chunks_exact(2 * width).zip(output.chunks_exact_mut(width)) {
                let (gates, values) = row.split_at(width);
                for ((output, &gate), value) in output.iter_mut().zip(gates).zip(values) {
                    *output = gate * sigmoid(gate) * value;
                }
            }
        },
    );
}

/// Turns rows `[N, 2 H]` into the derivatives on them, given those on their gated rows, `gradient [N, H]`.
pub(crate) fn gate_rows_back(rows: &mut [f32], gradient: &[f32], width: usize) {
    vectorised(
        #[inline(always)]
        || {
            for (row, gradient) in rows.chunks_exact_mut(2 * width).zip(gradient.chunks_exact(width)) {
                let (gates, values) = row.split_at_mut(width);
                let lanes = gates.chunks_mut(LANES).zip(values.chunks_mut(LANES)).zip(gradient.chunks(LANES));
                for ((gates, values), gradient) in lanes {
                    match (gates.as_mut_array(), values.as_mut_array(), gradient.as_array()) {
                        (Some(gates), Some(values), Some(gradient)) => back::<LANES>(gates, values, gradient),
                        _ => {
                            for ((gate, value), gradient) in gates.iter_mut().zip(values).zip(gradient) {
                                back(std::array::from_mut(gate), std::array::from_mut(value), &[*gradient]);
                            }
                        }
                    }
                }
            }
        },
    );
}

/// Values worked on at a time. What is read is copied first: the compiler cannot know that the two halves of a row do
/// not overlap, and would go value by value.
const LANES: usize = 32;

#[inline(always)]
fn back<const N: usize>(gates: &mut [f32; N], values: &mut [f32; N], gradient: &[f32; N]) {
    let (old_gates, old_values) = (*gates, *values);
    let (mut on_gates, mut on_values) = ([0.0; N], [0.0; N]);
    for lane in 0..N {
        let gate = old_gates[lane];
        let sigmoid = sigmoid(gate);
        let derivative = sigmoid * (1.0 + gate * (1.0 - sigmoid));
        let open = gate * sigmoid;
        on_gates[lane] = gradient[lane] * old_values[lane] * derivative;
        on_values[lane] = gradient[lane] * open;
    }
    (*gates, *values) = (on_gates, on_values);
}

struct Gate;

impl CustomOp1 for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut shape = layout.dims().to_vec();
        let width = match shape.last_mut() {
            Some(last) if last.is_multiple_of(2) && *last > 0 => {
                *last /= 2;
                *last
            }
            _ => candle_core::bail!("gate: expected an even number of channels, got shape {:?}", layout.dims()),
        };
        let shape = Shape::from(shape);
        let mut output = vec![0.0; shape.elem_count()];
        gate_rows(slice(input, layout)?, &mut output, width);
        Ok((CpuStorage::F32(output), shape))
    }

    fn bwd(&self, input: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let width = output.dim(candle_core::D::Minus1)?;
        let values = with_values(input, |input| {
            with_values(gradient, |gradient| -> Vec<f32> {
                let mut result = input.to_vec();
                gate_rows_back(&mut result, gradient, width);
                result
            })
        })??;
        Ok(Some(tensor(values, input.shape().clone())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::check;
    use super::*;

    #[test]
    fn one_half_gates_the_other() {
        let input = tensor(vec![0.0, 2.0, 5.0, -3.0], (1, 4)).unwrap();
        let output = gate(&input).unwrap().to_vec2::<f32>().unwrap();
        let silu_of_two = 2.0 / (1.0 + (-2.0f32).exp());
        assert!(output[0][0].abs() < 1e-6 && (output[0][1] + 3.0 * silu_of_two).abs() < 1e-5, "{output:?}");
    }

    #[test]
    fn an_odd_number_of_channels_is_an_error() {
        assert!(gate(&tensor(vec![0.0; 3], (1, 3)).unwrap()).is_err());
    }

    #[test]
    fn gradients_are_right() {
        check(&[&[3, 8]], |x| gate(&x[0]), 1e-2);
    }
}
