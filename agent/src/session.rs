//! One agent for a body that others drive: images and measurements in, plans in the robot's units out. It needs no
//! environment; between two plans it keeps its memory and the rest of the plan before.

mod images;
mod novelty;
mod planned;
mod protocol;

use std::path::Path;

use mindseye_interface::{Action, ActionSpace, Clock, Frame, Goal, Image, Neutral, Observation, Seed};

pub use self::images::{CameraImage, NamedImages, goal_frames};
use self::novelty::Novelty;
pub use self::planned::{GoalDistances, PlannedActions, SessionPlan};
pub use self::protocol::{Executed, MAX_LINE_BYTES, PlanRequest};
use crate::agent::Agent;
use crate::configurator::Task;
use crate::directive::StateSource;
use crate::model_source::ModelSource;
use crate::{Error, Result};

/// How far beyond a bound, in shares of the range, an executed action may lie: it is taken as the bound.
const EXECUTED_BEYOND: f64 = 0.1;
/// The same of committed actions, which come from a plan.
const ROUNDING: f64 = 1e-6;

/// What was executed since the last plan, checked.
enum ExecutedSteps {
    /// The first control steps of that plan.
    OfThePlan(usize),
    /// Other actions.
    These(Vec<Action>),
}

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
    novelty: Option<Novelty>,
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
        Ok(Self { agent, source: source.clone(), space, observed, goal, ticks: 0, plan_steps, novelty: None })
    }

    /// From now on notes say which images are unlike those of the training, by the calibration of surprise in the
    /// checkpoint's `folder`. Without one they do not.
    ///
    /// # Errors
    /// When that file is broken, or of another model.
    pub fn note_novelty(&mut self, folder: &Path) -> Result<()> {
        self.novelty = Novelty::of(&self.source, folder)?;
        Ok(())
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
        let (frames, mut notes) = images::frames(self.source.model().spec(), images, "goal")?;
        notes.extend(self.novelty_of(&frames, proprioception, "goal")?);
        self.pursue(frames, proprioception)?;
        Ok(notes)
    }

    fn pursue(&mut self, frames: Vec<Frame>, proprioception: &[f32]) -> Result<()> {
        let observation = self.observation(frames, proprioception);
        let goal = observation.frames.clone();
        self.agent.set_image_goal(observation)?;
        self.goal = goal;
        Ok(())
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
        let executed = self.checked_executed(executed)?;
        self.remember_executed(executed);
        Ok(())
    }

    /// Whether [`PlanningSession::report_executed`] would take `executed`. Nothing changes.
    ///
    /// # Errors
    /// As [`PlanningSession::report_executed`].
    pub fn check_executed(&self, executed: &Executed) -> Result<()> {
        self.checked_executed(executed).map(drop)
    }

    /// What was executed, normalised.
    fn checked_executed(&self, executed: &Executed) -> Result<ExecutedSteps> {
        let (chunk, width) = (self.source.model().spec().action_chunk, self.space.width());
        let wrong = |expected: String, got: String| Err(Error::Shape { operation: "executed", expected, got });
        let most = format!("at most {chunk} control steps, the model's action chunk (or new_episode)");
        let rows = match executed {
            Executed::Steps(steps) if *steps > chunk => return wrong(most, steps.to_string()),
            Executed::Steps(steps) => return Ok(ExecutedSteps::OfThePlan(*steps)),
            Executed::Actions(rows) => rows.clone(),
            Executed::Flat(values) => values.chunks(width.max(1)).map(<[f64]>::to_vec).collect(),
        };
        if rows.len() > chunk {
            return wrong(most, rows.len().to_string());
        }
        Ok(ExecutedSteps::These(self.checked_actions("executed", &rows, EXECUTED_BEYOND)?))
    }

    /// `rows`, one per control step in the robot's units, normalised. Values may lie beyond a bound by a share of the
    /// range, and are taken as the bound.
    fn checked_actions(&self, operation: &'static str, rows: &[Vec<f64>], beyond: f64) -> Result<Vec<Action>> {
        let wrong = |expected: String, got: String| Err(Error::Shape { operation, expected, got });
        for row in rows {
            if row.len() != self.space.width() {
                return wrong(format!("{} numbers per control step", self.space.width()), row.len().to_string());
            }
            for (index, value) in row.iter().enumerate() {
                let (low, high) = (self.space.low[index], self.space.high[index]);
                let beyond = beyond * (high - low);
                if !(low - beyond..=high + beyond).contains(value) {
                    let name = &self.space.names[index];
                    return wrong(format!("{name} within {low} to {high}"), value.to_string());
                }
            }
        }
        let actions = rows.iter().map(|row| self.space.normalise(row));
        Ok(actions.collect::<mindseye_interface::Result<_>>()?)
    }

    fn remember_executed(&mut self, executed: ExecutedSteps) {
        match executed {
            ExecutedSteps::OfThePlan(steps) => self.agent.report_executed(steps),
            ExecutedSteps::These(actions) if actions.is_empty() => self.agent.report_executed(0),
            ExecutedSteps::These(actions) => self.agent.report_executed_actions(&actions),
        }
    }

    /// The next plan begins with `rows`, the actions of its first control steps in the robot's units: they will be
    /// executed while it is made (real-time chunking), and the rest of the plan is the best that can follow them.
    ///
    /// # Errors
    /// [`Error::Shape`] for rows of another width, values out of bounds, and where nothing would be left to plan.
    pub fn commit(&mut self, rows: &[Vec<f64>]) -> Result<()> {
        let actions = self.checked_committed(rows)?;
        self.agent.commit(&actions);
        Ok(())
    }

    /// Whether [`PlanningSession::commit`] would take `rows`. Nothing changes.
    ///
    /// # Errors
    /// As [`PlanningSession::commit`].
    pub fn check_committed(&self, rows: &[Vec<f64>]) -> Result<()> {
        self.checked_committed(rows).map(drop)
    }

    fn checked_committed(&self, rows: &[Vec<f64>]) -> Result<Vec<Action>> {
        if rows.len() >= self.plan_steps {
            let expected = format!("fewer than the {} control steps of a plan", self.plan_steps);
            return Err(Error::Shape { operation: "committed", expected, got: rows.len().to_string() });
        }
        self.checked_actions("committed", rows, ROUNDING)
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
        let (frames, mut notes) = self.checked_images(images, proprioception)?;
        notes.extend(self.novelty_of(&frames, proprioception, "image")?);
        let (plan, rejected) = self.plan_from(frames, proprioception, clock)?;
        notes.extend(rejected);
        Ok((plan, notes))
    }

    /// The frames that `images` are, and what was done to them; none where the frame was lost.
    fn checked_images(&self, images: Vec<CameraImage>, proprioception: &[f32]) -> Result<(Vec<Frame>, Vec<String>)> {
        self.require_proprioception("proprioception", proprioception)?;
        self.require_positions(proprioception)?;
        let spec = self.source.model().spec();
        if images.is_empty() { Ok(Default::default()) } else { images::frames(spec, images, "image") }
    }

    /// A plan, and what is to be said where the images were not believed.
    fn plan_from(
        &mut self,
        frames: Vec<Frame>,
        proprioception: &[f32],
        clock: &dyn Clock,
    ) -> Result<(SessionPlan, Option<String>)> {
        if !frames.is_empty() {
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
        let rejected = (report.state_source == StateSource::Rejected).then(|| {
            let surprise = report.surprise.unwrap_or(f32::INFINITY);
            format!("image: NOT BELIEVED (surprise {surprise:.2}): the plan starts from the state that was predicted")
        });
        Ok((SessionPlan { actions, imagined }, rejected))
    }

    /// Does what `request` says: the goal, what was executed, a plan.
    ///
    /// # Errors
    /// As the other methods. All of the request is checked before anything changes: one that is refused can be
    /// corrected and sent again.
    pub fn answer(&mut self, request: &PlanRequest, clock: &dyn Clock) -> Result<(SessionPlan, Vec<String>)> {
        let read = |images: &Option<NamedImages>, field| images.as_ref().map(|images| images.read(field));
        let goal = read(&request.goal, "goal").transpose()?;
        let image = read(&request.image, "image").transpose()?.unwrap_or_default();
        if goal.is_none() && !self.agent.has_goal() {
            return Err(Error::Request { reason: "goal: expected one, got none so far".into() });
        }
        let (mut notes, mut goal_frames) = (Vec::new(), None);
        if let Some(images) = goal {
            self.require_proprioception("goal_proprioception", &request.goal_proprioception)?;
            let (frames, said) = images::frames(self.source.model().spec(), images, "goal")?;
            notes.extend(said);
            notes.extend(self.novelty_of(&frames, &request.goal_proprioception, "goal")?);
            goal_frames = Some(frames);
        }
        let (frames, said) = self.checked_images(image, &request.proprioception)?;
        notes.extend(said);
        notes.extend(self.novelty_of(&frames, &request.proprioception, "image")?);
        let executed = request.executed.as_ref().map(|executed| self.checked_executed(executed)).transpose()?;

        if let Some(goal) = goal_frames {
            self.pursue(goal, &request.goal_proprioception)?;
        }
        if request.new_episode {
            self.start_episode();
        } else if let Some(executed) = executed {
            self.remember_executed(executed);
        }
        let (plan, rejected) = self.plan_from(frames, &request.proprioception, clock)?;
        notes.extend(rejected);
        Ok((plan, notes))
    }

    /// What is to be said of images, the `name` (image or goal) of a plan, that are like none of the training.
    fn novelty_of(&self, frames: &[Frame], proprioception: &[f32], name: &str) -> Result<Option<String>> {
        let Some(novelty) = &self.novelty else { return Ok(None) };
        novelty.of_image(&self.source, &self.observation(frames.to_vec(), proprioception), name)
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

    /// Joints that are commanded absolutely hold still where they are measured.
    fn require_positions(&self, got: &[f32]) -> Result<()> {
        let positions = self.space.neutral.iter().zip(&self.space.names).filter_map(|(neutral, name)| match neutral {
            Neutral::HoldPosition { proprioception } => Some((*proprioception, name)),
            Neutral::Value(_) => None,
        });
        let missing: Vec<_> = positions.filter(|(at, _)| *at >= got.len()).collect();
        let Some(values) = missing.iter().map(|(at, _)| at + 1).max() else { return Ok(()) };
        let names = missing.iter().map(|(at, name)| format!("{name} as value {at}")).collect::<Vec<_>>().join(", ");
        let expected =
            format!("at least {values} values, with the measured position of {names} (commands are absolute)");
        Err(Error::Shape { operation: "proprioception", expected, got: got.len().to_string() })
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
        max_step: Vec::new(),
    }
}
