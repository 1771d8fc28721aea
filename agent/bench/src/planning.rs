//! Ticks of an agent in its scene.

use std::sync::Arc;
use std::time::Instant;

use mindseye_agent::Task;
use mindseye_evaluation::interval::{Histogram, Percentiles};
use mindseye_evaluation::{Episode, LearnedAgent, Perturbation};
use mindseye_interface::config::Validate;
use mindseye_interface::{Benchmark, GoalKind, PairSearch, Seed};
use mindseye_sim::SceneOptions;
use mindseye_world_model::{Checkpoint, Precision};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::timing::{cpu_secs, pool, require_rounds};

/// Ticks of an agent in episodes of its scene.
pub struct PlanningBench<'a> {
    /// Name of the scene.
    pub scene: String,
    /// The agent's world model.
    pub checkpoint: Arc<Checkpoint>,
    /// How it plans: planner, horizon, precision, budget.
    pub task: &'a Task,
    /// Samples of the planner in place of the task's.
    pub samples: Option<usize>,
    /// Planning horizon, action chunks, in place of the task's.
    pub horizon_chunks: Option<usize>,
    /// With a deadline, milliseconds, in place of the task's budget, planning stops when it is spent, as on a robot,
    /// and late ticks are counted. Without one nothing is cut short.
    pub deadline_ms: Option<f64>,
    /// Threads.
    pub threads: usize,
    /// Episodes; at least 1.
    pub episodes: usize,
    /// Root of every random choice.
    pub seed: Seed,
}

/// How an agent's ticks went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanningSpeed {
    /// Name of the scene.
    pub scene: String,
    /// Threads.
    pub threads: usize,
    /// How the weights were kept.
    pub precision: Precision,
    /// Ticks of all episodes.
    pub ticks: usize,
    /// States predicted per tick.
    pub predicted_states_per_tick: f64,
    /// The same in plans of the whole horizon; one from which gradients were carried back counts three times.
    #[serde(default)]
    pub plans_per_tick: f64,
    /// Chunks of a plan.
    #[serde(default)]
    pub horizon_chunks: usize,
    /// States predicted per second of planning.
    pub predicted_states_per_sec: f64,
    /// Episodes from beginning to end, planning and simulation, seconds.
    pub wall_secs: f64,
    /// Seconds that all cores together worked.
    pub cpu_secs: f64,
    /// How well the deadline was kept, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DeadlineReport>,
    /// Memory of the process after the first episode, MiB, where the system reports it.
    pub resident_mib_at_start: Option<f64>,
    /// The same after the last episode.
    pub resident_mib_at_end: Option<f64>,
    /// Planning time, milliseconds.
    pub planning_ms: Percentiles,
    /// Planning times by size.
    pub planning_histogram: Histogram,
}

/// How well a deadline was kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeadlineReport {
    /// The deadline, milliseconds.
    pub deadline_ms: f64,
    /// Share of ticks that were done by then.
    pub met: f64,
    /// The same, three milliseconds later.
    pub met_within_3_ms: f64,
    /// Ticks without a searched plan: something else was executed.
    pub fallbacks: usize,
}

/// Control steps of an episode with a deadline: an agent learns how long its work takes, and a robot runs for long.
const STEPS_WITH_DEADLINE: usize = 1000;
/// Control steps from start to goal.
const GOAL_OFFSET: usize = 25;

impl PlanningBench<'_> {
    /// Runs the measurement: percentiles over the ticks of all episodes.
    ///
    /// # Errors
    /// When the scene does not exist, a setting is out of the task's ranges, threads cannot be had, or an episode
    /// fails.
    pub fn measure(&self) -> Result<PlanningSpeed> {
        require_rounds(self.episodes)?;
        let task = self.task()?;
        let options = SceneOptions::with_side(self.checkpoint.config.model.image_side)?;
        let pool = pool(self.threads)?;
        let kind = GoalKind::Offset { goal_offset: GOAL_OFFSET };
        let benchmark = mindseye_sim::benchmark(&self.scene, &options)?;
        let pairs = benchmark.start_goal_pairs(&PairSearch::new(kind, self.episodes, self.seed.value()))?;
        let agent = LearnedAgent::new(self.checkpoint.clone());
        let (mut planning_ms, mut states, mut fallbacks) = (Vec::new(), 0, 0);
        let (cpu, mut wall_secs, mut resident_mib) = (cpu_secs(), 0.0, None);
        for pair in &pairs {
            let episode = Episode {
                benchmark: &benchmark,
                method: &agent,
                task: &task,
                pair,
                warmup: &[],
                budget_steps: self.deadline_ms.map_or(kind.default_budget(), |_| STEPS_WITH_DEADLINE),
                seed: self.seed.index(pair.index as u64),
                threads: self.threads,
                real_time: self.deadline_ms.is_some(),
                stop_when_held: false,
                perturbation: Perturbation::default(),
                goal_change: None,
            };
            let started = Instant::now();
            let result = pool.install(|| episode.run(&mut |_| Ok(())))?;
            wall_secs += started.elapsed().as_secs_f64();
            planning_ms.extend_from_slice(&result.planning_ms);
            states += result.predicted_states;
            fallbacks += result.fallbacks;
            resident_mib = resident_mib.or_else(resident);
        }
        let seconds = planning_ms.iter().sum::<f64>() / 1e3;
        let deadline = self.deadline_ms.map(|deadline_ms| {
            let in_time = |latest: f64| planning_ms.iter().filter(|&&ms| ms <= latest).count() as f64;
            let share = |latest: f64| in_time(latest) / planning_ms.len() as f64;
            let (met, met_within_3_ms) = (share(deadline_ms), share(deadline_ms + 3.0));
            DeadlineReport { deadline_ms, met, met_within_3_ms, fallbacks }
        });
        Ok(PlanningSpeed {
            scene: self.scene.clone(),
            threads: self.threads,
            precision: task.precision,
            ticks: planning_ms.len(),
            predicted_states_per_tick: states as f64 / planning_ms.len().max(1) as f64,
            plans_per_tick: states as f64 / (planning_ms.len() * task.horizon_chunks).max(1) as f64,
            horizon_chunks: task.horizon_chunks,
            predicted_states_per_sec: states as f64 / seconds.max(1e-9),
            wall_secs,
            cpu_secs: cpu_secs() - cpu,
            deadline,
            resident_mib_at_start: resident_mib,
            resident_mib_at_end: resident(),
            planning_histogram: Histogram::of(&planning_ms),
            planning_ms: Percentiles::of(planning_ms),
        })
    }
}

impl PlanningBench<'_> {
    /// The task with the settings of the measurement.
    fn task(&self) -> Result<Task> {
        let mut task = self.task.clone();
        task.horizon_chunks = self.horizon_chunks.unwrap_or(task.horizon_chunks);
        task.budget_ms = self.deadline_ms.unwrap_or(task.budget_ms);
        if let Some(samples) = self.samples {
            task.planner = task.planner.with_samples(samples);
            task.planner_with_policy = task.planner_with_policy.map(|planner| planner.with_samples(samples));
        }
        task.validate()?;
        Ok(task)
    }
}

/// Memory of this process, MiB, where the system reports it.
fn resident() -> Option<f64> {
    memory_stats::memory_stats().map(|stats| stats.physical_mem as f64 / f64::from(1 << 20))
}
