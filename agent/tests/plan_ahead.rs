//! Plans that are made while the body moves: what is executed meanwhile is a condition of them.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::support::{ACTION_CHUNK, PointMass, Predicted, SPEED_M, agent, observation};
use crossbeam::channel::{Sender, never, unbounded};
use mindseye_agent::control_loop::{Command, Latch, Limits, RunSummary, TickListener, run_with_commands};
use mindseye_agent::world_model::{Context, Dynamics, WorldModel};
use mindseye_agent::{Error, Plans, Result, Rollouts, TickReport};
use mindseye_interface::{Action, ActionSpace, Environment, Error as BodyError, Neutral, Observation, Seed, Step};

const GOAL: [f32; 2] = [1.5, -1.2];

/// A point that is commanded by its velocity, and seen as it was some control steps before.
struct Body {
    /// Where it was, oldest first.
    places: Vec<[f32; 2]>,
    lag: usize,
    space: ActionSpace,
    /// The control step whose camera fails.
    blind_at: Option<usize>,
    /// What happened, in order: commands, and `None` for a stop.
    calls: Vec<Option<Vec<f32>>>,
    step_secs: f64,
}

impl Body {
    fn new(lag: usize) -> Self {
        let space = ActionSpace {
            names: vec!["velocity_x".into(), "velocity_y".into()],
            units: vec!["m/s".into(); 2],
            low: vec![-1.0; 2],
            high: vec![1.0; 2],
            neutral: vec![Neutral::Value(0.0); 2],
            max_step: Vec::new(),
        };
        Self { places: vec![[0.1, 0.2]], lag, space, blind_at: None, calls: Vec::new(), step_secs: 0.002 }
    }

    fn place(&self) -> [f32; 2] {
        *self.places.last().unwrap()
    }
}

impl Environment for Body {
    fn reset(&mut self, _seed: Seed) -> mindseye_interface::Result<Observation> {
        self.observe()
    }

    fn observe(&mut self) -> mindseye_interface::Result<Observation> {
        Ok(observation(Some(self.place())))
    }

    fn step(&mut self, action: &Action) -> mindseye_interface::Result<Step> {
        self.calls.push(Some(action.values().to_vec()));
        let place = self.place();
        self.places.push([0, 1].map(|part| place[part] + SPEED_M * action.values()[part]));
        if self.blind_at == Some(self.calls.len()) {
            return Err(BodyError::Environment { operation: "seeing", reason: "camera top: stale".into() });
        }
        let seen = self.places[self.places.len() - 1 - self.lag];
        Ok(Step { observation: observation(Some(seen)), terminated: false })
    }

    fn stop(&mut self) -> mindseye_interface::Result<()> {
        self.calls.push(None);
        Ok(())
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        self.step_secs
    }

    fn observation_lag_steps(&self) -> usize {
        self.lag
    }
}

/// Keeps the reports, and says resume each time that the body is held.
#[derive(Default)]
struct Watcher {
    reports: Vec<TickReport>,
    resume: Option<Sender<Command>>,
}

impl TickListener for Watcher {
    fn on_tick(&mut self, _observation: &Observation, report: &TickReport) {
        self.reports.push(report.clone());
    }

    fn on_held(&mut self, _reason: &str) {
        self.resume.iter().for_each(|commands| commands.send(Command::Resume).unwrap());
    }
}

fn limits(plan_ahead: usize, steps: u64) -> Limits {
    Limits { max_steps: Some(steps), real_time: false, plan_ahead, ..Limits::default() }
}

fn run(body: &mut Body, world_model: Box<dyn WorldModel>, limits: &Limits) -> (Result<RunSummary>, Vec<TickReport>) {
    let mut agent = agent(&[GOAL], world_model, 0).with_action_space(body.space.clone());
    let mut watcher = Watcher::default();
    let summary = run_with_commands(&mut agent, body, limits, &mut watcher, &AtomicBool::new(false), &never());
    (summary, watcher.reports)
}

#[test]
fn a_plan_begins_with_what_is_executed_while_it_is_made_and_what_is_seen_late() {
    for (lag, ahead) in [(0, 1), (1, 0), (0, 2), (1, 1), (1, 2), (1, ACTION_CHUNK)] {
        let mut body = Body::new(lag);
        let (summary, reports) = run(&mut body, Box::new(PointMass), &limits(ahead, 60));
        let summary = summary.unwrap();
        assert_eq!((summary.steps, summary.late_plans), (60, 0));
        assert!(reports.len() >= 60 / ACTION_CHUNK - 1, "{lag}, {ahead}: {} plans", reports.len());
        for (number, pair) in reports.windows(2).enumerate() {
            let [before, report] = pair else { unreachable!() };
            let committed = &report.directive.committed;
            assert_eq!(committed.len(), 2 * (lag + ahead), "{lag}, {ahead}: plan {number}");
            let continued = &before.plan.values()[2 * ACTION_CHUNK..][..committed.len()];
            assert_eq!(**committed, *continued, "{lag}, {ahead}: the plan before goes on");
            assert!(report.plan.values().starts_with(committed), "and the new one begins so");
            let surprise = report.surprise.unwrap();
            assert!(surprise < 1e-9, "{lag}, {ahead}: what is seen is what the plan before predicts: {surprise}");
        }
        let place = body.place();
        assert!((place[0] - GOAL[0]).hypot(place[1] - GOAL[1]) < 0.15, "{lag}, {ahead}: {place:?}");
    }
}

#[test]
fn equal_runs_are_equal_however_long_a_plan_takes() {
    let commands = |world_model: Box<dyn WorldModel>| {
        let mut body = Body::new(1);
        run(&mut body, world_model, &limits(2, 30)).0.unwrap();
        body.calls
    };
    assert_eq!(commands(Box::new(PointMass)), commands(Box::new(PointMass)));
}

/// A point mass whose rollouts take time.
#[derive(Debug)]
struct Slow(Duration);

impl Dynamics for Slow {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
        std::thread::sleep(self.0);
        PointMass.rollout(context, plans)
    }
}

impl WorldModel for Slow {}

#[test]
fn while_a_plan_is_late_the_one_before_goes_on_and_the_agent_knows_what_was_executed() {
    let mut body = Body::new(0);
    let limits = Limits { real_time: true, ..limits(1, 40) };
    let (summary, reports) = run(&mut body, Box::new(Slow(Duration::from_millis(1))), &limits);
    let summary = summary.unwrap();
    assert!(summary.late_plans > 0 && summary.steps == 40, "{summary:?}");
    assert!(reports.iter().all(|report| report.error.is_none()));
    let surprise = reports.iter().filter_map(|report| report.surprise).fold(0.0, f32::max);
    assert!(surprise < 1e-9, "predicted from what was executed: {surprise}");
}

/// Symptom to rule out: a camera fails while a plan is made, and the body moves on until the plan is there.
#[test]
fn a_fault_while_a_plan_is_made_stops_the_body_at_once() {
    for lag in [0, 1] {
        let mut body = Body::new(lag);
        // The first command holds still; the chunk and what is late follow, then the second plan is made.
        body.blind_at = Some(1 + ACTION_CHUNK + lag + 1);
        let (commands, received) = unbounded();
        let mut agent = agent(&[GOAL], Box::new(PointMass), 0).with_action_space(body.space.clone());
        let limits = Limits { latch: Some(Latch::default()), ..limits(2, 25) };
        let mut watcher = Watcher { resume: Some(commands), ..Watcher::default() };
        let stop = AtomicBool::new(false);
        let summary = run_with_commands(&mut agent, &mut body, &limits, &mut watcher, &stop, &received).unwrap();
        assert_eq!(summary.holds.len(), 1, "{summary:?}");
        let blind = 1 + ACTION_CHUNK + lag + 1;
        assert_eq!(body.calls[blind], None, "lag {lag}: {:?}", body.calls);
        let resumed = body.calls[blind..].iter().position(Option::is_some).unwrap();
        assert_eq!(body.calls[blind + resumed], Some(vec![0.0, 0.0]), "it begins by holding still again");
        assert_eq!(summary.steps, 25);
    }
}

#[test]
fn a_plan_that_takes_longer_than_the_time_until_the_next_is_refused() {
    let (summary, _) = run(&mut Body::new(0), Box::new(PointMass), &limits(ACTION_CHUNK + 1, 20));
    let error = summary.unwrap_err();
    assert!(matches!(error, Error::Shape { operation: "planning ahead", .. }), "{error}");
}
