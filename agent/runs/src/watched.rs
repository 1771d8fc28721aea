//! What a window or a page knows of a run on its thread: its ticks, and what it said last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mindseye_interface::text::printable_path;

use crate::record::TickRecord;
use crate::{Error, Event, InteractiveRun, Order, Pace, Result, RunThread, Settings};

/// Longest name of a run's file, characters.
const LONGEST_NAME: usize = 120;

/// What a run said: what it refused or did.
#[derive(Debug, Clone)]
pub struct Note {
    /// Notes have rising numbers, from 1.
    pub number: u64,
    /// One line.
    pub text: String,
    since: Instant,
}

impl Note {
    /// How long ago it was said.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// A run on its thread, as those who watch it see it after each [`WatchedRun::receive`].
pub struct WatchedRun {
    thread: RunThread,
    first_settings: Settings,
    title: String,
    /// Ticks so far.
    pub records: Vec<Arc<TickRecord>>,
    /// What commands have made of the run, with those that wait for the next tick.
    pub settings: Settings,
    /// Counts changes of the history that are not one more tick: who holds ticks of the generation before has others.
    pub generation: u64,
    /// Control steps of the newest tick that have been shown.
    pub steps_shown: usize,
    /// Whether the run waits.
    pub is_paused: bool,
    /// Seconds of the run per second, 1 for real time.
    pub speed: f64,
    /// Ticks that were repeated and that are to be repeated, while the run goes back.
    pub repeating: Option<(u64, u64)>,
    /// What was refused or done last.
    pub note: Option<Note>,
    notes: u64,
    /// Why the run ended, if it did.
    pub ended: Option<String>,
}

impl WatchedRun {
    /// Starts `run` on a thread of its own, in real time.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(run: InteractiveRun, is_paused: bool) -> Result<Self> {
        let (title, first_settings) = (run.title(), run.first_settings());
        let pace = Pace::RealTime { factor: 1.0 };
        let thread = if is_paused { RunThread::spawn_paused(run, pace)? } else { RunThread::spawn(run, pace)? };
        let mut watched = Self {
            thread,
            title,
            records: Vec::new(),
            settings: first_settings.clone(),
            first_settings,
            generation: 0,
            steps_shown: usize::MAX,
            is_paused,
            speed: 1.0,
            repeating: None,
            note: None,
            notes: 0,
            ended: None,
        };
        watched.take_history();
        Ok(watched)
    }

    /// Scene and pair.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// A name for the file that the run is saved to: letters, digits, dots, `-` and `_`.
    pub fn file_name(&self) -> String {
        let is_plain = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
        let plain: String = self.title.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
        let plain: String = plain.replace("__", "_").chars().take(LONGEST_NAME).collect();
        format!("{plain}.run.json")
    }

    /// Asks the run for something; it happens between two ticks.
    ///
    /// # Errors
    /// [`Error::Value`] where too much waits already, or the run has ended: nothing was asked then.
    pub fn order(&mut self, order: Order) -> Result<()> {
        if let Some(reason) = &self.ended {
            return Err(Error::value("the run", "one that goes on", reason));
        }
        self.thread.order(order)?;
        self.note = None;
        Ok(())
    }

    /// Takes what the run has said since the last call. Events that nobody took in time are lost, so ticks are taken
    /// from its history.
    pub fn receive(&mut self) {
        let events: Vec<Event> = self.thread.events().try_iter().collect();
        let newest = self.take_history();
        for event in events {
            match event {
                Event::Step { tick, index } if newest == Some(tick) => self.steps_shown = index + 1,
                Event::Tick(_) | Event::Step { .. } => {}
                Event::Repeating { done, of } => self.repeating = Some((done, of)),
                Event::WentBackTo(tick) => {
                    self.repeating = None;
                    self.generation += 1;
                    self.steps_shown = usize::MAX;
                    self.say(format!("back at tick {tick}"));
                }
                Event::Refused(reason) => {
                    self.repeating = None;
                    self.say(reason);
                }
                Event::Saved(path) => self.say(format!("saved to {}", printable_path(&path))),
                Event::Paused(is_paused) => self.is_paused = is_paused,
                Event::Paced(Pace::RealTime { factor }) => self.speed = factor,
                Event::Paced(Pace::AsFastAsPossible) => {}
                Event::Ended(_) => self.repeating = None,
            }
        }
        self.ended = self.thread.ended().map(|reason| reason.unwrap_or_else(|| "the run has ended".into()));
    }

    /// The number of the newest tick.
    fn take_history(&mut self) -> Option<u64> {
        let before = self.records.last().map(|record| record.tick);
        let (records, pending) = self.thread.history();
        let newest = records.last().map(|record| record.tick);
        if newest != before {
            self.steps_shown = 0;
        }
        self.settings = self.first_settings.after(&records, &pending);
        self.records = records;
        newest
    }

    fn say(&mut self, text: String) {
        self.notes += 1;
        self.note = Some(Note { number: self.notes, text, since: Instant::now() });
    }
}
