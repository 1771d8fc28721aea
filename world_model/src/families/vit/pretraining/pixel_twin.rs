//! The pixel twin of latent pretraining (a masked autoencoder, arXiv 2111.06377, 2203.12602): the same encoder, masks,
//! clips and steps, but what is predicted is pixels. It is here for comparison alone: nothing else of this project
//! predicts pixels to learn from them.

use candle_core::Tensor;

use crate::Result;

/// Pixels `[.., values]` of tubelets, each tubelet brought to mean 0 and, as far as its own variance stands above
/// `floor`, variance 1.
pub(super) fn targets(mut tubelets: Vec<f32>, values: usize, floor: f32) -> Vec<f32> {
    for tubelet in tubelets.chunks_exact_mut(values) {
        let count = values as f32;
        let mean = tubelet.iter().sum::<f32>() / count;
        let variance = tubelet.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
        let scale = 1.0 / (variance + floor).sqrt();
        tubelet.iter_mut().for_each(|value| *value = (*value - mean) * scale);
    }
    tubelets
}

/// Mean squared error, a scalar.
pub(super) fn error(predicted: &Tensor, targets: &Tensor) -> Result<Tensor> {
    Ok((predicted - targets)?.sqr()?.mean_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tubelet_is_normalised_by_itself_and_a_plain_one_keeps_little() {
        let normal = targets(vec![1.0, 3.0, 5.0, 5.002], 2, 0.01);
        assert!((normal[0] + normal[1]).abs() < 1e-6 && normal[1] > 0.99);
        assert!(normal[3] > 0.0 && normal[3] < 0.02, "{normal:?}");
    }
}
