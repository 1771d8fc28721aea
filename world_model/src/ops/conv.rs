//! Convolution of `[B, H, W, C]` images, a few at a time so that they stay in cache.

mod kernels;
mod plan;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use self::plan::Plan;
use super::{slice, tensor, with_values};

/// Shape of a convolution: square kernel, equal stride and zero padding on both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolution {
    /// Side of the kernel, pixels.
    pub kernel: usize,
    /// Step between windows, pixels.
    pub stride: usize,
    /// Zeros added on each side, pixels.
    pub padding: usize,
    /// Whether the input goes through SiLU first: here it costs no tensor of its own.
    pub silu_first: bool,
    /// Whether the gradient of the input is computed; a first layer saves its cost.
    pub input_gradient: bool,
}

impl Convolution {
    /// Side of the output for an input side.
    pub fn output_side(&self, side: usize) -> usize {
        (side + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1
    }
}

/// `input [B, H, W, C]`, `weight [O, kernel * kernel * C]` (kernel row, kernel column, channel), `bias [O]` → `[B, H',
/// W', O]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn convolve(input: &Tensor, weight: &Tensor, bias: &Tensor, convolution: Convolution) -> Result<Tensor> {
    input.contiguous()?.apply_op3(weight, bias, convolution)
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
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
        let plan = Plan::new(*self, input_layout.shape())?;
        let (outputs, window_len) = weight_layout.shape().dims2()?;
        let run_len = plan.run_len();
        if plan.image_len() == 0
            || window_len != self.kernel * run_len
            || plan.height.min(plan.width) + 2 * self.padding < self.kernel
        {
            candle_core::bail!(
                "convolution: expected windows of {window_len} values, got {} in images of {}x{}",
                self.kernel * run_len,
                plan.height,
                plan.width
            );
        }
        let (images, bias) = (slice(input, input_layout)?, slice(bias, bias_layout)?);
        let output = plan.forward(images, slice(weight, weight_layout)?, bias);
        let batch = input_layout.shape().dims()[0];
        Ok((CpuStorage::F32(output), (batch, plan.output_height, plan.output_width, outputs).into()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let plan = Plan::new(*self, input.shape())?;
        let (outputs, window_len) = weight.dims2()?;
        let back = with_values(weight, |weight| {
            with_values(input, |input| with_values(gradient, |gradient| plan.back(input, weight, gradient, outputs)))
        })???;
        let on_input = if self.input_gradient { Some(tensor(back.input, input.shape().clone())?) } else { None };
        Ok((on_input, Some(tensor(back.weight, (outputs, window_len))?), Some(tensor(back.bias, outputs)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::{check, values};
    use super::*;
    use candle_core::Var;

    #[test]
    fn gradients_are_right_with_stride_and_padding() {
        for (kernel, stride, padding, silu_first) in [(3, 1, 1, true), (2, 2, 0, false), (5, 2, 2, false)] {
            let convolution = Convolution { kernel, stride, padding, silu_first, input_gradient: true };
            let weight = [3, kernel * kernel * 2];
            check(&[&[2, 4, 6, 2], &weight, &[3]], |x| convolve(&x[0], &x[1], &x[2], convolution), 1e-2);
        }
    }

    /// candle's convolution of the same numbers.
    fn by_candle(x: &[Tensor], Convolution { kernel, stride, padding, .. }: Convolution) -> Result<Tensor> {
        let (channels, outputs) = (x[0].dim(3)?, x[1].dim(0)?);
        let weight = x[1].reshape((outputs, kernel, kernel, channels))?.permute((0, 3, 1, 2))?.contiguous()?;
        let output = x[0].permute((0, 3, 1, 2))?.contiguous()?.conv2d(&weight, padding, stride, 1, 1)?;
        output.permute((0, 2, 3, 1))?.broadcast_add(&x[2])
    }

    fn farthest(a: &Tensor, b: &Tensor) -> Result<f32> {
        let scale = b.abs()?.max_all()?.to_scalar::<f32>()?.max(1.0);
        Ok((a - b)?.abs()?.max_all()?.to_scalar::<f32>()? / scale)
    }

    #[test]
    fn agrees_with_candles_convolution_and_its_gradients() -> Result<()> {
        // Whole tiles and parts of them, one panel of outputs, a part of one, several; windows apart; sums of several
        // images and of a part of one.
        let cases = [
            ((2, 16, 16, 32), 32, (3, 1, 1)),
            ((3, 20, 11, 5), 33, (3, 1, 1)),
            ((1, 64, 64, 3), 16, (5, 2, 2)),
            ((2, 32, 32, 16), 32, (4, 2, 1)),
            ((9, 8, 8, 32), 16, (1, 1, 0)),
            ((3, 64, 64, 3), 32, (8, 8, 0)),
            ((2, 21, 9, 4), 70, (2, 3, 0)),
            ((2, 7, 28, 2), 17, (4, 3, 3)),
        ];
        for (input, outputs, (kernel, stride, padding)) in cases {
            let convolution = Convolution { kernel, stride, padding, silu_first: false, input_gradient: true };
            let window = kernel * kernel * input.3;
            let x = [
                Var::from_tensor(&tensor(values(input.0 * input.1 * input.2 * input.3, 0.0), input)?)?,
                Var::from_tensor(&tensor(values(outputs * window, 1.0), (outputs, window))?)?,
                Var::from_tensor(&tensor(values(outputs, 2.0), outputs)?)?,
            ];
            let tensors = x.each_ref().map(|var| var.as_tensor().clone());
            let ours = convolve(&x[0], &x[1], &x[2], convolution)?;
            let theirs = by_candle(&tensors, convolution)?;
            assert!(farthest(&ours, &theirs)? < 1e-5, "output of {convolution:?}");
            let upstream = tensor(values(ours.elem_count(), 9.0), ours.shape().clone())?;
            let (ours, theirs) =
                ((ours * &upstream)?.sum_all()?.backward()?, (theirs * upstream)?.sum_all()?.backward()?);
            for (which, var) in x.iter().enumerate() {
                let both = ours.get(var).zip(theirs.get(var));
                let error = both.map(|(ours, theirs)| farthest(ours, theirs)).transpose()?;
                assert!(error.is_some_and(|error| error < 2e-5), "gradient {which} of {convolution:?}: {error:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn silu_first_is_silu_of_the_input() -> Result<()> {
        let apart = Convolution { kernel: 3, stride: 1, padding: 1, silu_first: false, input_gradient: true };
        let fused = Convolution { silu_first: true, ..apart };
        let input = Var::from_tensor(&tensor(values(2 * 9 * 10 * 3, 0.0), (2, 9, 10, 3))?)?;
        let (weight, bias) = (tensor(values(5 * 27, 1.0), (5, 27))?, tensor(values(5, 2.0), 5)?);
        let one = convolve(&input, &weight, &bias, fused)?;
        let two = convolve(&crate::ops::silu(&input)?, &weight, &bias, apart)?;
        let of = |tensor: &Tensor| with_values(tensor, <[f32]>::to_vec);
        assert_eq!(of(&one)?, of(&two)?);
        let (one, two) = ((&one * &one)?.sum_all()?.backward()?, (&two * &two)?.sum_all()?.backward()?);
        let both = one.get(&input).zip(two.get(&input));
        assert_eq!(both.map(|(one, two)| -> Result<_> { Ok(of(one)? == of(two)?) }).transpose()?, Some(true));
        Ok(())
    }
}
