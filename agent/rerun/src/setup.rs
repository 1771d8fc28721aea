//! The scenes, and the files that come with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use mindseye_agent::Task;
use mindseye_assets as assets;
use mindseye_runs::{InteractiveRun, SharedBenchmark, Shipped, Supplied};
use mindseye_sim::{Factors, Figure, SceneOptions, benchmark};

/// The scenes of [`mindseye_sim`].
pub struct Scenes;

impl Shipped for Scenes {
    fn world(&self, scene: &str, image_side: usize) -> Supplied<SharedBenchmark> {
        Ok(Arc::new(benchmark(scene, &SceneOptions::with_side(image_side)?)?))
    }

    fn checkpoint(&self, named: Option<&Path>, scene: &str) -> Supplied<PathBuf> {
        Ok(assets::checkpoint_or(named, scene)?)
    }

    fn task(&self, named: Option<&Path>, scene: &str) -> Supplied<Task> {
        Ok(assets::load_task(named, scene, true)?)
    }
}

/// What the episode of `run` looks like.
pub fn figure_of(run: &InteractiveRun) -> Result<Figure> {
    let setup = run.setup();
    Ok(mindseye_sim::scene(setup.benchmark.name())?.figure(&Factors::default(), setup.pair.episode)?)
}
