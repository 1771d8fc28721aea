//! Spatial softmax: every channel becomes the expected position of its attention and the mean feature there
//! (keypoints; Finn et al. 2016, "Deep spatial autoencoders").

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::silu::exponential;
use super::{slice, tensor, vectorised, with_values};

/// `features [B, H, W, C]`, `sharpness [C]` → `[B, 3 C]`: expected x, expected y (both on `[-2, 2]`) and the mean
/// feature, under the weights `softmax over positions (sharpness_c * feature)`.
///
/// # Errors
/// When the shapes do not fit.
#[cfg(test)]
pub fn spatial_softmax(features: &Tensor, sharpness: &Tensor) -> Result<Tensor> {
    features.contiguous()?.apply_op2(sharpness, SpatialSoftmax)
}

/// See [`spatial_softmax`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpatialSoftmax;

/// Half the extent of the coordinates.
const REACH: f32 = 2.0;

fn coordinate(index: usize, count: usize) -> f32 {
    if count < 2 { 0.0 } else { REACH * (2.0 * index as f32 / (count - 1) as f32 - 1.0) }
}

/// Attention `[H * W, C]` of one image.
fn attention(image: &[f32], sharpness: &[f32]) -> Vec<f32> {
    let channels = sharpness.len();
    let mut weights = image.to_vec();
    let mut most = vec![f32::MIN; channels];
    let mut totals = vec![0.0f32; channels];
    vectorised(
        #[inline(always)]
        || {
            for row in weights.chunks_exact_mut(channels) {
                for ((most, weight), sharpness) in most.iter_mut().zip(row).zip(sharpness) {
                    *weight *= sharpness;
                    *most = most.max(*weight);
                }
            }
            for row in weights.chunks_exact_mut(channels) {
                for ((weight, most), total) in row.iter_mut().zip(&most).zip(&mut totals) {
                    *weight = exponential(*weight - most);
                    *total += *weight;
                }
            }
            for row in weights.chunks_exact_mut(channels) {
                for (weight, total) in row.iter_mut().zip(&totals) {
                    *weight /= total;
                }
            }
        },
    );
    weights
}

impl CustomOp2 for SpatialSoftmax {
    fn name(&self) -> &'static str {
        "spatial softmax"
    }

    fn cpu_fwd(
        &self,
        features: &CpuStorage,
        layout: &Layout,
        sharpness: &CpuStorage,
        sharpness_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, height, width, channels) = layout.shape().dims4()?;
        let sharpness = slice(sharpness, sharpness_layout)?;
        if sharpness.len() != channels {
            candle_core::bail!("spatial softmax: expected {channels} values of sharpness, got {}", sharpness.len());
        }
        let mut output = vec![0.0f32; batch * 3 * channels];
        let images = slice(features, layout)?.chunks_exact(height * width * channels);
        for (image, output) in images.zip(output.chunks_exact_mut(3 * channels)) {
            let weights = attention(image, sharpness);
            for (place, (weights, values)) in
                weights.chunks_exact(channels).zip(image.chunks_exact(channels)).enumerate()
            {
                let (x, y) = (coordinate(place % width, width), coordinate(place / width, height));
                for channel in 0..channels {
                    output[channel] += weights[channel] * x;
                    output[channels + channel] += weights[channel] * y;
                    output[2 * channels + channel] += weights[channel] * values[channel];
                }
            }
        }
        Ok((CpuStorage::F32(output), (batch, 3 * channels).into()))
    }

    fn bwd(
        &self,
        features: &Tensor,
        sharpness: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (_, height, width, channels) = features.dims4()?;
        let sharpness_values = with_values(sharpness, <[f32]>::to_vec)?;
        let output = with_values(output, <[f32]>::to_vec)?;
        let gradient = with_values(gradient, <[f32]>::to_vec)?;
        let mut sharpness_gradient = vec![0.0f32; channels];
        let features_gradient = with_values(features, |features| {
            let mut features_gradient = vec![0.0f32; features.len()];
            let size = height * width * channels;
            let results = output.chunks_exact(3 * channels).zip(gradient.chunks_exact(3 * channels));
            let images = features.chunks_exact(size).zip(features_gradient.chunks_exact_mut(size));
            for ((image, image_gradient), (output, gradient)) in images.zip(results) {
                let weights = attention(image, &sharpness_values);
                for place in 0..height * width {
                    let (x, y) = (coordinate(place % width, width), coordinate(place / width, height));
                    for channel in 0..channels {
                        let index = place * channels + channel;
                        let (x_index, y_index, mean_index) = (channel, channels + channel, 2 * channels + channel);
                        let value = image[index];
                        let logit_gradient = weights[index]
                            * (gradient[x_index] * (x - output[x_index])
                                + gradient[y_index] * (y - output[y_index])
                                + gradient[mean_index] * (value - output[mean_index]));
                        sharpness_gradient[channel] += logit_gradient * value;
                        image_gradient[index] =
                            logit_gradient * sharpness_values[channel] + gradient[mean_index] * weights[index];
                    }
                }
            }
            features_gradient
        })?;
        Ok((Some(tensor(features_gradient, features.shape().clone())?), Some(tensor(sharpness_gradient, channels)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::check;
    use super::*;

    #[test]
    fn gradients_are_right() {
        check(&[&[2, 3, 4, 2], &[2]], |x| spatial_softmax(&x[0], &x[1]), 2e-2);
    }

    #[test]
    fn the_position_of_a_sharp_peak_is_exact() {
        let mut image = vec![0.0; 5 * 9];
        image[3 * 9 + 2] = 10.0;
        let features = tensor(image, (1, 5, 9, 1)).unwrap();
        let found = spatial_softmax(&features, &tensor(vec![5.0], 1).unwrap()).unwrap();
        let found = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let expected = [-1.0, 1.0, 10.0];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3), "{found:?}");
    }
}
