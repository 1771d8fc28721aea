//! A run with its history.

use std::path::Path;
use std::sync::Arc;

use mindseye_interface::printable;

use crate::display::Display;
use crate::record::TickRecord;
use crate::running::Running;
use crate::saved::{SavedCommand, SavedRun};
use crate::{Command, Error, Result, RunSetup, Settings};

/// Newest ticks of the history that keep their images, candidates and samples: so its memory is bounded where a run is
/// not. Older ones keep their numbers.
pub const IMAGE_TICKS: usize = 512;

/// An agent in a scene that a person watches and reaches into.
///
/// Ticks are a function of the setup and of the commands by tick: whatever is taken back and done again has the same
/// bits, on any number of threads.
pub struct InteractiveRun {
    setup: RunSetup,
    running: Running,
    display: Display,
    /// By the number of the tick before which they came.
    commands: Vec<(u64, Command)>,
    history: Vec<Arc<TickRecord>>,
    /// A tick failed halfway: what is in `running` is not what history says.
    is_torn: bool,
}

impl InteractiveRun {
    /// The run of `setup` before its first tick.
    ///
    /// # Errors
    /// When world, model, task and pair do not fit together.
    pub fn new(setup: RunSetup) -> Result<Self> {
        let (running, display) = (Running::new(&setup)?, Display::new(&setup)?);
        Ok(Self { setup, running, display, commands: Vec::new(), history: Vec::new(), is_torn: false })
    }

    /// What the run is made of.
    pub fn setup(&self) -> &RunSetup {
        &self.setup
    }

    /// Scene and pair, for people.
    pub fn title(&self) -> String {
        let RunSetup { benchmark, pair, recorded, .. } = &self.setup;
        if let Some(recorded) = recorded {
            return format!("{}, {}", benchmark.name(), printable(&recorded.name));
        }
        format!("{}, seed {}, pair {}", benchmark.name(), pair.seed, pair.index)
    }

    /// What the controls say before the first command.
    pub fn first_settings(&self) -> Settings {
        let spec = self.setup.source.model().spec();
        let has_recording = self.setup.recorded.is_some();
        Settings::of(&self.setup.task, spec.action_width, spec.action_chunk, has_recording)
    }

    /// Names of the true state's `K` dimensions, with their units.
    pub fn names(&self) -> &[String] {
        self.running.names()
    }

    /// Names of the `K'` dimensions that the state probe reads, with their units; none without a probe.
    pub fn probe_names(&self) -> &[String] {
        self.display.probe_names()
    }

    /// Score of surprise above which a tick is surprising, where the checkpoint has a calibration.
    pub fn surprise_band(&self) -> Option<f64> {
        self.running.surprise_band()
    }

    /// Duration of a control step, seconds.
    pub fn control_step_secs(&self) -> f64 {
        self.running.control_step_secs()
    }

    /// All ticks so far. All but the newest [`IMAGE_TICKS`] of them have numbers alone.
    pub fn history(&self) -> &[Arc<TickRecord>] {
        &self.history
    }

    /// The commands so far, oldest first, each with the number of the tick before which it came: the last ones may come
    /// before the next tick.
    pub fn commands(&self) -> &[(u64, Command)] {
        &self.commands
    }

    /// Those of the commands that came since the newest tick.
    pub fn pending(&self) -> impl Iterator<Item = &Command> {
        commands_of(&self.commands, self.running.tick())
    }

    /// Does `command` before the next tick.
    ///
    /// # Errors
    /// Saying what was expected: the run is as before, and the command is not recorded.
    pub fn apply(&mut self, command: Command) -> Result<()> {
        self.mend()?;
        self.running.apply(&self.setup, &command)?;
        self.commands.push((self.running.tick(), command));
        Ok(())
    }

    /// One tick of the agent, and the control steps that it decided. A tick in which the agent cannot decide is no
    /// error: it holds still, and the report says why.
    ///
    /// # Errors
    /// When the world or the model fails; the run is then as before this tick.
    pub fn advance(&mut self) -> Result<Arc<TickRecord>> {
        self.mend()?;
        self.is_torn = true;
        let (mut record, observation) = self.running.decide()?;
        self.display.show(&mut record, self.running.agent(), &observation)?;
        self.running.execute(&mut record)?;
        self.is_torn = false;
        record.commands = commands_of(&self.commands, record.tick).cloned().collect();
        let record = Arc::new(record);
        self.history.push(record.clone());
        if let Some(old) = self.history.len().checked_sub(IMAGE_TICKS + 1) {
            self.history[old] = Arc::new(self.history[old].without_images());
        }
        Ok(record)
    }

    /// Drops the tick number `tick` and all later ones, with the commands that came after it; those right before it
    /// stay. [`InteractiveRun::advance`] then gives it again, with the same bits. The ticks before it are repeated and
    /// compared; `progress` receives their number, one after the other.
    ///
    /// # Errors
    /// [`Error::Value`] for a tick that has not been; [`Error::Diverged`] where a repeated tick has other bits, because
    /// the world is no function of what it is told; when the world or the model fails. The run is then as before.
    pub fn go_back_to(&mut self, tick: u64, progress: &mut dyn FnMut(u64)) -> Result<()> {
        self.go_back_while(tick, &mut |done, _| {
            progress(done);
            true
        })
    }

    /// As [`InteractiveRun::go_back_to`], as long as `proceed` says so, which receives the ticks that were repeated and
    /// those that are to be.
    pub(crate) fn go_back_while(&mut self, tick: u64, proceed: &mut dyn FnMut(u64, u64) -> bool) -> Result<()> {
        let count = self.history.len() as u64;
        if tick > count {
            return Err(Error::value("going back", format!("a tick from 0 to {count}"), tick));
        }
        let kept = self.commands.iter().filter(|(before, _)| *before <= tick).cloned().collect();
        self.repeat(tick, kept, proceed)
    }

    /// Takes back the newest command: goes back to the tick before which it came, without it. The command that was
    /// taken back; `None` where there is none.
    ///
    /// # Errors
    /// As [`InteractiveRun::go_back_to`].
    pub fn undo(&mut self) -> Result<Option<Command>> {
        let newest = self.commands.last().map(|(_, command)| command.clone());
        self.undo_while(1, &mut |_, _| true)?;
        Ok(newest)
    }

    /// As [`InteractiveRun::undo`], `count` times at once, as long as `proceed` says so; how many there were.
    pub(crate) fn undo_while(&mut self, count: usize, proceed: &mut dyn FnMut(u64, u64) -> bool) -> Result<usize> {
        let count = count.min(self.commands.len());
        let (kept, taken) = self.commands.split_at(self.commands.len() - count);
        let Some((tick, _)) = taken.first() else { return Ok(0) };
        self.repeat(*tick, kept.to_vec(), proceed)?;
        Ok(count)
    }

    /// Writes the run: what it is made of, the commands by tick, and a digest of every tick.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self, path: &Path) -> Result<()> {
        self.saved().save(path)
    }

    /// What [`InteractiveRun::save`] writes.
    pub fn saved(&self) -> SavedRun {
        let command = |(tick, command): &(u64, Command)| SavedCommand { tick: *tick, command: command.clone() };
        let digests = self.history.iter().map(|record| record.digest()).collect();
        SavedRun::of(&self.setup, self.commands.iter().map(command).collect(), digests)
    }

    /// Reads a run that [`InteractiveRun::save`] wrote, and repeats its ticks. `setup_from` finds the world and the
    /// model that the file names; task and pair have to be those of the file ([`SavedRun::setup`]).
    ///
    /// # Errors
    /// [`Error::File`] for a broken file; [`Error::Value`] where the model, the world, the task or the pair is another;
    /// [`Error::Diverged`] for the first tick with other bits; those of `setup_from`.
    pub fn load(path: &Path, setup_from: &mut dyn FnMut(&SavedRun) -> Result<RunSetup>) -> Result<Self> {
        let saved = SavedRun::load(path)?;
        let setup = setup_from(&saved)?;
        saved.require(&setup)?;
        let mut run = Self::new(setup)?;
        let mut commands = saved.commands.into_iter().peekable();
        for (tick, expected) in saved.digests.into_iter().enumerate() {
            while let Some(next) = commands.next_if(|next| next.tick == tick as u64) {
                run.apply(next.command)?;
            }
            let got = run.advance()?.digest();
            if got != expected {
                return Err(Error::Diverged { tick: tick as u64, expected, got });
            }
        }
        commands.try_for_each(|next| run.apply(next.command))?;
        Ok(run)
    }

    /// Repeats the ticks before number `tick` with `commands`, which begin with those of these ticks, and drops the
    /// others.
    fn repeat(
        &mut self,
        tick: u64,
        commands: Vec<(u64, Command)>,
        proceed: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<()> {
        let mut running = Running::new(&self.setup)?;
        for before in self.history.iter().take(tick as usize) {
            commands_of(&commands, before.tick).try_for_each(|command| running.apply(&self.setup, command))?;
            let (mut record, _) = running.decide()?;
            running.execute(&mut record)?;
            let (expected, got) = (before.digest(), record.digest());
            if got != expected {
                return Err(Error::Diverged { tick: before.tick, expected, got });
            }
            let done = before.tick + 1;
            if !proceed(done, tick) {
                return Err(Error::Stopped { done, of: tick });
            }
        }
        commands_of(&commands, tick).try_for_each(|command| running.apply(&self.setup, command))?;
        (self.running, self.commands, self.is_torn) = (running, commands, false);
        self.history.truncate(tick as usize);
        Ok(())
    }

    /// Repeats all ticks where one failed halfway.
    fn mend(&mut self) -> Result<()> {
        if !self.is_torn {
            return Ok(());
        }
        self.repeat(self.history.len() as u64, self.commands.clone(), &mut |_, _| true)
    }
}

/// Those of `commands` that came right before tick number `tick`.
fn commands_of(commands: &[(u64, Command)], tick: u64) -> impl Iterator<Item = &Command> {
    commands.iter().filter(move |(before, _)| *before == tick).map(|(_, command)| command)
}
