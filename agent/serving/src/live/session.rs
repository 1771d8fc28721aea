//! What the page knows of a run.

use std::path::PathBuf;
use std::sync::Arc;

use mindseye_runs::{Event, InteractiveRun, LatentMap, Order, Pace, RunThread, Settings, TickRecord, TopView};

use crate::{Error, Result};

/// A run on its thread, and what it said.
pub(super) struct Session {
    thread: RunThread,
    title: String,
    /// Names of the true state, and of what the state probe reads.
    pub names: Vec<String>,
    pub probe_names: Vec<String>,
    pub control_step_secs: f64,
    /// Band of normal surprise, where it is known.
    pub surprise_band: Option<f64>,
    /// Ticks so far.
    pub records: Vec<Arc<TickRecord>>,
    /// Counts changes that are not one more tick: what a browser holds of the run before is void.
    pub generation: u64,
    /// Control steps of the newest tick that have been shown.
    pub steps_shown: usize,
    pub is_paused: bool,
    /// Speed of display, 1 for real time.
    pub speed: f64,
    /// What was refused or done last.
    pub note: Option<String>,
    /// Why the run ended, if it did.
    pub ended: Option<String>,
    first_settings: Settings,
    pub settings: Settings,
    pub map: Option<LatentMap>,
    /// What the scene looks like.
    pub view: TopView,
    /// Place of every dimension of the true state among those that the state probe reads.
    probe_places: Option<Vec<usize>>,
    save_to: PathBuf,
}

impl Session {
    /// Starts `run` of the episode in `view`; `save_to` is the file that the page's button writes.
    pub fn start(run: InteractiveRun, view: TopView, is_paused: bool, save_to: Option<PathBuf>) -> Result<Self> {
        let (title, first_settings) = (run.title(), run.first_settings());
        let save_to = save_to.unwrap_or_else(|| format!("{}.run.json", title.replace([' ', ','], "_")).into());
        let (names, probe_names) = (run.names().to_vec(), run.probe_names().to_vec());
        let (control_step_secs, surprise_band) = (run.control_step_secs(), run.surprise_band());
        let place = |name: &String| probe_names.iter().position(|known| known == name);
        let probe_places = names.iter().map(place).collect();
        let records = run.history().to_vec();
        let pace = Pace::RealTime { factor: 1.0 };
        let thread = if is_paused { RunThread::spawn_paused(run, pace) } else { RunThread::spawn(run, pace) };
        Ok(Self {
            thread: thread.map_err(|error| Error::Supplied(error.into()))?,
            title,
            names,
            probe_names,
            control_step_secs,
            surprise_band,
            settings: first_settings.after(&records),
            first_settings,
            records,
            generation: 0,
            steps_shown: usize::MAX,
            is_paused,
            speed: 1.0,
            note: None,
            ended: None,
            map: None,
            view,
            probe_places,
            save_to,
        })
    }

    /// Scene and pair.
    pub fn title(&self) -> &str {
        &self.title
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

    /// Asks the run for something; it happens between two ticks.
    pub fn order(&mut self, order: Order) {
        self.receive();
        self.note = None;
        if let Order::Pace(Pace::RealTime { factor }) = order {
            self.speed = factor;
        }
        self.thread.order(order);
    }

    /// Asks the run to save itself.
    pub fn save(&mut self) {
        self.order(Order::Save(self.save_to.clone()));
    }

    /// Takes what the run has said. Events that nobody took in time are lost, so ticks are taken from its history.
    pub fn receive(&mut self) {
        let events: Vec<Event> = self.thread.events().try_iter().collect();
        let before = self.records.last().map(|record| record.tick);
        self.records = self.thread.history().lock().map(|all| all.clone()).unwrap_or_default();
        let newest = self.records.last().map(|record| record.tick);
        if newest != before {
            self.steps_shown = 0;
            self.settings = self.first_settings.after(&self.records);
        }
        for event in events {
            match event {
                Event::Step { tick, index } if newest == Some(tick) => self.steps_shown = index + 1,
                Event::Tick(_) | Event::Step { .. } => {}
                Event::WentBackTo(tick) => {
                    self.generation += 1;
                    self.steps_shown = usize::MAX;
                    self.settings = self.first_settings.after(&self.records);
                    self.note = Some(format!("back at tick {tick}"));
                }
                Event::Refused(reason) => self.note = Some(reason),
                Event::Saved(path) => self.note = Some(format!("saved to {}", path.display())),
                Event::Paused(is_paused) => self.is_paused = is_paused,
                Event::Ended(reason) => self.ended = Some(reason.unwrap_or_else(|| "the run has ended".into())),
            }
        }
    }
}
