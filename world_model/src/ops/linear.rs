//! Affine map of rows.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::matmul::{Matrix, matmul};
use super::{slice, tensor, vectorised, with_values};

/// `input [N, I] x weight [O, I]ᵀ + bias [O]` → `[N, O]`.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn linear(input: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    input.contiguous()?.apply_op3(weight, bias, Linear)
}

/// `input [N, I] x weight [O, I]ᵀ` → `[N, O]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn product(input: &Tensor, weight: &Tensor) -> Result<Tensor> {
    input.contiguous()?.apply_op2(&weight.contiguous()?, Product)
}

struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = input_layout.shape().dims2()?;
        let (outputs, weight_inputs) = weight_layout.shape().dims2()?;
        if inputs != weight_inputs || bias_layout.shape().elem_count() != outputs {
            candle_core::bail!("linear: expected rows of {weight_inputs} values, got {inputs}");
        }
        let bias = slice(bias, bias_layout)?;
        let mut output = Vec::with_capacity(rows * outputs);
        (0..rows).for_each(|_| output.extend_from_slice(bias));
        let input = Matrix::new(slice(input, input_layout)?, rows, inputs);
        let weight = Matrix::new(slice(weight, weight_layout)?, outputs, inputs);
        matmul(&mut output, input, weight.transposed(), true);
        Ok((CpuStorage::F32(output), (rows, outputs).into()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (input_gradient, weight_gradient) = product_gradients(input, weight, gradient)?;
        if weight_gradient.is_none() {
            return Ok((Some(input_gradient), None, None));
        }
        let outputs = weight.dim(0)?;
        let bias_gradient = with_values(gradient, |gradient| column_sums(gradient, outputs))?;
        Ok((Some(input_gradient), weight_gradient, Some(tensor(bias_gradient, outputs)?)))
    }
}

struct Product;

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "product"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = input_layout.shape().dims2()?;
        let (outputs, weight_inputs) = weight_layout.shape().dims2()?;
        if inputs != weight_inputs {
            candle_core::bail!("product: expected rows of {weight_inputs} values, got {inputs}");
        }
        let mut output = vec![0.0; rows * outputs];
        let input = Matrix::new(slice(input, input_layout)?, rows, inputs);
        let weight = Matrix::new(slice(weight, weight_layout)?, outputs, inputs);
        matmul(&mut output, input, weight.transposed(), false);
        Ok((CpuStorage::F32(output), (rows, outputs).into()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (input_gradient, weight_gradient) = product_gradients(input, weight, gradient)?;
        Ok((Some(input_gradient), weight_gradient))
    }
}

/// Gradients of `input [N, I]` and, unless it is fixed, of `weight [O, I]`, from that of the output `[N, O]`.
fn product_gradients(input: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
    let (rows, inputs) = input.dims2()?;
    let outputs = weight.dim(0)?;
    let mut input_gradient = vec![0.0; rows * inputs];
    let mut weight_gradient = weight.track_op().then(|| vec![0.0; outputs * inputs]);
    with_values(gradient, |gradient| -> Result<()> {
        let gradient = Matrix::new(gradient, rows, outputs);
        with_values(weight, |weight| {
            matmul(&mut input_gradient, gradient, Matrix::new(weight, outputs, inputs), false);
        })?;
        with_values(input, |input| {
            if let Some(product) = &mut weight_gradient {
                matmul(product, gradient.transposed(), Matrix::new(input, rows, inputs), false);
            }
        })
    })??;
    let weight_gradient = weight_gradient.map(|values| tensor(values, (outputs, inputs))).transpose()?;
    Ok((tensor(input_gradient, (rows, inputs))?, weight_gradient))
}

/// Sum of each of `columns` columns of a row-major matrix.
pub(super) fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0f32; columns];
    vectorised(
        #[inline(always)]
        || {
            for row in values.chunks_exact(columns) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
        },
    );
    sums
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::check;
    use super::*;

    #[test]
    fn gradients_of_linear_and_product_are_right() {
        check(&[&[5, 4], &[3, 4], &[3]], |x| linear(&x[0], &x[1], &x[2]), 1e-2);
        check(&[&[5, 4], &[3, 4]], |x| product(&x[0], &x[1]), 1e-2);
    }
}
