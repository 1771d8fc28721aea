//! How the time for imagining and judging plans grows with their number, their length, and the number of threads.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use mindseye_agent::actor::Imagination;
use mindseye_agent::configurator::{Configurator, SequenceConfigurator};
use mindseye_agent::cost::GoalDistance;
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::LearnedWorldModel;
use mindseye_agent::{Latent, Plans, Task};
use mindseye_interface::Seed;
use mindseye_world_model::Checkpoint;
use rand::Rng as _;
use serde::Serialize;

use super::BenchArguments;
use crate::assets;
use crate::commands::load_task;
use crate::pictures::{CURVE, Canvas, FAINT, GOOD, INK, LETTER, write_png};
use crate::running::cost;

/// Numbers of plans at the task's horizon.
const PLANS: [usize; 6] = [64, 128, 256, 512, 1024, 2048];
/// Horizons, blocks, at [`PLANS_FOR_HORIZONS`] plans.
const HORIZONS: [usize; 5] = [1, 2, 4, 8, 16];
const PLANS_FOR_HORIZONS: usize = 256;

/// One size, on every number of threads.
#[derive(Debug, Clone, Serialize)]
struct Size {
    plans: usize,
    horizon_blocks: usize,
    /// Best of all rounds, milliseconds, by number of threads from 1.
    ms: Vec<f64>,
}

/// How time grows.
#[derive(Debug, Serialize)]
pub struct Scaling {
    scene: String,
    by_plans: Vec<Size>,
    by_horizon: Vec<Size>,
}

impl Scaling {
    /// For people.
    pub fn say(&self) {
        println!("{}: milliseconds for imagining and judging, by number of threads", self.scene);
        for size in self.by_plans.iter().chain(&self.by_horizon) {
            let ms: Vec<String> = size.ms.iter().map(|ms| format!("{ms:>9.3}")).collect();
            let best = size.ms.iter().copied().fold(f64::INFINITY, f64::min);
            let speedup = size.ms.first().map_or(1.0, |alone| alone / best);
            println!("  {:>5} plans x {:>2} blocks: {}  {speedup:.2} x", size.plans, size.horizon_blocks, ms.join(" "));
        }
    }
}

/// Measures every size `20 * arguments.rounds` times, on 1 to `arguments.threads` threads; draws `scaling.png` into `out`.
///
/// # Errors
/// When a file is missing or broken, threads cannot be had, or the picture cannot be written.
pub fn scaling(arguments: &BenchArguments, out: Option<&Path>) -> Result<Scaling> {
    let scene = arguments.scene.as_str();
    let checkpoint = Checkpoint::load_for_scene(&assets::checkpoint(scene)?, scene)?;
    let task = load_task(arguments.task.as_deref(), scene)?;
    let measure = |plans, horizon_blocks| size(arguments, &checkpoint, &task, plans, horizon_blocks);
    let scaling = Scaling {
        scene: scene.into(),
        by_plans: PLANS.iter().map(|&plans| measure(plans, task.horizon_blocks)).collect::<Result<_>>()?,
        by_horizon: HORIZONS.iter().map(|&horizon| measure(PLANS_FOR_HORIZONS, horizon)).collect::<Result<_>>()?,
    };
    if let Some(folder) = out {
        std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        write_png(&folder.join("scaling.png"), chart(&scaling)?.image())?;
    }
    Ok(scaling)
}

fn size(
    arguments: &BenchArguments,
    checkpoint: &Checkpoint,
    task: &Task,
    count: usize,
    horizon_blocks: usize,
) -> Result<Size> {
    let model = &checkpoint.config.model;
    let mut rng = Seed::new(arguments.seed).child("scaling").rng();
    let mut random = |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-1.0..=1.0)).collect() };
    let goal = Latent::global(random(model.latent_width));
    let start = Latent::global(random(model.latent_width));
    let plans =
        Plans::new(count, horizon_blocks, model.block_width(), random(count * horizon_blocks * model.block_width()))?;
    let task = Task { horizon_blocks, ..task.clone() };
    let configurator = SequenceConfigurator::new(&task, vec![goal], model.action_block, model.action_width)?;
    let directive = configurator.configure(&RingMemory::new(1));
    let cost = cost(&task, GoalDistance::new(checkpoint.statistics.factor(task.metric))?);
    let mut ms = Vec::new();
    for threads in 1..=arguments.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("starting threads")?;
        let world = LearnedWorldModel::new(&checkpoint.model, task.precision, threads)?;
        let mut best = f64::INFINITY;
        pool.install(|| -> Result<()> {
            for _ in 0..20 * arguments.rounds {
                let started = Instant::now();
                black_box(Imagination::new(&world, &cost, &start, &directive).energies(&plans)?);
                best = best.min(started.elapsed().as_secs_f64() * 1e3);
            }
            Ok(())
        })?;
        ms.push(best);
    }
    Ok(Size { plans: count, horizon_blocks, ms })
}

/// Time against size, both from zero: a straight line where time is in proportion.
fn chart(scaling: &Scaling) -> Result<Canvas> {
    const SIDE: usize = 280;
    const GAP: usize = 56;
    let mut canvas = Canvas::new(2 * SIDE + 3 * GAP, SIDE + 2 * GAP)?;
    canvas.text(GAP, LETTER, &format!("{}: time of imagining and judging (ms up), from zero", scaling.scene), INK);
    type Of = fn(&Size) -> usize;
    let charts: [(&[Size], Of, &str); 2] = [
        (&scaling.by_plans, |size| size.plans, "plans"),
        (&scaling.by_horizon, |size| size.horizon_blocks, "blocks ahead"),
    ];
    for (index, (sizes, of, label)) in charts.into_iter().enumerate() {
        let (left, top) = (GAP + index * (SIDE + GAP), GAP);
        canvas.frame(left, top, SIDE, SIDE, FAINT);
        let widest = sizes.iter().map(of).max().unwrap_or(1) as f64;
        let highest = sizes.iter().flat_map(|size| size.ms.iter().copied()).fold(f64::MIN_POSITIVE, f64::max);
        let place = |size: &Size, ms: f64| {
            let (across, up) = (of(size) as f64 / widest, ms / highest);
            (left as f64 + across * (SIDE - 4) as f64, (top + SIDE) as f64 - 2.0 - up * (SIDE - 4) as f64)
        };
        for thread in 0..sizes.first().map_or(0, |size| size.ms.len()) {
            let colour = if thread == 0 { CURVE } else { GOOD };
            let mut before = (left as f64, (top + SIDE) as f64 - 2.0);
            for size in sizes {
                let point = place(size, size.ms[thread]);
                canvas.line(before, point, colour);
                for row in -1..=1 {
                    let y = point.1 + f64::from(row);
                    canvas.line((point.0 - 1.0, y), (point.0 + 1.0, y), colour);
                }
                before = point;
            }
        }
        canvas.text(left, top + SIDE + LETTER, &format!("0 to {widest:.0} {label}, 0 to {highest:.1} ms"), FAINT);
        canvas.text(left, top + SIDE + 3 * LETTER, "blue: one thread, green: more", FAINT);
    }
    Ok(canvas)
}
