//! The table of an ablation with what it is of.

use std::fmt::{Display, Formatter, Result};

use mindseye_agent::Task;
use serde::Serialize;

use super::AblationRow;
use crate::MethodIdentity;

/// The table of an ablation, and what it is of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AblationReport {
    /// Version of the program.
    pub version: &'static str,
    /// The whole agent.
    pub method: MethodIdentity,
    /// Name of the benchmark.
    pub benchmark: String,
    /// What varies from episode to episode.
    pub factors: Vec<String>,
    /// Side of the square images, pixels.
    pub image_side: usize,
    /// Episodes per seed.
    pub episodes: usize,
    /// Root seeds.
    pub seeds: Vec<u64>,
    /// The task.
    pub task: Task,
    /// One row per module and part.
    pub rows: Vec<AblationRow>,
}

/// The report as text, without a line break at the end.
impl Display for AblationReport {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        writeln!(text, "{}, {} episodes x {} seeds", self.benchmark, self.episodes, self.seeds.len())?;
        for row in &self.rows {
            let verdict = if row.is_significant { "significant" } else { "within chance" };
            write!(text, "\n{}, without {} ({})", row.module, row.part, row.conditions)?;
            write!(text, "\n  with {}   without {}   {verdict}", row.with, row.without)?;
            for (which, ticks) in ["with", "without"].into_iter().zip(row.error_ticks) {
                if ticks > 0 {
                    write!(text, "\n  WARNING: {which} it, the agent held still because of an error in {ticks} ticks")?;
                }
            }
        }
        Ok(())
    }
}
