//! One agent for a body that others drive: images and measurements in, plans in the robot's units out. It needs no
//! environment; between two plans it keeps its memory and the rest of the plan before.

mod images;
mod planned;
mod protocol;

use mindseye_interface::{Action, ActionSpace, Clock, Frame, Goal, Image, Observation, Seed};

pub use self::images::{CameraImage, NamedImages, goal_frames};
pub use self::planned::{GoalDistances, PlannedActions, SessionPlan};
pub use self::protocol::{Executed, PlanRequest};
use crate::agent::Agent;
use crate::configurator::Task;
use crate::model_source::ModelSource;
use crate::{Error, Result};

/// An agent that plans from one observation to the next.
pub struct PlanningSession {
    agent: Agent,
    source: ModelSource,
    space: ActionSpace,
    observed: Vec<Frame>,
    goal: Vec<Frame>,
    ticks: u64,
    /// Control steps of a plan.
    plan_steps: usize,
}

impl PlanningSession {
    /// A session with the model of `source` that pursues images as `task` says, without a deadline unless `deadline_ms`
    /// is given. It has no goal yet.
    ///
    /// # Errors
    /// When the task asks for goals that are no images, or for what the checkpoint does not have.
    pub fn new(source: &ModelSource, task: &Task, seed: Seed, deadline_ms: Option<f64>) -> Result<Self> {
        if !task.goal.is_image() {
            return Err(Error::task("goal.kind", "image or key_frames, since the goal is an image", task.goal.term()));
        }
        let task = Task { budget_ms: deadline_ms.unwrap_or(f64::INFINITY), ..task.clone() };
        Self::for_any_goal(source, &task, seed)
    }

    /// As [`PlanningSession::new`], for a task with a goal of any kind and its own budget. The task's own goal is
    /// pursued where it says all of it; [`PlanningSession::set_goal`] and [`PlanningSession::set_state_goal`] give
    /// others.
    ///
    /// # Errors
    /// When the task asks for what the checkpoint does not have.
    pub fn for_any_goal(source: &ModelSource, task: &Task, seed: Seed) -> Result<Self> {
        let agent = Agent::from_checkpoint(source, task, seed)?;
        let (width, chunk) = (source.model().spec().action_width, source.model().spec().action_chunk);
        let space = source.action_space().cloned().unwrap_or_else(|| unnamed(width));
        let (observed, goal, plan_steps) = (Vec::new(), Vec::new(), task.horizon_chunks * chunk);
        Ok(Self { agent, source: source.clone(), space, observed, goal, ticks: 0, plan_steps })
    }

    /// Control steps of a plan.
    pub fn plan_steps(&self) -> usize {
        self.plan_steps
    }

    /// What the numbers of a plan are: without a description in the checkpoint, values as the model was trained on.
    pub fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    /// The images of the newest observation and of the goal, of the first camera, as the model takes them.
    pub fn images(&self) -> Option<(&Image, &Image)> {
        Some((&self.observed.first()?.image, &self.goal.first()?.image))
    }

    /// Pursues what `images` show from the next plan on; memory stays. Models that take proprioception need that at
    /// the goal.
    ///
    /// # Errors
    /// When the images do not fit the model, or proprioception is missing.
    pub fn set_goal(&mut self, images: Vec<CameraImage>, proprioception: &[f32]) -> Result<Vec<String>> {
        self.require_proprioception("goal_proprioception", proprioception)?;
        let (frames, notes) = images::frames(self.source.model().spec(), images, "goal")?;
        let observation = self.observation(frames, proprioception);
        let goal = observation.frames.clone();
        self.agent.set_image_goal(observation)?;
        self.goal = goal;
        Ok(notes)
    }

    /// Pursues `goal`, values or bounds of named dimensions of the state, from the next plan on; memory stays.
    ///
    /// # Errors
    /// [`Error::NoStateProbe`] without something that reads them, [`Error::Unknown`] for other names.
    pub fn set_state_goal(&mut self, goal: Goal) -> Result<()> {
        self.agent.set_goal(goal)?;
        self.goal.clear();
        Ok(())
    }

    /// Says what was executed since the last plan; without this call that is its first chunk.
    ///
    /// # Errors
    /// When there are more steps than a chunk has, or the actions make no sense.
    pub fn report_executed(&mut self, executed: &Executed) -> Result<()> {
        let (chunk, width) = (self.source.model().spec().action_chunk, self.space.width());
        let too_many = |steps: usize| {
            let expected = format!("at most {chunk} control steps, the model's action chunk (or new_episode)");
            Error::Shape { operation: "executed", expected, got: steps.to_string() }
        };
        let rows = match executed {
            Executed::Steps(steps) if *steps > chunk => return Err(too_many(*steps)),
            Executed::Steps(steps) => {
                self.agent.report_executed(*steps);
                return Ok(());
            }
            Executed::Actions(rows) => rows.clone(),
            Executed::Flat(values) => values.chunks(width.max(1)).map(<[f64]>::to_vec).collect(),
        };
        if rows.len() > chunk {
            return Err(too_many(rows.len()));
        }
        if let Some(wrong) = rows.iter().find(|row| row.len() != width) {
            let (expected, got) = (format!("{width} numbers per control step"), wrong.len().to_string());
            return Err(Error::Shape { operation: "executed", expected, got });
        }
        if rows.is_empty() {
            self.agent.report_executed(0);
            return Ok(());
        }
        let actions = rows.iter().map(|row| self.space.normalise(row));
        self.agent.report_executed_actions(&actions.collect::<mindseye_interface::Result<Vec<Action>>>()?);
        Ok(())
    }

    /// The next plan begins with `rows`, the actions of its first control steps in the robot's units: they will be
    /// executed while it is made (real-time chunking), and the rest of the plan is the best that can follow them.
    ///
    /// # Errors
    /// [`Error::Shape`] for rows of another width, values out of bounds, and where nothing would be left to plan.
    pub fn commit(&mut self, rows: &[Vec<f64>]) -> Result<()> {
        let wrong = |expected: String, got: String| Error::Shape { operation: "committed", expected, got };
        if rows.len() >= self.plan_steps {
            let expected = format!("fewer than the {} control steps of a plan", self.plan_steps);
            return Err(wrong(expected, rows.len().to_string()));
        }
        for row in rows {
            if row.len() != self.space.width() {
                return Err(wrong(format!("{} numbers per control step", self.space.width()), row.len().to_string()));
            }
            for (index, value) in row.iter().enumerate() {
                let (low, high) = (self.space.low[index], self.space.high[index]);
                let rounding = 1e-6 * (high - low);
                if !(low - rounding..=high + rounding).contains(value) {
                    let name = &self.space.names[index];
                    return Err(wrong(format!("{name} within {low} to {high}"), value.to_string()));
                }
            }
        }
        let actions = rows.iter().map(|row| self.space.normalise(row));
        self.agent.commit(&actions.collect::<mindseye_interface::Result<Vec<Action>>>()?);
        Ok(())
    }

    /// The next image does not follow from what was before: the plan before is dropped, memory stays.
    pub fn start_episode(&mut self) {
        self.agent.start_episode();
    }

    /// A plan from what `images` show, where `proprioception` is measured. Without images (a lost frame) it starts
    /// from the state predicted for now.
    ///
    /// # Errors
    /// When the images do not fit the model, there is no goal, or planning fails.
    pub fn plan(
        &mut self,
        images: Vec<CameraImage>,
        proprioception: &[f32],
        clock: &dyn Clock,
    ) -> Result<(SessionPlan, Vec<String>)> {
        self.require_proprioception("proprioception", proprioception)?;
        let spec = self.source.model().spec();
        let lost = images.is_empty();
        let (frames, notes) = if lost { Default::default() } else { images::frames(spec, images, "image")? };
        if !lost {
            self.observed.clone_from(&frames);
        }
        let observation = self.observation(frames, proprioception);
        self.ticks += 1;
        let report = self.agent.tick(&observation, clock);
        if let Some(error) = &report.error {
            return Err(Error::Tick { reason: error.clone() });
        }
        let distances = self.agent.expected_distances(&report, &observation)?.ok_or(Error::Blind)?;
        let expected = report.expected.as_ref();
        let imagined = expected.map_or_else(Vec::new, |expected| {
            (0..expected.horizon()).map(|chunk| expected.state(0, 0, chunk).values().to_vec()).collect()
        });
        let width = self.space.width();
        let physical = |values: &[f32]| self.space.denormalise(&Action::new(values.to_vec())?);
        let rows = report.plan.values().chunks_exact(width).map(physical);
        let actions = PlannedActions {
            names: self.space.names.clone(),
            units: self.space.units.clone(),
            step_secs: self.source.control_step_secs(),
            action_chunk: self.source.model().spec().action_chunk,
            actions: rows.collect::<mindseye_interface::Result<_>>()?,
            distance: GoalDistances {
                now: distances.now,
                planned: distances.planned,
                holding_still: distances.holding_still,
            },
            planning_ms: report.planning_ms,
            predicted_states: report.predicted_states,
            surprise: report.surprise,
            fallback: report.fallback.map(|fallback| format!("{fallback:?}")),
        };
        Ok((SessionPlan { actions, imagined }, notes))
    }

    /// Does what `request` says: the goal, what was executed, a plan.
    ///
    /// # Errors
    /// As the other methods. Images are read before anything changes.
    pub fn answer(&mut self, request: &PlanRequest, clock: &dyn Clock) -> Result<(SessionPlan, Vec<String>)> {
        let read = |images: &Option<NamedImages>, field| images.as_ref().map(|images| images.read(field));
        let goal = read(&request.goal, "goal").transpose()?;
        let image = read(&request.image, "image").transpose()?.unwrap_or_default();
        let mut notes = match goal {
            Some(goal) => self.set_goal(goal, &request.goal_proprioception)?,
            None => Vec::new(),
        };
        if request.new_episode {
            self.start_episode();
        } else if let Some(executed) = &request.executed {
            self.report_executed(executed)?;
        }
        let (plan, more) = self.plan(image, &request.proprioception, clock)?;
        notes.extend(more);
        Ok((plan, notes))
    }

    fn observation(&self, frames: Vec<Frame>, proprioception: &[f32]) -> Observation {
        let time_secs = self.ticks as f64;
        Observation { frames, proprioception: proprioception.to_vec(), tick: self.ticks, time_secs }
    }

    /// Refuses another number of measurements than the model takes; a model of images alone takes any.
    fn require_proprioception(&self, operation: &'static str, got: &[f32]) -> Result<()> {
        let expected = self.source.model().spec().proprioception;
        if let Some(value) = got.iter().find(|value| !value.is_finite()) {
            return Err(Error::Shape { operation, expected: "finite numbers".into(), got: value.to_string() });
        }
        if expected == 0 || got.len() == expected {
            return Ok(());
        }
        let (expected, got) = (format!("the {expected} measurements that the model takes"), got.len().to_string());
        Err(Error::Shape { operation, expected, got })
    }
}

/// Actions of `width` numbers that nothing is known of.
fn unnamed(width: usize) -> ActionSpace {
    ActionSpace {
        names: (0..width).map(|index| format!("action_{index}")).collect(),
        units: vec![String::new(); width],
        low: vec![-1.0; width],
        high: vec![1.0; width],
        neutral: Vec::new(),
    }
}
