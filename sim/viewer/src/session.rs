//! What the window knows of the run: its ticks so far, which of them is shown, and what was asked of it.

use std::sync::Arc;

use bevy::prelude::Resource;
use mindseye_runs::{
    Command, Event, ImaginedPlan, InteractiveRun, Order, Pace, RunThread, Settings, StepRecord, TickRecord,
};
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
    /// Speed, 1 for real time.
    pub speed: f64,
    /// Whether the best plan is drawn.
    pub best: bool,
    /// Whether candidates are drawn.
    pub candidates: bool,
    /// Whether samples of the best plan's outcome are drawn.
    pub samples: bool,
}

impl Default for Display {
    fn default() -> Self {
        Self { speed: 1.0, best: true, candidates: true, samples: true }
    }
}

/// A run in a window.
#[derive(Resource)]
pub struct Session {
    thread: RunThread,
    /// What the episode looks like.
    pub figure: Figure,
    /// Heading of the window: scene and pair.
    pub title: String,
    /// Ticks so far.
    pub records: Vec<Arc<TickRecord>>,
    /// Which of them is shown.
    pub cursor: Cursor,
    /// Control steps of the shown tick that have been shown.
    steps_shown: usize,
    /// Whether the run waits.
    pub paused: bool,
    /// What was refused or done last, for a line of text.
    pub note: Option<String>,
    /// Why the run ended, if it did.
    pub ended: Option<String>,
    /// How it is shown.
    pub display: Display,
    /// The controls; the run's own settings follow through [`Order`]s.
    pub settings: Settings,
    /// The controls before the first tick.
    first_settings: Settings,
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
        let (title, settings) = (run.title(), run.first_settings());
        let probe_places = {
            let names = run.probe_names();
            let place = |name: &&str| names.iter().position(|known| known == name);
            figure.state_names.iter().map(place).collect::<Option<Vec<usize>>>()
        };
        let surprise_band = run.surprise_band();
        let records = run.history().to_vec();
        let display = Display::default();
        let pace = Pace::RealTime { factor: display.speed };
        let thread = if paused { RunThread::spawn_paused(run, pace)? } else { RunThread::spawn(run, pace)? };
        Ok(Self {
            thread,
            figure,
            title,
            display,
            settings: settings.after(&records),
            first_settings: settings,
            records,
            cursor: Cursor::Live,
            steps_shown: 0,
            paused,
            note: None,
            ended: None,
            surprise_band,
            probe_places,
        })
    }

    /// Asks the run for something; it happens between two ticks.
    pub fn order(&mut self, order: Order) {
        self.note = None;
        self.thread.order(order);
    }

    /// Asks the run for a command.
    pub fn command(&mut self, command: Command) {
        self.order(Order::Command(command));
    }

    /// Takes what the run has said since the last frame.
    pub fn receive(&mut self) {
        let events: Vec<Event> = self.thread.events().try_iter().collect();
        for event in events {
            match event {
                Event::Tick(record) => {
                    self.add(record);
                    self.settings = self.first_settings.after(&self.records);
                }
                Event::Step { tick, index } => {
                    let is_newest = self.records.last().is_some_and(|newest| newest.tick == tick);
                    if is_newest && self.cursor == Cursor::Live {
                        self.steps_shown = index + 1;
                    }
                }
                Event::WentBackTo(tick) => {
                    self.records.truncate(tick as usize);
                    self.show(Cursor::Live);
                    self.settings = self.first_settings.after(&self.records);
                    self.note = Some(format!("back at tick {tick}"));
                }
                Event::Refused(reason) => self.note = Some(reason),
                Event::Saved(path) => self.note = Some(format!("saved to {}", path.display())),
                Event::Paused(paused) => self.paused = paused,
                Event::Ended(reason) => self.ended = Some(reason.unwrap_or_else(|| "the run has ended".into())),
            }
        }
    }

    /// Adds a tick; where the window has missed some, or has too many, the run's own history is taken over.
    fn add(&mut self, record: Arc<TickRecord>) {
        if self.cursor == Cursor::Live {
            self.steps_shown = 0;
        }
        if record.tick as usize == self.records.len() {
            self.records.push(record);
        } else {
            let history = self.thread.history();
            self.records = history.lock().map(|all| all.clone()).unwrap_or_default();
        }
    }

    /// The tick that is shown.
    pub fn shown(&self) -> Option<&Arc<TickRecord>> {
        match self.cursor {
            Cursor::Live => self.records.last(),
            Cursor::At(tick) => self.records.get(tick),
        }
    }

    /// The true state that is shown, `[K]`: that of the newest control step, or that which a tick of before saw.
    pub fn shown_state(&self) -> Option<&[f64]> {
        let record = self.shown()?;
        let after = self.steps_shown.min(record.steps.len()).checked_sub(1);
        Some(after.map_or(&record.state, |step| &record.steps[step].state))
    }

    /// The control step after which the shown state was; `None` at the start of the run.
    pub fn shown_step(&self) -> Option<&StepRecord> {
        let record = self.shown()?;
        match self.steps_shown.min(record.steps.len()).checked_sub(1) {
            Some(step) => record.steps.get(step),
            None => self.records.get((record.tick as usize).checked_sub(1)?)?.steps.last(),
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
        self.cursor = cursor;
        self.steps_shown = if cursor == Cursor::Live { usize::MAX } else { 0 };
    }

    /// Shows the world after control step `step` of tick `tick`.
    pub fn show_step(&mut self, tick: usize, step: usize) {
        (self.cursor, self.steps_shown) = (Cursor::At(tick), step + 1);
    }

    /// Shows the tick before or after, `by` ticks on; the run goes on meanwhile.
    pub fn scrub(&mut self, by: isize) {
        let newest = self.records.len().saturating_sub(1);
        let now = match self.cursor {
            Cursor::Live => newest,
            Cursor::At(tick) => tick,
        };
        self.show(Cursor::At(now.saturating_add_signed(by).min(newest)));
    }
}
