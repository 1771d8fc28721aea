//! The control loop with an environment that is no simulator.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{PointMass, SPEED_M, agent, observation};
use crossbeam::channel::{Sender, unbounded};
use mindseye_agent::control_loop::{Command, Limits, TickListener, channel, run, run_with_commands};
use mindseye_agent::{Agent, Error, TickReport};
use mindseye_interface::{
    Action, ActionSpace, Environment, Goal, Neutral, Observation, Result, Seed, StateTarget, Step,
};

/// What a body was asked to do, in its order.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Observe,
    Step([f32; 2]),
    Stop,
}

/// A body that moves as the point mass predicts and keeps a record of its calls.
struct Body {
    place: [f32; 2],
    space: ActionSpace,
    calls: Arc<Mutex<Vec<Call>>>,
    /// The step that fails, panics, or blocks for a while.
    trouble: Option<(usize, Trouble)>,
    /// Whether proprioception is lost.
    is_numb: bool,
}

#[derive(Clone, Copy)]
enum Trouble {
    Fail,
    Panic,
    Block(Duration),
    Terminate,
}

impl Body {
    fn new(trouble: Option<(usize, Trouble)>) -> Self {
        let pair = |text: &str| vec![format!("{text}_x"), format!("{text}_y")];
        let (names, units) = (pair("velocity"), vec!["m/s".into(); 2]);
        let space = ActionSpace {
            names,
            units,
            low: vec![-1.0; 2],
            high: vec![1.0; 2],
            neutral: Vec::new(),
            max_step: Vec::new(),
        };
        Self { place: [0.0; 2], space, calls: Arc::default(), trouble, is_numb: false }
    }

    fn record(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }

    fn seen(&self) -> Observation {
        observation((!self.is_numb).then_some(self.place))
    }
}

impl Environment for Body {
    fn reset(&mut self, _seed: Seed) -> Result<Observation> {
        Ok(self.seen())
    }

    fn observe(&mut self) -> Result<Observation> {
        self.record(Call::Observe);
        Ok(self.seen())
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        let step = self.calls.lock().unwrap().iter().filter(|call| matches!(call, Call::Step(_))).count();
        let [x, y] = [action.values()[0], action.values()[1]];
        self.record(Call::Step([x, y]));
        let trouble = self.trouble.filter(|(at, _)| *at == step).map(|(_, trouble)| trouble);
        match trouble {
            Some(Trouble::Fail) => {
                let reason = "motor 2: expected 12 V, got 3 V".into();
                return Err(mindseye_interface::Error::Environment { operation: "stepping", reason });
            }
            Some(Trouble::Panic) => panic!("a driver that panics"),
            Some(Trouble::Block(time)) => std::thread::sleep(time),
            Some(Trouble::Terminate) | None => {}
        }
        self.place = [self.place[0] + SPEED_M * x, self.place[1] + SPEED_M * y];
        Ok(Step { observation: self.seen(), terminated: matches!(trouble, Some(Trouble::Terminate)) })
    }

    fn stop(&mut self) -> Result<()> {
        self.record(Call::Stop);
        Ok(())
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        0.005
    }
}

fn limits(steps: u64) -> Limits {
    Limits { max_steps: Some(steps), real_time: false, ..Limits::default() }
}

fn point(goal: [f32; 2]) -> Agent {
    agent(&[goal], Box::new(PointMass), 0)
}

fn running() -> AtomicBool {
    AtomicBool::new(false)
}

/// How many steps there were in `calls`, and whether the last call stopped the body.
fn steps_and_end(body: &Body) -> (usize, bool) {
    let calls = body.calls.lock().unwrap();
    let steps = calls.iter().filter(|call| matches!(call, Call::Step(_))).count();
    (steps, calls.last() == Some(&Call::Stop))
}

#[test]
fn an_agent_drives_a_body_to_its_goal_and_the_body_is_stopped() {
    let (mut body, mut agent) = (Body::new(None), point([1.0, -0.5]));
    let (mut reporter, reports) = channel::<(Observation, TickReport)>(100);
    let summary = run(&mut agent, &mut body, &limits(40), &mut reporter, &running()).unwrap();
    assert_eq!((summary.ticks, summary.steps, summary.terminated), (8, 40, false));
    assert!((body.place[0] - 1.0).hypot(body.place[1] + 0.5) < 0.1, "{:?}", body.place);
    assert_eq!(steps_and_end(&body), (40, true));
    let reports: Vec<(Observation, TickReport)> = reports.try_iter().collect();
    assert_eq!((reports.len(), reporter.dropped()), (8, 0));
    assert_eq!(reports[0].0.proprioception, [0.0; 2]);
    let executed: Vec<Call> = body.calls.lock().unwrap()[1..6].to_vec();
    let chunk: Vec<Call> =
        reports[0].1.action_chunk.chunks(2).map(|action| Call::Step([action[0], action[1]])).collect();
    assert_eq!(executed, chunk, "step by step");
}

#[test]
fn a_chunk_is_cut_where_the_run_ends_and_where_the_body_terminates() {
    let mut body = Body::new(None);
    let summary = run(&mut point([1.0, 0.0]), &mut body, &limits(7), &mut (), &running()).unwrap();
    assert_eq!((summary.ticks, summary.steps), (2, 7));
    let mut body = Body::new(Some((3, Trouble::Terminate)));
    let summary = run(&mut point([1.0, 0.0]), &mut body, &limits(40), &mut (), &running()).unwrap();
    assert_eq!((summary.ticks, summary.steps, summary.terminated), (1, 4, true));
    assert_eq!(steps_and_end(&body), (4, true));
}

#[test]
fn replanning_within_the_chunk_ticks_more_often_and_never_outside_of_it() {
    let mut body = Body::new(None);
    let limits = |every| Limits { replan_every: Some(every), ..limits(20) };
    let summary = run(&mut point([1.0, 0.0]), &mut body, &limits(2), &mut (), &running()).unwrap();
    assert_eq!((summary.ticks, summary.steps), (10, 20));
    for every in [0, 6] {
        let mut body = Body::new(None);
        let error = run(&mut point([1.0, 0.0]), &mut body, &limits(every), &mut (), &running()).unwrap_err();
        assert!(error.to_string().contains("replan_every: expected 1 to 5"), "{error}");
        assert_eq!(steps_and_end(&body), (0, true));
    }
}

#[test]
fn a_step_that_fails_stops_the_body_and_ends_the_run() {
    let mut body = Body::new(Some((7, Trouble::Fail)));
    let error = run(&mut point([1.0, 0.0]), &mut body, &limits(40), &mut (), &running()).unwrap_err();
    assert!(error.to_string().contains("expected 12 V, got 3 V"), "{error}");
    assert_eq!(steps_and_end(&body), (8, true), "no step after the one that failed");
}

#[test]
fn a_driver_that_panics_ends_the_run_with_an_error() {
    let mut body = Body::new(Some((2, Trouble::Panic)));
    let error = run(&mut point([1.0, 0.0]), &mut body, &limits(40), &mut (), &running()).unwrap_err();
    assert!(matches!(error, Error::EnvironmentLost { operation: "a control step" }), "{error}");
}

/// Notes when it hears of a call that blocks.
#[derive(Default)]
struct Alarm(Vec<(&'static str, Instant)>);

impl TickListener for Alarm {
    fn on_tick(&mut self, _observation: &Observation, _report: &TickReport) {}

    fn on_blocked(&mut self, operation: &'static str, _secs: f64) {
        self.0.push((operation, Instant::now()));
    }
}

#[test]
fn a_step_that_blocks_past_the_watchdog_is_reported_while_it_blocks_and_ends_the_run() {
    let block = Duration::from_millis(600);
    let (mut body, mut alarm) = (Body::new(Some((2, Trouble::Block(block)))), Alarm::default());
    let limits = Limits { watchdog_secs: Some(0.2), ..limits(40) };
    let error = run(&mut point([1.0, 0.0]), &mut body, &limits, &mut alarm, &running()).unwrap_err();
    let ended = Instant::now();
    let Error::Watchdog { operation, limit_secs, took_secs } = error else { panic!("{error}") };
    assert_eq!((operation, limit_secs), ("a control step", 0.2));
    assert!(took_secs >= 0.6, "{took_secs}");
    assert_eq!((alarm.0.len(), alarm.0[0].0), (1, "a control step"));
    assert!(ended - alarm.0[0].1 > Duration::from_millis(200), "reported long before the step returned");
    assert_eq!(steps_and_end(&body), (3, true), "no step after the one that blocked");
}

#[test]
fn an_agent_that_knows_no_action_that_holds_still_stops_the_body() {
    let mut body = Body { is_numb: true, ..Body::new(None) };
    body.space.neutral = (0..2).map(|proprioception| Neutral::HoldPosition { proprioception }).collect();
    let mut agent = point([1.0, 0.0]).with_action_space(body.space.clone());
    let error = run(&mut agent, &mut body, &limits(40), &mut (), &running()).unwrap_err();
    assert!(error.to_string().contains("the position of velocity_x"), "{error}");
    assert_eq!(steps_and_end(&body), (0, true));
}

/// Sends commands in given ticks, and notes what every tick pursued.
struct Person {
    commands: Sender<Command>,
    say: Vec<(u64, Command)>,
    ticks: Vec<(u64, usize, Option<f32>)>,
}

impl TickListener for Person {
    fn on_tick(&mut self, _observation: &Observation, report: &TickReport) {
        self.ticks.push((report.tick, report.directive.sub_goal, report.directive.weight("effort")));
        for (_, command) in self.say.iter().filter(|(tick, _)| *tick == report.tick) {
            self.commands.send(command.clone()).unwrap();
        }
    }
}

#[test]
fn commands_take_effect_in_the_next_tick_and_nonsense_is_refused_without_ending_the_run() {
    let (commands, received) = unbounded();
    let target = StateTarget { name: "x_m".into(), value: 0.0, scale: None };
    let say = vec![
        (1, Command::SetWeight { name: "effort".into(), weight: 0.5 }),
        (2, Command::SetWeight { name: "boredom".into(), weight: 0.5 }),
        (2, Command::SetGoal(Goal::State(vec![target]))),
    ];
    let mut person = Person { commands, say, ticks: Vec::new() };
    let (mut body, mut agent) = (Body::new(None), point([1.0, 0.0]));
    let summary = run_with_commands(&mut agent, &mut body, &limits(20), &mut person, &running(), &received).unwrap();
    let efforts: Vec<Option<f32>> = person.ticks.iter().map(|(_, _, effort)| *effort).collect();
    assert_eq!(efforts, [Some(0.001), Some(0.001), Some(0.5), Some(0.5)]);
    assert_eq!(summary.refused_commands.len(), 2, "{:?}", summary.refused_commands);
    assert!(summary.refused_commands[0].contains("boredom") && summary.refused_commands[1].contains("goal"));
}

#[test]
fn a_pause_stops_the_body_until_it_is_resumed() {
    let (commands, received) = unbounded();
    let say = vec![(1, Command::Pause), (1, Command::Resume)];
    let mut person = Person { commands, say, ticks: Vec::new() };
    let (mut body, mut agent) = (Body::new(None), point([1.0, 0.0]));
    let summary = run_with_commands(&mut agent, &mut body, &limits(20), &mut person, &running(), &received).unwrap();
    assert_eq!(summary.steps, 20);
    let calls = body.calls.lock().unwrap().clone();
    assert_eq!(calls[11..13], [Call::Stop, Call::Observe], "after two chunks, and then it observes anew");
    let numbers: Vec<u64> = person.ticks.iter().map(|(tick, ..)| *tick).collect();
    assert_eq!(numbers, [0, 1, 3, 4], "what follows does not follow from what was before");
}

/// Symptom: a robot that was paused moved on when the terminal was closed. Cause: that nobody could resume it was taken
/// for a resume.
#[test]
fn a_pause_that_nobody_can_end_ends_the_run() {
    let (commands, received) = unbounded();
    commands.send(Command::Pause).unwrap();
    drop(commands);
    let (mut body, mut agent) = (Body::new(None), point([1.0, 0.0]));
    let ended = run_with_commands(&mut agent, &mut body, &limits(20), &mut (), &running(), &received);
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("nobody is left who could resume it"), "{error}");
    assert_eq!(steps_and_end(&body), (0, true), "it never moved, and was stopped");
}

#[test]
fn raising_the_flag_ends_the_run_between_two_steps() {
    struct After(Arc<AtomicBool>, usize);
    impl TickListener for After {
        fn on_tick(&mut self, _observation: &Observation, _report: &TickReport) {}

        fn on_step(&mut self, _action: &Action, _step: &Step) {
            self.1 += 1;
            self.0.store(self.1 == 3, Ordering::Relaxed);
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut body = Body::new(None);
    let summary = run(&mut point([1.0, 0.0]), &mut body, &limits(40), &mut After(stop.clone(), 0), &stop).unwrap();
    assert_eq!(summary.steps, 3);
    assert_eq!(steps_and_end(&body), (3, true));
}

#[test]
fn in_real_time_a_control_step_takes_its_time() {
    let mut body = Body::new(None);
    let (limits, started) = (Limits { real_time: true, ..limits(20) }, Instant::now());
    run(&mut point([1.0, 0.0]), &mut body, &limits, &mut (), &running()).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(95), "twenty steps of 5 ms, the first at once");
}
