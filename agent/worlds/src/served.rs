//! The other side of the protocol: a simulator of ours as a world for any program that speaks it.

use std::io::{BufRead, Result as IoResult, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mindseye_interface::inputs::next_line;
use mindseye_interface::{Action, ActionSpace, Error, Observation, Result, Script, Seed, Simulator, Snapshot};
use serde_json::{Value, json};

use crate::connection::failure;
use crate::description::{Abilities, CameraDescription, Description, PROTOCOL};
use crate::fields::{Defect, Field, parse};
use crate::observation::{Check, image_json};

/// Most bytes of a request.
const REQUEST_BYTES: usize = 64 << 20;
/// Most control steps of a request.
const MOST_STEPS: usize = 10_000;

/// Answers the requests in `input` with `simulator`, which says that it `can` do so much, and with `script` as its
/// demonstrator, until there are no more. Requests that make no sense are answered by an error.
///
/// # Errors
/// When requests cannot be read, or answers cannot be written.
pub fn serve(
    simulator: &mut dyn Simulator,
    script: &mut dyn Script,
    can: Abilities,
    mut input: impl BufRead,
    mut output: impl Write,
) -> IoResult<()> {
    let space = simulator.action_space().clone();
    let mut served = Served { simulator, script, can, space };
    while let Some(line) = next_line(&mut input, REQUEST_BYTES)? {
        let answer = match line.map_err(Defect).and_then(|line| parse(&line)) {
            Ok(request) => {
                let result = served.answer(&Field::root(&request));
                let id = request.get("id").cloned().unwrap_or_default();
                match result {
                    Ok(result) => json!({ "id": id, "result": result }),
                    Err(error) => json!({ "id": id, "error": error.to_string() }),
                }
            }
            Err(Defect(defect)) => json!({ "id": null, "error": defect }),
        };
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

struct Served<'a> {
    simulator: &'a mut dyn Simulator,
    script: &'a mut dyn Script,
    can: Abilities,
    /// The action space of the description.
    space: ActionSpace,
}

/// A request that makes no sense.
fn refused(Defect(defect): Defect) -> Error {
    failure(&defect)
}

fn seed_in(field: &Field<'_>) -> Result<Seed> {
    let value = field.value().as_u64().ok_or_else(|| refused(field.defect("a whole number")))?;
    Ok(Seed::new(value))
}

impl Served<'_> {
    fn answer(&mut self, request: &Field<'_>) -> Result<Value> {
        let name = request.get("request").and_then(|name| name.text()).map_err(refused)?;
        let states = self.simulator.state_names().len();
        let numbers = |name: &str| request.get(name).and_then(|field| field.numbers(states)).map_err(refused);
        match name {
            "describe" => self.describe(),
            "reset" => {
                let seed = seed_in(&request.get("seed").map_err(refused)?)?;
                let observation = self.simulator.reset(seed)?;
                Ok(self.with_space(&observation))
            }
            "observe" => {
                let observation = self.simulator.observe()?;
                Ok(self.with_space(&observation))
            }
            "set_state" => {
                let observation = self.simulator.set_state(&numbers("state")?)?;
                Ok(self.with_space(&observation))
            }
            "step" => self.step(request),
            "check_goal" => self.check_goal(&numbers("state")?, &numbers("goal")?),
            "act" => {
                if let Some(seed) = request.optional("seed").map_err(refused)? {
                    self.script.begin(seed_in(&seed)?);
                }
                let action = self.script.act(&self.simulator.state());
                Ok(json!({ "action": self.simulator.action_space().denormalise(&action)? }))
            }
            "snapshot" => Ok(json!({ "snapshot": BASE64_STANDARD.encode(self.simulator.snapshot()?.0) })),
            "restore" => {
                let text = request.get("snapshot").and_then(|field| field.text()).map_err(refused)?;
                let bytes = BASE64_STANDARD.decode(text).map_err(|error| failure(&format!("snapshot: {error}")))?;
                self.simulator.restore(&Snapshot(bytes))?;
                let observation = self.simulator.observe()?;
                Ok(self.with_space(&observation))
            }
            "stop" => self.simulator.stop().map(|()| json!({})),
            other => Err(Error::field("request", "one of protocol 1", other)),
        }
    }

    fn describe(&mut self) -> Result<Value> {
        let observation = self.simulator.observe()?;
        let cameras = observation.frames.iter().map(|frame| {
            let (name, size) = (frame.camera.to_string(), frame.image.size());
            CameraDescription { name, height: size.height(), width: size.width() }
        });
        let description = Description {
            protocol: PROTOCOL,
            name: self.simulator.scene().to_owned(),
            action: self.space.clone(),
            control_step_secs: self.simulator.control_step_secs(),
            cameras: cameras.collect(),
            proprioception: self.simulator.proprioception_names(),
            state: self.simulator.state_names(),
            can: self.can,
            goal_tolerance: Vec::new(),
            deterministic: true,
        };
        serde_json::to_value(description).map_err(|error| failure(&error.to_string()))
    }

    fn observed(&self, observation: &Observation, images: bool) -> Value {
        let frames = observation.frames.iter().filter(|_| images);
        let frames: serde_json::Map<String, Value> =
            frames.map(|frame| (frame.camera.to_string(), image_json(&frame.image))).collect();
        let (proprioception, state) = (&observation.proprioception, self.simulator.state());
        json!({
            "frames": frames,
            "proprioception": proprioception,
            "state": state,
            "object": self.simulator.occlusion_target(),
        })
    }

    fn with_space(&self, observation: &Observation) -> Value {
        let space = Some(self.simulator.action_space()).filter(|space| **space != self.space);
        json!({ "observation": self.observed(observation, true), "action": space })
    }

    fn step(&mut self, request: &Field<'_>) -> Result<Value> {
        let actions = request.get("actions").and_then(|field| field.elements(None)).map_err(refused)?;
        if actions.len() > MOST_STEPS {
            return Err(Error::field("actions", format!("at most {MOST_STEPS}"), actions.len()));
        }
        let images = request.get("images").and_then(|field| field.text()).map_err(refused)?;
        let states = self.simulator.state_names().len();
        let goal = request.optional("goal").and_then(|goal| goal.map(|goal| goal.numbers(states)).transpose());
        let goal = goal.map_err(refused)?;
        let mut steps = Vec::with_capacity(actions.len());
        for (index, action) in actions.iter().enumerate() {
            let wanted = images == "all" || (images == "last" && index + 1 == actions.len());
            let physical = action.numbers(self.space.width()).map_err(refused)?;
            let action: Action = self.simulator.action_space().normalise(&physical)?;
            let (observation, terminated) = if wanted {
                let step = self.simulator.step(&action)?;
                (step.observation, step.terminated)
            } else {
                self.simulator.step_blind(&action)?;
                (Observation { proprioception: self.proprioception(), ..Observation::default() }, false)
            };
            let mut step = self.observed(&observation, wanted);
            step["terminated"] = terminated.into();
            if let Some(goal) = &goal {
                step["check"] = self.check(goal).json();
            }
            steps.push(step);
        }
        Ok(json!({ "steps": steps }))
    }

    /// Proprioception without an image: where its names are names of the state.
    fn proprioception(&self) -> Vec<f32> {
        let (state, names) = (self.simulator.state(), self.simulator.state_names());
        let named =
            |name: &String| names.iter().position(|known| known == name).map_or(0.0, |index| state[index] as f32);
        self.simulator.proprioception_names().iter().map(named).collect()
    }

    fn check(&self, goal: &[f64]) -> Check {
        let check = self.simulator.check_goal(goal);
        Check { check, energy: self.simulator.goal_energy(&self.simulator.state(), goal) }
    }

    /// The predicate in another state than the one now is that of the world put there, and back.
    fn check_goal(&mut self, state: &[f64], goal: &[f64]) -> Result<Value> {
        if state == self.simulator.state() {
            return Ok(self.check(goal).json());
        }
        let before = self.simulator.snapshot()?;
        self.simulator.set_state(state)?;
        let check = self.check(goal).json();
        self.simulator.restore(&before)?;
        Ok(check)
    }
}
