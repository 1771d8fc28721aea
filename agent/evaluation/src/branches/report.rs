//! The report on branches.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::{BranchCoverage, PredictorCoverage};
use crate::MethodIdentity;

/// The branches of a benchmark, and how many of them a model predicts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BranchesReport {
    /// Version of the program.
    pub version: &'static str,
    /// The agent whose model it is.
    pub method: MethodIdentity,
    /// Name of the benchmark.
    pub benchmark: String,
    /// What varies from episode to episode.
    pub factors: Vec<String>,
    /// Side of the square images, pixels.
    pub image_side: usize,
    /// Held-out episodes.
    pub episodes: usize,
    /// Root seed of the episodes.
    pub seed: u64,
    /// Action chunks of a plan.
    pub horizon_chunks: usize,
    /// Plans that were executed.
    pub starts: usize,
    /// Those with several outcomes.
    pub branch_points: usize,
    /// Outcomes of all of them.
    pub branches: usize,
    /// Coverage by each predictor of the checkpoint.
    #[serde(flatten)]
    pub coverage: PredictorCoverage,
}

/// The report as a table of text, without a line break at the end.
impl Display for BranchesReport {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let Self { benchmark, branch_points, branches, starts, coverage, .. } = self;
        writeln!(text, "{benchmark}: {branch_points} plans with {branches} branches, of {starts} plans")?;
        write!(text, "{:<16} {:<22} {:<22} precision", "", "branches found", "all of a plan")?;
        let mut row = |name: &str, coverage: &BranchCoverage| {
            let (recall, all) = (coverage.recall.to_string(), coverage.all_branches.to_string());
            write!(text, "\n{name:<16} {recall:<22} {all:<22} {:.1} %", 100.0 * coverage.precision)
        };
        row("one prediction", &coverage.model)?;
        for sampled in &coverage.stochastic {
            row(&format!("{} samples", sampled.samples), &sampled.coverage)?;
        }
        coverage.ensemble.iter().try_for_each(|coverage| row("ensemble", coverage))
    }
}
