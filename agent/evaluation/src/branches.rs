//! Branches of the true world: plans with several outcomes, by a part of the state that nothing shows, and whether a
//! world model predicts all of them.

mod predictors;
mod report;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mindseye_agent::world_model::{Context, Dynamics};
use mindseye_agent::{Latent, Plans};
use mindseye_interface::{Action, Benchmark, Image, Progress, Seed, Simulator, Snapshot, held_out_episode};
use mindseye_world_model::{Checkpoint, LatentMetric};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::predictors::{PredictorCoverage, SampledCoverage};
pub use self::report::BranchesReport;
use crate::collection::ScriptSource;
use crate::interval::SuccessRate;
use crate::journal::{Journal, Key};
use crate::{Error, Result};

/// A world and its image at the start of an action chunk.
type Start = (Snapshot, Image);

/// Worlds with equal images in which every plan is executed.
const WORLDS: usize = 16;
/// Control steps of an episode.
const EPISODE_STEPS: usize = 100;
/// Outcomes farther apart than this energy are different branches; 1 is the mean energy of one action chunk.
const APART_ENERGY: f32 = 1.0;
/// The metric of those energies.
const METRIC: LatentMetric = LatentMetric::StepWhitened { power: 1.0 };
/// A predicted outcome belongs to a branch within this share of the distance from it to the nearest other one.
const NEAR_SHARE: f32 = 1.0 / 3.0;

/// A plan with several outcomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BranchPoint {
    /// Latent of the start, `[D]`.
    start: Vec<f32>,
    /// The plan, `[H, A]`.
    plan: Vec<f32>,
    /// Latents of its outcomes, `[D]` each, and the share of the worlds that end there.
    outcomes: Vec<(Vec<f32>, f64)>,
}

/// The search for branch points.
pub struct BranchSearch<'a> {
    /// The worlds.
    pub benchmark: &'a dyn Benchmark,
    /// Names of the benchmark's factors of variation that are on.
    pub factors: Vec<String>,
    /// The script whose actions are the plans.
    pub scripts: &'a dyn ScriptSource,
    /// The model that encodes outcomes.
    pub checkpoint: &'a Checkpoint,
    /// Action chunks of a plan.
    pub horizon_chunks: usize,
    /// Root of the held-out episodes.
    pub root: Seed,
    /// Where finished episodes are kept, so that an interrupted search goes on from them.
    pub journal: Option<&'a Journal>,
}

/// Branch points of held-out episodes.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchPoints {
    /// Plans that were executed.
    pub starts: usize,
    /// Those with several outcomes.
    pub points: Vec<BranchPoint>,
    horizon_chunks: usize,
    /// A factor of the latent metric, `[D, D]`.
    factor: Vec<f32>,
}

/// The branch points of one episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct EpisodeBranches {
    starts: usize,
    points: Vec<BranchPoint>,
}

/// How much of the branches a world model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BranchCoverage {
    /// Share of the branches that a predicted outcome belongs to.
    pub recall: SuccessRate,
    /// Share of the branch points of which every branch is predicted.
    pub all_branches: SuccessRate,
    /// Share of the predicted outcomes that belong to a branch.
    pub precision: f64,
    /// Difference between the share of the predicted outcomes in a branch and its share of the worlds, mean over
    /// branches.
    pub share_error: f64,
}

impl BranchSearch<'_> {
    /// Searches held-out `episodes`, as many at a time as the current rayon pool has threads. `progress` counts
    /// episodes.
    ///
    /// # Errors
    /// When the world cannot be built or fails, when its images do not fit the checkpoint, or [`Error::Stopped`].
    pub fn run(&self, episodes: Range<u64>, progress: &dyn Progress) -> Result<BranchPoints> {
        let total = usize::try_from(episodes.end.saturating_sub(episodes.start)).unwrap_or(usize::MAX);
        if !self.benchmark.environment()?.has_snapshots() {
            return Err(Error::value(
                "branches",
                "a world with snapshots",
                format!("{} without", self.benchmark.name()),
            ));
        }
        progress.begin("branches", total, "episodes");
        let (done, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
        let factor = self.checkpoint.statistics.factor(METRIC);
        let setting = self.key()?;
        let found = episodes.into_par_iter().map(|index| {
            let key = setting.map(|key| Key::of(Some(key), &index)).transpose()?;
            let kept = self.journal.zip(key).and_then(|(journal, key)| journal.kept(key));
            // What is in the journal counts as done, also after a stop: it is there.
            let found = match kept {
                Some(found) => found,
                None if stopped.load(Ordering::Relaxed) => return Ok(None),
                None => {
                    let search = || self.episode(held_out_episode(self.root, index), &factor);
                    self.journal.zip(key).map_or_else(search, |(journal, key)| journal.result(key, search))?
                }
            };
            if !progress.advance(done.fetch_add(1, Ordering::Relaxed) + 1, "") {
                stopped.store(true, Ordering::Relaxed);
            }
            Ok(Some(found))
        });
        let found: Vec<Option<EpisodeBranches>> = found.collect::<Result<_>>()?;
        let Some(found) = found.into_iter().collect::<Option<Vec<_>>>() else {
            return Err(Error::Stopped { done: done.into_inner(), of: total });
        };
        progress.end();
        let starts = found.iter().map(|found| found.starts).sum();
        let points = found.into_iter().flat_map(|found| found.points).collect();
        Ok(BranchPoints { starts, points, horizon_chunks: self.horizon_chunks, factor })
    }

    /// The key of everything that episodes follow from, apart from their number; `None` where nothing is kept.
    fn key(&self) -> Result<Option<Key>> {
        let Some(journal) = self.journal else { return Ok(None) };
        let world = (self.benchmark.name(), &self.factors);
        journal.key(&("branches", self.checkpoint.fingerprint(), world, self.horizon_chunks, self.root)).map(Some)
    }

    /// The branch points of one episode: at every action chunk, the script's next chunks are executed in several
    /// worlds.
    fn episode(&self, episode: Seed, factor: &[f32]) -> Result<EpisodeBranches> {
        let mut simulator = self.benchmark.environment()?;
        let chunk = self.checkpoint.config.model.action_chunk;
        let (mut starts, actions) = self.script(simulator.as_mut(), episode)?;
        starts.truncate((EPISODE_STEPS / chunk + 1).saturating_sub(self.horizon_chunks));
        let count = starts.len();
        let mut points = Vec::new();
        for (number, (snapshot, image)) in starts.into_iter().enumerate() {
            let plan = &actions[number * chunk..(number + self.horizon_chunks) * chunk];
            let seeds = episode.child("worlds");
            let mut worlds = Vec::with_capacity(WORLDS);
            for world in 0..WORLDS {
                simulator.restore(&snapshot)?;
                simulator.resample_hidden(seeds.index((number * WORLDS + world) as u64));
                plan.iter().try_for_each(|action| simulator.step_blind(action))?;
                worlds.push((simulator.state(), simulator.snapshot()?));
            }
            if worlds.iter().any(|(state, _)| *state != worlds[0].0) {
                points.extend(self.point(simulator.as_mut(), &image, plan, &worlds, factor)?);
            }
        }
        Ok(EpisodeBranches { starts: count, points })
    }

    /// The script's actions, and the world with its image at every action chunk.
    fn script(&self, simulator: &mut dyn Simulator, episode: Seed) -> Result<(Vec<Start>, Vec<Action>)> {
        let chunk = self.checkpoint.config.model.action_chunk;
        let mut script = self.scripts.script()?;
        let observation = simulator.reset(episode)?;
        script.begin(episode);
        let image = observation.image().cloned();
        let mut image = image.ok_or_else(|| Error::value("start", "an image", "none"))?;
        let (mut starts, mut actions) = (Vec::new(), Vec::new());
        for step in 0..EPISODE_STEPS {
            let action = script.act(&simulator.state());
            if step % chunk == 0 {
                starts.push((simulator.snapshot()?, image));
            }
            simulator.step_blind(&action)?;
            actions.push(action);
            image = simulator.render();
        }
        Ok((starts, actions))
    }

    /// The branch point of `plan`, if the `worlds` after it show more outcomes than one.
    fn point(
        &self,
        simulator: &mut dyn Simulator,
        image: &Image,
        plan: &[Action],
        worlds: &[(Vec<f64>, Snapshot)],
        factor: &[f32],
    ) -> Result<Option<BranchPoint>> {
        let model = &self.checkpoint.model;
        let mut outcomes: Vec<(Vec<f32>, f64)> = Vec::new();
        for (_, world) in worlds {
            simulator.restore(world)?;
            let outcome = model.encode_image(&simulator.render())?;
            match outcomes.iter_mut().find(|(other, _)| energy(factor, other, &outcome) < APART_ENERGY) {
                Some((_, share)) => *share += 1.0 / worlds.len() as f64,
                None => outcomes.push((outcome, 1.0 / worlds.len() as f64)),
            }
        }
        if outcomes.len() < 2 {
            return Ok(None);
        }
        let plan = plan.iter().flat_map(Action::values).copied().collect();
        Ok(Some(BranchPoint { start: model.encode_image(image)?, plan, outcomes }))
    }
}

impl BranchPoints {
    /// Branches of all points.
    pub fn branches(&self) -> usize {
        self.points.iter().map(|point| point.outcomes.len()).sum()
    }

    /// How much of the branches `dynamics` predict, on the threads of the current rayon pool.
    ///
    /// # Errors
    /// The dynamics', and [`Error::Value`] without branch points.
    pub fn coverage(&self, dynamics: &dyn Dynamics) -> Result<BranchCoverage> {
        if self.points.is_empty() {
            return Err(Error::value("coverage", "at least one branch point", "none"));
        }
        let shares: Vec<Vec<BranchShare>> =
            self.points.par_iter().map(|point| self.shares(point, dynamics)).collect::<Result<_>>()?;
        let branches = || shares.iter().flatten();
        let found = branches().filter(|branch| branch.predicted > 0.0).count();
        let whole = shares.iter().filter(|branches| branches.iter().all(|branch| branch.predicted > 0.0)).count();
        let near: f64 = shares.iter().map(|branches| branches.iter().map(|branch| branch.predicted).sum::<f64>()).sum();
        let share_error: f64 = branches().map(|branch| (branch.predicted - branch.actual).abs()).sum();
        Ok(BranchCoverage {
            recall: SuccessRate::of(found, branches().count()),
            all_branches: SuccessRate::of(whole, shares.len()),
            precision: near / shares.len() as f64,
            share_error: share_error / branches().count() as f64,
        })
    }

    fn shares(&self, point: &BranchPoint, dynamics: &dyn Dynamics) -> Result<Vec<BranchShare>> {
        let plan = Plans::new(1, self.horizon_chunks, point.plan.len() / self.horizon_chunks, point.plan.clone())?;
        let rollouts = dynamics.rollout(&Context::of(&Latent::global(point.start.clone())), &plan)?;
        let last = rollouts.horizon() - 1;
        let predicted: Vec<Latent> = (0..rollouts.samples()).map(|sample| rollouts.state(0, sample, last)).collect();
        let mut shares = Vec::with_capacity(point.outcomes.len());
        for (index, (outcome, actual)) in point.outcomes.iter().enumerate() {
            let others = point.outcomes.iter().enumerate().filter(|(other, _)| *other != index);
            let nearest =
                others.map(|(_, (other, _))| energy(&self.factor, outcome, other)).fold(f32::INFINITY, f32::min);
            // Energies are squares of distances.
            let limit = NEAR_SHARE * NEAR_SHARE * nearest;
            let near = predicted.iter().filter(|end| energy(&self.factor, outcome, end.values()) < limit).count();
            shares.push(BranchShare { predicted: near as f64 / predicted.len() as f64, actual: *actual });
        }
        Ok(shares)
    }
}

/// One branch: the share of the predicted outcomes that belong to it, and its share of the worlds.
struct BranchShare {
    predicted: f64,
    actual: f64,
}

/// `|L (a - b)|²` with a factor `L [D, D]`, row-major.
fn energy(factor: &[f32], a: &[f32], b: &[f32]) -> f32 {
    let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let row = |row: &[f32]| row.iter().zip(&difference).map(|(factor, value)| factor * value).sum::<f32>();
    factor.chunks_exact(difference.len().max(1)).map(|values| row(values).powi(2)).sum()
}
