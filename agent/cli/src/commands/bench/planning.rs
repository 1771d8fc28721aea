//! Ticks of an agent as it is shipped, in its scene.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use mindseye_interface::Seed;
use mindseye_interface::config::Validate;
use mindseye_sim::SceneOptions;
use mindseye_world_model::{Checkpoint, Precision};
use serde::Serialize;

use super::{BenchArguments, Weights, cpu_secs};
use crate::assets;
use crate::commands::load_task;
use crate::evaluation::interval::{Histogram, Percentiles};
use crate::evaluation::{Disturbance, Episode, Method, PairKind, draw_pairs};

/// Plays `arguments.rounds` episodes with the agent of `arguments.scene`.
///
/// # Errors
/// When a file is missing or broken, or an episode fails.
pub fn plan(arguments: &BenchArguments) -> Result<Plan> {
    let scene = arguments.scene.as_str();
    let checkpoint = Arc::new(Checkpoint::load_for_scene(&assets::checkpoint(scene)?, scene)?);
    let mut task = load_task(arguments.task.as_deref(), scene)?;
    if arguments.precision != Weights::F32 {
        task.precision = arguments.precision.into();
    }
    if let Some(deadline_ms) = arguments.deadline_ms {
        task.budget_ms = deadline_ms;
        task.validate().context("--deadline-ms")?;
    }
    let options = SceneOptions::with_side(checkpoint.config.model.image_side)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build().context("starting threads")?;
    let kind = PairKind::Offset { goal_offset: 25 };
    let pairs = draw_pairs(scene, &options, kind, arguments.rounds, arguments.seed)?;
    let (mut planning_ms, mut rows, mut fallbacks) = (Vec::new(), 0, 0);
    let (cpu, mut wall_secs, mut resident_mib) = (cpu_secs(), 0.0, None);
    for pair in &pairs {
        let episode = Episode {
            scene,
            options: &options,
            method: &Method::Model(checkpoint.clone()),
            task: &task,
            pair,
            lived: &[],
            budget_steps: kind.default_budget(),
            seed: Seed::new(arguments.seed).index(pair.index as u64),
            threads: arguments.threads,
            real_time: arguments.deadline_ms.is_some(),
            stop_when_held: false,
            disturbance: Disturbance::default(),
            switch: None,
        };
        let started = Instant::now();
        let result = pool.install(|| episode.play(&mut |_| Ok(())))?;
        wall_secs += started.elapsed().as_secs_f64();
        planning_ms.extend_from_slice(&result.planning_ms);
        rows += result.predictor_rows;
        fallbacks += result.fallbacks;
        resident_mib = resident_mib.or_else(resident);
    }
    let seconds = planning_ms.iter().sum::<f64>() / 1e3;
    let deadline = arguments.deadline_ms.map(|deadline_ms| {
        let by = |latest: f64| planning_ms.iter().filter(|&&ms| ms <= latest).count() as f64 / planning_ms.len() as f64;
        Deadline { deadline_ms, met: by(deadline_ms), met_within_3_ms: by(deadline_ms + 3.0), fallbacks }
    });
    Ok(Plan {
        scene: scene.into(),
        threads: arguments.threads,
        precision: task.precision,
        ticks: planning_ms.len(),
        rows_per_tick: rows as f64 / planning_ms.len().max(1) as f64,
        imagined_states_per_sec: rows as f64 / seconds.max(1e-9),
        wall_secs,
        cpu_secs: cpu_secs() - cpu,
        deadline,
        resident_mib_at_start: resident_mib,
        resident_mib_at_end: resident(),
        planning_histogram: Histogram::of(&planning_ms),
        planning_ms: Percentiles::of(planning_ms),
    })
}

/// Memory that this process holds, MiB, where the system tells.
fn resident() -> Option<f64> {
    memory_stats::memory_stats().map(|stats| stats.physical_mem as f64 / f64::from(1 << 20))
}

/// How an agent's ticks went.
#[derive(Debug, Serialize)]
pub struct Plan {
    scene: String,
    threads: usize,
    precision: Precision,
    ticks: usize,
    /// States imagined per tick.
    rows_per_tick: f64,
    /// States imagined per second of planning.
    imagined_states_per_sec: f64,
    /// Episodes from beginning to end: planning and simulation.
    wall_secs: f64,
    cpu_secs: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Deadline>,
    resident_mib_at_start: Option<f64>,
    resident_mib_at_end: Option<f64>,
    planning_ms: Percentiles,
    planning_histogram: Histogram,
}

/// How well a deadline was kept.
#[derive(Debug, Serialize)]
pub struct Deadline {
    deadline_ms: f64,
    /// Share of ticks that were done by then.
    met: f64,
    /// The same, three milliseconds later.
    met_within_3_ms: f64,
    /// Ticks without a plan that was thought out.
    fallbacks: usize,
}

impl Plan {
    /// For people.
    pub fn say(&self) {
        let Percentiles { p50, p95, p99, max } = self.planning_ms;
        let Self { scene, threads, ticks, .. } = self;
        println!("{scene}, {threads} threads, {ticks} ticks of {:.0} imagined states:", self.rows_per_tick);
        println!("  {p50:.2} ms median, {p95:.2} p95, {p99:.2} p99, {max:.2} max");
        println!("  {:.0} imagined states/s", self.imagined_states_per_sec);
        if let Some(Deadline { deadline_ms, met, met_within_3_ms, fallbacks }) = self.deadline {
            println!(
                "  deadline of {deadline_ms} ms: kept by {:.2} %, 3 ms later by {:.2} %; fallbacks: {fallbacks}",
                100.0 * met,
                100.0 * met_within_3_ms
            );
        }
        if let Some((start, end)) = self.resident_mib_at_start.zip(self.resident_mib_at_end) {
            println!("  {start:.1} MiB of memory after the first episode, {end:.1} after the last");
        }
    }
}
