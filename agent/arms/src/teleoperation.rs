//! An arm that follows another one, which a person moves by hand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mindseye_interface::Environment;

use crate::address::ArmUri;
use crate::arm::{Arm, require_calibrated};
use crate::error::{Error, Result};
use crate::joint::Joint;
use crate::servos::Servos;
use crate::settings::ArmSettings;

/// An arm without torque, whose positions another one follows.
pub struct Leader {
    servos: Servos,
    joints: Vec<Joint>,
    ids: Vec<u8>,
}

impl Leader {
    /// The arm at an address, which lets go. Of its settings only `baud` counts: a follower's units are taken.
    ///
    /// # Errors
    /// [`Error::Line`] and [`Error::Servo`] where it does not answer, [`Error::Field`] where its servos are calibrated
    /// otherwise.
    pub fn open(uri: &ArmUri, follower: &Arm) -> Result<Self> {
        let settings = ArmSettings { units: follower.settings().units, ..ArmSettings::default() };
        let calibration = uri.calibration()?;
        let joint = |(name, motor): &(String, _)| Joint::new(name, *motor, &settings);
        let joints = calibration.joints().iter().map(joint).collect::<Result<Vec<_>>>()?;
        let names = |joints: &[Joint]| joints.iter().map(|joint| joint.name.clone()).collect::<Vec<_>>().join(", ");
        if names(&joints) != names(follower.joints()) {
            return Err(Error::field("joints of the leader", names(follower.joints()), names(&joints)));
        }
        let mut servos = Servos::open(&uri.port, uri.settings()?.baud)?;
        for joint in &joints {
            require_calibrated(&mut servos, joint)?;
            servos.write(joint.motor.id, "torque_enable", 0)?;
        }
        let ids = joints.iter().map(|joint| joint.motor.id).collect();
        Ok(Self { servos, joints, ids })
    }

    /// Where it is, in units of actions.
    ///
    /// # Errors
    /// [`Error::Servo`] where a servo gives no whole answer.
    pub fn positions(&mut self) -> Result<Vec<f64>> {
        let states = self.servos.states(&self.ids)?;
        Ok(self.joints.iter().zip(states).map(|(joint, state)| joint.value(state.position as f64)).collect())
    }
}

/// One control step of an arm that follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// What it was told, after all limits, in units of actions.
    pub sent: Vec<f32>,
    /// Where it was at the end of the step, in the same units.
    pub observed: Vec<f32>,
}

/// Makes `follower` follow `leader`, control step by control step, until `stop`; `each` step is told. At first it moves
/// to where the leader is no faster than ever.
///
/// # Errors
/// What is wrong with either arm; the follower then holds still.
pub fn follow(
    follower: &mut Arm,
    leader: &mut Leader,
    stop: &AtomicBool,
    each: &mut dyn FnMut(Followed),
) -> Result<()> {
    let step = Duration::from_secs_f64(follower.control_step_secs());
    follower.observe()?;
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let wanted = match leader.positions() {
            Ok(wanted) => wanted,
            Err(error) => {
                follower.stop()?;
                return Err(error);
            }
        };
        let action = follower.action_space().normalise(&wanted)?;
        let taken = follower.step(&action)?;
        let sent = follower.sent().iter().map(|value| *value as f32).collect();
        each(Followed { sent, observed: taken.observation.proprioception });
        std::thread::sleep(step.saturating_sub(begun.elapsed()));
    }
    Ok(follower.stop()?)
}
