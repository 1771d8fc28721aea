//! One episode of the protocol: from a start towards a goal, judged at every control step.

use std::sync::Arc;

use anyhow::{Context, Result};
use mindseye_agent::configurator::Mode;
use mindseye_agent::perception::Sight;
use mindseye_agent::{Task, TickReport};
use mindseye_interface::{Image, Seed, Simulator, SystemClock};
use mindseye_sim::SceneOptions;
use mindseye_world_model::{Checkpoint, Part};

use super::ablation::Without;
use super::course::{Course, Switch};
use super::disturbance::{Disturbance, Disturber};
use super::pairs::Pair;
use crate::published::PublishedLewm;
use crate::running::{Mind, execute};

/// Who acts.
#[derive(Debug, Clone)]
pub enum Method {
    /// An agent with a learned model.
    Model(Arc<Checkpoint>),
    /// The same agent with nothing in the place of one module.
    Without(Arc<Checkpoint>, Without),
    /// An agent with a LeWorldModel that others have trained.
    Lewm(Arc<PublishedLewm>),
    /// The same agent with the simulator in place of the learned dynamics: it sees, judges and wants as the model does.
    TrueDynamics(Arc<Checkpoint>),
    /// Uniformly random actions.
    Random {
        /// Control steps per action block.
        action_block: usize,
    },
    /// Nothing at all.
    Nothing {
        /// Control steps per action block.
        action_block: usize,
    },
    /// The same planner in the true world, with the task's own distance.
    Oracle {
        /// Control steps per action block.
        action_block: usize,
    },
}

impl Method {
    /// Control steps per action block.
    pub fn action_block(&self) -> usize {
        match self {
            Self::Model(checkpoint) | Self::Without(checkpoint, _) | Self::TrueDynamics(checkpoint) => {
                checkpoint.config.model.action_block
            }
            Self::Lewm(published) => published.action_block,
            Self::Random { action_block } | Self::Nothing { action_block } | Self::Oracle { action_block } => {
                *action_block
            }
        }
    }

    /// What the critic's energies count for each block that they lie farther ahead, where there is one.
    pub fn critic_discount(&self) -> Option<f32> {
        match self {
            Self::Model(checkpoint) | Self::Without(checkpoint, _) | Self::TrueDynamics(checkpoint) => {
                checkpoint.critic.as_ref().map(|critic| critic.config().discount)
            }
            _ => None,
        }
    }

    /// Seed that the model was trained with, where that is known.
    pub fn training_seed(&self) -> Option<u64> {
        match self {
            Self::Model(checkpoint) | Self::Without(checkpoint, _) | Self::TrueDynamics(checkpoint) => {
                Some(checkpoint.config.training.seed)
            }
            _ => None,
        }
    }
}

/// Everything that decides an episode.
pub struct Episode<'a> {
    /// Name of the scene.
    pub scene: &'a str,
    /// Picture size and factors of variation.
    pub options: &'a SceneOptions,
    /// Who acts.
    pub method: &'a Method,
    /// What is to be done.
    pub task: &'a Task,
    /// From where to where.
    pub pair: &'a Pair,
    /// What the agent lives through before, in the same world, unjudged: it keeps what it learns and remembers.
    pub lived: &'a [Pair],
    /// Control steps at most.
    pub budget_steps: usize,
    /// Root of the agent's random choices.
    pub seed: Seed,
    /// Threads that imagine.
    pub threads: usize,
    /// Whether the task's time budget cuts planning short (as on a robot), or late ticks are only counted (so that results do
    /// not depend on the machine).
    pub real_time: bool,
    /// Whether the episode ends when the moderate predicate has been true and the strict one has held long enough (in push_t the
    /// latter knows nothing of the pusher).
    pub stop_when_held: bool,
    /// How seeing is disturbed.
    pub disturbance: Disturbance,
    /// Another goal that comes in its middle, if one does; success is then that of the other.
    pub switch: Option<Switch>,
}

/// How an episode went.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeResult {
    /// First control step at which the moderate predicate held: of the last goal, after that of all before it had.
    pub moderate_step: Option<usize>,
    /// Whether the strict predicate held over the last control steps.
    pub strict: bool,
    /// In scenes with a block: whether it was where it should be at some step, wherever the body was.
    pub block: Option<bool>,
    /// Where the task wants a region: whether the true state was in it at some step.
    pub region: Option<bool>,
    /// Where the task forbids something: control steps at which the true state was where it must not be.
    pub violating_steps: Option<usize>,
    /// In scenes with more ways than one: those that the body was on after some control step, the first one first.
    pub ways: Vec<&'static str>,
    /// Distance to the goal at the end, in the task's unit.
    pub final_distance: f64,
    /// Control steps done.
    pub steps: usize,
    /// Planning time of every tick, milliseconds.
    pub planning_ms: Vec<f64>,
    /// Ticks that took longer than the task's budget.
    pub deadline_misses: usize,
    /// Ticks without a plan that was thought out.
    pub fallbacks: usize,
    /// Ticks that did at once what the policy proposed.
    pub mode_1_ticks: usize,
    /// States imagined.
    pub predictor_rows: usize,
    /// How far what was seen was from what had been predicted, tick by tick where both are known.
    pub surprises: Vec<f32>,
    /// What every tick's state cost, weighted, and what the critic foresaw from there on, where there is one.
    pub costs: Vec<(f32, Option<f32>)>,
    /// Ticks without a picture, and ticks whose picture was not believed.
    pub unseen: [usize; 2],
    /// The first error for which the agent held still.
    pub error: Option<String>,
    /// What the camera saw at the start, the goal, and what it saw at the end.
    pub pictures: [Image; 3],
}

/// What can be watched after a tick, before its block is executed.
pub struct Glimpse<'a> {
    /// What the camera sees.
    pub picture: &'a Image,
    /// What it should see.
    pub goal: &'a Image,
    /// What the agent decided.
    pub report: &'a TickReport,
    /// Control steps done.
    pub step: usize,
    /// Distance to the goal, in the task's unit.
    pub distance: f64,
}

/// Control steps over which the strict predicate must hold at the end.
pub const HOLD_STEPS: usize = 5;

impl Episode<'_> {
    /// Plays the episode; `watch` is shown every tick.
    ///
    /// # Errors
    /// When the scene or the agent cannot be built, the simulator fails, or `watch` does.
    pub fn play(&self, watch: &mut dyn FnMut(&Glimpse<'_>) -> Result<()>) -> Result<EpisodeResult> {
        let mut simulator = mindseye_sim::make(self.scene, self.options)?;
        let unhurried = Task { budget_ms: f64::INFINITY, ..self.task.clone() };
        let task = if self.real_time { self.task } else { &unhurried };
        let mut lived = Vec::with_capacity(self.lived.len());
        for pair in self.lived {
            simulator.reset(pair.episode)?;
            lived.extend_from_slice(Course::new(task, pair, None, simulator.as_mut())?.courses());
        }
        simulator.reset(self.pair.episode)?;
        let mut course = Course::new(task, self.pair, self.switch.as_ref(), simulator.as_mut())?;
        let courses = [course.courses(), &lived].concat();
        let mut mind = Mind::new(self.method, task, simulator.as_ref(), &courses, self.seed, self.threads)?;
        let clock = SystemClock::start();
        for (index, pair) in self.lived.iter().enumerate() {
            mind.assign(course.courses().len() + index)?;
            self.live(pair, &mut mind, simulator.as_mut(), &clock)?;
        }
        if !self.lived.is_empty() {
            mind.assign(0)?;
            simulator.reset(self.pair.episode)?;
        }
        let mut observation = simulator.set_state(&self.pair.start)?;
        let mut picture = observation.image.clone().context("start: expected a picture, got none")?;
        let goal_picture = |course: &Course| course.picture().cloned().context("goal: expected a picture, got none");
        let mut goal = goal_picture(&course)?;
        let mut disturber = Disturber::new(self.disturbance, self.pair.episode, self.budget_steps);
        let at_start = simulator.check_goal(course.goal());
        let (forbids, wants_region) = course.has();
        let mut result = EpisodeResult {
            moderate_step: None,
            strict: false,
            block: at_start.block.map(|_| false),
            region: wants_region.then(|| course.judge(&self.pair.start).1),
            violating_steps: forbids.then_some(0),
            ways: Vec::new(),
            final_distance: at_start.distance,
            steps: 0,
            planning_ms: Vec::new(),
            deadline_misses: 0,
            fallbacks: 0,
            mode_1_ticks: 0,
            predictor_rows: 0,
            surprises: Vec::new(),
            costs: Vec::new(),
            unseen: [0; 2],
            error: None,
            pictures: [picture.clone(), goal.clone(), picture.clone()],
        };
        let hold_steps = HOLD_STEPS.min(self.budget_steps);
        let mut strict_steps = 0;
        let arrived =
            |result: &EpisodeResult, strict_steps: usize| result.moderate_step.is_some() && strict_steps >= hold_steps;
        let switched =
            |result: &EpisodeResult| self.switch.as_ref().is_none_or(|switch| result.steps > switch.after_steps);
        while result.steps < self.budget_steps
            && !(self.stop_when_held && arrived(&result, strict_steps) && switched(&result))
        {
            if self.switch.as_ref().is_some_and(|switch| result.steps >= switch.after_steps)
                && let Some(next) = course.switch()
            {
                mind.assign(next)?;
                (result.moderate_step, strict_steps) = (None, 0);
            }
            goal = goal_picture(&course)?;
            let report: TickReport = mind.tick(simulator.as_ref(), &observation, &clock)?;
            let (step, distance) = (result.steps, result.final_distance);
            watch(&Glimpse { picture: &picture, goal: &goal, report: &report, step, distance })?;
            result.planning_ms.push(report.planning_ms);
            result.deadline_misses += usize::from(report.planning_ms > self.task.budget_ms);
            result.fallbacks += usize::from(report.fallback.is_some());
            result.mode_1_ticks += usize::from(report.mode == Mode::Mode1);
            result.predictor_rows += report.predictor_rows;
            result.surprises.extend(report.surprise);
            let weighted = |(name, energy): &(String, f32)| energy * report.directive.weight(name).unwrap_or(0.0);
            result.costs.push((report.energies.iter().map(weighted).sum(), report.foreseen));
            result.unseen[0] += usize::from(report.sight == Sight::Dropped);
            result.unseen[1] += usize::from(report.sight == Sight::Doubted);
            result.error = result.error.or(report.error);
            let steps_left = self.budget_steps - result.steps;
            observation = execute(simulator.as_mut(), &report.block, steps_left, |simulator| {
                result.steps += 1;
                let (check, last) = (simulator.check_goal(course.goal()), course.is_last());
                let (violates, in_region) = course.judge(&simulator.state());
                result.violating_steps = result.violating_steps.map(|steps| steps + usize::from(violates));
                if last {
                    result.region = result.region.map(|before| before || in_region);
                    if check.moderate && result.moderate_step.is_none() {
                        result.moderate_step = Some(result.steps);
                    }
                    if check.block == Some(true) {
                        result.block = check.block;
                    }
                } else if check.moderate {
                    course.advance();
                }
                result.ways.extend(simulator.way().filter(|way| !result.ways.contains(way)));
                strict_steps = if check.strict && last { strict_steps + 1 } else { 0 };
                result.final_distance = check.distance;
            })?;
            picture = observation.image.clone().unwrap_or(picture);
            observation.image = disturber.pass(observation.image.take(), simulator.as_ref(), result.steps);
        }
        result.strict = strict_steps >= hold_steps;
        result.pictures[1..].clone_from_slice(&[goal, picture]);
        Ok(result)
    }

    /// An episode that nobody judges.
    fn live(&self, pair: &Pair, mind: &mut Mind, simulator: &mut dyn Simulator, clock: &SystemClock) -> Result<()> {
        simulator.reset(pair.episode)?;
        let mut observation = simulator.set_state(&pair.start)?;
        let mut steps = 0;
        while steps < self.budget_steps {
            let report = mind.tick(simulator, &observation, clock)?;
            observation = execute(simulator, &report.block, self.budget_steps - steps, |_| steps += 1)?;
        }
        mind.begin_elsewhere();
        Ok(())
    }
}
