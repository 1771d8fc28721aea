//! Several data sets as one, with weights: opened, checked against each other, and joined for training.

use std::path::{Path, PathBuf};

use mindseye_interface::{ActionSpace, Progress};

use crate::cache::{CacheOptions, FrameCache};
use crate::cameras::RecordedCamera;
use crate::episode::EpisodeShape;
use crate::formats::open_with;
use crate::mapping::Mapping;
use crate::normalisation::{ActionNormalisation, NormalisationMethod};
use crate::sidecar::Sidecar;
use crate::source::EpisodeSource;
use crate::{Error, Result};

/// Range of a weight.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1e-6..=1e6;
/// Largest relative difference of two data sets' control steps.
const STEP_TOLERANCE: f64 = 1e-6;

/// Data sets to train on. All have the same widths and number of cameras.
#[derive(Debug)]
pub struct DatasetMixture {
    /// At least one.
    sources: Vec<Box<dyn EpisodeSource>>,
    /// One per data set, or none.
    weights: Vec<f64>,
}

impl DatasetMixture {
    /// Opens the data sets at `paths` with `mappings` (none, one for all, or one per data set) and `weights` (none, or
    /// one per data set): their shares of the training windows, in any unit. Without weights every window counts the
    /// same.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is no path, or the numbers of mappings or weights do not fit; the errors of
    /// [`open_with`] and [`DatasetMixture::new`].
    pub fn open(paths: &[PathBuf], mappings: &[Mapping], weights: &[f64]) -> Result<Self> {
        let count = paths.len();
        if mappings.len() > 1 && mappings.len() != count {
            let expected = format!("one file, or one for each of {count} data sets");
            return Err(Error::argument("mapping", expected, mappings.len()));
        }
        require_weights(weights, count)?;
        let mut sources = Vec::with_capacity(count);
        for (index, path) in paths.iter().enumerate() {
            let mapping = mappings.get(index).or(mappings.first()).cloned().unwrap_or_default();
            sources.push(open_with(path, &mapping)?);
        }
        Self::new(sources, weights)
    }

    /// The mixture of open data sets.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is none or the number of weights does not fit; [`Error::Content`] when the widths
    /// or the numbers of cameras differ.
    pub fn new(sources: Vec<Box<dyn EpisodeSource>>, weights: &[f64]) -> Result<Self> {
        require_weights(weights, sources.len())?;
        let Some(first) = sources.first() else { return Err(Error::argument("data", "a data set", "none")) };
        for other in &sources[1..] {
            if widths(other.as_ref()) != widths(first.as_ref()) {
                let expected = format!("{}, as in {}", describe(first.as_ref()), first.path().display());
                return Err(Error::content(other.path(), "columns", expected, describe(other.as_ref())));
            }
        }
        Ok(Self { sources, weights: weights.to_vec() })
    }

    fn first(&self) -> &dyn EpisodeSource {
        self.sources[0].as_ref()
    }

    fn source(&self, index: usize) -> &dyn EpisodeSource {
        self.sources[index].as_ref()
    }

    /// Path of the first data set.
    pub fn path(&self) -> &Path {
        self.first().path()
    }

    /// The widths of all data sets, and the image size of the first.
    pub fn shape(&self) -> EpisodeShape {
        *self.first().shape()
    }

    /// The cameras of the first data set.
    pub fn cameras(&self) -> &[RecordedCamera] {
        self.first().cameras()
    }

    /// Names of the cameras of the first data set.
    pub fn camera_names(&self) -> Vec<String> {
        self.first().camera_names()
    }

    /// Names of the elements of an action in the first data set; empty where none are recorded. Of data sets without
    /// actions, the name of the constant one that [`DatasetMixture::load`] gives them.
    pub fn action_names(&self) -> Vec<String> {
        if self.shape().action == 0 { vec!["none".into()] } else { self.first().action_names() }
    }

    /// Names of the elements of proprioception in the first data set; empty where none are recorded.
    pub fn proprioception_names(&self) -> Vec<String> {
        self.first().proprioception_names()
    }

    /// Number of timesteps of all data sets.
    pub fn frames(&self) -> usize {
        self.sources.iter().map(|source| source.frames()).sum()
    }

    /// Number of episodes of all data sets.
    pub fn episodes(&self) -> usize {
        self.sources.iter().map(|source| source.len()).sum()
    }

    /// The data sets, in their order.
    pub fn sources(&self) -> impl Iterator<Item = &dyn EpisodeSource> {
        (0..self.sources.len()).map(|index| self.source(index))
    }

    /// The path of the data set with `episode` of all, and the episode's index there.
    pub fn locate(&self, episode: usize) -> (&Path, usize) {
        let mut before = 0;
        for source in &self.sources {
            if episode < before + source.len() {
                return (source.path(), episode - before);
            }
            before += source.len();
        }
        (self.path(), episode)
    }

    /// The sidecar of the first data set, if mindseye recorded all of them; `None` if it recorded none.
    ///
    /// # Errors
    /// [`Error::Content`] when it recorded only some of them, or scenes or action spaces differ.
    pub fn sidecar(&self) -> Result<Option<&Sidecar>> {
        let first = self.first().sidecar();
        for other in &self.sources[1..] {
            match (first, other.sidecar()) {
                (None, None) => (),
                (Some(expected), Some(got)) => {
                    if (&expected.scene, &expected.action_space) != (&got.scene, &got.action_space) {
                        let describe = |sidecar: &Sidecar| format!("{}, {:?}", sidecar.scene, sidecar.action_space);
                        let expected = format!("{}, as in {}", describe(expected), self.path().display());
                        return Err(Error::content(other.path(), "scene and actions", expected, describe(got)));
                    }
                }
                _ => {
                    let expected = "data sets that are all recorded by mindseye, or none";
                    return Err(Error::content(other.path(), "mindseye.json", expected, "some of each"));
                }
            }
        }
        Ok(first)
    }

    /// Duration of a control step, seconds. `frames_per_second` overrides the recorded rate of data of other tools.
    ///
    /// # Errors
    /// [`Error::UnknownRate`] when no rate is recorded or given; [`Error::Argument`] when the given rate is not
    /// positive; [`Error::Content`] when data sets differ.
    pub fn control_step_secs(&self, frames_per_second: Option<f64>) -> Result<f64> {
        let step_secs = |source: &dyn EpisodeSource| -> Result<f64> {
            if let Some(sidecar) = source.sidecar() {
                return Ok(sidecar.control_step_secs);
            }
            match frames_per_second.or(source.frames_per_second()) {
                Some(rate) if rate.is_finite() && rate > 0.0 => Ok(1.0 / rate),
                Some(rate) => Err(Error::argument("fps", "a number above 0", rate)),
                None => Err(Error::UnknownRate { path: source.path().to_path_buf() }),
            }
        };
        let first = step_secs(self.first())?;
        for other in &self.sources[1..] {
            let got = step_secs(other.as_ref())?;
            if (got / first - 1.0).abs() > STEP_TOLERANCE {
                let expected = format!("{first} s, as in {}", self.path().display());
                return Err(Error::content(other.path(), "control step", expected, format!("{got} s")));
            }
        }
        Ok(first)
    }

    /// Bytes that the decoded frames need.
    ///
    /// # Errors
    /// [`Error::Content`] when an episode is missing.
    pub fn needed_bytes(&self, options: &CacheOptions) -> Result<u64> {
        self.sources.iter().map(|source| FrameCache::needed_bytes(source.as_ref(), options)).sum()
    }

    /// Decodes all data sets on rayon's threads, as one stage of `progress`, and joins them. Where none is recorded,
    /// the action is one number that is always 0.
    ///
    /// # Errors
    /// As [`FrameCache::load_with`]; [`Error::Episode`] when data sets cannot be joined. The memory limit of `options`
    /// holds for all together.
    pub fn load(&self, options: &CacheOptions, progress: &dyn Progress) -> Result<FrameCache> {
        progress.begin("decode", self.frames(), "frames");
        let loaded = self.load_all(options, progress);
        progress.end();
        loaded
    }

    fn load_all(&self, options: &CacheOptions, progress: &dyn Progress) -> Result<FrameCache> {
        let mut joined: Option<FrameCache> = None;
        let (mut before, mut options) = (0, options.clone());
        for (index, source) in self.sources.iter().enumerate() {
            let needed = FrameCache::needed_bytes(source.as_ref(), &options)?;
            let report = |done: usize, _| progress.advance(before + done, "");
            let cache = FrameCache::load_reporting(source.as_ref(), &options, &report)?;
            let cache = match self.weights.get(index) {
                Some(weight) => cache.with_weight(*weight),
                None => cache,
            };
            options.memory_limit_bytes = options.memory_limit_bytes.saturating_sub(needed);
            before += source.frames();
            match &mut joined {
                Some(joined) => joined.join(cache)?,
                None => joined = Some(cache),
            }
        }
        joined.map(FrameCache::or_constant_action).ok_or_else(|| Error::argument("data", "a data set", "none"))
    }

    /// Normalises the actions of `cache`, which [`DatasetMixture::load`] returned, and returns their action space.
    /// Actions that mindseye recorded are normalised already; those of other tools are measured with `method`.
    ///
    /// # Errors
    /// As [`DatasetMixture::sidecar`] and [`ActionNormalisation::measure`].
    pub fn normalise_actions(&self, cache: &mut FrameCache, method: NormalisationMethod) -> Result<ActionSpace> {
        if let Some(sidecar) = self.sidecar()? {
            return Ok(sidecar.action_space.clone());
        }
        let (actions, proprioception) = (self.action_names(), self.proprioception_names());
        let measured = ActionNormalisation::measure(cache, &actions, &proprioception, method)?;
        measured.normalise(cache)?;
        Ok(measured.action_space().clone())
    }

    /// Normalises the actions of `cache` into `space`, that of the training data of a model. Actions that mindseye
    /// recorded are normalised already.
    ///
    /// # Errors
    /// As [`DatasetMixture::sidecar`], [`ActionNormalisation::from_space`] and [`ActionNormalisation::normalise`].
    pub fn normalise_actions_into(&self, cache: &mut FrameCache, space: &ActionSpace) -> Result<()> {
        match self.sidecar()? {
            Some(_) => Ok(()),
            None => ActionNormalisation::from_space(space.clone())?.normalise(cache),
        }
    }
}

fn require_weights(weights: &[f64], count: usize) -> Result<()> {
    if !weights.is_empty() && weights.len() != count {
        let expected = format!("one number for each of {count} data sets");
        return Err(Error::argument("weights", expected, weights.len()));
    }
    match weights.iter().find(|weight| !WEIGHTS.contains(weight)) {
        Some(weight) => Err(Error::argument("weights", format!("{} to {}", WEIGHTS.start(), WEIGHTS.end()), weight)),
        None => Ok(()),
    }
}

/// Widths of action, state and proprioception, and the number of cameras.
fn widths(source: &dyn EpisodeSource) -> [usize; 4] {
    let EpisodeShape { action, state, proprioception, .. } = *source.shape();
    [action, state, proprioception, source.cameras().len()]
}

fn describe(source: &dyn EpisodeSource) -> String {
    let [action, state, proprioception, cameras] = widths(source);
    format!("{action} actions, {state} of true state, {proprioception} of proprioception and {cameras} cameras")
}
