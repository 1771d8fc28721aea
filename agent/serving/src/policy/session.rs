//! One client's agent: messages in, plans out.

use std::path::Path;
use std::time::Instant;

use mindseye_agent::configurator::Task;
use mindseye_agent::session::{CameraImage, PlannedActions, PlanningSession};
use mindseye_agent::{ModelSource, Result as AgentResult};
use mindseye_interface::{ActionSpace, Clock, Seed, SystemClock};
use mindseye_world_model::CameraSpec;

use super::images::by_camera;
use super::request::{GoalRequest, Request};
use super::{KEYS, PROTOCOL};
use crate::message::{Array, Map, Value};
use crate::{Error, Result};

/// An agent with a goal, a memory and a previous plan of its own.
pub struct PolicySession {
    planning: PlanningSession,
    cameras: Vec<CameraSpec>,
    action_chunk: usize,
    clock: SystemClock,
    greeting: Map,
}

impl PolicySession {
    /// A session with the model of `source` that pursues `task`. Sessions of equal seeds answer equal requests alike,
    /// whoever else is served.
    ///
    /// # Errors
    /// When the task asks for what the checkpoint does not have.
    pub fn new(source: &ModelSource, fingerprint: &str, task: &Task, seed: Seed) -> Result<Self> {
        let planning = PlanningSession::for_any_goal(source, task, seed)?;
        let spec = source.model().spec();
        let greeting = greeting(source, fingerprint, task, &planning);
        let (cameras, action_chunk) = (spec.cameras.clone(), spec.action_chunk);
        Ok(Self { planning, cameras, action_chunk, clock: SystemClock::start(), greeting })
    }

    /// From now on replies note images unlike those of the training, by what is in the checkpoint's `folder`.
    ///
    /// # Errors
    /// As [`PlanningSession::note_novelty`].
    pub fn note_novelty(&mut self, folder: &Path) -> Result<()> {
        Ok(self.planning.note_novelty(folder)?)
    }

    /// What a client is told first: what the policy takes and gives.
    pub fn greeting(&self) -> Value {
        Value::Map(self.greeting.clone())
    }

    /// What the numbers of an action are.
    pub fn action_space(&self) -> &ActionSpace {
        self.planning.action_space()
    }

    /// Reads `message`: what takes no planner.
    ///
    /// # Errors
    /// For bytes that are no message, and keys that make no sense.
    pub fn read(&self, message: &[u8]) -> Result<Request> {
        Request::of(&Value::decode(message)?)
    }

    /// Does what `request` says and plans. The session goes on after an error; goal and memory are what they were.
    ///
    /// # Errors
    /// When images do not fit the model, there is no goal, or planning fails.
    pub fn answer(&mut self, request: Request) -> Result<Map> {
        self.answer_by(request, None)
    }

    /// As [`PolicySession::answer`], with times of another clock.
    ///
    /// # Errors
    /// As [`PolicySession::answer`].
    pub fn answer_by(&mut self, request: Request, clock: Option<&dyn Clock>) -> Result<Map> {
        let begun = Instant::now();
        // Everything that can be wrong in a request is looked at before anything changes.
        let images = match request.images.is_empty() {
            true => Vec::new(),
            false => by_camera(request.images, &self.cameras)?,
        };
        let committed = match &request.committed {
            Some(actions) => actions.rows("committed", self.action_space().width())?,
            None => Vec::new(),
        };
        let executed = request.executed.as_ref().filter(|_| !request.new_episode);
        executed.map_or(Ok(()), |executed| self.planning.check_executed(executed))?;
        self.planning.check_committed(&committed)?;
        let mut notes = match request.goal {
            None => Vec::new(),
            Some(goal) => self.set_goal(goal, &images, &request.proprioception, &request.goal_proprioception)?,
        };
        self.planning.commit(&committed)?;
        match executed {
            Some(executed) => self.planning.report_executed(executed)?,
            None if request.new_episode => self.planning.start_episode(),
            None => {}
        }
        let clock = clock.unwrap_or(&self.clock);
        let (plan, more) = self.planning.plan(images, &request.proprioception, clock)?;
        notes.extend(more);
        let mut plan = plan.actions;
        // What was committed comes back as it was sent, to the last digit.
        plan.actions.iter_mut().zip(committed).for_each(|(planned, committed)| *planned = committed);
        Ok(reply(&plan, notes, begun.elapsed().as_secs_f64() * 1e3))
    }

    fn set_goal(
        &mut self,
        goal: GoalRequest,
        seen: &[CameraImage],
        proprioception: &[f32],
        goal_proprioception: &[f32],
    ) -> Result<Vec<String>> {
        let set: AgentResult<Vec<String>> = match goal {
            GoalRequest::Images(images) => {
                self.planning.set_goal(by_camera(images, &self.cameras)?, goal_proprioception)
            }
            GoalRequest::Live if seen.is_empty() => {
                return Err(Error::field("goal", "images beside the word live, which means what they show", "none"));
            }
            GoalRequest::Live => self.planning.set_goal(seen.to_vec(), proprioception),
            GoalRequest::State(goal) => self.planning.set_state_goal(goal).map(|()| Vec::new()),
        };
        Ok(set?)
    }

    /// Control steps of an action chunk.
    pub fn action_chunk(&self) -> usize {
        self.action_chunk
    }
}

/// A plan as it is sent. Only `actions` is an array: clients of openpi cut every array of a reply along its first side.
fn reply(plan: &PlannedActions, notes: Vec<String>, infer_ms: f64) -> Map {
    let floats = |values: &[f32]| Value::from(values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>());
    let distance = Value::from([
        ("now", f64::from(plan.distance.now).into()),
        ("planned", floats(&plan.distance.planned)),
        ("holding_still", plan.distance.holding_still.as_deref().map_or(Value::Nil, floats)),
    ]);
    let timing = Value::from([("infer_ms", infer_ms.into()), ("planning_ms", plan.planning_ms.into())]);
    let fields = [
        ("actions", Array::of_rows(&plan.actions, plan.names.len()).into()),
        ("action_chunk", plan.action_chunk.into()),
        ("distance", distance),
        ("fallback", plan.fallback.clone().into()),
        ("notes", notes.into()),
        ("planning_ms", plan.planning_ms.into()),
        ("predicted_states", plan.predicted_states.into()),
        ("server_timing", timing),
        ("surprise", plan.surprise.map(f64::from).into()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn greeting(source: &ModelSource, fingerprint: &str, task: &Task, planning: &PlanningSession) -> Map {
    let (spec, space) = (source.model().spec(), planning.action_space());
    let camera = |camera: &CameraSpec| {
        Value::from([
            ("name", camera.name.clone().into()),
            ("height", camera.height.into()),
            ("width", camera.width.into()),
        ])
    };
    let actions = Value::from([
        ("names", space.names.clone().into()),
        ("units", space.units.clone().into()),
        ("low", space.low.clone().into()),
        ("high", space.high.clone().into()),
    ]);
    let model =
        Value::from([("fingerprint", fingerprint.into()), ("scene", source.scene().unwrap_or_default().into())]);
    let fields = [
        ("server", "mindseye".into()),
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("protocol", PROTOCOL.into()),
        ("model", model),
        ("task", task.name.as_str().into()),
        ("actions", actions),
        ("action_chunk", spec.action_chunk.into()),
        ("plan_steps", planning.plan_steps().into()),
        ("control_step_secs", source.control_step_secs().into()),
        ("cameras", Value::List(spec.cameras.iter().map(camera).collect())),
        ("proprioception", spec.proprioception.into()),
        ("keys", KEYS.map(str::to_owned).to_vec().into()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
