//! An episode of a data set that mindseye recorded in one of its scenes, to be run again.

use std::path::Path;

use mindseye_episodes::{EpisodeData, Mapping, open_with};
use mindseye_interface::text::printable_path;
use mindseye_interface::{ActionSpace, Benchmark, Seed, StartGoal};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How far the scene's own start may be from the recorded one, in the state's units: recordings have 32 bits.
const TOLERANCE: f64 = 1e-4;
/// Longest name of recorded actions, characters.
const LONGEST_NAME: usize = 200;

/// Actions of a recorded episode, which a run executes in place of the agent's for as long as it follows them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedActions {
    /// Which episode of which data set, for people.
    pub name: String,
    /// Normalised actions, one of `[A]` per control step.
    pub actions: Vec<Vec<f32>>,
}

impl RecordedActions {
    /// Refuses actions that a world with actions of `width` numbers cannot do.
    pub(crate) fn check(&self, width: usize) -> Result<()> {
        let length = self.name.chars().count();
        if length > LONGEST_NAME {
            return Err(Error::value("recorded.name", format!("up to {LONGEST_NAME} characters"), length));
        }
        if self.actions.is_empty() {
            return Err(Error::value("recorded.actions", "one or more", "none"));
        }
        let is_action = |action: &Vec<f32>| action.len() == width && action.iter().all(|value| value.abs() <= 1.0);
        match self.actions.iter().position(|action| !is_action(action)) {
            None => Ok(()),
            Some(index) => {
                let expected = format!("{width} numbers from -1 to 1");
                let got = self.actions[index].iter().take(8).collect::<Vec<_>>();
                Err(Error::value(format!("recorded.actions[{index}]"), expected, format!("{got:?}")))
            }
        }
    }
}

/// A recorded episode, and where it was recorded.
pub(crate) struct RecordedEpisode {
    pub scene: String,
    pub recorded: RecordedActions,
    /// Number of the episode in its data set.
    number: usize,
    seed: u64,
    episode: Seed,
    state_names: Vec<String>,
    action_space: ActionSpace,
    control_step_secs: f64,
    first: Vec<f64>,
    last: Vec<f64>,
}

impl RecordedEpisode {
    /// Episode number `number` of the data set at `path`.
    ///
    /// # Errors
    /// [`Error::File`] for data that no scene of mindseye can run again: of another source, with factors of variation,
    /// of less than two timesteps; [`Error::Value`] where there is no such episode; [`Error::Supplied`] for a broken
    /// one.
    pub fn read(path: &Path, number: usize) -> Result<Self> {
        let supplied = |error: mindseye_episodes::Error| Error::Supplied(error.into());
        let source = open_with(path, &Mapping::default()).map_err(supplied)?;
        let refuse = |field: &str, expected: &str, got: &str| {
            Error::file(path, format!("{field}: expected {expected}, got {got}"))
        };
        let Some(sidecar) = source.sidecar() else {
            let expected = "the scene's name, as `mindseye record` writes it";
            return Err(refuse("data set", expected, &format!("{} of another source", source.format())));
        };
        let count = source.len();
        if number >= count {
            return Err(Error::value("--pair", format!("less than {count}, the number of episodes"), number));
        }
        let recording = sidecar.recording_of(number);
        let (recording, episode) =
            recording.ok_or_else(|| refuse("recordings", &format!("one of episode {number}"), "none"))?;
        if !recording.factors.is_empty() {
            return Err(refuse("factors", "none: a run has the scene as it is", &recording.factors.join(", ")));
        }
        let EpisodeData { states, mut actions, .. } = source.read_episode(number).map_err(supplied)?;
        let state = |state: &Vec<f32>| state.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
        let (Some(first), Some(last)) = (states.first().map(state), states.last().map(state)) else {
            return Err(refuse(&format!("episode {number}"), "true states", "none"));
        };
        actions.truncate(states.len() - 1); // what was done at the last timestep led to no other
        if actions.is_empty() {
            return Err(refuse(&format!("episode {number}"), "two timesteps or more", "one"));
        }
        let folder = path.file_name().map_or_else(|| printable_path(path), |name| printable_path(Path::new(name)));
        let recorded = RecordedActions { name: format!("episode {number} of {folder}"), actions };
        let (scene, seed) = (sidecar.scene.clone(), recording.seed.value());
        Ok(Self {
            scene,
            recorded,
            number,
            seed,
            episode,
            state_names: source.state_names(),
            action_space: sidecar.action_space.clone(),
            control_step_secs: sidecar.control_step_secs,
            first,
            last,
        })
    }

    /// The episode's start, and its end as the goal, in the world of `benchmark`.
    ///
    /// # Errors
    /// [`Error::Value`] where this world has another state, other actions or another control step, and where it starts
    /// the episode otherwise: then another seed is recorded than the episode had; when it fails.
    pub fn pair(&self, benchmark: &dyn Benchmark) -> Result<StartGoal> {
        let mut world = benchmark.environment()?;
        world.reset(self.episode)?;
        let what = |field: &str| format!("{field} of {}", self.recorded.name);
        let (names, start, step) = (world.state_names(), world.state(), world.control_step_secs());
        if names != self.state_names {
            return Err(Error::value(what("state"), names.join(", "), self.state_names.join(", ")));
        }
        if *world.action_space() != self.action_space {
            let (ours, recorded) = (world.action_space(), &self.action_space);
            return Err(Error::value(what("actions"), format!("{ours:?}"), format!("{recorded:?}")));
        }
        if step != self.control_step_secs {
            return Err(Error::value(what("control step"), format!("{step} s"), self.control_step_secs));
        }
        // The world's own start has all 64 bits.
        if start.iter().zip(&self.first).any(|(own, recorded)| (own - recorded).abs() > TOLERANCE) {
            let expected = format!("{start:?}, where the recorded seed begins");
            return Err(Error::value(what("start"), expected, format!("{:?}", self.first)));
        }
        let (seed, index, episode, goal) = (self.seed, self.number, self.episode, self.last.clone());
        Ok(StartGoal { seed, index, episode, start, via: Vec::new(), goal, metrics: Default::default() })
    }
}
