//! Several data sets as one: opened, compared, and joined for training.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use mindseye_episodes::{CacheOptions, EpisodeShape, EpisodeSource, FrameCache, Mapping, Sidecar, open_with};
use mindseye_interface::config::{self, require_range};

/// Data sets to learn from.
#[derive(Debug)]
pub struct Sources {
    /// At least one.
    sources: Vec<Box<dyn EpisodeSource>>,
    /// One per data set, or none.
    weights: Vec<f64>,
}

impl Sources {
    /// Opens the data sets at `paths`, with the columns of `mappings` (none, one for all, or one for each) and `weights` (none, or one for each).
    ///
    /// # Errors
    /// When there is none, the numbers do not fit, a file is broken, or widths differ.
    pub fn open(paths: &[PathBuf], mappings: &[PathBuf], weights: &[f64]) -> Result<Self> {
        let count = paths.len();
        if mappings.len() > 1 && mappings.len() != count {
            bail!("--mapping: expected one file, or one for each of {count} data sets, got {}", mappings.len());
        }
        if !weights.is_empty() && weights.len() != count {
            bail!("--weights: expected one number for each of {count} data sets, got {}", weights.len());
        }
        weights.iter().try_for_each(|weight| require_range("--weights", *weight, 1e-6, 1e6))?;
        let mappings: Vec<Mapping> =
            mappings.iter().map(|path| config::load(path)).collect::<mindseye_interface::Result<_>>()?;
        let mut sources: Vec<Box<dyn EpisodeSource>> = Vec::with_capacity(count);
        for (index, path) in paths.iter().enumerate() {
            let mapping = mappings.get(index).or(mappings.first()).cloned().unwrap_or_default();
            sources.push(open_with(path, &mapping)?);
        }
        let widths = |source: &dyn EpisodeSource| {
            let EpisodeShape { action, state, proprioception, .. } = *source.shape();
            (action, state, proprioception, source.mapping().cameras.map_or(1, |cameras| cameras.len()))
        };
        let first = sources.first().context("--data: expected a data set, got none")?;
        for other in &sources[1..] {
            if widths(other.as_ref()) != widths(first.as_ref()) {
                let describe = |source: &dyn EpisodeSource| {
                    let (action, state, proprioception, cameras) = widths(source);
                    format!(
                        "{action} actions, {state} of true state, {proprioception} of proprioception and {cameras} cameras"
                    )
                };
                bail!(
                    "{}: expected {}, as in {}, got {}",
                    other.path().display(),
                    describe(first.as_ref()),
                    first.path().display(),
                    describe(other.as_ref())
                );
            }
        }
        Ok(Self { sources, weights: weights.to_vec() })
    }

    fn first(&self) -> &dyn EpisodeSource {
        self.sources[0].as_ref()
    }

    /// Where the first data set is.
    pub fn path(&self) -> &Path {
        self.first().path()
    }

    /// Widths that all have, and the picture size of the first.
    pub fn shape(&self) -> EpisodeShape {
        *self.first().shape()
    }

    /// Number of cameras.
    pub fn cameras(&self) -> usize {
        self.first().mapping().cameras.map_or(1, |cameras| cameras.len())
    }

    /// Names of the elements of an action, by the first data set.
    pub fn action_names(&self) -> Vec<String> {
        self.first().action_names()
    }

    /// Number of moments of all.
    pub fn frames(&self) -> usize {
        self.sources.iter().map(|source| source.frames()).sum()
    }

    /// What mindseye knows of the data, if it recorded all of them.
    ///
    /// # Errors
    /// When only some are its own, or actions or scenes differ.
    pub fn sidecar(&self) -> Result<Option<Sidecar>> {
        let first = self.first().sidecar();
        for other in &self.sources[1..] {
            let (got, path) = (other.sidecar(), other.path().display());
            match (first, got) {
                (None, None) => (),
                (Some(expected), Some(got)) => {
                    let what = |sidecar: &Sidecar| format!("{}, {:?}", sidecar.scene, sidecar.action_space);
                    if (&expected.scene, &expected.action_space) != (&got.scene, &got.action_space) {
                        bail!(
                            "{path}: expected {}, as in {}, got {}",
                            what(expected),
                            self.path().display(),
                            what(got)
                        );
                    }
                }
                _ => bail!(
                    "{path}: expected data sets that are all of mindseye's own recording, or none, got some of each"
                ),
            }
        }
        Ok(first.cloned())
    }

    /// Duration of a control step, seconds; `fps` counts where the data do not say.
    ///
    /// # Errors
    /// When nobody says, or data sets differ.
    pub fn control_step_secs(&self, fps: Option<f64>) -> Result<f64> {
        let of = |source: &dyn EpisodeSource| -> Result<f64> {
            if let Some(sidecar) = source.sidecar() {
                return Ok(sidecar.control_step_secs);
            }
            match fps.or(source.frames_per_second()) {
                Some(rate) if rate.is_finite() && rate > 0.0 => Ok(1.0 / rate),
                Some(rate) => bail!("--fps: expected a number above 0, got {rate}"),
                None => bail!("{}: expected --fps, since the data do not say, got none", source.path().display()),
            }
        };
        let first = of(self.first())?;
        for other in &self.sources[1..] {
            let got = of(other.as_ref())?;
            if (got / first - 1.0).abs() > 1e-6 {
                bail!(
                    "{}: expected moments {first} s apart, as in {}, got {got}",
                    other.path().display(),
                    self.path().display()
                );
            }
        }
        Ok(first)
    }

    /// Bytes that decoded frames need.
    ///
    /// # Errors
    /// When an episode is missing.
    pub fn needed_bytes(&self, options: &CacheOptions) -> Result<u64> {
        let mut bytes = 0;
        for source in &self.sources {
            bytes += FrameCache::needed_bytes(source.as_ref(), options)?;
        }
        Ok(bytes)
    }

    /// Decodes all of them, on the current threads; `done` hears of the number of moments.
    ///
    /// # Errors
    /// When an episode is broken, memory does not suffice, or a file cannot be written.
    pub fn load(&self, options: &CacheOptions, done: &(dyn Fn(usize) + Sync)) -> Result<FrameCache> {
        let mut joined: Option<FrameCache> = None;
        let (mut before, mut options) = (0, options.clone());
        for (index, source) in self.sources.iter().enumerate() {
            let needed = FrameCache::needed_bytes(source.as_ref(), &options)?;
            let cache = FrameCache::load(source.as_ref(), &options, &|read, _| done(before + read))?;
            let cache = match self.weights.get(index) {
                Some(weight) => cache.with_weight(*weight),
                None => cache,
            };
            options.memory_limit_bytes = options.memory_limit_bytes.saturating_sub(needed);
            before += source.frames();
            match &mut joined {
                Some(joined) => joined.join(cache).with_context(|| format!("joining {}", source.path().display()))?,
                None => joined = Some(cache),
            }
        }
        joined.context("expected a data set, got none")
    }
}
