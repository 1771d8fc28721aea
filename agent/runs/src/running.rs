//! A run between two ticks: the world, the agent, and what a person has changed of them.

mod changes;
mod commands;
mod goals;
mod surprise;

use std::sync::Arc;

use mindseye_agent::assembly::Options;
use mindseye_agent::{Agent, Task};
use mindseye_interface::{Action, Clock as _, Image, Observation, Seed, Simulator, SystemClock};

use self::goals::{Goals, goal_at};
use self::surprise::SurpriseWatch;
use crate::record::{Recalled, StepRecord, TickRecord};
use crate::{Error, RecordedActions, Result, RunSetup};

/// A run between two ticks. Equal setups and equal calls give equal bits.
pub(crate) struct Running {
    world: Box<dyn Simulator>,
    /// A second world of the same episode, in which goals are shown and moves are tried; made when it is needed.
    aside: Option<Box<dyn Simulator>>,
    names: Vec<String>,
    agent: Agent,
    /// The run's number of the agent's first tick.
    first_tick: u64,
    /// The task as it was changed.
    task: Task,
    /// Weights that a person set, in their order.
    weights: Vec<(String, f32)>,
    /// How often the agent was replaced.
    changes: u64,
    goals: Goals,
    /// What the world showed last, with images.
    observation: Observation,
    tick: u64,
    step: u64,
    recorded: Option<Arc<RecordedActions>>,
    follows_recording: bool,
    camera_hidden: bool,
    /// `[A]`; empty: no wind.
    wind: Vec<f32>,
    surprise: Option<SurpriseWatch>,
}

impl Running {
    /// The run of `setup` before its first tick. The calls to the world are those of the evaluator's episode, in their
    /// order.
    pub fn new(setup: &RunSetup) -> Result<Self> {
        let mut world = setup.benchmark.environment()?;
        require_scene(setup, world.scene())?;
        let width = world.action_space().width();
        setup.recorded.as_ref().map_or(Ok(()), |recorded| recorded.check(width))?;
        let (task, names) = (setup.task.clone(), world.state_names());
        world.reset(setup.pair.episode)?;
        let mut goal = |state: &Vec<f64>| goal_at(&task, &names, state.clone(), world.as_mut());
        let via = setup.pair.via.iter().map(&mut goal).collect::<Result<_>>()?;
        let goals = Goals::sequence(via, goal(&setup.pair.goal)?);
        let mut agent = agent(setup, &task, 0, world.as_ref())?;
        agent.set_run_goals(&goals.left(&names))?;
        let observation = world.set_state(&setup.pair.start)?;
        let surprise = SurpriseWatch::of(&setup.source, world.action_space())?;
        Ok(Self {
            world,
            aside: None,
            names,
            agent,
            first_tick: 0,
            task,
            weights: Vec::new(),
            changes: 0,
            goals,
            observation,
            tick: 0,
            step: 0,
            recorded: setup.recorded.clone(),
            follows_recording: setup.recorded.is_some(),
            camera_hidden: false,
            wind: Vec::new(),
            surprise,
        })
    }

    /// Number of the next tick.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// Names of the true state's dimensions.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Duration of a control step, seconds.
    pub fn control_step_secs(&self) -> f64 {
        self.world.control_step_secs()
    }

    /// Score above which a tick is surprising.
    pub fn surprise_band(&self) -> Option<f64> {
        self.surprise.as_ref().map(SurpriseWatch::band)
    }

    /// The agent: after [`Running::decide`] and before the next call of it, what it remembers last is that tick.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// What the agent observes now.
    fn observed(&self) -> Observation {
        let frames = if self.camera_hidden { Vec::new() } else { self.observation.frames.clone() };
        Observation { frames, ..self.observation.clone() }
    }

    /// The decision of the next tick, without what is there for display, and the observation it was made for. To be
    /// followed by [`Running::execute`].
    pub fn decide(&mut self) -> Result<(TickRecord, Observation)> {
        let observation = self.observed();
        let clock = SystemClock::start();
        let report = self.agent.tick(&observation, &clock);
        let decided_secs = clock.now_secs();
        let newest = self.agent.memory().recent(1).first().copied().filter(|newest| newest.tick == report.tick);
        let latent = newest.map(|newest| &newest.latent);
        let surprise = match (&mut self.surprise, latent) {
            (Some(surprise), Some(latent)) => {
                let at_secs = self.step as f64 * self.world.control_step_secs();
                surprise.observe(at_secs, report.state_source, latent, &observation)?
            }
            _ => None,
        };
        let recalled = report.kernel_density.zip(latent).map(|(kernel_density, latent)| {
            let nearest = self.agent.memory().nearest(latent, 2).into_iter().find(|known| known.tick != report.tick);
            Recalled { kernel_density, nearest_tick: nearest.map(|known| self.first_tick + known.tick) }
        });
        let goal = self.goals.current();
        let record = TickRecord {
            tick: self.tick,
            step: self.step,
            commands: Vec::new(),
            state: self.world.state(),
            goal_state: Some(goal.state.clone()),
            image: observation.image().cloned(),
            goal_image: goal.observation.image().cloned(),
            camera_hidden: self.camera_hidden,
            read_state: None,
            followed_recording: false,
            surprise,
            candidates: Vec::new(),
            best: None,
            strip: Vec::new(),
            samples: Vec::new(),
            spread: Vec::new(),
            latent: latent.map(mean_token).unwrap_or_default(),
            goal_latent: mean_token(&report.directive.goal),
            steps: Vec::new(),
            recalled,
            display_ms: (clock.now_secs() - decided_secs) * 1e3,
            report,
        };
        Ok((record, observation))
    }

    /// Executes what `record` decided, and adds the control steps to it. The tick is over then.
    pub fn execute(&mut self, record: &mut TickRecord) -> Result<()> {
        let width = self.world.action_space().width();
        let steps = record.report.directive.replan_every;
        let followed = self.followed(steps);
        record.followed_recording = followed.is_some();
        let commanded: Vec<&[f32]> = match &followed {
            Some(actions) => actions.iter().map(Vec::as_slice).collect(),
            None => record.report.action_chunk.chunks_exact(width).take(steps).collect(),
        };
        let executed = commanded.iter().map(|action| Action::new(self.blown(action)));
        let executed = executed.collect::<mindseye_interface::Result<Vec<_>>>()?;
        if executed.is_empty() {
            self.world.stop()?; // no action is known to hold still
        }
        self.world.announce(&executed, !self.camera_hidden)?;
        for (index, action) in executed.iter().enumerate() {
            if let Some(surprise) = &mut self.surprise {
                surprise.act(self.step as f64 * self.world.control_step_secs(), commanded[index]);
            }
            let is_shown = !self.camera_hidden;
            let mut image = None;
            // Whatever the last step shows is observed when the camera is uncovered.
            if is_shown || index + 1 == executed.len() {
                self.observation = self.world.step(action)?.observation;
                image = self.observation.image().filter(|_| is_shown).cloned();
            } else {
                self.world.step_blind(action)?;
            }
            self.step += 1;
            record.steps.push(self.step_record(action, image));
        }
        match followed {
            Some(actions) => {
                let told = actions.into_iter().map(Action::new).collect::<mindseye_interface::Result<Vec<_>>>()?;
                self.agent.report_executed_actions(&told);
            }
            None => self.agent.report_executed(executed.len()),
        }
        self.tick += 1;
        Ok(())
    }

    /// The next recorded actions, `steps` of them or less, where the run follows them and there are any.
    fn followed(&self, steps: usize) -> Option<Vec<Vec<f32>>> {
        let recorded = self.recorded.as_ref().filter(|_| self.follows_recording)?;
        let next = recorded.actions.get(self.step as usize..)?;
        let next = &next[..steps.min(next.len())];
        (!next.is_empty()).then(|| next.to_vec())
    }

    /// What the world became after `action`. The next goal of a sequence is pursued from here on where this one is
    /// reached.
    fn step_record(&mut self, action: &Action, image: Option<Image>) -> StepRecord {
        let check = self.world.check_goal(&self.goals.current().state);
        if check.moderate {
            self.goals.advance();
        }
        StepRecord {
            action: action.values().to_vec(),
            state: self.world.state(),
            image,
            distance: check.distance,
            moderate: check.moderate,
            strict: check.strict,
        }
    }

    /// `action` with the wind.
    fn blown(&self, action: &[f32]) -> Vec<f32> {
        if self.wind.is_empty() {
            return action.to_vec();
        }
        action.iter().zip(&self.wind).map(|(action, drift)| (action + drift).clamp(-1.0, 1.0)).collect()
    }
}

/// Refuses a world that is not the one of the model or of the task.
fn require_scene(setup: &RunSetup, scene: &str) -> Result<()> {
    let of_model = setup.source.scene().map(|expected| ("the model's scene", expected));
    let of_task = setup.task.scene.as_deref().map(|expected| ("the task's scene", expected));
    match of_model.into_iter().chain(of_task).find(|(_, expected)| *expected != scene) {
        None => Ok(()),
        Some((what, expected)) => Err(Error::value(what, expected, scene)),
    }
}

/// The agent of `task` after `changes` changes of it, without a goal, in a world like `world`.
fn agent(setup: &RunSetup, task: &Task, changes: u64, world: &dyn Simulator) -> Result<Agent> {
    let seed = Seed::new(setup.pair.seed).child("agent").index(setup.pair.index as u64);
    let seed = if changes == 0 { seed } else { seed.child("change").index(changes) };
    let unlimited = Task { budget_ms: f64::INFINITY, ..task.clone() };
    let options = Options { threads: setup.threads.max(1), ..Options::default() };
    let agent = Agent::from_checkpoint_with(&setup.source, &unlimited, seed, &options)?;
    // What holds the body still follows from the meaning of its actions, which not every checkpoint knows.
    let mut agent = match setup.source.action_space() {
        Some(_) => agent,
        None => agent.with_action_space(world.action_space().clone()),
    };
    agent.keep_candidates(setup.detail.candidates);
    Ok(agent)
}

/// The mean over the tokens of `latent`, `[D]`.
fn mean_token(latent: &mindseye_agent::Latent) -> Vec<f32> {
    crate::display::mean_token(latent.values(), latent.shape())
}
