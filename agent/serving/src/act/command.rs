//! The arguments of `mindseye act`, and what they run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use mindseye_agent::control_loop::{Latch, Limits, run_with_commands};
use mindseye_agent::session::{CameraImage, goal_frames};
use mindseye_agent::{Agent, ModelSource, RunGoal, Task};
use mindseye_arms::{Arm, ArmUri};
use mindseye_cameras::{CameraSet, CameraUri};
use mindseye_interface::config::require_range;
use mindseye_interface::{ActionSpace, Environment, ImageSize, Observation, Seed};
use mindseye_world_model::ModelSpec;

use super::camera_body::CameraBody;
use super::keyboard::{Word, commands_of};
use super::report::{ActListener, ActReport};
use crate::body::RemoteBody;
use crate::program::{Program, token};
use crate::{Error, Result};

/// Drive a body towards a goal image, on a clock and under watch.
///
/// The agent sees through --camera (or the body's own), plans, and commands the body at --body. It begins by commanding
/// the body to be where it is. When a frame is late or frozen, a measurement is no number, planning takes too long, the
/// world surprises more than --stop-surprise, or the body does not answer, it holds the body still within one control
/// step and waits until you type `resume`. `goal` makes what is seen now the goal; `pause` and `stop` do what they say.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye serve --scene push_t --port 8001\n  \
    mindseye act --checkpoint push_t_checkpoint --body ws://127.0.0.1:8001 --goal goal.png --steps 100\n  \
    mindseye act --checkpoint runs/arm --body ws://10.0.0.7:8001 --camera v4l2:/dev/video0 --goal live --hz 10\n  \
    mindseye act --checkpoint runs/arm --body \"arm:/dev/ttyACM0?calibration=my_arm.json\" \\\n      \
        --camera v4l2:/dev/video0 --goal live")]
pub struct ActArguments {
    /// Folder of the checkpoint, or of a LeWorldModel.
    #[arg(long)]
    checkpoint: PathBuf,
    /// Address of the body: ws://HOST:PORT of `mindseye serve --scene`, or of a server of your own
    /// (docs/guides/act.md); or arm:PORT?calibration=FILE, an arm of serial servos (docs/guides/arm.md).
    #[arg(long, value_name = "URI")]
    body: String,
    /// What is wanted: a PNG or JPEG file (CAMERA=FILE for each of several cameras), or live: what the cameras show
    /// when you type goal.
    #[arg(long, required = true)]
    goal: Vec<String>,
    /// Cameras in the order of the model's, for example v4l2:/dev/video0 (see mindseye cameras). By default the body's
    /// own images.
    #[arg(long, value_name = "URI")]
    camera: Vec<CameraUri>,
    /// Task file (TOML): planner and costs. By default that of the checkpoint's scene, else the shipped `recorded`.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Control steps per second; by default the body's.
    #[arg(long)]
    hz: Option<f64>,
    /// Oldest frame that is acted on, milliseconds; an older one holds the body.
    #[arg(long, default_value_t = 300.0)]
    max_age_ms: f64,
    /// Time for a plan, milliseconds; by default the task's, and at most three quarters of a control step.
    #[arg(long)]
    deadline_ms: Option<f64>,
    /// Control steps that are executed while the next plan is made; by default as many as --deadline-ms takes. 0: the
    /// body waits for every plan.
    #[arg(long, value_name = "STEPS")]
    plan_ahead: Option<usize>,
    /// Longest time of a plan that is still executed, milliseconds; by default two control steps.
    #[arg(long)]
    max_planning_ms: Option<f64>,
    /// Surprise from which on the body is held (`mindseye act` prints what is usual); by default never.
    #[arg(long, value_name = "LIMIT")]
    stop_surprise: Option<f32>,
    /// The most that a command may differ from the one before, as a share of the action's range; by default any.
    #[arg(long, value_name = "SHARE")]
    max_change: Option<f32>,
    /// Control steps after which it ends; by default at Ctrl-C, or when you type stop.
    #[arg(long)]
    steps: Option<u64>,
    /// Measurements of the robot at the goal, for models that take them.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    goal_proprioception: Vec<f32>,
    /// Reset the body with this seed first (a simulator; a robot of yours may drive to a start).
    #[arg(long, value_name = "SEED")]
    reset: Option<u64>,
    /// File with the secret that the body's server wants.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Root of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON document on stdout at the end.
    #[arg(long)]
    json: bool,
}

/// The word for a goal that is shown to the cameras.
const LIVE: &str = "live";
/// Longest wait for the first frame of a camera.
const FIRST_FRAME: Duration = Duration::from_secs(10);
/// Control steps for the body's answers: so long a body of ours goes on without a word. A body may take the whole step
/// to answer.
const ANSWER_STEPS: f64 = 3.0;
/// Shortest time for the body's answers, seconds.
const LEAST_ANSWER_SECS: f64 = 0.2;
/// Share of a control step that planning may take, unless another deadline is named.
const PLANNING_SHARE: f64 = 0.75;
/// Share of the steps that are executed meanwhile which a plan may take: more of them are executed for a longer one.
const AHEAD_SHARE: f64 = 0.8;
/// Most control steps that are executed while a plan is made.
const MOST_AHEAD: usize = 1000;
/// How long before its first byte came an image was captured, where nobody says it and the camera does not, seconds.
const USUAL_LATENCY_SECS: f64 = 0.05;

impl ActArguments {
    /// Acts until the steps are done, or the program is asked to stop.
    ///
    /// # Errors
    /// When the checkpoint does not fit the body or the cameras, or the body is held and nobody can resume it.
    pub fn run(&self, program: &Program) -> Result<()> {
        let report = self.act(program)?;
        match self.json {
            true => {
                let text = serde_json::to_string_pretty(&report).map_err(|error| Error::Supplied(error.into()))?;
                (program.say)(&text);
            }
            false => (program.say)(&report.to_string()),
        }
        Ok(())
    }

    fn act(&self, program: &Program) -> Result<ActReport> {
        self.validate()?;
        let (checkpoint, task) = program.model(&self.checkpoint, self.task.as_deref(), self.deadline_ms)?;
        let source = ModelSource::from(&checkpoint);
        let asked_secs = self.hz.map(|hz| 1.0 / hz);
        let expected_secs = asked_secs.or(source.control_step_secs()).unwrap_or(0.1);
        let answer_secs = (ANSWER_STEPS * expected_secs).max(LEAST_ANSWER_SECS);
        let body = self.body_at(&source, answer_secs, task.budget_ms)?;
        require_same_actions(source.action_space(), body.action_space(), &|line| (program.note)(line))?;
        let step_secs = asked_secs.unwrap_or(body.control_step_secs());
        if let Some(trained) = source.control_step_secs().filter(|trained| (step_secs / trained - 1.0).abs() > 0.05) {
            (program.note)(&format!("control steps of {step_secs} s, the model was trained on {trained} s"));
        }
        let task = Task { budget_ms: self.planning_ms(task.budget_ms, step_secs), ..task };
        let mut agent = Agent::from_checkpoint(&source, &task, Seed::new(self.seed))?;
        let is_live = self.goal == [LIVE];
        if !is_live {
            agent.set_run_goals(&[RunGoal {
                observation: self.goal_of(source.model().spec())?,
                ..RunGoal::default()
            }])?;
        }
        let budget_secs = task.budget_ms / 1e3;
        let ahead = self.plan_ahead.unwrap_or((budget_secs / (AHEAD_SHARE * step_secs)).ceil() as usize);
        require_range("--plan-ahead", ahead, 0, MOST_AHEAD)?;
        let mut body = self.seen_body(program, body, source.model().spec(), step_secs)?;
        if let Some(seed) = self.reset {
            body.reset(Seed::new(seed))?;
        }
        let latch = Latch {
            surprise: self.stop_surprise,
            tick_secs: Some(self.max_planning_ms.map_or(2.0 * step_secs, |ms| ms / 1e3)),
            at_start: is_live.then(|| "there is no goal yet: show it to the cameras and type goal, then resume".into()),
        };
        let limits = Limits {
            max_steps: self.steps,
            watchdog_secs: Some(step_secs + 2.0 * answer_secs),
            latch: Some(latch),
            max_change: self.max_change.map(|share| 2.0 * share),
            plan_ahead: ahead,
            ..Limits::default()
        };
        let note = |line: &str| (program.note)(line);
        let mut listener = ActListener::new(body.latencies(), &note);
        let commands = typed(program);
        let summary = run_with_commands(&mut agent, &mut body, &limits, &mut listener, program.stop, &commands)?;
        Ok(listener.report(summary))
    }

    fn validate(&self) -> Result<()> {
        require_range("--hz", self.hz.unwrap_or(1.0), 0.01, 1000.0)?;
        require_range("--max-age-ms", self.max_age_ms, 1.0, 1e6)?;
        require_range("--max-planning-ms", self.max_planning_ms.unwrap_or(1.0), 0.1, 1e6)?;
        require_range("--stop-surprise", self.stop_surprise.unwrap_or(1.0), 0.0, f32::MAX)?;
        require_range("--max-change", self.max_change.unwrap_or(1.0), 1e-6, 1.0)?;
        Ok(())
    }

    /// Time for a plan, milliseconds.
    fn planning_ms(&self, budget_ms: f64, step_secs: f64) -> f64 {
        let own_ms = if self.deadline_ms.is_some() { f64::INFINITY } else { 1e3 * PLANNING_SHARE * step_secs };
        budget_ms.min(own_ms)
    }

    /// The body at its address, whose actions are those of the model where it is an arm here.
    fn body_at(&self, source: &ModelSource, answer_secs: f64, budget_ms: f64) -> Result<Box<dyn Environment>> {
        if !ArmUri::is_meant(&self.body) {
            let token = token(self.token_file.as_deref())?;
            return Ok(Box::new(RemoteBody::connect(&self.body, token.as_deref(), answer_secs)?));
        }
        let mut arm = Arm::open(&self.body.parse()?)?;
        self.hz.map_or(Ok(()), |hz| arm.set_hz(hz))?;
        source.action_space().map_or(Ok(()), |space| arm.adopt(space))?;
        arm.leave_for_planning(self.planning_ms(budget_ms, arm.control_step_secs()) / 1e3);
        Ok(Box::new(arm))
    }

    /// The goal's images, as the model takes them.
    fn goal_of(&self, spec: &ModelSpec) -> Result<Observation> {
        let images = self.goal.iter().map(|argument| CameraImage::of_argument("--goal", argument));
        let frames = goal_frames(spec, images.collect::<mindseye_agent::Result<_>>()?, "--goal")?;
        Ok(Observation { frames, proprioception: self.goal_proprioception.clone(), ..Observation::default() })
    }

    /// The body with the cameras that look at it.
    fn seen_body(
        &self,
        program: &Program,
        body: Box<dyn Environment>,
        spec: &ModelSpec,
        step_secs: f64,
    ) -> Result<CameraBody> {
        let max_age = Duration::from_secs_f64(self.max_age_ms / 1e3);
        let clock = program.sources.clock().clone();
        if self.camera.is_empty() {
            return Ok(CameraBody::new(body, None, clock, max_age, step_secs));
        }
        if self.camera.len() != spec.cameras.len() {
            let expected = format!("one camera for each of the model's {}", spec.cameras.len());
            return Err(Error::field("--camera", expected, self.camera.len()));
        }
        let open = |(uri, camera): (&CameraUri, &mindseye_world_model::CameraSpec)| {
            let mut uri = uri.clone();
            // As in training: whatever the camera's size, images are scaled to the model's.
            uri.settings.resize = Some(ImageSize::new(camera.height, camera.width)?);
            uri.settings.latency_s.get_or_insert(USUAL_LATENCY_SECS);
            Ok(program.sources.open(&uri)?)
        };
        let cameras = self.camera.iter().zip(&spec.cameras).map(open).collect::<Result<Vec<_>>>()?;
        cameras.iter().try_for_each(|camera| camera.wait_until_live(FIRST_FRAME))?;
        let names: Vec<Arc<str>> = spec.cameras.iter().map(|camera| camera.name.as_str().into()).collect();
        let set = CameraSet::new(cameras, max_age)?;
        Ok(CameraBody::new(body, Some((set, names)), clock, max_age, step_secs))
    }
}

/// Refuses a body whose actions mean other things than those that the model was trained on.
fn require_same_actions(model: Option<&ActionSpace>, body: &ActionSpace, note: &dyn Fn(&str)) -> Result<()> {
    let Some(model) = model else { return Ok(()) };
    let described = |space: &ActionSpace| {
        let sides = space.low.iter().zip(&space.high);
        let named = space.names.iter().zip(&space.units).zip(sides);
        let parts = named.map(|((name, unit), (low, high))| format!("{name} {low} to {high} {unit}"));
        parts.collect::<Vec<_>>().join(", ")
    };
    let near = |one: &[f64], other: &[f64]| {
        let is_near = |(one, other): (&f64, &f64)| (one - other).abs() <= 1e-6 * (1.0 + one.abs());
        one.len() == other.len() && one.iter().zip(other).all(is_near)
    };
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        names
    };
    let is_named_alike = model.names == body.names;
    // The same names in another order, or other units, mean other motions; other names may be another language.
    let is_reordered = !is_named_alike && sorted(&model.names) == sorted(&body.names);
    let mut units = model.units.iter().zip(&body.units);
    let has_other_units = units.any(|(one, other)| one != other && !one.is_empty() && !other.is_empty());
    if near(&model.low, &body.low) && near(&model.high, &body.high) && !is_reordered && !has_other_units {
        if !is_named_alike {
            note(&format!(
                "the body calls its actions {}, the model {}",
                body.names.join(", "),
                model.names.join(", ")
            ));
        }
        return Ok(());
    }
    Err(Error::field("the body's actions", described(model), described(body)))
}

/// Commands that a person types; the channel closes with stdin.
fn typed(program: &Program) -> crossbeam::channel::Receiver<mindseye_agent::control_loop::Command> {
    let (sender, commands) = crossbeam::channel::bounded(16);
    let (note, stop) = (program.note, program.stop);
    std::thread::spawn(move || {
        commands_of(std::io::stdin().lock(), |word| match word {
            Ok(Word::Command(command)) => sender.send(command).is_ok(),
            Ok(Word::Stop) => {
                stop.store(true, Ordering::Relaxed);
                false
            }
            Err(error) => {
                note(&error);
                true
            }
        });
    });
    commands
}
