//! The tests of this crate as one program: they link it once.

mod arm_calibration;
mod arm_faults;
mod arm_following;
mod arm_hostile;
mod arm_positions;
mod support;
