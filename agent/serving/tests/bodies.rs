//! A body behind a websocket, and an agent that drives it from elsewhere.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Running, checkpoint, task, world};
use mindseye_agent::control_loop::{Limits as RunLimits, TickListener, run};
use mindseye_agent::{Agent, RunGoal, TickReport};
use mindseye_interface::{
    Action, ActionSpace, Environment, Error, ManualClock, Neutral, Observation, Result, Seed, Step, SystemClock,
};
use mindseye_serving::act::CameraBody;
use mindseye_serving::body::{BodyService, RemoteBody};
use mindseye_serving::client::PolicyClient;
use mindseye_serving::message::Value;
use mindseye_serving::server::Limits;

fn served(body: Box<dyn Environment>) -> Running {
    Running::start(BodyService::new(body), Limits { max_clients: 1, ..Limits::default() }, None)
}

/// What was executed and seen.
#[derive(Default)]
struct Record(Vec<(Vec<f32>, Observation)>);

impl TickListener for Record {
    fn on_tick(&mut self, _observation: &Observation, _report: &TickReport) {}

    fn on_step(&mut self, action: &Action, step: &Step) {
        self.0.push((action.values().to_vec(), step.observation.clone()));
    }
}

/// Three chunks towards another state of the world.
fn driven(body: &mut dyn Environment) -> Vec<(Vec<f32>, Observation)> {
    let mut agent = Agent::from_checkpoint(checkpoint(), &task(), Seed::new(0)).unwrap();
    agent.set_run_goals(&[RunGoal { observation: world(7).1, ..RunGoal::default() }]).unwrap();
    body.reset(Seed::new(3).child("start")).unwrap();
    let limits = RunLimits { max_steps: Some(15), real_time: false, ..RunLimits::default() };
    let mut record = Record::default();
    run(&mut agent, body, &limits, &mut record, &AtomicBool::new(false)).unwrap();
    record.0
}

#[test]
fn over_the_wire_the_same_happens_as_in_process() {
    let direct = driven(world(0).0.as_mut());
    let server = served(world(0).0);
    let remote = driven(&mut RemoteBody::connect(&server.url(), None, 10.0).unwrap());
    assert_eq!(direct.len(), 15);
    for (step, (direct, remote)) in direct.iter().zip(&remote).enumerate() {
        assert_eq!(direct.0, remote.0, "the action of step {step}, to the bit");
        assert_eq!(direct.1, remote.1, "what is seen after step {step}");
    }
}

/// What a body was told.
#[derive(Debug, Clone, PartialEq)]
enum Call {
    Step(Vec<f32>),
    Stop,
}

/// A joint that is commanded by its position.
struct Joint {
    calls: Arc<Mutex<Vec<Call>>>,
    space: ActionSpace,
    position: f32,
}

impl Joint {
    fn new() -> Self {
        let neutral = vec![Neutral::HoldPosition { proprioception: 0 }];
        let (names, units) = (vec!["shoulder".into()], vec!["rad".into()]);
        let space = ActionSpace { names, units, low: vec![-1.5], high: vec![3.0], neutral, max_step: Vec::new() };
        Self { calls: Arc::default(), space, position: 0.3 }
    }
}

impl Environment for Joint {
    fn reset(&mut self, _seed: Seed) -> Result<Observation> {
        self.observe()
    }

    fn observe(&mut self) -> Result<Observation> {
        Ok(Observation { proprioception: vec![self.position], ..Observation::default() })
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        let position = self.space.denormalise(action)?[0];
        if position > 2.9 {
            return Err(Error::Environment { operation: "stepping", reason: "an end stop\u{1b}[2J".into() });
        }
        self.calls.lock().unwrap().push(Call::Step(action.values().to_vec()));
        self.position = position as f32;
        Ok(Step { observation: self.observe()?, terminated: position < -1.4 })
    }

    fn stop(&mut self) -> Result<()> {
        self.calls.lock().unwrap().push(Call::Stop);
        Ok(())
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        0.02
    }
}

fn wait_for(calls: &Mutex<Vec<Call>>, expected: &[Call]) {
    for _ in 0..2000 {
        if *calls.lock().unwrap() == expected {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("expected {expected:?}, got {:?}", calls.lock().unwrap());
}

#[test]
fn a_remote_body_is_an_environment_and_its_errors_end_no_session() {
    let joint = Joint::new();
    let (space, calls) = (joint.space.clone(), joint.calls.clone());
    let server = served(Box::new(joint));
    let mut body = RemoteBody::connect(&server.url(), None, 10.0).unwrap();
    assert_eq!((body.action_space(), body.control_step_secs()), (&space, 0.02));
    let start = body.observe().unwrap();
    assert_eq!(start.proprioception, [0.3]);
    let held = body.step(&space.hold(&start.proprioception).unwrap()).unwrap();
    assert!((held.observation.proprioception[0] - 0.3).abs() < 1e-6 && !held.terminated);
    let error = body.step(&Action::new(vec![1.0]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("an end stop\\u{1b}") && !error.contains('\u{1b}'), "{error}");
    assert!(body.step(&Action::new(vec![-1.0]).unwrap()).unwrap().terminated);
    body.stop().unwrap();
    assert_eq!(calls.lock().unwrap().last(), Some(&Call::Stop));
    let other = RemoteBody::connect(&server.url(), None, 10.0).err().unwrap().to_string();
    assert!(other.contains("503"), "one driver at a time: {other}");
    drop(body);
    server.wait_for("left");
    let mut client = PolicyClient::connect(&server.url(), None).unwrap();
    for (message, part) in [
        (Value::Nil, "do: expected describe, reset"),
        (Value::from([("do", "jump".into())]), "got jump"),
        (Value::from([("do", "step".into())]), "action: expected 1 numbers (shoulder)"),
        (Value::from([("do", "step".into()), ("action", vec![0.0, 0.0].into())]), "action: expected 1 numbers"),
        (Value::from([("do", "step".into()), ("action", vec![f64::NAN].into())]), "not finite"),
        (Value::from([("do", "reset".into()), ("seed", "x".into())]), "seed: expected a whole number"),
    ] {
        let error = client.infer(&message).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// Symptom to rule out: a driver that is lost, or hangs, leaves a robot that keeps its last command.
#[test]
fn a_body_is_stopped_when_its_driver_says_nothing_and_when_it_is_lost() {
    let joint = Joint::new();
    let (calls, still) = (joint.calls.clone(), joint.space.hold(&[0.3]).unwrap());
    let server = served(Box::new(joint));
    let step = Call::Step(still.values().to_vec());
    let mut body = RemoteBody::connect(&server.url(), None, 10.0).unwrap();
    body.step(&still).unwrap();
    wait_for(&calls, &[step.clone(), Call::Stop]); // it hangs
    body.step(&still).unwrap();
    drop(body);
    wait_for(&calls, &[step.clone(), Call::Stop, step.clone(), Call::Stop]);
    let mut body = RemoteBody::connect(&server.url(), None, 10.0).unwrap();
    body.observe().unwrap();
    drop(body);
    server.wait_for("left");
    assert_eq!(calls.lock().unwrap().len(), 4, "a body that was not moved needs no stop");
}

#[test]
fn after_a_lost_server_commands_fail_until_somebody_observes_again() {
    let mut server = served(Box::new(Joint::new()));
    let still = Joint::new().space.hold(&[0.3]).unwrap();
    let mut body = RemoteBody::connect(&server.url(), None, 2.0).unwrap();
    body.step(&still).unwrap();
    server.end();
    assert!(body.step(&still).is_err());
    let error = body.step(&still).unwrap_err().to_string();
    assert!(error.contains("the connection was lost"), "{error}");
    assert!(body.stop().is_err() && body.observe().is_err(), "nobody is there");
}

/// A body whose observations after a control step are not what they were.
struct Altered(Box<dyn Environment>, fn(&mut Observation));

impl Environment for Altered {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        self.0.reset(seed)
    }

    fn observe(&mut self) -> Result<Observation> {
        self.0.observe()
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        let mut step = self.0.step(action)?;
        (self.1)(&mut step.observation);
        Ok(step)
    }

    fn action_space(&self) -> &ActionSpace {
        self.0.action_space()
    }

    fn control_step_secs(&self) -> f64 {
        self.0.control_step_secs()
    }
}

/// Symptom: images that a body itself sent were acted on however old they were, and when there were none any more.
/// Cause: only those of cameras beside it were looked at.
#[test]
fn images_of_the_body_itself_are_fresh_by_its_own_times_or_refused() {
    let second_step = |change: fn(&mut Observation)| {
        let clock = Arc::new(ManualClock::default());
        let altered = Box::new(Altered(world(0).0, change));
        let mut body = CameraBody::new(altered, None, clock.clone(), Duration::from_secs(1), 0.1);
        let still = body.action_space().normalise(&[0.0, 0.0]).unwrap();
        body.reset(Seed::new(3)).unwrap();
        let mut step = |now: f64| {
            clock.set(now);
            body.step(&still).map(drop).map_err(|error| error.to_string())
        };
        step(1.0).and_then(|()| step(3.0))
    };
    assert_eq!(second_step(|_| {}), Ok(()));
    for (change, part) in [
        ((|seen| seen.frames.clear()) as fn(&mut Observation), "expected the body's images, got none"),
        (|seen| seen.frames[0].captured_secs = seen.time_secs - 9.0, "at most 1.000 s, got one of 9.000 s"),
        (|seen| (seen.time_secs, seen.frames[0].captured_secs) = (0.0, 0.0), "the body's time to go on, got 0 s"),
    ] {
        let error = second_step(change).unwrap_err();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn from_image_to_command_is_measured_once_per_plan() {
    let clock: mindseye_cameras::SharedClock = Arc::new(SystemClock::start());
    let mut body = CameraBody::new(Box::new(Joint::new()), None, clock, Duration::from_secs(1), 0.02);
    let (latencies, still) = (body.latencies(), Joint::new().space.hold(&[0.3]).unwrap());
    let seen = body.observe().unwrap();
    latencies.planned(&seen);
    std::thread::sleep(Duration::from_millis(20));
    (0..3).for_each(|_| drop(body.step(&still).unwrap()));
    let measured = latencies.milliseconds();
    assert!(measured.len() == 1 && measured[0] >= 20.0, "{measured:?}");
}
