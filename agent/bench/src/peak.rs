//! The fastest that this machine multiplies matrices: what a measured speed is compared with.

use std::hint::black_box;
use std::time::Instant;

use mindseye_world_model::{Matrix, matmul};
use rayon::prelude::*;

use crate::Result;
use crate::timing::pool;

/// Side of the measured products: large enough that nothing but the product counts, small enough for the second-level
/// cache.
const SIDE: usize = 384;
/// Products between two readings of the clock.
const PRODUCTS: usize = 20;
/// The best of so many rounds counts.
const ROUNDS: usize = 10;

/// GFLOP/s of square matrix products on `threads` threads at once, each on its own.
///
/// # Errors
/// [`crate::Error::Threads`] when threads cannot be had.
pub fn gemm_peak(threads: usize) -> Result<f64> {
    let pool = pool(threads)?;
    let (left, right) = (vec![0.5f32; SIDE * SIDE], vec![0.25f32; SIDE * SIDE]);
    let mut best: f64 = 0.0;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        pool.install(|| {
            (0..threads).into_par_iter().for_each(|_| {
                let mut product = vec![0.0f32; SIDE * SIDE];
                for _ in 0..PRODUCTS {
                    let (left, right) = (Matrix::new(&left, SIDE, SIDE), Matrix::new(&right, SIDE, SIDE));
                    matmul(black_box(&mut product), left, right, false);
                }
            });
        });
        let operations = (2 * SIDE * SIDE * SIDE * PRODUCTS * threads) as f64;
        best = best.max(operations / started.elapsed().as_secs_f64() / 1e9);
    }
    Ok(best)
}
