//! Recording episodes to learn from: by scripts that know the true state, and by the agent itself (on-policy).

mod on_policy;
mod spec;

use std::ops::Range;
use std::str::FromStr;
use std::time::Instant;

use mindseye_episodes::{DatasetWriter, EpisodeData};
use mindseye_interface::{Action, Observation, Progress, Seed, Simulator, recorded_episode};
pub use mindseye_interface::{Script, ScriptSource};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::on_policy::{OnPolicyCollection, ScriptedGoals};
pub use self::spec::dataset_spec;
use crate::{Error, Result};

/// One episode of `steps` control steps by `script` in `simulator` (fewer where the world ends it): what was observed,
/// what was true, what was done next.
///
/// # Errors
/// The simulator's, and an observation without an image.
pub fn scripted_episode(
    simulator: &mut dyn Simulator,
    script: &mut dyn Script,
    seed: Seed,
    steps: usize,
) -> Result<EpisodeData> {
    let mut observation = simulator.reset(seed)?;
    script.begin(seed);
    let mut episode = EpisodeData::default();
    for _ in 0..steps {
        let state = simulator.state();
        let action = script.act_in(simulator)?;
        let step = simulator.step(&action)?;
        push_step(&mut episode, std::mem::replace(&mut observation, step.observation), &state, &action)?;
        if step.terminated {
            break;
        }
    }
    simulator.stop()?;
    Ok(episode)
}

/// Adds one control step to `episode`.
fn push_step(episode: &mut EpisodeData, observation: Observation, state: &[f64], action: &Action) -> Result<()> {
    let image = observation.image().cloned();
    episode.frames.push(image.ok_or_else(|| Error::value("recording", "an image at every step", "none"))?);
    episode.proprioception.push(observation.proprioception);
    episode.states.push(state.iter().map(|&value| value as f32).collect());
    episode.actions.push(action.values().to_vec());
    Ok(())
}

/// One of several equal parts of a recording, for example `2/4`: on several machines at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1 on.
    number: usize,
    of: usize,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// The episodes of this part, of so many in all.
    pub fn episodes(self, all: usize) -> Range<usize> {
        (self.number - 1) * all / self.of..self.number * all / self.of
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parsed {
            Some((number, of)) if (1..=of).contains(&number) && of <= 1_000_000 => Ok(Self { number, of }),
            _ => Err(Error::value("shard", "number/of, for example 2/4", text)),
        }
    }
}

/// Which episodes a recording has.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingPlan {
    /// Root of every random choice.
    pub root: Seed,
    /// Numbers of the episodes under this root. A data set that has some of them already goes on with the next.
    pub episodes: Range<u64>,
    /// Episodes that are in memory at the same time; the data set does not depend on it.
    pub batch: usize,
}

/// Bytes of images in memory at the same time.
const MEMORY_BYTES: usize = 256 << 20;

impl RecordingPlan {
    /// How many episodes with `episode_bytes` of images each may be in memory at the same time, for `threads`
    /// threads.
    pub fn batch(episode_bytes: usize, threads: usize) -> usize {
        (MEMORY_BYTES / episode_bytes.max(1)).clamp(1, 8 * threads.max(1))
    }
}

/// What was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecordingReport {
    /// Episodes in the data set.
    pub episodes: usize,
    /// Control steps in the data set.
    pub frames: usize,
    /// Control steps that this recording added.
    pub recorded_frames: usize,
    /// Time that it took, seconds.
    pub seconds: f64,
    /// Whether no episode is missing.
    pub finished: bool,
}

/// Records the episodes of `plan` with `writer`: `episode` makes the one of a seed, on the threads of the current
/// rayon pool. When `progress` asks to stop, or an episode fails, the episodes so far are written out.
///
/// # Errors
/// When an episode fails or the disk refuses.
pub fn record(
    mut writer: DatasetWriter,
    plan: &RecordingPlan,
    episode: &(dyn Fn(Seed) -> Result<EpisodeData> + Sync),
    progress: &dyn Progress,
) -> Result<RecordingReport> {
    let started = Instant::now();
    let total = usize::try_from(plan.episodes.end.saturating_sub(plan.episodes.start)).unwrap_or(usize::MAX);
    let frames_before = writer.frames();
    progress.begin("record", total, "episodes");
    let mut proceeds = true;
    while writer.episodes() < total && proceeds {
        let first = writer.episodes();
        let last = total.min(first + plan.batch.max(1));
        let index = |number: usize| plan.episodes.start + (number + writer.seed_shift()) as u64;
        let seeds = (first..last).map(|number| recorded_episode(plan.root, index(number)));
        let seeds: Vec<Seed> = seeds.collect();
        let made: Vec<Result<EpisodeData>> = seeds.into_par_iter().map(episode).collect();
        for episode in made {
            match episode {
                Ok(episode) => writer.add_episode(&episode)?,
                // The episodes before it are kept, as when somebody stops the recording.
                Err(error) if writer.episodes() > 0 => return writer.finish().map_err(Error::from).and(Err(error)),
                Err(error) => return Err(error),
            }
        }
        proceeds = progress.advance(writer.episodes(), &format!("{} frames", writer.frames()));
    }
    progress.end();
    let frames = writer.frames();
    let episodes = writer.finish()?;
    Ok(RecordingReport {
        episodes,
        frames,
        recorded_frames: frames - frames_before,
        seconds: started.elapsed().as_secs_f64(),
        finished: episodes >= total,
    })
}
