//! What the window knows of the run: its ticks so far, which of them is shown, and what was asked of it.

use std::sync::Arc;

use bevy::prelude::Resource;
use mindseye_runs::{Command, ImaginedPlan, InteractiveRun, Order, Settings, StepRecord, TickRecord, WatchedRun};
use mindseye_sim::Figure;

/// Which tick is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// The newest.
    Live,
    /// This one: what was known then.
    At(usize),
}

/// How the window shows a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Display {
    /// Whether the best plan is drawn.
    pub best: bool,
    /// Whether candidates are drawn.
    pub candidates: bool,
    /// Whether samples of the best plan's outcome are drawn.
    pub samples: bool,
}

impl Default for Display {
    fn default() -> Self {
        Self { best: true, candidates: true, samples: true }
    }
}

/// A run in a window.
#[derive(Resource)]
pub struct Session {
    /// The run, and what it said.
    pub run: WatchedRun,
    /// What the episode looks like.
    pub figure: Figure,
    /// Which tick is shown.
    pub cursor: Cursor,
    /// Control steps of a tick of before that are shown.
    steps_of_past: usize,
    /// An order that did not reach the run.
    refused: Option<String>,
    /// How it is shown.
    pub display: Display,
    /// The controls; the run's own settings follow through [`Order`]s.
    pub settings: Settings,
    /// The run's settings, and the number of its note, when the controls were last set after them.
    followed: (Settings, u64),
    /// Band of normal surprise scores, where it is known.
    pub surprise_band: Option<f64>,
    /// Place of every dimension of the scene's state among those that the state probe reads.
    probe_places: Option<Vec<usize>>,
}

impl Session {
    /// Starts `run` on a thread of its own.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(run: InteractiveRun, figure: Figure, paused: bool) -> mindseye_runs::Result<Self> {
        let probe_places = {
            let names = run.probe_names();
            let place = |name: &&str| names.iter().position(|known| known == name);
            figure.state_names.iter().map(place).collect::<Option<Vec<usize>>>()
        };
        let surprise_band = run.surprise_band();
        let run = WatchedRun::start(run, paused)?;
        Ok(Self {
            figure,
            cursor: Cursor::Live,
            steps_of_past: 0,
            refused: None,
            display: Display::default(),
            settings: run.settings.clone(),
            followed: (run.settings.clone(), 0),
            surprise_band,
            probe_places,
            run,
        })
    }

    /// Asks the run for something; it happens between two ticks.
    pub fn order(&mut self, order: Order) {
        self.refused = self.run.order(order).err().map(|error| error.to_string());
    }

    /// What was refused or done last, for a line of text.
    pub fn note(&self) -> Option<&str> {
        self.refused.as_deref().or(self.run.note.as_ref().map(|note| note.text.as_str()))
    }

    /// Asks the run for a command.
    pub fn command(&mut self, command: Command) {
        self.order(Order::Command(command));
    }

    /// Takes what the run has said since the last frame.
    pub fn receive(&mut self) {
        let generation = self.run.generation;
        self.run.receive();
        if self.run.generation != generation {
            self.show(Cursor::Live);
        }
        // A control that is being dragged stays where it is, unless the run's own settings change.
        let number = self.run.note.as_ref().map_or(self.followed.1, |note| note.number);
        if self.followed.0 != self.run.settings || self.followed.1 != number {
            self.settings = self.run.settings.clone();
            self.followed = (self.settings.clone(), number);
        }
    }

    /// Control steps of the shown tick that are shown.
    fn steps_shown(&self) -> usize {
        if self.cursor == Cursor::Live { self.run.steps_shown } else { self.steps_of_past }
    }

    /// The tick that is shown.
    pub fn shown(&self) -> Option<&Arc<TickRecord>> {
        match self.cursor {
            Cursor::Live => self.run.records.last(),
            Cursor::At(tick) => self.run.records.get(tick),
        }
    }

    /// The true state that is shown, `[K]`: that of the newest control step, or that which a tick of before saw.
    pub fn shown_state(&self) -> Option<&[f64]> {
        let record = self.shown()?;
        let after = self.steps_shown().min(record.steps.len()).checked_sub(1);
        Some(after.map_or(&record.state, |step| &record.steps[step].state))
    }

    /// The control step after which the shown state was; `None` at the start of the run.
    pub fn shown_step(&self) -> Option<&StepRecord> {
        let record = self.shown()?;
        match self.steps_shown().min(record.steps.len()).checked_sub(1) {
            Some(step) => record.steps.get(step),
            None => self.run.records.get((record.tick as usize).checked_sub(1)?)?.steps.last(),
        }
    }

    /// The predicted state of the scene, `[K]`, in what the state probe reads of a latent; `None` without a probe that
    /// knows all of it.
    pub fn state_of_probe(&self, read: &[f32]) -> Option<Vec<f64>> {
        let places = self.probe_places.as_ref()?;
        places.iter().map(|&place| read.get(place).map(|value| f64::from(*value))).collect()
    }

    /// The predicted states along `plan`, one per action chunk.
    pub fn states_of(&self, plan: &ImaginedPlan) -> Vec<Vec<f64>> {
        plan.states.iter().filter_map(|read| self.state_of_probe(read)).collect()
    }

    /// Shows tick number `tick` as it was seen, or the newest one.
    pub fn show(&mut self, cursor: Cursor) {
        (self.cursor, self.steps_of_past) = (cursor, 0);
    }

    /// Shows the world after control step `step` of tick `tick`.
    pub fn show_step(&mut self, tick: usize, step: usize) {
        (self.cursor, self.steps_of_past) = (Cursor::At(tick), step + 1);
    }

    /// Shows the tick before or after, `by` ticks on; the run goes on meanwhile.
    pub fn scrub(&mut self, by: isize) {
        let newest = self.run.records.len().saturating_sub(1);
        let now = match self.cursor {
            Cursor::Live => newest,
            Cursor::At(tick) => tick,
        };
        self.show(Cursor::At(now.saturating_add_signed(by).min(newest)));
    }
}
