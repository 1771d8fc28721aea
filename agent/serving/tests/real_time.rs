//! A simulator on a clock, and its camera in a pipe.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mindseye_interface::{
    Action, ActionSpace, Environment, Error, Frame, Image, ImageSize, Neutral, Observation, Result, Seed, Step,
};
use mindseye_serving::body::RealTime;

const STEP_SECS: f64 = 0.02;

/// Something whose image is as bright as the number of its control steps.
struct Lamp {
    steps: u8,
    commands: Arc<Mutex<Vec<f32>>>,
    space: ActionSpace,
}

impl Lamp {
    fn new() -> Self {
        let space = ActionSpace {
            names: vec!["power".into()],
            units: vec!["W".into()],
            low: vec![-1.0],
            high: vec![1.0],
            neutral: vec![Neutral::Value(-0.5)],
            max_step: Vec::new(),
        };
        Self { steps: 0, commands: Arc::default(), space }
    }
}

impl Environment for Lamp {
    fn reset(&mut self, _seed: Seed) -> Result<Observation> {
        self.steps = 0;
        self.observe()
    }

    fn observe(&mut self) -> Result<Observation> {
        let image = Image::filled(ImageSize::square(2).unwrap(), [self.steps; 3]);
        Ok(Observation { frames: vec![Frame::new(&"top".into(), image, 0.0)], ..Observation::default() })
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        if action.values()[0] > 0.9 {
            return Err(Error::Environment { operation: "stepping", reason: "a fuse".into() });
        }
        self.commands.lock().unwrap().push(action.values()[0]);
        self.steps = self.steps.saturating_add(1);
        Ok(Step { observation: self.observe()?, terminated: false })
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        STEP_SECS
    }
}

fn brightness(observation: &Observation) -> u8 {
    observation.image().unwrap().pixels()[0]
}

#[test]
fn a_control_step_takes_its_time_and_is_seen_when_it_ends() {
    let mut body = RealTime::new(Box::new(Lamp::new())).unwrap();
    let view = body.view();
    assert_eq!(brightness(&body.reset(Seed::new(0)).unwrap()), 0);
    let begun = Instant::now();
    let seen = brightness(&body.step(&Action::new(vec![0.5]).unwrap()).unwrap().observation);
    assert!(begun.elapsed() >= Duration::from_secs_f64(0.9 * STEP_SECS));
    assert!(seen >= 1 && view.image().unwrap().pixels()[0] >= seen, "others see it, too");
    let error = body.step(&Action::new(vec![1.0]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("a fuse"), "{error}");
    assert!(body.observe().is_ok() && body.stop().is_ok(), "and it goes on");
}

/// Symptom to rule out: a simulator that waits for ever for its driver, as no robot does.
#[test]
fn without_commands_it_holds_still_while_the_world_goes_on() {
    let lamp = Lamp::new();
    let commands = lamp.commands.clone();
    let mut body = RealTime::new(Box::new(lamp)).unwrap();
    body.step(&Action::new(vec![0.5]).unwrap()).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !commands.lock().unwrap().ends_with(&[-0.5; 3]) {
        assert!(Instant::now() < until, "{:?}", commands.lock().unwrap());
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(commands.lock().unwrap().contains(&0.5));
}
