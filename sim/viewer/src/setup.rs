//! From arguments to a run in a window.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use mindseye_agent::Task;
use mindseye_assets as assets;
use mindseye_runs::{RunArguments, SharedBenchmark, Shipped, Supplied};
use mindseye_sim::{Factors, SceneOptions, benchmark};

use crate::session::Session;

/// The scenes of [`mindseye_sim`], and the files that come with them.
struct Scenes;

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

/// The run that `arguments` ask for, on a thread of its own.
///
/// # Errors
/// When there is no such scene, pair, task or checkpoint, or they do not fit together.
pub fn prepare(arguments: &RunArguments) -> Result<Session> {
    let run = arguments.run(&Scenes)?;
    let setup = run.setup();
    let scene = mindseye_sim::scene(setup.benchmark.name())?;
    let figure = scene.figure(&Factors::default(), setup.pair.episode)?;
    Ok(Session::start(run, figure, arguments.is_paused())?)
}
