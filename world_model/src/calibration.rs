//! Whether futures that disagree are futures that err: the spread of imagined futures against what came, on recorded episodes.

use rayon::prelude::*;
use serde::Serialize;

use crate::latent_episodes::LatentEpisodes;
use crate::ops::{product, tensor, with_values};
use crate::{Error, Result};

/// How spread and error go together after so many blocks. Both are mean squares per value of the latent, in units of typical steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// Blocks imagined.
    pub blocks: usize,
    /// Starts measured.
    pub starts: usize,
    /// Rank correlation of spread and error (Spearman): 1 where the more uncertain future always errs more, 0 where spread says nothing.
    pub spearman: f64,
    /// Mean squared distance of futures from their mean.
    pub spread: f64,
    /// Mean squared distance of what came from the mean of the futures.
    pub error: f64,
}

/// Numbers of blocks that are reported.
pub const BLOCKS: [usize; 3] = [1, 3, 5];
/// Most starts measured.
const MOST: usize = 3000;

/// Lets `imagine`, from a start `[D]` and a plan `[H * A]` to `S` futures `[S, H, D]`, go on from recorded moments by recorded blocks, on the current
/// rayon pool.
///
/// # Errors
/// `imagine`'s; [`Error::Shape`] when no episode is long enough.
pub fn calibrate<E: From<Error> + Send>(
    imagine: impl Fn(&[f32], &[f32]) -> std::result::Result<Vec<f32>, E> + Sync,
    episodes: &LatentEpisodes,
) -> std::result::Result<Vec<Calibration>, E> {
    let horizon = BLOCKS[BLOCKS.len() - 1];
    let all = episodes.require_starts(horizon + 1)?;
    let starts: Vec<usize> = all.iter().copied().step_by(all.len().div_ceil(MOST)).collect();
    let width = episodes.latent_width();
    let metric = episodes.steps_from_error()?;
    let lengths = |values: Vec<f32>| -> Result<Vec<f64>> {
        let measured = product(&tensor(values.clone(), (values.len() / width, width))?, &metric)?;
        let mean = |row: &[f32]| row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / width as f64;
        Ok(with_values(&measured, |values| values.chunks_exact(width).map(mean).collect())?)
    };
    // Spread and error after every block of the report.
    let one = |&start: &usize| -> std::result::Result<Vec<(f64, f64)>, E> {
        let plan: Vec<f32> = (start..start + horizon).flat_map(|moment| episodes.block(moment)).copied().collect();
        let futures = imagine(episodes.latent(start), &plan)?;
        let count = futures.len() / (horizon * width);
        let at = |blocks: usize| -> Result<(f64, f64)> {
            let state = |future: usize| &futures[(future * horizon + blocks - 1) * width..][..width];
            let mean = |index: usize| (0..count).map(|future| state(future)[index]).sum::<f32>() / count as f32;
            let mean: Vec<f32> = (0..width).map(mean).collect();
            let from_mean = |values: &[f32]| -> Vec<f32> { values.iter().zip(&mean).map(|(a, b)| a - b).collect() };
            let spread = lengths((0..count).flat_map(|future| from_mean(state(future))).collect())?;
            let error = lengths(from_mean(episodes.latent(start + blocks)))?;
            Ok((spread.iter().sum::<f64>() / count as f64, error[0]))
        };
        Ok(BLOCKS.into_iter().map(at).collect::<Result<_>>()?)
    };
    let measured: Vec<Vec<(f64, f64)>> = starts.par_iter().map(one).collect::<std::result::Result<_, E>>()?;
    let report = |(index, blocks): (usize, usize)| {
        let (spreads, errors): (Vec<f64>, Vec<f64>) = measured.iter().map(|of_start| of_start[index]).unzip();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let (spread, error) = (mean(&spreads), mean(&errors));
        Calibration { blocks, starts: starts.len(), spearman: spearman(&spreads, &errors), spread, error }
    };
    Ok(BLOCKS.into_iter().enumerate().map(report).collect())
}

/// Spearman's rank correlation of two series of equal length; equal values share their mean rank. 0 where one of them does not vary.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let middle = (a.len() as f64 - 1.0) / 2.0;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum::<f64>();
    let scale = (dot(&a, &a) * dot(&b, &b)).sqrt();
    if scale > 0.0 { dot(&a, &b) / scale } else { 0.0 }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = first as f64 + (equal.len() as f64 - 1.0) / 2.0;
        equal.iter().for_each(|&index| ranks[index] = rank);
        first += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_agree_disagree_or_have_nothing_to_do_with_each_other() {
        let rising = [1.0, 2.0, 30.0, 31.0, 500.0];
        assert!((spearman(&rising, &[0.1, 0.2, 0.3, 0.4, 9.0]) - 1.0).abs() < 1e-12);
        assert!((spearman(&rising, &[5.0, 4.0, 3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        assert_eq!(spearman(&rising, &[2.0; 5]), 0.0);
        // By hand: ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3.
        assert!((spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]) - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn futures_that_spread_where_they_err_are_told_from_those_that_do_not() -> Result<()> {
        // The first value moves by the block and by the second value, of which what is imagined knows only how large it is.
        let (mut latents, mut blocks) = (Vec::new(), Vec::new());
        for episode in 0..20 {
            let (size, sign) = ((episode / 2) as f32 / 10.0, if episode % 2 == 0 { 1.0 } else { -1.0 });
            for moment in 0..6 {
                latents.extend([moment as f32 * (0.1 + sign * size), size]);
                blocks.push(0.1);
            }
        }
        let moments = (0..20).map(|episode| episode * 6..episode * 6 + 6).collect();
        let episodes = LatentEpisodes::new(latents, blocks, (2, 1), moments)?;
        let imagine = |size: f32, start: &[f32], plan: &[f32]| -> Vec<f32> {
            let future = |sign: f32| (1..=plan.len()).map(move |block| block as f32 * (0.1 + sign * size));
            [1.0, -1.0].into_iter().flat_map(future).flat_map(|place| [start[0] + place, start[1]]).collect()
        };
        let knowing = calibrate(|start, plan| Ok::<_, Error>(imagine(start[1], start, plan)), &episodes)?;
        let unknowing = calibrate(|start, plan| Ok::<_, Error>(imagine(0.5, start, plan)), &episodes)?;
        assert_eq!(knowing.iter().map(|at| at.blocks).collect::<Vec<_>>(), BLOCKS);
        for (knowing, unknowing) in knowing.iter().zip(&unknowing) {
            assert!(knowing.spearman > 0.99, "{knowing:?}");
            assert!((knowing.spread / knowing.error - 1.0).abs() < 1e-3, "{knowing:?}");
            assert!(unknowing.spearman.abs() < 0.2 && unknowing.spread > 0.0, "{unknowing:?}");
        }
        Ok(())
    }
}
