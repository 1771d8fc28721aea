//! A planning check on recordings: the goal is a state that was recorded some chunks later. Would the agent do what was
//! done, and does it expect to arrive?

use std::sync::Arc;

use mindseye_agent::Task;
use mindseye_agent::assembly::LatentPlanner;
use mindseye_interface::{Progress, Seed};
use mindseye_world_model::Checkpoint;
use rand::Rng as _;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::PLANNED_CHUNKS;
use super::estimate::Estimate;
use super::recorded::{Recorded, Window};
use crate::{Error, Result};

/// Recorded chunks of other timesteps that a planned one is compared with.
const OTHERS: usize = 20;
/// Least standard deviation of a number of an action, of normalised actions from -1 to 1, for it to count.
const LEAST_STD: f64 = 1e-3;

/// The outcome of the check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanningCheck {
    /// Name of the task whose planner and costs were used.
    pub task: String,
    /// Starts from which was planned.
    pub plans: usize,
    /// Action chunks from start to goal, and the horizon of the plans.
    pub chunks: usize,
    /// How often the first planned chunk is nearer to the recorded one than to a chunk of another timestep: 0.5 is
    /// chance. Chunks are compared by their mean actions.
    pub agreement: Estimate,
    /// Squared distance of the first planned chunk from the recorded one over that of the mean action of all: below 1
    /// plans say more of what was done than the mean does.
    pub to_mean_action: Estimate,
    /// Distance to the goal at which the model predicts that the plans end, over that of holding still. Distances are
    /// those of the task's metric. Small where the agent thinks that it arrives, by whichever way.
    pub planned_end: Estimate,
    /// The same of the recorded actions, which did arrive: what is left is the error of the model.
    pub recorded_end: Estimate,
}

/// What was planned from one start.
struct Planned {
    episode: usize,
    /// Mean action of the first planned and of the recorded chunk.
    planned: Vec<f64>,
    recorded: Vec<f64>,
    /// Distances to the goal at the predicted ends of the plan, of the recorded actions and of holding still.
    ends: [f64; 3],
}

impl Recorded<'_> {
    /// None of data without a window.
    pub(super) fn planning(
        &self,
        checkpoint: &Arc<Checkpoint>,
        task: &Task,
        most: usize,
        (seed, progress): (Seed, &dyn Progress),
    ) -> Result<Option<PlanningCheck>> {
        let Some(chunks) = self.longest(PLANNED_CHUNKS) else { return Ok(None) };
        let windows = self.windows(chunks, most);
        let planner = LatentPlanner::new(checkpoint, task, chunks)?;
        let metric = checkpoint.statistics.factor(task.metric);
        progress.begin("planning check", windows.len(), "plans");
        let done = std::sync::atomic::AtomicUsize::new(0);
        let one = |(index, window): (usize, &Window)| -> Result<Planned> {
            let (start, goal) = (self.data.latent(window.start), self.data.latent(window.start + chunks));
            let plan = planner.plan(start, goal, seed.child("plan").index(index as u64))?;
            let (recorded, held) = (self.chunks(window.start, chunks), self.held(window.start, chunks));
            let end = |plan: &[f32]| Ok::<f64, Error>(distance(&metric, &planner.end_of(start, plan)?, goal));
            let planned = Planned {
                episode: window.episode,
                planned: self.mean_action(plan.values()),
                recorded: self.mean_action(&recorded),
                ends: [end(plan.values())?, end(&recorded)?, end(&held)?],
            };
            progress.advance(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, "");
            Ok(planned)
        };
        let all: Vec<Planned> = windows.par_iter().enumerate().map(one).collect::<Result<_>>()?;
        progress.end();
        Ok(Some(check(&all, self.episodes().len(), (task, chunks), seed)))
    }

    /// The mean action of the first chunk of a plan.
    fn mean_action(&self, plan: &[f32]) -> Vec<f64> {
        let model = &self.checkpoint.config.model;
        let mut mean = vec![0.0; model.action_width];
        for action in plan.chunks_exact(model.action_width).take(model.action_chunk) {
            mean.iter_mut().zip(action).for_each(|(sum, &value)| *sum += f64::from(value) / model.action_chunk as f64);
        }
        mean
    }
}

fn check(all: &[Planned], episodes: usize, (task, chunks): (&Task, usize), seed: Seed) -> PlanningCheck {
    let width = all.first().map_or(0, |planned| planned.recorded.len());
    let count = all.len().max(1) as f64;
    let mean: Vec<f64> =
        (0..width).map(|index| all.iter().map(|planned| planned.recorded[index]).sum::<f64>() / count).collect();
    let std = |index: usize| {
        let squares = all.iter().map(|planned| (planned.recorded[index] - mean[index]).powi(2));
        (squares.sum::<f64>() / count).sqrt()
    };
    // What never changes says nothing.
    let scales: Vec<f64> = (0..width).map(std).map(|std| if std > LEAST_STD { 1.0 / std } else { 0.0 }).collect();
    let apart = |one: &[f64], other: &[f64]| -> f64 {
        one.iter().zip(other).zip(&scales).map(|((a, b), scale)| ((a - b) * scale).powi(2)).sum()
    };
    let mut rng = seed.child("other timesteps").rng();
    let mut nearer = vec![(0.0, 0.0); episodes];
    let mut to_mean = vec![(0.0, 0.0); episodes];
    let mut ends = [vec![(0.0, 0.0); episodes], vec![(0.0, 0.0); episodes]];
    for planned in all {
        let own = apart(&planned.planned, &planned.recorded);
        for _ in 0..OTHERS {
            let other = apart(&planned.planned, &all[rng.random_range(0..all.len())].recorded);
            let wins = if own < other {
                1.0
            } else if own == other {
                0.5
            } else {
                0.0
            };
            nearer[planned.episode].0 += wins;
            nearer[planned.episode].1 += 1.0;
        }
        to_mean[planned.episode].0 += own;
        to_mean[planned.episode].1 += apart(&mean, &planned.recorded);
        for (ends, end) in ends.iter_mut().zip(planned.ends) {
            ends[planned.episode].0 += end;
            ends[planned.episode].1 += planned.ends[2];
        }
    }
    let estimate = |pairs: &[(f64, f64)], name: &str| {
        let pairs: Vec<(f64, f64)> = pairs.iter().copied().filter(|(_, below)| *below > 0.0).collect();
        if pairs.is_empty() {
            return Estimate { value: 1.0, low: None, high: None }; // nothing ever happens
        }
        Estimate::ratio(&pairs, seed.child(name))
    };
    PlanningCheck {
        task: task.name.clone(),
        plans: all.len(),
        chunks,
        agreement: estimate(&nearer, "agreement"),
        to_mean_action: estimate(&to_mean, "mean action"),
        planned_end: estimate(&ends[0], "planned end"),
        recorded_end: estimate(&ends[1], "recorded end"),
    }
}

/// The distance between two states by the factor `[D, D]` of a metric.
fn distance(factor: &[f32], one: &[f32], other: &[f32]) -> f64 {
    let width = one.len();
    let difference: Vec<f32> = one.iter().zip(other).map(|(a, b)| a - b).collect();
    let row = |row: &[f32]| row.iter().zip(&difference).map(|(a, b)| f64::from(a * b)).sum::<f64>().powi(2);
    factor.chunks_exact(width.max(1)).map(row).sum::<f64>().sqrt()
}
