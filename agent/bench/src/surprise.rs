//! How well surprise tells a world that has changed from one that goes on as usual: in a simulator, with known actions.

use std::fmt::{Display, Formatter};
use std::ops::Range;
use std::path::Path;

use mindseye_episodes::{EpisodeData, FrameCache};
use mindseye_evaluation::collection::scripted_episode;
use mindseye_interface::{Action, Benchmark, Image, NoProgress, Seed, Simulator};
use mindseye_sim::{Factor, Factors, SceneOptions};
use mindseye_world_model::Checkpoint;
use mindseye_world_model::surprise::{
    Alarm, AlarmRule, DEFAULT_RULE, SurpriseCalibration, calibrate_surprise, per_10_minutes, recorded_scores,
};
use rand::Rng as _;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, STEPS_PER_EPISODE};

/// A change counts as found within so many seconds.
const FOUND_WITHIN_SECS: f64 = 1.0;
/// Control steps at which changes happen.
const CHANGES_AT: Range<usize> = 30..60;
/// Side of the occluder, as a share of the image's, and how far it goes in a control step.
const OCCLUDER: (f64, f64) = (0.3, 0.08);
const OCCLUDER_RGB: [u8; 3] = [110, 110, 110];

/// What changes in an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The block (without one, the agent) is elsewhere at once.
    Teleport,
    /// The block (without one, the agent) has another colour.
    Recolour,
    /// A grey square crosses the image.
    Occluder,
    /// Three times the friction under the block; only where there is one.
    Friction,
}

/// The measurement and its settings.
pub struct SurpriseBench<'a> {
    /// Name of the scene.
    pub scene: String,
    /// The model.
    pub checkpoint: &'a Checkpoint,
    /// What surprise is usual; without it, as many episodes of other seeds say it.
    pub calibration: Option<SurpriseCalibration>,
    /// Ticks above the band that are an alarm, among so many, where there is no calibration.
    pub rule: (usize, usize),
    /// Normal episodes, of 100 control steps.
    pub episodes: usize,
    /// Episodes with each change.
    pub trials: usize,
    /// Root of every random choice.
    pub seed: Seed,
}

/// What the model in `folder` finds in `scene`, by its own calibration, or by a `rule` of so many ticks among so many;
/// `counts` are normal episodes, and episodes with each change.
pub(crate) fn measured(
    folder: &Path,
    scene: &str,
    rule: Option<&[usize]>,
    counts: [usize; 2],
    seed: Seed,
) -> Result<SurpriseReport> {
    let checkpoint = &Checkpoint::load_for_scene(folder, scene)?;
    let (rule, calibration) = match rule {
        Some(&[ticks, of]) => ((ticks, of), None),
        _ => (DEFAULT_RULE, SurpriseCalibration::load(folder, checkpoint.fingerprint())?),
    };
    let [episodes, trials] = counts;
    SurpriseBench { scene: scene.into(), checkpoint, calibration, rule, episodes, trials, seed }.measure()
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurpriseReport {
    /// Name of the scene.
    pub scene: String,
    /// The rule of the alarms.
    pub rule: AlarmRule,
    /// Minutes of normal episodes.
    pub minutes: f64,
    /// False alarms in them.
    pub false_alarms: usize,
    /// The same in ten minutes, and the 95 % interval of a bootstrap over episodes.
    pub per_10_minutes: [f64; 3],
    /// By change.
    pub changes: Vec<ChangeReport>,
}

/// How often one change was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeReport {
    /// The change.
    pub change: Change,
    /// Episodes.
    pub trials: usize,
    /// Those in which an alarm began within a second of it.
    pub found: usize,
    /// Median time to the alarm where it was found, seconds.
    pub median_secs: Option<f64>,
}

impl SurpriseBench<'_> {
    /// Measures.
    ///
    /// # Errors
    /// When the scene has no scripts, or the model does not fit it.
    pub fn measure(&self) -> Result<SurpriseReport> {
        let config = &self.checkpoint.config;
        let options = SceneOptions::with_side(config.model.image_side)?;
        let benchmark = mindseye_sim::benchmark(&self.scene, &options)?;
        let scripts = benchmark.scripts("mixture")?;
        let normal = |seed: Seed| -> Result<EpisodeData> {
            let (mut world, mut script) = (benchmark.environment()?, scripts.script()?);
            Ok(scripted_episode(world.as_mut(), script.as_mut(), seed, STEPS_PER_EPISODE)?)
        };
        let calibration = match &self.calibration {
            Some(calibration) => calibration.clone(),
            None => {
                let cache = self.cache(self.episodes, |index| normal(self.seed.child("calibration").index(index)))?;
                let chosen: Vec<usize> = (0..self.episodes).collect();
                calibrate_surprise(self.checkpoint, &cache, &chosen, self.rule, &NoProgress)?
            }
        };
        let scores = |cache: &FrameCache, episode: usize| -> Result<Vec<f64>> {
            let raw = recorded_scores(self.checkpoint, &calibration, cache, episode)?;
            Ok(raw.iter().map(|raw| calibration.score(raw)).collect())
        };
        let cache = self.cache(self.episodes, |index| normal(self.seed.child("normal").index(index)))?;
        let counts: Vec<usize> = (0..self.episodes)
            .map(|episode| Ok(alarms(calibration.rule, &scores(&cache, episode)?).len()))
            .collect::<Result<_>>()?;
        let minutes = (self.episodes * STEPS_PER_EPISODE) as f64 * config.control_step_secs / 60.0;
        let has_block = benchmark.environment()?.state_names().iter().any(|name| name.starts_with("block"));
        let mut changes = vec![Change::Teleport, Change::Recolour, Change::Occluder];
        changes.extend(has_block.then_some(Change::Friction));
        let within = (FOUND_WITHIN_SECS / config.control_step_secs).round() as usize;
        let one = |change: Change| -> Result<ChangeReport> {
            let changed = Changed { scene: &self.scene, options: &options, change, has_block };
            let seed = |index: u64| self.seed.child("changed").index(index);
            let at = |index: u64| seed(index).child("at").rng().random_range(CHANGES_AT);
            let episode = |index| changed.episode(scripts.script()?.as_mut(), seed(index), at(index));
            let cache = self.cache(self.trials, episode)?;
            let mut delays = Vec::new();
            for index in 0..self.trials {
                let at = at(index as u64);
                let scores = scores(&cache, index)?;
                // What came before the change was judged among the normal episodes.
                let mut alarm = Alarm::new(calibration.rule);
                let found = (at..(at + within).min(scores.len())).find(|&tick| alarm.takes(scores[tick]));
                delays.extend(found.map(|tick| (tick + 1 - at) as f64 * config.control_step_secs));
            }
            delays.sort_by(f64::total_cmp);
            let median_secs = delays.get(delays.len() / 2).copied();
            Ok(ChangeReport { change, trials: self.trials, found: delays.len(), median_secs })
        };
        Ok(SurpriseReport {
            scene: self.scene.clone(),
            rule: calibration.rule,
            minutes,
            false_alarms: counts.iter().sum(),
            per_10_minutes: per_10_minutes(&counts, minutes, self.seed.child("bootstrap")),
            changes: changes.into_iter().map(one).collect::<Result<_>>()?,
        })
    }

    fn cache(&self, count: usize, episode: impl Fn(u64) -> Result<EpisodeData> + Sync + Send) -> Result<FrameCache> {
        let episodes: Vec<EpisodeData> = (0..count as u64).into_par_iter().map(episode).collect::<Result<_>>()?;
        let Some(first) = episodes.first() else {
            let (operation, expected) = ("surprise".into(), "at least 1 episode".into());
            return Err(Error::Data { operation, expected, got: "none".into() });
        };
        let width = |rows: &[Vec<f32>]| rows.first().map_or(0, Vec::len);
        let (action, state, own) = (width(&first.actions), width(&first.states), width(&first.proprioception));
        let mut cache = FrameCache::new(first.frames[0].size(), action, state, own);
        episodes.iter().try_for_each(|episode| cache.push(episode))?;
        Ok(cache)
    }
}

/// Ticks at which alarms begin.
fn alarms(rule: AlarmRule, scores: &[f64]) -> Vec<usize> {
    let mut alarm = Alarm::new(rule);
    (0..scores.len()).filter(|&tick| alarm.takes(scores[tick])).collect()
}

/// Episodes in which something changes.
struct Changed<'a> {
    scene: &'a str,
    options: &'a SceneOptions,
    change: Change,
    has_block: bool,
}

impl Changed<'_> {
    fn world(&self, factors: Vec<Factor>) -> Result<Box<dyn Simulator>> {
        let options = SceneOptions { factors: Factors(factors), ..self.options.clone() };
        Ok(mindseye_sim::make(self.scene, &options)?)
    }

    /// An episode by `script` in which the change comes right before control step `at`.
    fn episode(&self, script: &mut dyn mindseye_interface::Script, seed: Seed, at: usize) -> Result<EpisodeData> {
        let mut world = self.world(Vec::new())?;
        // The world after the change, the same in all else.
        let mut other = match self.change {
            Change::Friction => Some(self.world(vec![Factor::TripledFriction])?),
            Change::Recolour if self.has_block => Some(self.world(vec![Factor::BlockColor])?),
            Change::Recolour => Some(self.world(vec![Factor::AgentColor])?),
            Change::Teleport | Change::Occluder => None,
        };
        let mut observation = world.reset(seed)?;
        if let Some(other) = &mut other {
            other.reset(seed)?;
        }
        script.begin(seed);
        let mut data = EpisodeData::default();
        for step in 0..STEPS_PER_EPISODE {
            if step == at {
                match (self.change, &mut other) {
                    (Change::Teleport, _) => observation = world.set_state(&self.elsewhere(world.as_ref(), seed)?)?,
                    (Change::Friction, Some(other)) => {
                        observation = other.set_state(&world.state())?;
                        std::mem::swap(&mut world, other);
                    }
                    _ => (),
                }
            }
            let state = world.state();
            let image = match (self.change, &mut other) {
                (Change::Recolour, Some(other)) if step >= at => {
                    other.set_state(&state)?;
                    other.render()
                }
                (Change::Occluder, _) if step >= at => {
                    occluded(&world.render(), OCCLUDER.1 * (step - at) as f64 - OCCLUDER.0 / 2.0)
                }
                _ => world.render(),
            };
            let action: Action = script.act(&state);
            let next = world.step(&action)?.observation;
            let now = std::mem::replace(&mut observation, next);
            data.frames.push(image);
            data.proprioception.push(now.proprioception);
            data.states.push(state.iter().map(|&value| value as f32).collect());
            data.actions.push(action.values().to_vec());
        }
        Ok(data)
    }

    /// The state with the block (or the agent) where it is in another episode.
    fn elsewhere(&self, world: &dyn Simulator, seed: Seed) -> Result<Vec<f64>> {
        let moved = if self.has_block { "block" } else { "agent" };
        let mut other = self.world(Vec::new())?;
        let (names, state) = (world.state_names(), world.state());
        // At least a seventh of the world away, which no step goes.
        for draw in 0..100 {
            other.reset(seed.child("elsewhere").index(draw))?;
            let candidate = other.state();
            let of_moved = (0..names.len()).filter(|&index| names[index].starts_with(moved));
            let far = of_moved.clone().filter(|&index| names[index].ends_with("_m"));
            let distance: f64 = far.map(|index| (candidate[index] - state[index]).powi(2)).sum();
            let mut changed = state.clone();
            of_moved.for_each(|index| changed[index] = candidate[index]);
            if distance.sqrt() > 0.15 && other.set_state(&changed).is_ok() {
                return Ok(changed);
            }
        }
        let (operation, expected) = ("teleporting".into(), "another place".into());
        Err(Error::Data { operation, expected, got: "none in 100 draws".into() })
    }
}

/// `image` behind a square whose left edge is at `left` of its width, in the middle of its height.
fn occluded(image: &Image, left: f64) -> Image {
    let (height, width) = (image.size().height(), image.size().width());
    let side = (OCCLUDER.0 * width as f64) as usize;
    let mut pixels = image.pixels().to_vec();
    let first = (left * width as f64) as i64;
    for row in (height - side) / 2..(height + side) / 2 {
        for column in first..first + side as i64 {
            if (0..width as i64).contains(&column) {
                pixels[3 * (row * width + column as usize)..][..3].copy_from_slice(&OCCLUDER_RGB);
            }
        }
    }
    Image::new(image.size(), pixels).unwrap_or_else(|_| image.clone())
}

impl Display for SurpriseReport {
    fn fmt(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        let AlarmRule { band, ticks, of } = self.rule;
        let [rate, low, high] = self.per_10_minutes;
        write!(text, "{}: band {band:.2}, {ticks} of {of} ticks; {:.1} normal minutes: ", self.scene, self.minutes)?;
        write!(text, "{} false alarms, {rate:.2} in 10 minutes ({low:.2} to {high:.2})", self.false_alarms)?;
        for ChangeReport { change, trials, found, median_secs } in &self.changes {
            let share = 100.0 * *found as f64 / (*trials).max(1) as f64;
            let secs = median_secs.map_or_else(String::new, |secs| format!(", after {secs:.1} s"));
            write!(text, "\n  {change:?}: {found} of {trials} within a second ({share:.0} %){secs}")?;
        }
        Ok(())
    }
}
