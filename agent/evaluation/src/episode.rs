//! One episode of the protocol: from a start towards a goal, checked at every control step.

use std::collections::BTreeMap;

use mindseye_agent::configurator::Mode;
use mindseye_agent::perception::StateSource;
use mindseye_agent::{Task, TickReport};
use mindseye_interface::{
    Action, Benchmark, Image, Observation, Seed, Simulator, StartGoal, StateDimension, SystemClock,
};
use serde::{Deserialize, Serialize};

use crate::goals::{EpisodeGoals, GoalChange};
use crate::perturbation::{Perturbation, Perturber};
use crate::{Controller, EpisodeStart, Error, Method, Result, journal};

/// Everything that decides an episode.
pub struct Episode<'a> {
    /// The world, and its task's predicate.
    pub benchmark: &'a dyn Benchmark,
    /// Who acts.
    pub method: &'a dyn Method,
    /// What is to be done.
    pub task: &'a Task,
    /// Start and goal.
    pub pair: &'a StartGoal,
    /// Pairs that the method acts on before, in the same world and unmeasured; it keeps what it learns and remembers.
    pub warmup: &'a [StartGoal],
    /// Control steps at most.
    pub budget_steps: usize,
    /// Root of the method's random choices.
    pub seed: Seed,
    /// Threads for planning.
    pub threads: usize,
    /// Whether the task's time budget cuts planning short (as on a robot). Otherwise late ticks are only counted, and
    /// results do not depend on the machine.
    pub real_time: bool,
    /// Whether the episode ends once the moderate predicate has held and the strict one has held for [`HOLD_STEPS`].
    pub stop_when_held: bool,
    /// How observations are perturbed.
    pub perturbation: Perturbation,
    /// Another goal in the middle, if one comes; success is then that of the other.
    pub goal_change: Option<GoalChange>,
}

/// How an episode went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeResult {
    /// First control step after which the moderate predicate held for the last goal, all goals before it having been
    /// reached.
    pub first_success_step: Option<usize>,
    /// Whether the strict predicate held over the last [`HOLD_STEPS`] control steps.
    pub strict: bool,
    /// The benchmark's further predicates by name: whether each held for the last goal after some control step.
    pub reached: BTreeMap<String, bool>,
    /// Where the task asks for a region: whether the true state was in it at some step.
    pub region: Option<bool>,
    /// Where the task forbids states: control steps after which the true state was forbidden.
    pub violating_steps: Option<usize>,
    /// In scenes with several routes: those that the robot was on, the first one first.
    pub routes: Vec<String>,
    /// Distance to the goal at the end, in the task's unit.
    pub final_distance: f64,
    /// Control steps done.
    pub steps: usize,
    /// Planning time of every tick, milliseconds.
    pub planning_ms: Vec<f64>,
    /// Ticks that took longer than the task's budget.
    pub deadline_misses: usize,
    /// Ticks whose plan is not the result of a search.
    pub fallbacks: usize,
    /// Ticks that executed the policy's proposal without a search (Mode-1).
    pub mode_1_ticks: usize,
    /// States predicted by the world model.
    pub predicted_states: usize,
    /// Differences between observed and predicted latents, of the ticks where both are known.
    pub surprises: Vec<f32>,
    /// Weighted cost of every tick's state, and the critic's predicted value of what follows, where there is a
    /// critic.
    pub costs: Vec<(f32, Option<f32>)>,
    /// Ticks without an image.
    pub missing_frames: usize,
    /// Ticks whose image was rejected as too far from the prediction.
    pub rejected_frames: usize,
    /// Ticks in which the method held still because of an error.
    pub error_ticks: usize,
    /// The first such error.
    pub error: Option<String>,
    /// The first camera's image of the start, the goal and the end.
    #[serde(with = "journal::png")]
    pub images: [Image; 3],
}

/// What a listener sees after a tick, before its chunk is executed.
#[derive(Debug, Clone, Copy)]
pub struct TickView<'a> {
    /// The first camera's newest image.
    pub image: &'a Image,
    /// The image of the current goal.
    pub goal: &'a Image,
    /// The tick.
    pub report: &'a TickReport,
    /// Control steps done.
    pub step: usize,
    /// Distance to the goal, in the task's unit.
    pub distance: f64,
}

/// What a listener sees after a control step within a chunk.
#[derive(Debug, Clone, Copy)]
pub struct StepView<'a> {
    /// The first camera's image.
    pub image: &'a Image,
    /// Control steps done.
    pub step: usize,
    /// Distance to the goal, in the task's unit.
    pub distance: f64,
}

/// What watches an episode. It cannot change it; its error ends it.
pub trait EpisodeListener {
    /// Called after every tick, before its chunk is executed.
    ///
    /// # Errors
    /// The listener's own.
    fn on_tick(&mut self, view: &TickView<'_>) -> Result<()>;

    /// Whether images of the control steps within chunks are asked for; by default they are not rendered.
    fn wants_steps(&self) -> bool {
        false
    }

    /// Called after every control step of a chunk but its last, which the next tick or the end shows.
    ///
    /// # Errors
    /// The listener's own.
    fn on_step(&mut self, _view: &StepView<'_>) -> Result<()> {
        Ok(())
    }
}

/// A listener that is called after ticks only.
struct Ticks<'a>(&'a mut dyn FnMut(&TickView<'_>) -> Result<()>);

impl EpisodeListener for Ticks<'_> {
    fn on_tick(&mut self, view: &TickView<'_>) -> Result<()> {
        (self.0)(view)
    }
}

/// Control steps over which the strict predicate must hold at the end.
pub const HOLD_STEPS: usize = 5;

impl Episode<'_> {
    /// Runs the episode; `on_tick` is called after every tick.
    ///
    /// # Errors
    /// When the world or the controller cannot be built, the simulator fails, or `on_tick` does.
    pub fn run(&self, on_tick: &mut dyn FnMut(&TickView<'_>) -> Result<()>) -> Result<EpisodeResult> {
        self.run_watched(&mut Ticks(on_tick))
    }

    /// As [`Episode::run`], for a listener that may ask for the images of all control steps.
    ///
    /// # Errors
    /// As [`Episode::run`].
    pub fn run_watched(&self, listener: &mut dyn EpisodeListener) -> Result<EpisodeResult> {
        let mut simulator = self.benchmark.environment()?;
        let unlimited = Task { budget_ms: f64::INFINITY, ..self.task.clone() };
        let task = if self.real_time { self.task } else { &unlimited };
        let mut warmup_goals = Vec::with_capacity(self.warmup.len());
        for pair in self.warmup {
            simulator.reset(pair.episode)?;
            warmup_goals.extend_from_slice(EpisodeGoals::new(task, pair, None, simulator.as_mut())?.sequences());
        }
        simulator.reset(self.pair.episode)?;
        let goals = EpisodeGoals::new(task, self.pair, self.goal_change.as_ref(), simulator.as_mut())?;
        let start = EpisodeStart { task, goals: goals.first(), seed: self.seed, threads: self.threads };
        let mut controller = self.method.begin(simulator.as_ref(), &start)?;
        let clock = SystemClock::start();
        for (pair, goals) in self.warmup.iter().zip(&warmup_goals) {
            controller.set_goals(goals)?;
            self.warm_up(pair, controller.as_mut(), simulator.as_mut(), &clock)?;
        }
        if !self.warmup.is_empty() {
            controller.set_goals(goals.first())?;
            simulator.reset(self.pair.episode)?;
        }
        self.measure(goals, controller.as_mut(), simulator.as_mut(), &clock, listener)
    }

    /// An episode that is not measured.
    fn warm_up(
        &self,
        pair: &StartGoal,
        controller: &mut dyn Controller,
        simulator: &mut dyn Simulator,
        clock: &SystemClock,
    ) -> Result<()> {
        simulator.reset(pair.episode)?;
        let mut observation = simulator.set_state(&pair.start)?;
        let mut steps = 0;
        while steps < self.budget_steps {
            let report = controller.tick(simulator, &observation, clock)?;
            let until = report.directive.replan_every.min(self.budget_steps - steps);
            observation = execute(simulator, &report.action_chunk, until, false, |_, _| {
                steps += 1;
                Ok(())
            })?;
            controller.report_executed(until);
        }
        controller.start_episode();
        Ok(())
    }

    fn measure(
        &self,
        mut goals: EpisodeGoals,
        controller: &mut dyn Controller,
        simulator: &mut dyn Simulator,
        clock: &SystemClock,
        listener: &mut dyn EpisodeListener,
    ) -> Result<EpisodeResult> {
        let mut observation = simulator.set_state(&self.pair.start)?;
        let mut image = first_image(&observation)?;
        let mut goal = goals.image()?;
        let mut perturber = Perturber::new(self.perturbation, self.pair.episode, self.budget_steps);
        let mut result = self.empty_result(&goals, simulator, [image.clone(), goal.clone(), image.clone()]);
        let hold_steps = HOLD_STEPS.min(self.budget_steps);
        let mut strict_steps = 0;
        while result.steps < self.budget_steps && !self.is_done(&result, strict_steps >= hold_steps) {
            if self.goal_change.as_ref().is_some_and(|change| result.steps >= change.after_steps)
                && let Some(next) = goals.change()
            {
                controller.set_goals(next)?;
                (result.first_success_step, strict_steps) = (None, 0);
            }
            goal = goals.image()?;
            let report = controller.tick(simulator, &observation, clock)?;
            let (step, distance) = (result.steps, result.final_distance);
            listener.on_tick(&TickView { image: &image, goal: &goal, report: &report, step, distance })?;
            let steps = report.directive.replan_every.min(self.budget_steps - result.steps);
            let chunk = result.count_tick(report, self.task.budget_ms);
            let rendered = listener.wants_steps();
            observation = execute(simulator, &chunk, steps, rendered, |simulator, image| {
                let is_strict = result.check_step(simulator, &mut goals);
                strict_steps = if is_strict { strict_steps + 1 } else { 0 };
                let (step, distance) = (result.steps, result.final_distance);
                image.map_or(Ok(()), |image| listener.on_step(&StepView { image, step, distance }))
            })?;
            controller.report_executed(steps);
            image = observation.image().cloned().unwrap_or(image);
            perturber.apply(&mut observation, simulator, result.steps);
        }
        simulator.stop()?;
        result.strict = strict_steps >= hold_steps;
        result.images[1..].clone_from_slice(&[goal, image]);
        Ok(result)
    }

    /// Whether the episode may end before its budget does.
    fn is_done(&self, result: &EpisodeResult, is_held: bool) -> bool {
        let changed = self.goal_change.as_ref().is_none_or(|change| result.steps > change.after_steps);
        self.stop_when_held && is_held && result.first_success_step.is_some() && changed
    }

    /// The result of an episode at its start.
    fn empty_result(&self, goals: &EpisodeGoals, simulator: &dyn Simulator, images: [Image; 3]) -> EpisodeResult {
        let at_start = simulator.check_goal(goals.state());
        let predicates = at_start.metrics.keys().copied().filter(|name| is_predicate(name));
        EpisodeResult {
            first_success_step: None,
            strict: false,
            reached: predicates.map(|name| (name.to_owned(), false)).collect(),
            region: goals.want_region().then(|| goals.region_contains(&self.pair.start)),
            violating_steps: goals.forbid_states().then_some(0),
            routes: Vec::new(),
            final_distance: at_start.distance,
            steps: 0,
            planning_ms: Vec::new(),
            deadline_misses: 0,
            fallbacks: 0,
            mode_1_ticks: 0,
            predicted_states: 0,
            surprises: Vec::new(),
            costs: Vec::new(),
            missing_frames: 0,
            rejected_frames: 0,
            error_ticks: 0,
            error: None,
            images,
        }
    }
}

impl EpisodeResult {
    /// Counts a tick; its chunk.
    fn count_tick(&mut self, report: TickReport, budget_ms: f64) -> Vec<f32> {
        self.planning_ms.push(report.planning_ms);
        self.deadline_misses += usize::from(report.planning_ms > budget_ms);
        self.fallbacks += usize::from(report.fallback.is_some());
        let acted_at_once = report.mode == Mode::Mode1 && report.fallback.is_none() && report.error.is_none();
        self.mode_1_ticks += usize::from(acted_at_once);
        self.predicted_states += report.predicted_states;
        self.surprises.extend(report.surprise);
        let weighted = |(name, energy): &(String, f32)| energy * report.directive.weight(name).unwrap_or(0.0);
        self.costs.push((report.energies.iter().map(weighted).sum(), report.predicted_value));
        self.missing_frames += usize::from(report.state_source == StateSource::Imputed);
        self.rejected_frames += usize::from(report.state_source == StateSource::Rejected);
        self.error_ticks += usize::from(report.error.is_some());
        self.error = self.error.take().or(report.error);
        report.action_chunk
    }

    /// Checks the world after a control step; whether the strict predicate holds for the last goal.
    fn check_step(&mut self, simulator: &dyn Simulator, goals: &mut EpisodeGoals) -> bool {
        self.steps += 1;
        let (check, is_last) = (simulator.check_goal(goals.state()), goals.is_last());
        let state = simulator.state();
        let violated = goals.is_violated_by(&state);
        self.violating_steps = self.violating_steps.map(|steps| steps + usize::from(violated));
        if is_last {
            self.region = self.region.map(|before| before || goals.region_contains(&state));
            if check.moderate && self.first_success_step.is_none() {
                self.first_success_step = Some(self.steps);
            }
            for (name, reached) in &mut self.reached {
                *reached |= check.metrics.get(name.as_str()) == Some(&1.0);
            }
        } else if check.moderate {
            goals.advance();
        }
        let route = simulator.route().filter(|route| !self.routes.iter().any(|known| known == route));
        self.routes.extend(route.map(str::to_owned));
        self.final_distance = check.distance;
        check.strict && is_last
    }
}

/// Whether a metric of this name is 0 or 1: names of measures end with their unit.
fn is_predicate(name: &str) -> bool {
    StateDimension::named(name).unit.is_empty()
}

fn first_image(observation: &Observation) -> Result<Image> {
    observation.image().cloned().ok_or_else(|| Error::value("start", "an image", "none"))
}

/// Executes an action chunk `[A]` control step by control step, at most `steps` of them; `after` is called after each,
/// with the first camera's image of all but the last where they are to be `rendered`. Else only the last is.
fn execute(
    simulator: &mut dyn Simulator,
    chunk: &[f32],
    steps: usize,
    rendered: bool,
    mut after: impl FnMut(&dyn Simulator, Option<&Image>) -> Result<()>,
) -> Result<Observation> {
    let width = simulator.action_space().width();
    let actions = chunk.chunks_exact(width).take(steps).map(|action| Action::new(action.to_vec()));
    let actions = actions.collect::<mindseye_interface::Result<Vec<_>>>()?;
    simulator.announce(&actions, rendered)?;
    let Some((last, before)) = actions.split_last() else {
        return Err(Error::value("action chunk", "at least one action", "none"));
    };
    for action in before {
        if rendered {
            let step = simulator.step(action)?;
            after(simulator, step.observation.image())?;
        } else {
            simulator.step_blind(action)?;
            after(simulator, None)?;
        }
    }
    let step = simulator.step(last)?;
    after(simulator, None)?;
    Ok(step.observation)
}
