//! `mindseye bench`: how fast this machine simulates, trains and plans.

use std::error::Error;
use std::path::{Path, PathBuf};

use anyhow::Result;
use mindseye_agent::Task;
use mindseye_assets as assets;
use mindseye_bench::ShippedFiles;
pub use mindseye_bench::{BenchArguments, SurpriseSuiteArguments};

use super::load_task;
use crate::progress::{Interrupted, TerminalProgress, stop_on_ctrl_c};
use crate::streams::say;

/// The files that come with the program.
struct Assets;

impl ShippedFiles for Assets {
    fn checkpoint(&self, scene: &str) -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
        Ok(assets::checkpoint(scene)?)
    }

    fn recipe(&self, scene: &str) -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
        Ok(assets::recipe(scene)?)
    }

    fn task(&self, named: Option<&Path>, scene: &str) -> Result<Task, Box<dyn Error + Send + Sync>> {
        Ok(load_task(named, scene)?)
    }
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense or a shipped file is missing.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    say!("{}", arguments.run(&Assets)?);
    Ok(())
}

/// Runs `mindseye surprise-suite`.
///
/// # Errors
/// As [`SurpriseSuiteArguments::run`], and when it is interrupted.
pub fn surprise_suite(arguments: &SurpriseSuiteArguments) -> Result<()> {
    let progress = TerminalProgress::stopped_by(stop_on_ctrl_c()?);
    let text = arguments.run(&progress)?.ok_or_else(|| Interrupted("stopped; films that were made are kept".into()))?;
    say!("{text}");
    Ok(())
}
