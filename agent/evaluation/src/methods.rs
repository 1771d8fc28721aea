//! The methods that come with the evaluator: agents with a learned model, and the baselines.

use std::path::Path;
use std::sync::Arc;

use mindseye_agent::assembly::{self, Options, Overrides, TrueWorld, TrueWorldActor};
use mindseye_agent::cost::CRITIC;
use mindseye_agent::directive::terms;
use mindseye_agent::world_model::SimulatorWorldModel;
use mindseye_agent::{Agent, ModelSource, RunGoal, Task, TickReport};
use mindseye_interface::{Clock, Observation, Simulator};
use mindseye_world_model::families::frozen::{FrozenRecord, FrozenWorldModel};
use mindseye_world_model::{AnyCheckpoint, Checkpoint, Head, Lewm, LoadOptions, PublishedLewm};

use crate::{
    Controller, EpisodeStart, Error, GoalSequence, GoalState, Method, ModelIdentity, Result, checkpoint_files,
};

/// File with the weights of a checkpoint.
const WEIGHTS: &str = "model.safetensors";

/// An agent with a learned model of any family, whole or without a part.
#[derive(Debug, Clone)]
pub struct LearnedAgent {
    name: &'static str,
    source: ModelSource,
    identity: Option<ModelIdentity>,
    /// SHA-256 of the files of the checkpoint.
    files: Option<String>,
    overrides: Overrides,
}

impl LearnedAgent {
    /// The agent with the checkpoint in `folder`, or with a LeWorldModel's file of weights, which must be of `scene`
    /// where it says its scene.
    ///
    /// # Errors
    /// When the checkpoint is broken or of another scene.
    pub fn load(folder: &Path, scene: &str) -> Result<Self> {
        Self::load_with(folder, scene, &LoadOptions::default())
    }

    /// As [`LearnedAgent::load`], with what the folder does not say.
    ///
    /// # Errors
    /// As [`LearnedAgent::load`].
    pub fn load_with(folder: &Path, scene: &str, options: &LoadOptions) -> Result<Self> {
        let is_frozen = FrozenWorldModel::is_in(folder);
        if !is_frozen && !Lewm::is_in(folder) {
            let checkpoint = Arc::new(Checkpoint::load_for_scene(folder, scene)?);
            let identity = ModelIdentity::read(folder, WEIGHTS, Some(checkpoint.config.training.seed))?;
            let files = Some(checkpoint_files::digest(folder)?);
            return Ok(Self { identity: Some(identity), files, ..Self::new(checkpoint) });
        }
        let agent = Self::new(Arc::new(AnyCheckpoint::load_with(folder, options)?));
        if let Some(other) = agent.source.scene().filter(|other| *other != scene) {
            let operation = format!("{}: scene", folder.display());
            return Err(Error::value(operation, scene, other));
        }
        if is_frozen {
            let seed = FrozenRecord::read(folder)?.training.seed;
            let identity = Some(ModelIdentity::read(folder, WEIGHTS, Some(seed))?);
            return Ok(Self { identity, files: Some(checkpoint_files::digest(folder)?), ..agent });
        }
        let weights = Lewm::weights_file(folder)?;
        let parent = weights.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = parent.unwrap_or(Path::new("."));
        let name = weights.file_name().unwrap_or_default().to_string_lossy();
        let identity = Some(ModelIdentity::read(folder, &name, None)?);
        Ok(Self { identity, files: Some(checkpoint_files::digest(folder)?), ..agent })
    }

    /// The agent with a checkpoint of any family. Reports do not name its files.
    pub fn new(checkpoint: impl Into<ModelSource>) -> Self {
        let source = checkpoint.into();
        let name = if is_lewm(&source) { "lewm" } else { "learned_agent" };
        Self { name, source, identity: None, files: None, overrides: Overrides::default() }
    }

    /// The same agent without the parts that `overrides` takes away, called `name` in reports.
    #[must_use]
    pub fn without(&self, name: &'static str, overrides: Overrides) -> Self {
        Self { name, overrides, ..self.clone() }
    }

    /// Its model, with what lies beside it.
    pub fn source(&self) -> &ModelSource {
        &self.source
    }

    /// Its checkpoint.
    ///
    /// # Errors
    /// [`Error::Value`] for a model that is no JEPA.
    pub fn checkpoint(&self) -> Result<&Arc<Checkpoint>> {
        match &self.source {
            ModelSource::Jepa(checkpoint) => Ok(checkpoint),
            _ => Err(Error::value("checkpoint", "a model of the family jepa", "one of another family")),
        }
    }

    /// Whether there is a policy beside its model.
    pub fn has_policy(&self) -> bool {
        matches!(self.source.policy(), Ok(Some(_)))
    }

    /// Whether there is a critic beside its model.
    pub fn has_critic(&self) -> bool {
        matches!(self.source.critic(), Ok(Some(_)))
    }

    /// Side of the model's images, pixels.
    pub fn image_side(&self) -> usize {
        self.source.model().spec().cameras.first().map_or(0, |camera| camera.width)
    }
}

/// Whether the model is a LeWorldModel.
fn is_lewm(source: &ModelSource) -> bool {
    source.model().as_any().is::<PublishedLewm>()
}

/// The learned agent with the simulator as its dynamics: perception, cost and goals are the model's. What still fails
/// is not the fault of the learned dynamics.
#[derive(Debug, Clone)]
pub struct OracleDynamics {
    /// The learned agent.
    pub agent: LearnedAgent,
}

/// Uniformly random actions.
#[derive(Debug, Clone, Copy)]
pub struct RandomActions {
    /// Control steps per action chunk.
    pub action_chunk: usize,
}

/// The action that holds still, in every control step.
#[derive(Debug, Clone, Copy)]
pub struct NoOp {
    /// Control steps per action chunk.
    pub action_chunk: usize,
}

/// The task's planner in the simulator, with the task's own distance.
#[derive(Debug, Clone, Copy)]
pub struct Oracle {
    /// Control steps per action chunk.
    pub action_chunk: usize,
}

impl Method for LearnedAgent {
    fn name(&self) -> &str {
        self.name
    }

    fn action_chunk(&self) -> usize {
        self.source.model().spec().action_chunk
    }

    fn model(&self) -> Option<&ModelIdentity> {
        self.identity.as_ref()
    }

    fn fingerprint(&self) -> Option<String> {
        let files = self.files.as_ref()?;
        Some(format!("{} {:?} {files}", self.name, self.overrides))
    }

    fn critic_discount(&self) -> Option<f32> {
        // A critic that cannot be read is refused when the first episode begins.
        self.source.critic().ok().flatten().map(|critic| critic.config().discount)
    }

    /// A LeWorldModel has no critic, and its predictor has one sample per plan.
    fn check_task(&self, task: &Task) -> Result<()> {
        let unknown = |name: &&String| [CRITIC, terms::CURIOSITY].contains(&name.as_str());
        match task.weights.keys().find(unknown).filter(|_| is_lewm(&self.source)) {
            None => Ok(()),
            Some(name) => Err(unsupported_weight(self.name, name)),
        }
    }

    fn begin(&self, world: &dyn Simulator, start: &EpisodeStart<'_>) -> Result<Box<dyn Controller>> {
        let options = Options { threads: start.threads, overrides: self.overrides };
        let agent = Agent::from_checkpoint_with(&self.source, start.task, start.seed, &options)?;
        // What holds the body still follows from the meaning of its actions, which not every checkpoint knows.
        let agent = match self.source.action_space() {
            Some(_) => agent,
            None => agent.with_action_space(world.action_space().clone()),
        };
        LearnedController::begin(agent, None, world, start)
    }
}

impl Method for OracleDynamics {
    fn name(&self) -> &str {
        "oracle_dynamics"
    }

    fn action_chunk(&self) -> usize {
        self.agent.action_chunk()
    }

    fn model(&self) -> Option<&ModelIdentity> {
        self.agent.model()
    }

    fn fingerprint(&self) -> Option<String> {
        Some(format!("{} {}", self.name(), self.agent.fingerprint()?))
    }

    fn critic_discount(&self) -> Option<f32> {
        self.agent.critic_discount()
    }

    fn check_task(&self, task: &Task) -> Result<()> {
        let proposes = self.agent.source.policy()?.is_some() && task.names_states().is_none();
        let planner = task.planner_with_policy.as_ref().filter(|_| proposes).unwrap_or(&task.planner);
        if !planner.needs_gradients() {
            return Ok(());
        }
        Err(Error::UnsupportedTask {
            method: self.name().to_owned(),
            field: "planner",
            expected: "a planner without gradients, which the simulator has not".into(),
            got: planner.name().into(),
        })
    }

    fn begin(&self, world: &dyn Simulator, start: &EpisodeStart<'_>) -> Result<Box<dyn Controller>> {
        require_snapshots(self.name(), world)?;
        let options = Options { threads: start.threads, overrides: self.agent.overrides };
        let (agent, dynamics) = assembly::oracle_dynamics(&self.agent.source, start.task, world, start.seed, &options)?;
        LearnedController::begin(agent, Some(dynamics), world, start)
    }
}

/// A baseline that knows the true state.
trait TrueWorldMethod: Sync {
    const NAME: &'static str;
    const ACTOR: TrueWorldActor;
    fn chunk(&self) -> usize;
}

impl TrueWorldMethod for RandomActions {
    const NAME: &'static str = "random";
    const ACTOR: TrueWorldActor = TrueWorldActor::Random;

    fn chunk(&self) -> usize {
        self.action_chunk
    }
}

impl TrueWorldMethod for NoOp {
    const NAME: &'static str = "no_op";
    const ACTOR: TrueWorldActor = TrueWorldActor::Hold;

    fn chunk(&self) -> usize {
        self.action_chunk
    }
}

impl TrueWorldMethod for Oracle {
    const NAME: &'static str = "oracle";
    const ACTOR: TrueWorldActor = TrueWorldActor::Planner;

    fn chunk(&self) -> usize {
        self.action_chunk
    }
}

impl<T: TrueWorldMethod> Method for T {
    fn name(&self) -> &str {
        T::NAME
    }

    fn action_chunk(&self) -> usize {
        self.chunk()
    }

    fn fingerprint(&self) -> Option<String> {
        Some(format!("{} {}", T::NAME, self.chunk()))
    }

    /// Curiosity is about samples of a learned model, and the true world has none. A critic, which is about a learned
    /// model too, is left out where the true state is known.
    fn check_task(&self, task: &Task) -> Result<()> {
        let known = |name: &str| name != terms::CURIOSITY && terms::ALL.contains(&name);
        match task.weights.keys().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(unsupported_weight(T::NAME, name)),
        }
    }

    fn begin(&self, world: &dyn Simulator, start: &EpisodeStart<'_>) -> Result<Box<dyn Controller>> {
        if T::ACTOR == TrueWorldActor::Planner {
            require_snapshots(T::NAME, world)?;
        }
        let world = assembly::true_world(start.task, world, T::ACTOR, self.chunk(), start.seed, start.threads)?;
        let mut controller = TrueWorldController { world };
        controller.set_goals(start.goals)?;
        Ok(Box::new(controller))
    }
}

/// Refuses a world that cannot be copied: `method` plans in copies of it.
fn require_snapshots(method: &str, world: &dyn Simulator) -> Result<()> {
    match world.has_snapshots() {
        true => Ok(()),
        false => Err(Error::value(method, "a world with snapshots", format!("{} without", world.scene()))),
    }
}

/// The error for a weight of a term that is about what `method` has not: samples of a learned model, or a critic.
fn unsupported_weight(method: &str, name: &str) -> Error {
    let known = terms::ALL.into_iter().filter(|term| ![terms::CURIOSITY, CRITIC].contains(term));
    Error::UnsupportedTask {
        method: method.to_owned(),
        field: "weights",
        expected: known.collect::<Vec<_>>().join(", "),
        got: name.to_owned(),
    }
}

/// An agent that observes the world, and the simulator that it imagines with if it does.
struct LearnedController {
    agent: Agent,
    dynamics: Option<SimulatorWorldModel>,
    state_names: Vec<String>,
}

impl LearnedController {
    fn begin(
        agent: Agent,
        dynamics: Option<SimulatorWorldModel>,
        world: &dyn Simulator,
        start: &EpisodeStart<'_>,
    ) -> Result<Box<dyn Controller>> {
        let mut controller = Self { agent, dynamics, state_names: world.state_names() };
        controller.set_goals(start.goals)?;
        Ok(Box::new(controller))
    }
}

impl Controller for LearnedController {
    fn set_goals(&mut self, goals: &GoalSequence) -> Result<()> {
        let run_goal = |goal: &GoalState| RunGoal {
            observation: goal.observation.clone(),
            state: self.state_names.iter().cloned().zip(goal.state.iter().copied()).collect(),
        };
        Ok(self.agent.set_run_goals(&goals.0.iter().map(run_goal).collect::<Vec<_>>())?)
    }

    fn start_episode(&mut self) {
        self.agent.start_episode();
    }

    fn tick(&mut self, world: &dyn Simulator, observation: &Observation, clock: &dyn Clock) -> Result<TickReport> {
        if let Some(dynamics) = &self.dynamics {
            dynamics.synchronise(world)?;
        }
        Ok(self.agent.tick(observation, clock))
    }

    fn report_executed(&mut self, steps: usize) {
        self.agent.report_executed(steps);
    }
}

/// An agent that knows the true state.
struct TrueWorldController {
    world: TrueWorld,
}

impl Controller for TrueWorldController {
    fn set_goals(&mut self, goals: &GoalSequence) -> Result<()> {
        Ok(self.world.set_goals(&goals.0.iter().map(|goal| goal.state.clone()).collect::<Vec<_>>())?)
    }

    fn start_episode(&mut self) {
        self.world.start_episode();
    }

    fn tick(&mut self, world: &dyn Simulator, observation: &Observation, clock: &dyn Clock) -> Result<TickReport> {
        Ok(self.world.tick(world, observation, clock)?)
    }

    fn report_executed(&mut self, steps: usize) {
        self.world.report_executed(steps);
    }
}
