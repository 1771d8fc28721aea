//! The one training loop: steps of AdamW on the weights of an [`Objective`], saved, resumed, recorded, shown and
//! stopped. It trains the models of all families and all heads.

mod collective;
mod objective;
mod partial_gradients;
mod records;
mod state;
mod validated;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use mindseye_interface::{FolderLock, MemoryLimit, NoProgress, Progress, Seed};
use serde_json::Value;

pub use collective::{Collective, SingleWorker, ThreadWorker};
pub use objective::{Objective, each_part, range_of_part};
pub use partial_gradients::PartialGradients;
pub(crate) use records::Record;

use records::Records;
use state::{Counters, StateFile};

use crate::Error;
use crate::optimiser::{AdamState, OptimiserConfig, adamw, clip};
use crate::parameters::Weights;

/// How a training runs: nothing here changes the weights, except the seed.
#[derive(Clone, Copy)]
pub struct RunOptions<'a> {
    /// Root of every random choice.
    pub seed: Seed,
    /// Threads that share the work; the result does not depend on it.
    pub threads: usize,
    /// Folder for the state and the metrics, which nobody else may write to; nothing is written without one.
    pub folder: Option<&'a FolderLock>,
    /// Continue from the state in `folder`.
    pub resume: bool,
    /// Save and stop after so many steps of all stages together.
    pub stop_after: Option<usize>,
    /// Set from outside (Ctrl-C): training saves its state and returns.
    pub stop: &'a AtomicBool,
    /// Reports progress; can stop the training.
    pub progress: &'a dyn Progress,
    /// Fingerprint of the model whose head is trained: a state that was begun beside another model is not resumed.
    pub model: Option<&'a str>,
    /// The workers that train together.
    pub collective: &'a dyn Collective,
    /// Most memory that a recipe may ask for; it is summed up before any is allocated.
    pub memory: MemoryLimit,
}

impl RunOptions<'static> {
    /// One worker on one thread that writes nothing, shows nothing and stops at the end.
    pub fn new(seed: Seed) -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self {
            seed,
            threads: 1,
            folder: None,
            resume: false,
            stop_after: None,
            stop: &NEVER,
            progress: &NoProgress,
            model: None,
            collective: &SingleWorker,
            memory: MemoryLimit::default(),
        }
    }
}

/// A pool of `threads` threads, at least one.
///
/// # Errors
/// [`Error::Threads`] when they cannot be started.
pub(crate) fn thread_pool(threads: usize) -> crate::Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
    pool.map_err(|error| Error::Threads { threads, reason: error.to_string() })
}

/// Refuses numbers that are not finite.
pub(crate) fn require_finite(step: usize, what: &'static str, value: f64) -> crate::Result<()> {
    if value.is_finite() { Ok(()) } else { Err(Error::Diverged { step, what }) }
}

/// What is trained and how it is kept.
#[derive(Debug, Clone)]
pub struct Run {
    /// Name of what is trained: the progress stage, the kind of its records, and the beginning of its file names.
    pub name: &'static str,
    /// Steps of all stages together.
    pub steps: usize,
    /// Steps between records of the losses.
    pub report_every: usize,
    /// Steps between saved states.
    pub save_every: usize,
    /// What a saved state belongs to, a JSON object: a state of another one is not resumed.
    pub identity: Value,
}

impl Run {
    /// A run of `steps` steps that is recorded every 50 and saved every 500 steps.
    pub fn new(name: &'static str, steps: usize, identity: Value) -> Self {
        Self { name, steps, report_every: 50, save_every: 500, identity }
    }
}

/// Name of the file in a run's folder that the state of the head `name` is saved in until its training has ended.
pub fn state_file(name: &str) -> String {
    format!("{name}.training.safetensors")
}

/// Does the steps of a run, which may have several stages, each with an optimiser of its own.
pub struct Trainer<'a> {
    options: RunOptions<'a>,
    run: Run,
    pool: rayon::ThreadPool,
    state: Option<StateFile>,
    records: Option<Records>,
    started: Instant,
    optimiser: OptimiserConfig,
    adam: AdamState,
    counters: Counters,
    /// First step and number of steps of the stage under way.
    stage: (usize, usize),
    /// Number of stages begun.
    stages: usize,
    asked_to_stop: bool,
    /// Whether Adam's averages were read from a file, and not yet compared with the gradients.
    unchecked: bool,
    waited_secs: f64,
}

/// What one step measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StepReport {
    pub loss: f64,
    pub terms: Vec<(&'static str, f32)>,
    pub gradient_norm: f64,
    pub learning_rate: f64,
}

impl<'a> Trainer<'a> {
    /// A trainer of the weights `weights`; with `options.resume` they and everything else are set to the saved state.
    ///
    /// # Errors
    /// [`Error::Threads`]; [`Error::File`] when there is no state to resume, or one of another run.
    pub fn new(options: RunOptions<'a>, run: Run, weights: &Weights) -> crate::Result<Self> {
        let file = state_file(run.name);
        Self::with_files(options, run, weights, &file, None)
    }

    /// As [`Trainer::new`], with the state in the file `state` and the records in `metrics`.
    pub(crate) fn with_files(
        options: RunOptions<'a>,
        mut run: Run,
        weights: &Weights,
        state: &str,
        metrics: Option<&str>,
    ) -> crate::Result<Self> {
        if let (Some(model), Some(identity)) = (options.model, run.identity.as_object_mut()) {
            identity.insert("model".into(), model.into());
        }
        let pool = thread_pool(options.threads)?;
        let folder = options.folder.map(FolderLock::folder);
        let mut state = folder.map(|folder| StateFile::new(folder.join(state), options.seed, &run.identity));
        let (mut adam, mut counters) = (AdamState::default(), Counters::default());
        if let Some(state) = state.as_mut().filter(|_| options.resume) {
            (adam, counters) = state.load(weights, run.steps)?;
        }
        let metrics = metrics.map_or_else(|| format!("{}.metrics.jsonl", run.name), str::to_owned);
        let writes = options.collective.rank() == 0;
        let records = folder.filter(|_| writes).map(|folder| Records::open(folder, &metrics, counters.done));
        options.progress.begin(run.name, run.steps, "steps");
        options.progress.advance(counters.done, "");
        Ok(Self {
            options,
            run,
            pool,
            state,
            records: records.transpose()?,
            started: Instant::now(),
            optimiser: OptimiserConfig::default(),
            adam,
            counters,
            stage: (0, 0),
            stages: 0,
            asked_to_stop: false,
            unchecked: options.resume,
            waited_secs: 0.0,
        })
    }

    /// Steps done in all stages, resumed ones included.
    pub fn done(&self) -> usize {
        self.counters.done
    }

    /// The threads of the steps.
    pub(crate) fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    /// Begins the next stage, or continues it where a resumed run was in it.
    pub(crate) fn begin_stage(&mut self, optimiser: OptimiserConfig, steps: usize) {
        self.optimiser = optimiser;
        self.stage = (self.stage.0 + self.stage.1, steps);
        self.stages += 1;
        if self.counters.done == self.stage.0 {
            self.adam = AdamState::default();
            self.counters.late_loss = 0.0;
        }
    }

    /// Does all steps of the next stage. The mean loss over its last tenth; `None` when it was stopped: the state is
    /// saved then.
    ///
    /// # Errors
    /// The objective's; [`Error::Diverged`] when a loss or gradient is not finite; [`Error::File`] when a file cannot
    /// be written.
    pub fn run_stage<O: Objective>(
        &mut self,
        objective: &mut O,
        optimiser: OptimiserConfig,
        steps: usize,
    ) -> Result<Option<f64>, O::Error> {
        self.begin_stage(optimiser, steps);
        if !self.run_until(objective, self.stage.0 + steps)? {
            self.save(&objective.weights())?;
            return Ok(None);
        }
        if self.counters.stage_losses.len() < self.stages {
            let count = steps.div_ceil(10).max(1);
            self.counters.stage_losses.push(self.counters.late_loss / count as f64);
        }
        Ok(self.counters.stage_losses.get(self.stages - 1).copied())
    }

    /// Does steps until `until` steps are done; false when it was stopped before.
    pub(crate) fn run_until<O: Objective>(&mut self, objective: &mut O, until: usize) -> Result<bool, O::Error> {
        let weights = objective.weights();
        while self.counters.done < until {
            if self.must_stop()? {
                return Ok(false);
            }
            let report = self.step(objective, &weights)?;
            let done = self.counters.done;
            if done.is_multiple_of(self.run.report_every) || done == self.run.steps {
                self.record_step(&report)?;
            }
            if done.is_multiple_of(self.run.save_every) && done < self.run.steps {
                self.save(&weights)?;
            }
            self.asked_to_stop |= !self.options.progress.advance(done, &note(&report));
        }
        Ok(true)
    }

    /// Whether any worker has to stop; all workers get the same answer.
    fn must_stop(&self) -> crate::Result<bool> {
        let limit = self.options.stop_after.is_some_and(|steps| self.counters.done >= steps);
        let own = limit || self.asked_to_stop || self.options.stop.load(Ordering::Relaxed);
        let all = self.options.collective.all_gather(vec![vec![f32::from(u8::from(own))]])?;
        Ok(all.iter().flatten().any(|&flag| flag > 0.0))
    }

    /// Does one step.
    pub(crate) fn step<O: Objective>(&mut self, objective: &mut O, weights: &Weights) -> Result<StepReport, O::Error> {
        let (step, collective) = (self.counters.done - self.stage.0, self.options.collective);
        let asked = Instant::now();
        let batch = self.pool.install(|| objective.batch(step))?;
        self.waited_secs += asked.elapsed().as_secs_f64();
        let (count, workers, rank) = (objective.micro_batches(&batch), collective.workers(), collective.rank());
        let parts = range_of_part(count, workers, rank);
        let partial = self.pool.install(|| objective.partial_gradients(&batch, parts, collective))?;
        let PartialGradients { loss, terms, mut gradients } = collective.all_reduce_ordered(partial)?;
        require_finite(self.counters.done, "the loss", loss)?;
        let gradient_norm = self.pool.install(|| clip(&mut gradients, self.optimiser.clip_norm));
        require_finite(self.counters.done, "the gradient", gradient_norm)?;
        if std::mem::take(&mut self.unchecked) && step > 0 {
            self.adam.require_averages_of(&gradients)?;
        }
        let learning_rate = self.optimiser.learning_rate_at(step, self.stage.1);
        let weight_decay = self.optimiser.weight_decay_at(step, self.stage.1);
        let (adam, optimiser) = (&mut self.adam, OptimiserConfig { weight_decay, ..self.optimiser.clone() });
        self.pool.install(|| adamw(weights.iter(), &gradients, adam, &optimiser, learning_rate, step))?;
        objective.after_step(&batch)?;
        self.counters.done += 1;
        if step + self.stage.1.div_ceil(10) >= self.stage.1 {
            self.counters.late_loss += loss;
        }
        Ok(StepReport { loss, terms, gradient_norm, learning_rate })
    }

    fn record_step(&mut self, report: &StepReport) -> crate::Result<()> {
        let seconds = self.elapsed_secs();
        let mut record = Record::new(self.run.name, self.counters.done);
        record.add("loss/total", report.loss);
        report.terms.iter().for_each(|(name, value)| record.add(format!("loss/{name}"), f64::from(*value)));
        record.add("gradient_norm", report.gradient_norm);
        record.add("learning_rate", report.learning_rate);
        record.add("seconds", seconds);
        self.record(&record)
    }

    /// Refuses to write where the run's folder was: it may have been moved or removed under way.
    fn require_folder(&self) -> crate::Result<()> {
        Ok(self.options.folder.map_or(Ok(()), FolderLock::still_here)?)
    }

    /// Appends a measurement to the records.
    pub(crate) fn record(&mut self, record: &Record) -> crate::Result<()> {
        self.require_folder()?;
        self.records.as_mut().map_or(Ok(()), |records| records.write(record))
    }

    /// Seconds in steps and validations, over all processes that took part.
    pub(crate) fn elapsed_secs(&self) -> f64 {
        let before = self.records.as_ref().map_or(0.0, |records| records.seconds_before);
        before + self.started.elapsed().as_secs_f64()
    }

    /// Seconds in which this process waited for batches.
    pub(crate) fn waited_secs(&self) -> f64 {
        self.waited_secs
    }

    /// Fields of the identity as they were stored, of a run that was resumed.
    pub(super) fn identity(&self) -> Option<&serde_json::Map<String, Value>> {
        self.state.as_ref().map(StateFile::identity)
    }

    /// Writes the state, in one file: half a state cannot exist.
    pub(crate) fn save(&self, weights: &Weights) -> crate::Result<()> {
        self.require_folder()?;
        match &self.state {
            Some(state) if self.options.collective.rank() == 0 => state.save(weights, &self.adam, &self.counters),
            _ => Ok(()),
        }
    }

    /// Ends the run: saves the state, so that a later failure loses nothing, and makes the records durable.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be written.
    pub fn finish(self, weights: &Weights) -> crate::Result<()> {
        self.save(weights)?;
        self.options.progress.end();
        self.records.map_or(Ok(()), Records::finish)
    }
}

fn note(report: &StepReport) -> String {
    if report.terms.is_empty() {
        return format!("loss {:.5}", report.loss);
    }
    let terms: Vec<String> = report.terms.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
    terms.join(", ")
}

/// Trains the weights of `objective` in a run of one stage. The mean loss over the last tenth of the steps; `None` when
/// it was stopped: the state is saved then.
///
/// # Errors
/// Those of [`Trainer::new`] and [`Trainer::run_stage`].
pub fn fit<O: Objective>(
    objective: &mut O,
    run: Run,
    optimiser: OptimiserConfig,
    options: &RunOptions<'_>,
) -> Result<Option<f64>, O::Error> {
    let steps = run.steps;
    let weights = objective.weights();
    let mut trainer = Trainer::new(*options, run, &weights)?;
    let loss = trainer.run_stage(objective, optimiser, steps)?;
    trainer.finish(&weights)?;
    Ok(loss)
}
