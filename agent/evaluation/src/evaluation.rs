//! The evaluator: all methods on the same held-out pairs.

mod display;
mod replay;
mod report;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mindseye_agent::Task;
use mindseye_agent::configurator::GoalConfig;
use mindseye_interface::{Benchmark, GoalKind, PairSearch, Progress, Seed, StartGoal};
use rayon::prelude::*;

pub use self::replay::Replay;
pub use self::report::{EvaluationReport, PairReport, Settings, SuccessWithin};
use crate::goals::allowed_states;
use crate::journal::{Journal, Key};
use crate::{Episode, EpisodeResult, Error, Method, Perturbation, Protocol, Result, TickView};

/// What is evaluated on, and how. Starts and goals are states of held-out episodes, the same for every method; pairs
/// that are solved at the start are dropped; success is the task's predicate at any step (moderate) or held at the
/// end (strict).
///
/// ```no_run
/// # use mindseye_evaluation::{Evaluation, Method, Result};
/// # use mindseye_interface::{Benchmark, GoalKind, NoProgress};
/// # fn example(benchmark: &dyn Benchmark, task: &mindseye_agent::Task, methods: [&dyn Method; 3]) -> Result<()> {
/// let evaluation = Evaluation::standard(benchmark, task, GoalKind::Offset { goal_offset: 25 });
/// let report = evaluation.run(&methods, &NoProgress)?.report;
/// println!("moderate success {}", report.rates.model.moderate);
/// # Ok(())
/// # }
/// ```
pub struct Evaluation<'a> {
    /// The worlds and the pairs.
    pub benchmark: &'a dyn Benchmark,
    /// Names of the benchmark's factors of variation that are on: for the report.
    pub factors: Vec<String>,
    /// What is to be done, and how to plan.
    pub task: &'a Task,
    /// Pairs, episodes, seeds, budget.
    pub protocol: Protocol,
    /// How observations are perturbed.
    pub perturbation: Perturbation,
    /// Where finished episodes are kept, so that an interrupted evaluation goes on from them.
    pub journal: Option<&'a Journal>,
}

/// What an evaluation gives.
#[derive(Debug, Clone)]
pub struct EvaluationOutcome {
    /// The report.
    pub report: EvaluationReport,
    /// Every episode of the method under test, in the order of the report's pairs.
    pub episodes: Vec<EpisodeResult>,
}

/// How an evaluation ended.
#[derive(Debug)]
pub enum EvaluationEnd {
    /// All episodes are done.
    Complete(Box<EvaluationOutcome>),
    /// It was asked to stop.
    Stopped {
        /// Episodes that are done.
        done: usize,
        /// Episodes in all.
        of: usize,
        /// The report of the pairs that the method under test has done, if it has done any, with the baselines that
        /// have done them all.
        partial: Option<Box<EvaluationReport>>,
    },
}

/// Pairs that are run before those that count, by seed.
type Warmups = BTreeMap<u64, Vec<StartGoal>>;

impl<'a> Evaluation<'a> {
    /// The standard protocol ([`Protocol::standard`]) with observations as they are.
    pub fn standard(benchmark: &'a dyn Benchmark, task: &'a Task, goals: GoalKind) -> Self {
        let (factors, perturbation) = (Vec::new(), Perturbation::default());
        Self { benchmark, factors, task, protocol: Protocol::standard(goals), perturbation, journal: None }
    }

    /// Evaluates `methods` on the same pairs. The first is the method under test, the others are its baselines.
    /// `progress` counts episodes.
    ///
    /// # Errors
    /// [`Error::UnsupportedTask`] before the first episode when a method cannot run the task; [`Error::Episode`] when
    /// an episode fails; [`Error::Stopped`] when `progress` asks to stop.
    pub fn run(&self, methods: &[&dyn Method], progress: &dyn Progress) -> Result<EvaluationOutcome> {
        match self.run_until_stopped(methods, progress)? {
            EvaluationEnd::Complete(outcome) => Ok(*outcome),
            EvaluationEnd::Stopped { done, of, .. } => Err(Error::Stopped { done, of }),
        }
    }

    /// As [`Evaluation::run`], with a report of what is done when `progress` asks to stop.
    ///
    /// # Errors
    /// As [`Evaluation::run`], but for [`Error::Stopped`].
    pub fn run_until_stopped(&self, methods: &[&dyn Method], progress: &dyn Progress) -> Result<EvaluationEnd> {
        self.protocol.validate()?;
        if methods.is_empty() {
            return Err(Error::value("evaluation", "at least one method", "none"));
        }
        let mut names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::value("evaluation", "methods with different names", format!("{} twice", pair[0])));
        }
        methods.iter().try_for_each(|method| method.check_task(self.task))?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.protocol.threads).build()?;
        let of = methods.len() * self.protocol.seeds.len() * self.protocol.episodes;
        progress.begin("evaluate", of, "episodes");
        let Some((pairs, mut warmup)) = self.draw(progress)? else {
            return Ok(EvaluationEnd::Stopped { done: 0, of, partial: None });
        };
        let counter = Counter::new(progress);
        let mut results = Vec::with_capacity(methods.len());
        for (number, method) in methods.iter().enumerate() {
            let warmup = if number == 0 { std::mem::take(&mut warmup) } else { BTreeMap::new() };
            let setting = self.key(*method, pairs.first())?;
            let run = |pair: &StartGoal| {
                let warmup = warmup.get(&pair.seed).map_or(&[][..], Vec::as_slice);
                let kept = match (self.journal, setting) {
                    (Some(journal), Some(setting)) => Some((journal, Key::of(Some(setting), pair)?)),
                    _ => None,
                };
                // What is in the journal counts as done, also after a stop: it is there.
                if let Some(episode) = kept.and_then(|(journal, key)| journal.kept(key)) {
                    return Ok(Some(counter.add(method.name(), episode)));
                }
                counter.count(method.name(), || match kept {
                    Some((journal, key)) => {
                        journal.result(key, || self.episode(*method, pair, warmup, &mut |_| Ok(())))
                    }
                    None => self.episode(*method, pair, warmup, &mut |_| Ok(())),
                })
            };
            let done: Vec<Option<EpisodeResult>> = pool.install(|| pairs.par_iter().map(run).collect::<Result<_>>())?;
            match done.iter().cloned().collect::<Option<Vec<_>>>() {
                Some(done) => results.push(done),
                None => return Ok(self.stopped(methods, &pairs, results, done)),
            }
        }
        progress.end();
        let report = EvaluationReport::new(self, methods, &pairs, &results);
        let outcome = EvaluationOutcome { report, episodes: results.swap_remove(0) };
        Ok(EvaluationEnd::Complete(Box::new(outcome)))
    }

    /// All pairs, and by seed those before them (see [`Protocol::warmup_episodes`]); `None` when `progress` asks to
    /// stop.
    fn draw(&self, progress: &dyn Progress) -> Result<Option<(Vec<StartGoal>, Warmups)>> {
        let Protocol { episodes, warmup_episodes, ref seeds, .. } = self.protocol;
        let world = self.benchmark.environment()?;
        let allowed = allowed_states(self.task, world.as_ref())?;
        let mut before = 0;
        let mut draw = |count: usize, seed: u64| -> Result<Option<Vec<StartGoal>>> {
            let found = |found: usize| progress.advance(0, &format!("{} pairs are drawn", before + found));
            let pairs = self.pairs(count, seed, &allowed, &found)?;
            before += pairs.as_ref().map_or(0, Vec::len);
            Ok(pairs)
        };
        let (mut pairs, mut warmup) = (Vec::new(), BTreeMap::new());
        for &seed in seeds {
            let Some(drawn) = draw(episodes, seed)? else { return Ok(None) };
            pairs.extend(drawn);
            if warmup_episodes > 0 {
                let Some(drawn) = draw(warmup_episodes, Protocol::warmup_seed(seed))? else { return Ok(None) };
                warmup.insert(seed, drawn);
            }
        }
        Ok(Some((pairs, warmup)))
    }

    /// `count` pairs of the root seed `seed`; `None` when `found` asks to stop.
    fn pairs(
        &self,
        count: usize,
        seed: u64,
        allowed: &(dyn Fn(&[f64]) -> bool + Sync),
        found: &(dyn Fn(usize) -> bool + Sync),
    ) -> Result<Option<Vec<StartGoal>>> {
        let search = PairSearch { allowed, found, ..PairSearch::new(self.protocol.goals, count, seed) };
        let pairs = self.benchmark.start_goal_pairs(&search)?;
        Ok((pairs.len() == count).then_some(pairs))
    }

    /// The key of everything that episodes of `method` follow from, apart from their pair; `None` where that is not
    /// known, or nothing is kept.
    fn key(&self, method: &dyn Method, pair: Option<&StartGoal>) -> Result<Option<Key>> {
        let (Some(journal), Some(method), Some(_)) = (self.journal, method.fingerprint(), pair) else {
            return Ok(None);
        };
        let protocol = Protocol { episodes: 0, seeds: Vec::new(), threads: 0, ..self.protocol.clone() };
        let goal_images: Vec<Option<Vec<u8>>> = match &self.task.goal {
            GoalConfig::KeyFrames { files } => files.iter().map(|path| std::fs::read(path).ok()).collect(),
            _ => Vec::new(),
        };
        let world = (self.benchmark.identity(), &self.factors, self.perturbation);
        journal.key(&(method, world, protocol, self.task, goal_images)).map(Some)
    }

    /// The end of an evaluation that was asked to stop: `results` are those of whole methods, `done` those of the next
    /// one.
    fn stopped(
        &self,
        methods: &[&dyn Method],
        pairs: &[StartGoal],
        mut results: Vec<Vec<EpisodeResult>>,
        done: Vec<Option<EpisodeResult>>,
    ) -> EvaluationEnd {
        let count = done.iter().flatten().count();
        let (all, of) = (results.len() * pairs.len() + count, methods.len() * pairs.len());
        let mut pairs = pairs.to_vec();
        if results.is_empty() {
            let mut is_done = done.iter().map(Option::is_some);
            pairs.retain(|_| is_done.next() == Some(true));
            results.push(done.into_iter().flatten().collect());
        }
        let report = EvaluationReport::new(self, &methods[..results.len()], &pairs, &results);
        EvaluationEnd::Stopped { done: all, of, partial: (!pairs.is_empty()).then(|| Box::new(report)) }
    }

    /// The episode of `method` on `pair`; `on_tick` is called after every tick.
    fn episode(
        &self,
        method: &dyn Method,
        pair: &StartGoal,
        warmup: &[StartGoal],
        on_tick: &mut dyn FnMut(&TickView<'_>) -> Result<()>,
    ) -> Result<EpisodeResult> {
        let episode = Episode {
            benchmark: self.benchmark,
            method,
            task: self.task,
            pair,
            warmup,
            budget_steps: self.protocol.budget_steps,
            seed: Seed::new(pair.seed).child("agent").index(pair.index as u64),
            threads: 1,
            real_time: false,
            stop_when_held: false,
            perturbation: self.perturbation,
            goal_change: None,
        };
        episode.run(on_tick).map_err(|error| Error::Episode {
            method: method.name().to_owned(),
            seed: pair.seed,
            index: pair.index,
            source: Box::new(error),
        })
    }
}

/// Counts finished episodes of several threads, and remembers that a stop was asked for.
struct Counter<'a> {
    progress: &'a dyn Progress,
    done: AtomicUsize,
    stopped: AtomicBool,
}

impl<'a> Counter<'a> {
    fn new(progress: &'a dyn Progress) -> Self {
        Self { progress, done: AtomicUsize::new(0), stopped: AtomicBool::new(false) }
    }

    /// Does `work` and counts it; `None` once a stop was asked for.
    fn count<T>(&self, note: &str, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        if self.stopped.load(Ordering::Relaxed) {
            return Ok(None);
        }
        Ok(Some(self.add(note, work()?)))
    }

    /// Counts `result`, which is done.
    fn add<T>(&self, note: &str, result: T) -> T {
        if !self.progress.advance(self.done.fetch_add(1, Ordering::Relaxed) + 1, note) {
            self.stopped.store(true, Ordering::Relaxed);
        }
        result
    }
}
