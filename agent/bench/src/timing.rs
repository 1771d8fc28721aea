//! Clocks and threads of all measurements.

use std::time::Instant;

use mindseye_interface::config::require_range;

use crate::Result;

/// Refuses a number of rounds below 1.
pub(crate) fn require_rounds(rounds: usize) -> Result<()> {
    Ok(require_range("rounds", rounds, 1, usize::MAX)?)
}

/// A pool of `threads` threads.
pub(crate) fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build()?)
}

/// Seconds that all cores together have worked for this process.
pub(crate) fn cpu_secs() -> f64 {
    cpu_time::ProcessTime::now().as_duration().as_secs_f64()
}

/// Seconds of `work` by the clock, and of all cores together.
pub(crate) fn timed(work: impl FnOnce() -> Result<()>) -> Result<(f64, f64)> {
    let (wall, cpu) = (Instant::now(), cpu_secs());
    work()?;
    Ok((wall.elapsed().as_secs_f64(), cpu_secs() - cpu))
}
