//! What keeps tokens from collapsing: terms on tokens without what their position alone says of them. With that part
//! in, the fixed positions would fill the dimensions, and content could still collapse.

use candle_core::Tensor;

use crate::Result;
use crate::families::vit::trainable::positions;
use crate::ops::{product, sigreg, with_values};

/// Standard deviation below which a dimension costs.
const LEAST_STD: f64 = 0.5;
/// Weight of the squared covariances beside the standard deviations.
const COVARIANCE: f64 = 0.04;

/// Mean over clips of each token, `[N, D]`, of tokens `[B, N, D]`; a constant.
pub(super) fn means_by_position(tokens: &Tensor) -> Result<Vec<f32>> {
    let (clips, count, width) = tokens.dims3()?;
    Ok(with_values(tokens, |values| {
        let mut means = vec![0.0f32; count * width];
        for clip in values.chunks_exact(count * width) {
            means.iter_mut().zip(clip).for_each(|(mean, value)| *mean += value / clips as f32);
        }
        means
    })?)
}

/// Tokens `[B, M, D]` with these numbers, without the means of their positions, as rows `[B * M, D]`.
pub(super) fn centred(tokens: &Tensor, numbers: &[Vec<u32>], means: &[f32]) -> Result<Tensor> {
    let (clips, count, width) = tokens.dims3()?;
    Ok((tokens - positions(means, width, numbers)?)?.reshape((clips * count, width))?)
}

/// How far standard deviations of the columns of `rows [n, D]` are below the least one, and how correlated they are; a
/// scalar.
pub(super) fn variance(rows: &Tensor) -> Result<Tensor> {
    let (count, width) = rows.dims2()?;
    let off = rows.broadcast_sub(&rows.mean_keepdim(0)?)?;
    let squares = off.sqr()?.mean(0)?;
    let missing = ((((&squares + 1e-4)?.sqrt()? * -1.0)? + LEAST_STD)?.relu()? / LEAST_STD)?.mean_all()?;
    let columns = off.t()?.contiguous()?;
    let covariance = (product(&columns, &columns)? / count as f64)?;
    let others = (covariance.sqr()?.sum_all()? - squares.sqr()?.sum_all()?)?;
    Ok((missing + (others * (COVARIANCE / width as f64))?)?)
}

/// SIGReg's statistic of `rows [n, D]` along `directions [K, D]`, times the number of clips of a step; a scalar.
pub(super) fn normality(rows: &Tensor, directions: &Tensor, knots: usize, clips: usize) -> Result<Tensor> {
    Ok((sigreg(&product(rows, directions)?, knots)? * clips as f64)?)
}
