//! What the page knows of a run.

use std::path::PathBuf;

use mindseye_runs::{InteractiveRun, LatentMap, Order, TopView, WatchedRun};

use crate::{Error, Result};

/// A run, and what its scene looks like.
pub(super) struct Session {
    pub run: WatchedRun,
    /// Names of the true state, and of what the state probe reads.
    pub names: Vec<String>,
    pub probe_names: Vec<String>,
    pub control_step_secs: f64,
    /// Band of normal surprise, where it is known.
    pub surprise_band: Option<f64>,
    pub map: Option<LatentMap>,
    /// What the scene looks like.
    pub view: TopView,
    /// The true states at the start and at the last goal.
    pub start: Vec<f64>,
    pub goal: Vec<f64>,
    /// Place of every dimension of the true state among those that the state probe reads.
    probe_places: Option<Vec<usize>>,
    save_to: PathBuf,
}

impl Session {
    /// Starts `run` of the episode in `view`; `save_to` is the file that the page's button writes.
    pub fn start(run: InteractiveRun, view: TopView, is_paused: bool, save_to: Option<PathBuf>) -> Result<Self> {
        let (names, probe_names) = (run.names().to_vec(), run.probe_names().to_vec());
        let (control_step_secs, surprise_band) = (run.control_step_secs(), run.surprise_band());
        let (start, goal) = (run.setup().pair.start.clone(), run.setup().pair.goal.clone());
        let place = |name: &String| probe_names.iter().position(|known| known == name);
        let probe_places = names.iter().map(place).collect();
        let run = WatchedRun::start(run, is_paused).map_err(|error| Error::Supplied(error.into()))?;
        let save_to = save_to.unwrap_or_else(|| run.file_name().into());
        Ok(Self {
            run,
            names,
            probe_names,
            control_step_secs,
            surprise_band,
            map: None,
            view,
            start,
            goal,
            probe_places,
            save_to,
        })
    }

    /// Where the bodies are in a true state.
    pub fn poses(&self, state: &[f64]) -> Vec<[f64; 3]> {
        (self.view.poses)(state)
    }

    /// Where the bodies are in what the state probe reads of a latent; none without a probe that knows the whole state.
    pub fn poses_of_probe(&self, read: &[f32]) -> Vec<[f64; 3]> {
        let Some(places) = &self.probe_places else { return Vec::new() };
        let state: Option<Vec<f64>> = places.iter().map(|&place| read.get(place).map(|v| f64::from(*v))).collect();
        state.map_or_else(Vec::new, |state| self.poses(&state))
    }

    /// What asks the run to save itself.
    pub fn to_save(&self) -> Order {
        Order::Save(self.save_to.clone())
    }
}
