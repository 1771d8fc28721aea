//! How an arm is moved and held: some times in every control step.

use std::time::{Duration, Instant};

use mindseye_interface::Clock;

use super::Arm;
use crate::error::{Error, Result};
use crate::health::{jump, require_sound};
use crate::joint::steps_of_degrees;
use crate::motion::{Bounds, next_goal};
use crate::servos::{MAX_STEP, ServoState};

/// Time between two commands within a control step: between its ends a joint goes in a line.
const COMMAND: Duration = Duration::from_millis(20);
/// A joint as near to its goal, degrees, and as slow, degrees per second, holds it.
const SETTLED_DEGREES: f64 = 3.0;
const SETTLED_SPEED: f64 = 2.0;
/// Readings until a position that jumped is believed to have jumped.
const JUMP_READINGS: usize = 3;

/// Whether a servo is at rest near `goal`.
pub(super) fn is_settled(state: &ServoState, goal: f64) -> bool {
    (goal - state.position as f64).abs() <= steps_of_degrees(SETTLED_DEGREES)
        && (state.speed as f64).abs() <= steps_of_degrees(SETTLED_SPEED)
}

impl Arm {
    /// Takes the joints to `targets` (none: they stay) within `length`, counted from `began`.
    pub(super) fn drive(&mut self, targets: &[Option<f64>], began: Instant, length: Duration) -> Result<()> {
        if let Some(fault) = &self.fault {
            return Err(Error::Fault(format!("held still: {fault}")));
        }
        let targets: Vec<f64> = targets.iter().enumerate().map(|(joint, target)| self.target(joint, *target)).collect();
        let mut before = began;
        loop {
            // A late command makes no larger step.
            let since = before.elapsed().clamp(Duration::from_millis(1), COMMAND);
            before = Instant::now();
            let left = length.saturating_sub(began.elapsed()).max(since);
            self.command(&targets, since, since.as_secs_f64() / left.as_secs_f64())?;
            let next = COMMAND.min(length.saturating_sub(began.elapsed()));
            std::thread::sleep(next.saturating_sub(before.elapsed()));
            self.poll()?;
            if began.elapsed() >= length {
                return Ok(());
            }
        }
    }

    /// Where a joint is to be at the end of a control step: a joint that is to stay keeps its goal where it is at rest
    /// near it.
    fn target(&self, joint: usize, target: Option<f64>) -> f64 {
        let (goal, state) = (self.goals[joint], &self.states[joint]);
        match target {
            Some(target) => target,
            None if is_settled(state, goal) => goal,
            None => state.position as f64,
        }
    }

    /// The next command of every joint: a `share` of what is left to its target, and no more than its speed allows in
    /// `since`.
    fn command(&mut self, targets: &[f64], since: Duration, share: f64) -> Result<()> {
        let fastest = steps_of_degrees(self.settings.max_speed) * since.as_secs_f64();
        for (joint, target) in targets.iter().enumerate() {
            let lead = match self.joints[joint].is_gripper() {
                true => self.settings.grip_lead,
                false => self.settings.max_lead,
            };
            let before = self.goals[joint];
            let bounds = Bounds { step: fastest, lead: steps_of_degrees(lead) };
            let towards = before + (target - before) * share.min(1.0);
            self.goals[joint] = next_goal(before, towards, self.states[joint].position as f64, bounds);
        }
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        let goals: Vec<i64> = self.goals.iter().map(|goal| (goal.round() as i64).clamp(0, MAX_STEP)).collect();
        let Some(servos) = &mut self.servos else { return Err(self.lost()) };
        match servos.write_goals(&self.ids, &goals) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.lose(error)),
        }
    }

    fn lost(&self) -> Error {
        Error::Line { port: self.port.clone(), reason: "the line is lost".into() }
    }

    /// The line is given up: who observes next opens it again. Nothing is sent: the servos hold the newest command,
    /// which is near to where they are, and what is known of where they are grows old.
    fn lose(&mut self, error: Error) -> Error {
        self.fault = Some(error.to_string());
        self.servos = None;
        error
    }

    /// Reads the states.
    fn read(&mut self) -> Result<Vec<ServoState>> {
        let Some(servos) = &mut self.servos else { return Err(self.lost()) };
        match servos.states(&self.ids) {
            Ok(states) => Ok(states),
            Err(error) => Err(self.lose(error)),
        }
    }

    /// Reads the states, and latches what is wrong with them: then the arm is held where it is.
    pub(super) fn poll(&mut self) -> Result<()> {
        let mut fault = None;
        for _ in 0..JUMP_READINGS {
            let states = self.read()?;
            let now_secs = self.clock.now_secs();
            fault = jump(&self.joints, &self.states, &states, now_secs - self.read_secs);
            if fault.is_none() {
                (self.states, self.read_secs) = (states, now_secs);
                break;
            }
        }
        let found = fault.or_else(|| {
            self.watch.check(&self.settings, &self.joints, &self.states, Some(&self.goals), self.read_secs)
        });
        let Some(found) = found else { return Ok(()) };
        self.fault = Some(found.clone());
        // That the arm cannot be told to hold is what the next call says.
        let _ = self.hold();
        Err(Error::Fault(found))
    }

    /// Tells every joint that is not at rest near its goal to be where it is.
    pub(super) fn hold(&mut self) -> Result<()> {
        self.states = self.read()?;
        self.read_secs = self.clock.now_secs();
        for (goal, state) in self.goals.iter_mut().zip(&self.states) {
            if !is_settled(state, *goal) {
                *goal = state.position as f64;
            }
        }
        self.write()
    }

    /// After a fault: commands are taken again, if its cause is gone. Nobody knows where the arm was moved meanwhile.
    pub(super) fn recover(&mut self) -> Result<()> {
        if self.fault.is_none() {
            return Ok(());
        }
        if self.servos.is_none() {
            return self.attach();
        }
        let states = self.read()?;
        require_sound(&self.settings, &self.joints, &states)?;
        if states.iter().any(|state| !state.torque) {
            return self.reattach();
        }
        self.hold()?;
        self.watch.begin();
        self.fault = None;
        Ok(())
    }

    /// Begins as at first: a servo has let go, and lost what it was told.
    fn reattach(&mut self) -> Result<()> {
        self.servos = None; // the port is ours alone: it is closed before it is opened
        self.attach()
    }
}
