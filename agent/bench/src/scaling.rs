//! How the time of rollouts and their costs grows with the number of plans, their length, and the number of threads.

mod page;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use mindseye_agent::actor::Imagination;
use mindseye_agent::assembly::cost;
use mindseye_agent::configurator::{Configurator, SequenceConfigurator};
use mindseye_agent::cost::GoalDistance;
use mindseye_agent::memory::RingMemory;
use mindseye_agent::{Latent, Plans, Task};
use mindseye_evaluation::ModelIdentity;
use mindseye_interface::Seed;
use mindseye_plots::{ScalingChart, ScalingPoint};
use mindseye_world_model::{Checkpoint, InferenceOptions};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::timing::{pool, require_rounds};

/// Rollouts of many sizes with the model of a checkpoint, on 1 to `threads` threads.
pub struct ScalingBench<'a> {
    /// Name of the scene, for the report.
    pub scene: String,
    /// The checkpoint.
    pub checkpoint: &'a Checkpoint,
    /// Costs and horizon.
    pub task: &'a Task,
    /// Largest number of threads.
    pub threads: usize,
    /// The best of so many rounds counts; at least 1.
    pub rounds: usize,
    /// Root of every random choice.
    pub seed: Seed,
}

/// One size, on every number of threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingSize {
    /// Number of plans.
    pub plans: usize,
    /// Their length, action chunks.
    pub horizon_chunks: usize,
    /// Best of all rounds, milliseconds, by number of threads from 1.
    pub ms: Vec<f64>,
}

/// How time grows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Name of the scene.
    pub scene: String,
    /// Several numbers of plans, at the task's horizon.
    pub by_plans: Vec<ScalingSize>,
    /// Several horizons, at one number of plans.
    pub by_horizon: Vec<ScalingSize>,
}

/// Numbers of plans at the task's horizon.
const PLANS: [usize; 6] = [64, 128, 256, 512, 1024, 2048];
/// Horizons, action chunks, at [`PLANS_FOR_HORIZONS`] plans.
const HORIZONS: [usize; 5] = [1, 2, 4, 8, 16];
const PLANS_FOR_HORIZONS: usize = 256;
/// Rollouts of every size per round.
const ROLLOUTS: usize = 20;

impl ScalingBench<'_> {
    /// Runs the measurement.
    ///
    /// # Errors
    /// When threads cannot be had, or model and task do not fit each other.
    pub fn measure(&self) -> Result<Scaling> {
        require_rounds(self.rounds)?;
        let horizon_chunks = self.task.horizon_chunks;
        Ok(Scaling {
            scene: self.scene.clone(),
            by_plans: PLANS.iter().map(|&plans| self.size(plans, horizon_chunks)).collect::<Result<_>>()?,
            by_horizon: HORIZONS
                .iter()
                .map(|&horizon| self.size(PLANS_FOR_HORIZONS, horizon))
                .collect::<Result<_>>()?,
        })
    }

    /// All settings, with what reports say of the model, which is in the folder `model`.
    ///
    /// # Errors
    /// When its weights cannot be read.
    pub(crate) fn settings(&self, model: &Path) -> Result<impl Serialize> {
        /// What a page lists. Not a JSON value, in which a number of 32 bits gets digits that nobody wrote.
        #[derive(Serialize)]
        struct Settings<'a> {
            version: &'static str,
            model: ModelIdentity,
            scene: &'a str,
            threads: usize,
            rounds: usize,
            rollouts_per_round: usize,
            seed: u64,
            task: &'a Task,
        }
        let training_seed = Some(self.checkpoint.config.training.seed);
        Ok(Settings {
            version: env!("CARGO_PKG_VERSION"),
            model: ModelIdentity::read(model, "model.safetensors", training_seed)?,
            scene: &self.scene,
            threads: self.threads,
            rounds: self.rounds,
            rollouts_per_round: ROLLOUTS,
            seed: self.seed.value(),
            task: self.task,
        })
    }

    fn size(&self, count: usize, horizon_chunks: usize) -> Result<ScalingSize> {
        let model = &self.checkpoint.config.model;
        let mut rng = self.seed.child("scaling").rng();
        let mut random = |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-1.0..=1.0)).collect() };
        let goal = Latent::global(random(model.latent_width));
        let start = Latent::global(random(model.latent_width));
        let values = random(count * horizon_chunks * model.chunk_width());
        let plans = Plans::new(count, horizon_chunks, model.chunk_width(), values)?;
        let task = Task { horizon_chunks, ..self.task.clone() };
        let configurator = SequenceConfigurator::new(&task, vec![goal], model.action_chunk, model.action_width)?;
        let directive = configurator.configure(&RingMemory::new(1));
        let cost = cost(&task, GoalDistance::new(self.checkpoint.statistics.factor(task.metric))?);
        let mut ms = Vec::new();
        for threads in 1..=self.threads {
            let pool = pool(threads)?;
            let options = InferenceOptions { precision: task.precision, threads, ..InferenceOptions::default() };
            let world = self.checkpoint.dynamics(&options)?;
            let mut best = f64::INFINITY;
            pool.install(|| -> Result<()> {
                for _ in 0..ROLLOUTS * self.rounds {
                    let started = Instant::now();
                    black_box(Imagination::new(&*world, &cost, &start, &directive).energies(&plans)?);
                    best = best.min(started.elapsed().as_secs_f64() * 1e3);
                }
                Ok(())
            })?;
            ms.push(best);
        }
        Ok(ScalingSize { plans: count, horizon_chunks, ms })
    }
}

impl Scaling {
    /// Writes `report.html` and `scaling.png` into `folder`; `settings` are those of the measurement.
    ///
    /// # Errors
    /// When an image cannot be drawn, or a file cannot be written.
    pub(crate) fn write(&self, folder: &Path, settings: &impl Serialize) -> Result<()> {
        page::write(folder, self, settings)
    }

    /// Time against size, both from zero: a straight line where time is in proportion.
    pub fn chart(&self) -> ScalingChart {
        let points = |sizes: &[ScalingSize], of: fn(&ScalingSize) -> usize| -> Vec<ScalingPoint> {
            sizes.iter().map(|size| ScalingPoint { size: of(size), ms: size.ms.clone() }).collect()
        };
        let horizon_chunks = self.by_plans.first().map_or(0, |size| size.horizon_chunks);
        let plans = self.by_horizon.first().map_or(0, |size| size.plans);
        ScalingChart {
            title: format!("{}: time of a rollout and its cost", self.scene),
            subtitle: format!("left: {horizon_chunks} action chunks ahead; right: {plans} plans; best of all rounds"),
            by_plans: points(&self.by_plans, |size| size.plans),
            by_horizon: points(&self.by_horizon, |size| size.horizon_chunks),
        }
    }
}
