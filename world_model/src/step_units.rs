//! Errors of predicted latents in units of typical steps.

use candle_core::Tensor;
use nalgebra::DMatrix;

use crate::Result;
use crate::covariance::inverse_roots;
use crate::ops::tensor;

/// How the mean over transitions is made. The two round differently, and models were trained with either: the
/// finetuning of the predictor with the first, heads with the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Averaging {
    /// The sum, divided by the number of transitions.
    DivideSum,
    /// The sum of what was divided by the number of transitions.
    SumFractions,
}

/// `[D, D]`: a prediction error `[N, D]` times this is in units of typical steps, the inverse root of the mean outer
/// product of the latent steps of `transitions` (frames before and after).
///
/// # Errors
/// When a tensor cannot be made.
pub(crate) fn steps_from_error(
    latents: &[f32],
    width: usize,
    transitions: &[(usize, usize)],
    averaging: Averaging,
) -> Result<Tensor> {
    let count = transitions.len().max(1) as f64;
    // Division by 1 is exact.
    let (each, all) = if averaging == Averaging::DivideSum { (1.0, count) } else { (count, 1.0) };
    let mut covariance: DMatrix<f64> = DMatrix::zeros(width, width);
    for (before, after) in transitions {
        let (before, after) = (&latents[before * width..][..width], &latents[after * width..][..width]);
        let step: Vec<f64> = after.iter().zip(before).map(|(after, before)| f64::from(after - before)).collect();
        for row in 0..width {
            for column in 0..=row {
                covariance[(row, column)] += step[row] * step[column] / each;
            }
        }
    }
    covariance.fill_upper_triangle_with_lower_triangle();
    covariance /= all;
    let (scales, directions) = inverse_roots(covariance, 1.0);
    let factor = &directions * DMatrix::from_diagonal(&scales) * directions.transpose();
    Ok(tensor(factor.iter().map(|&value| value as f32).collect(), (width, width))?) // symmetric: either order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_one_typical_step_has_length_one() -> Result<()> {
        // Steps of 2 along the first axis and of 0.1 along the second, in turn.
        let latents = [0.0f32, 0.0, 2.0, 0.0, 2.0, 0.1, 4.0, 0.1, 4.0, 0.2];
        let transitions = [(0, 1), (1, 2), (2, 3), (3, 4)];
        for averaging in [Averaging::DivideSum, Averaging::SumFractions] {
            let factor = steps_from_error(&latents, 2, &transitions, averaging)?.to_vec2::<f32>()?;
            // Half of the steps move along each axis: the root mean squares are 2 and 0.1 over the root of 2.
            assert!((factor[0][0] - 2f32.sqrt() / 2.0).abs() < 0.01, "{factor:?}");
            assert!((factor[1][1] - 2f32.sqrt() / 0.1).abs() < 2.5, "{factor:?}");
        }
        Ok(())
    }
}
