//! A simulator on a clock: its control steps take their time, and it goes on while nobody commands it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use mindseye_interface::{Action, ActionSpace, Environment, Error, Image, Observation, Result, Seed, Step};

/// Share of a control step after which a command is carried out: the body answers, its image changes, and the rest is
/// left for the next command to come in time.
const MOTION: f64 = 0.9;
/// Control steps from a command until, without another one, the body begins to hold still by itself.
const PATIENCE: f64 = 2.0;

/// An image that others look at while the body moves.
#[derive(Clone, Default)]
pub struct View(Arc<Mutex<Option<Arc<Image>>>>);

impl View {
    /// What is seen now; none before the first reset or step.
    pub fn image(&self) -> Option<Arc<Image>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, observation: &Observation) {
        if let Some(frame) = observation.frames.first() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame.image.clone());
        }
    }
}

/// A simulator that behaves as a robot does: a control step takes its time, what it changes is seen when its motion
/// ends, and without a command the body holds still while the world goes on. It begins a control step when the command
/// comes, so that the clock is that of whoever drives it.
pub struct RealTime {
    calls: Sender<Call>,
    answers: Receiver<Answer>,
    space: ActionSpace,
    step_secs: f64,
    view: View,
}

enum Call {
    Reset(Seed),
    Observe,
    Step(Action),
    Stop,
}

enum Answer {
    Observed(Result<Observation>),
    Stepped(Result<Step>),
    Stopped(Result<()>),
}

impl RealTime {
    /// `world` on a clock, on a thread of its own that ends with this value.
    ///
    /// # Errors
    /// When the world cannot be observed, or the system gives no thread.
    pub fn new(mut world: Box<dyn Environment>) -> Result<Self> {
        let (space, step_secs, view) = (world.action_space().clone(), world.control_step_secs(), View::default());
        view.show(&world.observe()?);
        let (calls, received) = bounded(1);
        let (answered, answers) = bounded(1);
        let shown = view.clone();
        let thread = std::thread::Builder::new().name("world".into());
        let run = move || World { world, step_secs, view: shown }.run(&received, &answered);
        let failed = |error: std::io::Error| Error::Environment { operation: "a thread", reason: error.to_string() };
        thread.spawn(run).map_err(failed)?;
        Ok(Self { calls, answers, space, step_secs, view })
    }

    /// What a camera sees of it.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    fn call(&self, call: Call) -> Result<Answer> {
        let lost = |operation| Error::Environment { operation, reason: "the simulator has ended".into() };
        self.calls.send(call).map_err(|_| lost("a call"))?;
        self.answers.recv().map_err(|_| lost("an answer"))
    }

    fn observed(&self, call: Call) -> Result<Observation> {
        match self.call(call)? {
            Answer::Observed(observed) => observed,
            _ => Err(mixed()),
        }
    }
}

fn mixed() -> Error {
    Error::Environment { operation: "an answer", reason: "it was to another question".into() }
}

impl Environment for RealTime {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        self.observed(Call::Reset(seed))
    }

    fn observe(&mut self) -> Result<Observation> {
        self.observed(Call::Observe)
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        match self.call(Call::Step(action.clone()))? {
            Answer::Stepped(stepped) => stepped,
            _ => Err(mixed()),
        }
    }

    fn stop(&mut self) -> Result<()> {
        match self.call(Call::Stop)? {
            Answer::Stopped(stopped) => stopped,
            _ => Err(mixed()),
        }
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        self.step_secs
    }
}

/// The thread's side.
struct World {
    world: Box<dyn Environment>,
    step_secs: f64,
    view: View,
}

impl World {
    fn run(mut self, calls: &Receiver<Call>, answers: &Sender<Answer>) {
        let secs = |steps: f64| Duration::from_secs_f64((steps * self.step_secs).clamp(1e-3, 60.0));
        let (motion, step, patience) = (secs(MOTION), secs(1.0), secs(PATIENCE));
        let mut holds_at = Instant::now() + step;
        loop {
            let call = match calls.recv_timeout(holds_at.saturating_duration_since(Instant::now())) {
                Ok(call) => call,
                Err(RecvTimeoutError::Timeout) => {
                    holds_at = Instant::now() + step;
                    // What fails here fails again at the next command, and is said then.
                    let _ = self.hold();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let begun = Instant::now();
            let answer = match call {
                Call::Reset(seed) => Answer::Observed(self.world.reset(seed)),
                Call::Observe => Answer::Observed(self.world.observe()),
                Call::Step(action) => {
                    holds_at = begun + patience;
                    let stepped = self.world.step(&action);
                    std::thread::sleep(motion.saturating_sub(begun.elapsed()));
                    Answer::Stepped(stepped)
                }
                Call::Stop => Answer::Stopped(self.world.stop()),
            };
            match &answer {
                Answer::Observed(Ok(observation)) | Answer::Stepped(Ok(Step { observation, .. })) => {
                    self.view.show(observation);
                }
                _ => {}
            }
            if answers.send(answer).is_err() {
                return;
            }
        }
    }

    /// One control step of holding still.
    fn hold(&mut self) -> Result<()> {
        let seen = self.world.observe()?;
        let still = self.world.action_space().hold(&seen.proprioception)?;
        self.view.show(&self.world.step(&still)?.observation);
        Ok(())
    }
}
