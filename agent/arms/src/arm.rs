//! An arm behind [`Environment`]: absolute positions in, measured positions out, and still when something is wrong.

mod drive;

use std::time::{Duration, Instant};

use mindseye_interface::config::Validate;
use mindseye_interface::{Action, ActionSpace, Clock, Environment, Neutral, Observation, Seed, Step, SystemClock};

use crate::address::ArmUri;
use crate::calibration::Calibration;
use crate::error::{Error, Result};
use crate::health::{Watch, require_sound};
use crate::joint::{Joint, steps_of_degrees};
use crate::servos::{MAX_STEP, ServoState, Servos};
use crate::settings::ArmSettings;

/// What names of positions end with in LeRobot's recordings.
const POSITION: &str = ".pos";
/// Units of torque limits of a servo.
const FULL_TORQUE: f64 = 1000.0;

/// An arm at a serial port.
///
/// It is at rest where it is as soon as it is connected: every servo is told to be where it is before it gets
/// torque. A fault (a servo that overheats, stalls, reports an error, lets go, loses its supply, or does not answer)
/// is the error of the call in which it is found; the arm then holds still where it is, and every command is refused
/// until somebody observes again. After a lost line that connects anew, as at first.
pub struct Arm {
    port: String,
    settings: ArmSettings,
    joints: Vec<Joint>,
    ids: Vec<u8>,
    space: ActionSpace,
    /// Time at the end of a control step in which the caller plans, seconds.
    planning_secs: f64,
    /// None where the line is lost.
    servos: Option<Servos>,
    /// Newest commands, steps.
    goals: Vec<f64>,
    states: Vec<ServoState>,
    /// When they were read.
    read_secs: f64,
    watch: Watch,
    /// Why commands are refused.
    fault: Option<String>,
    /// Positions of the newest observation, in units of actions.
    observed: Vec<f32>,
    clock: SystemClock,
    started_secs: f64,
    tick: u64,
}

impl Arm {
    /// The arm at an address.
    ///
    /// # Errors
    /// As [`Arm::connect`], and those of its files.
    pub fn open(uri: &ArmUri) -> Result<Self> {
        Self::connect(&uri.port, &uri.calibration()?, uri.settings()?)
    }

    /// Connects to the arm at `port`, which then holds still where it is.
    ///
    /// # Errors
    /// [`Error::Line`] and [`Error::Servo`] where it does not answer; [`Error::Field`] where its servos are calibrated
    /// otherwise; [`Error::Fault`] where it is in no state to get torque.
    pub fn connect(port: &str, calibration: &Calibration, settings: ArmSettings) -> Result<Self> {
        settings.validate()?;
        let joint = |(name, motor): &(String, _)| Joint::new(name, *motor, &settings);
        let joints = calibration.joints().iter().map(joint).collect::<Result<Vec<_>>>()?;
        if let Some(other) = settings.soft_limits.keys().find(|name| joints.iter().all(|joint| joint.name != **name)) {
            let names = joints.iter().map(|joint| joint.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Error::field("soft_limits", names, other));
        }
        let space = space_of(&joints, &settings);
        space.validate()?;
        let mut arm = Self {
            port: port.to_owned(),
            ids: joints.iter().map(|joint| joint.motor.id).collect(),
            joints,
            space,
            planning_secs: 0.0,
            servos: None,
            goals: Vec::new(),
            states: Vec::new(),
            read_secs: 0.0,
            watch: Watch::default(),
            fault: None,
            observed: Vec::new(),
            clock: SystemClock::start(),
            started_secs: 0.0,
            tick: 0,
            settings,
        };
        arm.attach()?;
        Ok(arm)
    }

    /// Takes the meaning of -1 and 1 from a model's actions: recordings of an arm rarely fill its whole range. The soft
    /// limits stay.
    ///
    /// # Errors
    /// [`Error::Field`] for actions of another arm, and for those of which the one that holds still is another than the
    /// measured positions: an agent that does not know what to do would drive the arm there.
    pub fn adopt(&mut self, model: &ActionSpace) -> Result<()> {
        let is_named = model.names.iter().enumerate().any(|(index, name)| *name != format!("action_{index}"));
        if model.width() != self.space.width() || (is_named && model.names != self.space.names) {
            let (expected, got) = (self.space.names.join(", "), model.names.join(", "));
            return Err(Error::field("the model's actions", expected, got));
        }
        if model.neutral != self.space.neutral {
            let expected = "to hold still at the measured positions: recordings with equal names of action and state";
            return Err(Error::field("the model's actions", expected, "other ones that hold still"));
        }
        for (index, joint) in self.joints.iter().enumerate() {
            let (low, high) = joint.limits();
            if model.high[index] < low || model.low[index] > high {
                let expected = format!("some of {low:.1} to {high:.1} {}", joint.unit());
                let got = format!(
                    "{:.1} to {:.1} (other units, or another calibration?)",
                    model.low[index], model.high[index]
                );
                return Err(Error::field(format!("the model's actions of {}", joint.name), expected, got));
            }
        }
        (self.space.low, self.space.high) = (model.low.clone(), model.high.clone());
        Ok(())
    }

    /// Every control step is observed so much before its end, so that there is time for a plan, seconds.
    pub fn leave_for_planning(&mut self, secs: f64) {
        self.planning_secs = secs.clamp(0.0, self.control_step_secs());
    }

    /// Other control steps per second than the settings say, 1 to 100.
    ///
    /// # Errors
    /// [`Error::Interface`] for another number.
    pub fn set_hz(&mut self, hz: f64) -> Result<()> {
        let settings = ArmSettings { hz, ..self.settings.clone() };
        settings.validate()?;
        self.settings = settings;
        self.space.max_step = space_of(&self.joints, &self.settings).max_step;
        Ok(())
    }

    /// Its joints, in the order of actions.
    pub fn joints(&self) -> &[Joint] {
        &self.joints
    }

    /// What it may do.
    pub fn settings(&self) -> &ArmSettings {
        &self.settings
    }

    /// What its servos measured last.
    pub fn states(&self) -> &[ServoState] {
        &self.states
    }

    /// The newest commands, in units of actions: what was really sent, after all limits.
    pub fn sent(&self) -> Vec<f64> {
        self.joints.iter().zip(&self.goals).map(|(joint, goal)| joint.value(goal.round())).collect()
    }

    /// Opens the line and makes the arm hold where it is.
    fn attach(&mut self) -> Result<()> {
        let mut servos = Servos::open(&self.port, self.settings.baud)?;
        for joint in &self.joints {
            require_calibrated(&mut servos, joint)?;
        }
        let states = servos.states(&self.ids)?;
        require_sound(&self.settings, &self.joints, &states)?;
        // One that holds already is left at its goal: told to be where it is, it would sink by its load each time.
        let goal = |state: &ServoState| match state.torque && drive::is_settled(state, state.goal as f64) {
            true => state.goal,
            false => state.position.clamp(0, MAX_STEP),
        };
        let goals: Vec<i64> = states.iter().map(goal).collect();
        let speed = steps_of_degrees(self.settings.max_speed).ceil() as i64;
        for joint in &self.joints {
            let share = if joint.is_gripper() { self.settings.grip_torque } else { self.settings.torque };
            servos.write(joint.motor.id, "goal_speed", speed)?;
            servos.write(joint.motor.id, "torque_limit", (FULL_TORQUE * share) as i64)?;
        }
        servos.write_goals(&self.ids, &goals)?;
        // Nobody answers a message to all: whether it was heard is read.
        for ((state, goal), joint) in servos.states(&self.ids)?.iter().zip(&goals).zip(&self.joints) {
            if state.goal != *goal {
                let got = format!("{} (servo {})", state.goal, joint.motor.id);
                return Err(Error::field(format!("goal of {}", joint.name), format!("{goal}, where it is"), got));
            }
        }
        for (state, id) in states.iter().zip(&self.ids) {
            if !state.torque {
                servos.write(*id, "torque_enable", 1)?;
            }
        }
        self.goals = goals.iter().map(|goal| *goal as f64).collect();
        self.states = servos.states(&self.ids)?;
        self.read_secs = self.clock.now_secs();
        self.observed = self.positions();
        self.watch.begin();
        (self.servos, self.fault) = (Some(servos), None);
        Ok(())
    }

    /// Where the joints are, in units of actions.
    fn positions(&self) -> Vec<f32> {
        let measured = self.joints.iter().zip(&self.states);
        measured.map(|(joint, state)| joint.value(state.position as f64) as f32).collect()
    }

    /// The newest states as an observation.
    fn observation(&mut self) -> Observation {
        self.observed = self.positions();
        Observation {
            frames: Vec::new(),
            proprioception: self.observed.clone(),
            tick: self.tick,
            time_secs: self.clock.now_secs() - self.started_secs,
        }
    }

    /// Where `action` tells every joint to be, steps; none where it tells it to stay.
    fn targets(&self, action: &Action) -> Result<Vec<Option<f64>>> {
        let physical = self.space.denormalise(action)?;
        // Also of a joint outside of the bounds, whose position no action can say.
        let still = self.space.hold(&self.observed)?;
        let commands = action.values().iter().zip(still.values()).zip(physical);
        let target = |(joint, ((value, still), physical)): (&Joint, ((&f32, &f32), f64))| {
            (value != still).then(|| joint.within_limits(joint.steps(physical)))
        };
        Ok(self.joints.iter().zip(commands).map(target).collect())
    }
}

/// The actions of an arm with these joints.
fn space_of(joints: &[Joint], settings: &ArmSettings) -> ActionSpace {
    let (low, high) = joints.iter().map(Joint::limits).unzip();
    let most = settings.max_speed / settings.hz;
    ActionSpace {
        names: joints.iter().map(|joint| format!("{}{POSITION}", joint.name)).collect(),
        units: joints.iter().map(|joint| joint.unit().to_owned()).collect(),
        low,
        high,
        neutral: (0..joints.len()).map(|proprioception| Neutral::HoldPosition { proprioception }).collect(),
        max_step: joints.iter().map(|joint| Some(joint.value_of_degrees(most))).collect(),
    }
}

/// Refuses a servo that counts its positions otherwise than the calibration says.
pub(crate) fn require_calibrated(servos: &mut Servos, joint: &Joint) -> Result<()> {
    let motor = &joint.motor;
    let names = ["model_number", "operating_mode", "homing_offset", "min_position_limit", "max_position_limit"];
    let kept = servos.read_all(motor.id, &names)?; // one question: an adapter may keep each answer for 16 ms
    let model = kept.first().copied().unwrap_or_default();
    if !Servos::is_known_model(model) {
        return Err(Error::field(
            format!("servo {} ({})", motor.id, joint.name),
            "an STS3215",
            format!("model {model}"),
        ));
    }
    let wanted = [0, motor.homing_offset, motor.range_min, motor.range_max];
    for ((name, got), expected) in names.iter().zip(kept).skip(1).zip(wanted) {
        if got != expected {
            let field = format!("{name} of servo {} ({})", motor.id, joint.name);
            let expected = format!("{expected} as in the calibration (mindseye arm calibrate --write FILE sets it)");
            return Err(Error::field(field, expected, got));
        }
    }
    Ok(())
}

impl Environment for Arm {
    /// Holds still and counts from here; it drives to no start by itself.
    fn reset(&mut self, _seed: Seed) -> mindseye_interface::Result<Observation> {
        let observation = self.observe()?;
        (self.tick, self.started_secs) = (0, self.clock.now_secs());
        Ok(Observation { tick: 0, time_secs: 0.0, ..observation })
    }

    /// Observes; after a fault whose cause is gone commands are taken again, after a lost line it is connected anew.
    fn observe(&mut self) -> mindseye_interface::Result<Observation> {
        self.recover().and_then(|()| self.poll()).map_err(|error| error.of_environment("observing the arm"))?;
        Ok(self.observation())
    }

    fn step(&mut self, action: &Action) -> mindseye_interface::Result<Step> {
        let began = Instant::now();
        let length = Duration::from_secs_f64((self.control_step_secs() - self.planning_secs).max(0.0));
        let driven = self.targets(action).and_then(|targets| self.drive(&targets, began, length));
        driven.map_err(|error| error.of_environment("moving the arm"))?;
        self.tick += 1;
        Ok(Step { observation: self.observation(), terminated: false })
    }

    fn stop(&mut self) -> mindseye_interface::Result<()> {
        self.hold().map_err(|error| error.of_environment("holding the arm"))
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        1.0 / self.settings.hz
    }
}

impl Drop for Arm {
    /// The servos hold the arm, or let go where the settings say so.
    fn drop(&mut self) {
        if let (true, Some(servos)) = (self.settings.release, &mut self.servos) {
            for id in &self.ids {
                // Nobody is left to be told.
                let _ = servos.write(*id, "torque_enable", 0);
            }
        }
    }
}
