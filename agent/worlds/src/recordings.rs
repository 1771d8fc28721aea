//! Recorded episodes of a world: states and actions, and images where they are goals.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mindseye_episodes::{EpisodeSource, ImageOptions, ReadRequest, Sidecar};
use mindseye_interface::config::require_range;
use mindseye_interface::text::printable_path;
use mindseye_interface::{Action, Error, Image, ImageSize, MemoryLimit, Result, Seed, recorded_episode};

use crate::connection::failure;
use crate::description::Description;

/// States and actions of one episode.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Played {
    /// Seed that the world was reset with, where it is known.
    pub seed: Option<Seed>,
    /// True states `[T][K]`.
    pub states: Vec<Vec<f64>>,
    /// Normalised actions `[T][A]`.
    pub actions: Vec<Action>,
}

/// Recorded episodes, in the order of their data sets.
#[derive(Debug)]
pub(crate) struct Recordings {
    sources: Vec<Box<dyn EpisodeSource>>,
    /// Data set and episode in it.
    places: Vec<(usize, usize)>,
    pub episodes: Vec<Arc<Played>>,
}

/// An image and proprioception of a recorded timestep.
pub(crate) struct RecordedTimestep {
    pub image: Image,
    pub proprioception: Vec<f32>,
}

impl Recordings {
    /// Opens the data sets in `folders` and reads all states and actions.
    ///
    /// # Errors
    /// When one is not of the world that `world` describes.
    pub fn open(folders: &[PathBuf], world: &Description) -> Result<Self> {
        let (mut sources, mut places, mut episodes) = (Vec::new(), Vec::new(), Vec::new());
        for folder in folders {
            let source = mindseye_episodes::open(folder).map_err(|error| failed(folder, &error))?;
            require_same(source.as_ref(), world)?;
            let sidecar = source.sidecar().cloned();
            for index in 0..source.len() {
                let mut played = read(source.as_ref(), index)?;
                played.seed = sidecar.as_ref().and_then(|sidecar| seed_of(sidecar, index));
                places.push((sources.len(), index));
                episodes.push(Arc::new(played));
            }
            sources.push(source);
        }
        Ok(Self { sources, places, episodes })
    }

    /// The image of `side` and proprioception at `timestep` of `episode`.
    pub fn timestep(&self, episode: usize, timestep: usize, side: ImageSize) -> Result<RecordedTimestep> {
        let (source, index) = self.places[episode];
        let source = self.sources[source].as_ref();
        let cameras = source.cameras().len().max(1);
        let size = ImageSize::new(side.height() * cameras, side.width())?;
        let length = self.episodes[episode].actions.len();
        MemoryLimit::of_this_machine().require("images of one episode", (length * size.rgb_len()) as u128)?;
        let mut pixels = vec![0; length * size.rgb_len()];
        let request = ReadRequest { episode: index, images: &mut pixels };
        let arrays = source.read(vec![request], ImageOptions { stride: 1, size }, &|_| ());
        let arrays = arrays.map_err(|error| failed(source.path(), &error))?.pop().unwrap_or_default();
        let first = timestep * size.rgb_len();
        let width = source.shape().proprioception;
        Ok(RecordedTimestep {
            image: Image::new(side, pixels[first..first + side.rgb_len()].to_vec())?,
            proprioception: arrays.proprioception[timestep * width..(timestep + 1) * width].to_vec(),
        })
    }
}

fn failed(path: &Path, error: &mindseye_episodes::Error) -> Error {
    failure(&format!("--data {}: {error}", printable_path(path)))
}

/// Refuses data of another world.
fn require_same(source: &dyn EpisodeSource, world: &Description) -> Result<()> {
    let names = [
        ("actions", source.action_names(), &world.action.names),
        ("state", source.state_names(), &world.state),
        ("proprioception", source.proprioception_names(), &world.proprioception),
    ];
    for (what, recorded, described) in names {
        if recorded != *described {
            let path = printable_path(source.path());
            let (expected, got) = (described.join(", "), recorded.join(", "));
            let none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
            return Err(Error::field(format!("--data {path}: {what}"), none(expected), none(got)));
        }
    }
    match source.sidecar() {
        Some(sidecar) if sidecar.action_space != world.action => {
            let expected = format!("bounds {:?} to {:?}", world.action.low, world.action.high);
            let got = format!("{:?} to {:?}", sidecar.action_space.low, sidecar.action_space.high);
            Err(Error::field(format!("--data {}: actions", printable_path(source.path())), expected, got))
        }
        Some(_) => Ok(()),
        None => {
            let path = printable_path(source.path());
            Err(Error::field(format!("--data {path}"), "episodes that mindseye recorded in this world", "other ones"))
        }
    }
}

/// The seed of episode `index`: of the last session that began before it.
fn seed_of(sidecar: &Sidecar, index: usize) -> Option<Seed> {
    let session = sidecar.recordings.iter().rev().find(|session| session.first_episode <= index)?;
    let first = session.first_of_seed.unwrap_or(session.first_episode);
    Some(recorded_episode(session.seed, (first + index - session.first_episode) as u64))
}

/// States and actions of episode `index`. Only its first image is decoded, to one pixel.
fn read(source: &dyn EpisodeSource, index: usize) -> Result<Played> {
    let of_source = |error| failed(source.path(), &error);
    let (length, shape) = (source.episode(index).map_err(of_source)?.length, source.shape());
    require_range("timesteps of an episode", length, 1, 10_000_000)?;
    let size = ImageSize::new(source.cameras().len().max(1), 1)?;
    let mut pixels = vec![0; size.rgb_len()];
    let request = ReadRequest { episode: index, images: &mut pixels };
    let options = ImageOptions { stride: length, size };
    let arrays = source.read(vec![request], options, &|_| ()).map_err(of_source)?.pop().unwrap_or_default();
    let wide = |row: &[f32]| row.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
    let states = match shape.state {
        0 => vec![Vec::new(); length],
        width => arrays.states.chunks_exact(width).map(wide).collect(),
    };
    let still = |value: &f32| if value.is_finite() { *value } else { 0.0 };
    let actions = arrays.actions.chunks_exact(shape.action.max(1));
    let actions = actions.map(|row| Action::new(row.iter().map(still).collect())).collect::<Result<Vec<_>>>()?;
    Ok(Played { seed: None, states, actions })
}

/// Episodes whose actions lead back to their states.
#[derive(Debug, Default)]
pub(crate) struct KnownEpisodes(Mutex<HashMap<u64, Arc<Played>>>);

impl KnownEpisodes {
    /// From now on the states of the episode of `seed` are known.
    pub fn add(&self, seed: Seed, episode: Arc<Played>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(seed.value(), episode);
    }

    /// The actions that lead from the start of the episode of `seed` to `state`.
    pub fn actions_to(&self, seed: Seed, state: &[f64]) -> Option<Vec<Action>> {
        let episode = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&seed.value()).cloned()?;
        let timestep = episode.states.iter().position(|known| known == state)?;
        Some(episode.actions[..timestep].to_vec())
    }
}

/// Whether two states are equal as far as recordings keep them.
pub(crate) fn same_state(one: &[f64], other: &[f64]) -> bool {
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-4 * a.abs().max(b.abs()).max(1.0);
    one.len() == other.len() && one.iter().zip(other).all(close)
}
