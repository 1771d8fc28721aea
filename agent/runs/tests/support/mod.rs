//! Runs in the shipped scenes with the shipped checkpoints.

#![allow(dead_code)] // every test file uses another part of this
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use mindseye_agent::{ModelSource, Task};
use mindseye_interface::{Benchmark, GoalKind, PairSearch, StartGoal, config};
use mindseye_runs::{Detail, InteractiveRun, RunSetup, TickRecord};
use mindseye_sim::{SceneBenchmark, SceneOptions, benchmark};
use mindseye_world_model::Checkpoint;

/// A file of the assets.
pub fn asset(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets").join(path)
}

/// The folder of the shipped checkpoint of `scene`.
pub fn checkpoint_folder(scene: &str) -> PathBuf {
    asset("checkpoints").join(scene)
}

/// The shipped task called `name`.
pub fn task(name: &str) -> Task {
    config::load(&asset("tasks").join(name).with_extension("toml")).unwrap()
}

/// The benchmark of `scene` with images of the shipped models' size.
pub fn world(scene: &str) -> SceneBenchmark {
    benchmark(scene, &SceneOptions::with_side(64).unwrap()).unwrap()
}

/// Pair number `index` of seed 7 in `scene`.
pub fn pair(scene: &str, index: usize) -> StartGoal {
    let search = PairSearch::new(GoalKind::Offset { goal_offset: 25 }, index + 1, 7);
    world(scene).start_goal_pairs(&search).unwrap().swap_remove(index)
}

static TWO_ROOM: LazyLock<Arc<Checkpoint>> = LazyLock::new(|| load("two_room"));
static PUSH_T: LazyLock<Arc<Checkpoint>> = LazyLock::new(|| load("push_t"));

fn load(scene: &str) -> Arc<Checkpoint> {
    Arc::new(Checkpoint::load(&checkpoint_folder(scene)).unwrap())
}

/// The shipped model of `scene`, read once.
pub fn source(scene: &str) -> ModelSource {
    match scene {
        "two_room" => ModelSource::from(&*TWO_ROOM),
        "push_t" => ModelSource::from(&*PUSH_T),
        other => ModelSource::from(load(other)),
    }
}

/// The shipped agent of `scene` in its world, from the start of pair 0.
pub fn setup(scene: &str) -> RunSetup {
    RunSetup {
        benchmark: Arc::new(world(scene)),
        source: source(scene),
        task: task(scene),
        pair: pair(scene, 0),
        recorded: None,
        threads: 1,
        detail: Detail::NONE,
    }
}

/// The run of [`setup`].
pub fn run(scene: &str) -> InteractiveRun {
    InteractiveRun::new(setup(scene)).unwrap()
}

/// `count` more ticks of `run`.
pub fn advance(run: &mut InteractiveRun, count: usize) -> Vec<Arc<TickRecord>> {
    (0..count).map(|_| run.advance().unwrap()).collect()
}

/// The digests of all ticks so far.
pub fn digests(run: &InteractiveRun) -> Vec<String> {
    run.history().iter().map(|record| record.digest()).collect()
}

/// The true state after the newest tick.
pub fn end(run: &InteractiveRun) -> Vec<f64> {
    run.history().last().unwrap().steps.last().unwrap().state.clone()
}

/// Distance between two states in their first two dimensions.
pub fn apart(one: &[f64], other: &[f64]) -> f64 {
    (one[0] - other[0]).hypot(one[1] - other[1])
}
