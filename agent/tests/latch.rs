//! A body that is held still when something is wrong, until a person resumes.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use crate::support::{PointMass, SPEED_M, agent, observation};
use crossbeam::channel::{Receiver, Sender, unbounded};
use mindseye_agent::control_loop::{Command, Latch, Limits, RunSummary, TickListener, run_with_commands};
use mindseye_agent::{Error, Result, TickReport};
use mindseye_interface::{Action, ActionSpace, Environment, Error as BodyError, Neutral, Observation, Seed, Step};

/// A point that is commanded by its velocity.
struct Body {
    place: [f32; 2],
    space: ActionSpace,
    /// What it was commanded, and `None` where it was stopped.
    calls: Arc<Mutex<Vec<Option<Vec<f32>>>>>,
    trouble: Option<(usize, Trouble)>,
    observed: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    /// The camera has no fresh frame.
    Stale,
    /// Nothing answers, stopping included.
    Gone,
    /// A measurement is no number.
    Nan,
    /// It is where nothing led.
    Elsewhere,
}

impl Body {
    fn new(trouble: Option<(usize, Trouble)>) -> Self {
        let space = ActionSpace {
            names: vec!["velocity_x".into(), "velocity_y".into()],
            units: vec!["m/s".into(); 2],
            low: vec![-1.0; 2],
            high: vec![1.0; 2],
            neutral: vec![Neutral::Value(0.0); 2],
            max_step: Vec::new(),
        };
        Self { place: [0.1, 0.2], space, calls: Arc::default(), trouble, observed: 0 }
    }

    fn failed(reason: &str) -> BodyError {
        BodyError::Environment { operation: "seeing", reason: reason.into() }
    }

    /// Trouble comes once.
    fn trouble(&mut self) -> Option<Trouble> {
        self.observed += 1;
        let due = self.trouble.filter(|(at, _)| *at == self.observed);
        due.map(|(_, trouble)| trouble)
    }
}

impl Environment for Body {
    fn reset(&mut self, _seed: Seed) -> mindseye_interface::Result<Observation> {
        self.observe()
    }

    fn observe(&mut self) -> mindseye_interface::Result<Observation> {
        Ok(observation(Some(self.place)))
    }

    fn step(&mut self, action: &Action) -> mindseye_interface::Result<Step> {
        self.calls.lock().unwrap().push(Some(action.values().to_vec()));
        self.place = [0, 1].map(|part| self.place[part] + SPEED_M * action.values()[part]);
        let mut seen = self.place;
        match self.trouble() {
            Some(Trouble::Stale) => return Err(Self::failed("camera top: expected a frame of at most 0.3 s")),
            Some(Trouble::Gone) => return Err(Self::failed("the connection was lost")),
            Some(Trouble::Nan) => seen[0] = f32::NAN,
            Some(Trouble::Elsewhere) => (self.place, seen) = ([1.5, 1.5], [1.5, 1.5]),
            None => {}
        }
        Ok(Step { observation: observation(Some(seen)), terminated: false })
    }

    fn stop(&mut self) -> mindseye_interface::Result<()> {
        self.calls.lock().unwrap().push(None);
        if self.trouble.is_some_and(|(at, trouble)| trouble == Trouble::Gone && at == self.observed) {
            return Err(Self::failed("the connection was lost"));
        }
        Ok(())
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        0.1
    }
}

/// Says resume each time that the body is held.
struct Person(Option<Sender<Command>>, Vec<String>);

impl TickListener for Person {
    fn on_tick(&mut self, _observation: &Observation, _report: &TickReport) {}

    fn on_held(&mut self, reason: &str) {
        self.1.push(reason.to_owned());
        self.0.iter().for_each(|commands| commands.send(Command::Resume).unwrap());
    }
}

fn limits(latch: Latch) -> Limits {
    Limits { max_steps: Some(25), real_time: false, latch: Some(latch), ..Limits::default() }
}

fn run(body: &mut Body, limits: &Limits, resumes: bool) -> (Result<RunSummary>, Vec<String>) {
    let (commands, received): (Sender<Command>, Receiver<Command>) = unbounded();
    let mut person = Person(resumes.then_some(commands), Vec::new());
    let mut agent = agent(&[[0.8, -0.3]], Box::new(PointMass), 0).with_action_space(body.space.clone());
    let summary = run_with_commands(&mut agent, body, limits, &mut person, &AtomicBool::new(false), &received);
    (summary, person.1)
}

#[test]
fn the_first_command_is_to_be_where_it_is() {
    let mut body = Body::new(None);
    run(&mut body, &limits(Latch::default()), true).0.unwrap();
    assert_eq!(body.calls.lock().unwrap()[0], Some(vec![0.0, 0.0]));
    assert!((body.place[0] - 0.8).hypot(body.place[1] + 0.3) < 0.15, "and then it goes: {:?}", body.place);
}

#[test]
fn every_trouble_holds_the_body_within_a_step_and_says_why_and_a_person_resumes() {
    for (trouble, latch, part) in [
        (Trouble::Stale, Latch::default(), "expected a frame of at most 0.3 s"),
        (Trouble::Gone, Latch::default(), "the connection was lost"),
        (Trouble::Nan, Latch::default(), "NaN"),
        (Trouble::Elsewhere, Latch { surprise: Some(0.1), ..Latch::default() }, "surprise: expected at most 0.1"),
    ] {
        // Trouble at the end of the first chunk: the first command holds, five follow.
        let mut body = Body::new(Some((6, trouble)));
        let (summary, reasons) = run(&mut body, &limits(latch), true);
        let summary = summary.unwrap();
        assert!(reasons.len() == 1 && reasons[0].contains(part), "{part}: {reasons:?}");
        assert_eq!(summary.holds, reasons);
        assert!(summary.steps >= 24, "{part}: it went on for {} steps", summary.steps);
        let calls = body.calls.lock().unwrap();
        let stopped = calls.iter().position(Option::is_none).unwrap();
        assert!(stopped <= 7, "{part}: {calls:?}");
        let still = Some(vec![0.0, 0.0]);
        assert!(calls[6..stopped].iter().all(|call| *call == still), "{part}: nothing but holding still: {calls:?}");
        assert_eq!(calls[stopped + 1], still, "{part}: and again before it goes on");
        assert_eq!(*calls.last().unwrap(), None, "{part}");
    }
}

/// Symptom: after measurements that were no numbers a body made the rest of its action chunk. Cause: observations were
/// looked at once a tick. Fix: after every control step.
#[test]
fn in_the_middle_of_a_chunk_a_body_is_held_at_once() {
    let mut body = Body::new(Some((3, Trouble::Nan)));
    let (summary, reasons) = run(&mut body, &limits(Latch::default()), true);
    assert!(summary.is_ok() && reasons.len() == 1 && reasons[0].contains("NaN"), "{reasons:?}");
    let calls = body.calls.lock().unwrap();
    let stopped = calls.iter().position(Option::is_none).unwrap();
    assert!(stopped <= 5 && calls[stopped - 1] == Some(vec![0.0, 0.0]), "{calls:?}");
}

#[test]
fn where_nobody_can_resume_the_run_ends_with_the_reason() {
    let mut body = Body::new(Some((6, Trouble::Stale)));
    let (summary, reasons) = run(&mut body, &limits(Latch::default()), false);
    let error = summary.unwrap_err();
    assert!(matches!(error, Error::Held { .. }) && error.to_string().contains("at most 0.3 s"), "{error}");
    assert_eq!((reasons.len(), body.calls.lock().unwrap().last()), (1, Some(&None)));
}

#[test]
fn a_slow_plan_and_a_start_without_a_goal_hold_too() {
    let slow = Latch { tick_secs: Some(0.0), ..Latch::default() };
    let (summary, reasons) = run(&mut Body::new(None), &limits(slow), false);
    assert!(summary.is_err() && reasons[0].starts_with("planning: expected at most 0 ms"), "{reasons:?}");
    let waiting = Latch { at_start: Some("no goal yet".into()), ..Latch::default() };
    let mut body = Body::new(None);
    let (summary, reasons) = run(&mut body, &limits(waiting), true);
    assert_eq!((summary.unwrap().steps, reasons), (25, vec!["no goal yet".to_owned()]));
}

#[test]
fn commands_change_no_faster_than_allowed_and_the_agent_knows_what_was_executed() {
    let mut body = Body::new(None);
    let limits = Limits { max_change: Some(0.25), ..limits(Latch { surprise: Some(1e-6), ..Latch::default() }) };
    let (summary, reasons) = run(&mut body, &limits, false);
    assert_eq!((summary.unwrap().steps, reasons.len()), (25, 0), "no surprise: {reasons:?}");
    let calls = body.calls.lock().unwrap();
    let commands: Vec<&Vec<f32>> = calls.iter().flatten().collect();
    let changes = commands.windows(2).flat_map(|pair| [0, 1].map(|part| (pair[1][part] - pair[0][part]).abs()));
    assert!(changes.fold(0.0, f32::max) <= 0.2501, "{commands:?}");
}
