//! Several cameras that see the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mindseye_interface::Frame;

use crate::camera::Camera;
use crate::frame::CameraFrame;
use crate::{Error, Result};

/// Cameras whose frames are read together. They share a clock: open them from one [`crate::Sources`].
#[derive(Debug)]
pub struct CameraSet {
    cameras: Vec<Camera>,
    tolerance_secs: f64,
}

/// One frame of every camera of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameSet {
    /// The frames, in the order of the cameras.
    pub frames: Vec<Arc<CameraFrame>>,
    /// From the earliest capture to the latest, seconds.
    pub spread_secs: f64,
}

/// Time between two looks for frames that agree.
const LOOK: Duration = Duration::from_millis(2);

impl CameraSet {
    /// A set of `cameras` whose frames agree if their capture times lie within `tolerance`. Half the time between two
    /// frames is the least that cameras without a common trigger reach.
    ///
    /// # Errors
    /// [`Error::Argument`] without a camera, or with two of one name.
    pub fn new(cameras: Vec<Camera>, tolerance: Duration) -> Result<Self> {
        require_different_names(cameras.iter().map(Camera::name))?;
        if cameras.is_empty() {
            return Err(Error::argument("cameras", "at least 1", 0));
        }
        Ok(Self { cameras, tolerance_secs: tolerance.as_secs_f64() })
    }

    /// The cameras.
    pub fn cameras(&self) -> &[Camera] {
        &self.cameras
    }

    /// The newest frames of all cameras, at once. Where the newest do not agree, older ones of the cameras that are
    /// ahead may.
    ///
    /// # Errors
    /// Those of [`Camera::read_latest`] for the first camera that has none, and [`Error::NotLive`] that names the
    /// camera that lags behind the others.
    pub fn read_latest(&self, max_age: Duration) -> Result<FrameSet> {
        let newest = self.cameras.iter().map(|camera| camera.read_latest(max_age)).collect::<Result<Vec<_>>>()?;
        let captured: Vec<f64> = newest.iter().map(|frame| frame.captured_secs).collect();
        let kept: Vec<Vec<Arc<CameraFrame>>> = self.cameras.iter().map(Camera::newest).collect();
        let times: Vec<Vec<f64>> =
            kept.iter().map(|frames| frames.iter().map(|frame| frame.captured_secs).collect()).collect();
        let (chosen, spread_secs) = matched(&times);
        if spread_secs > self.tolerance_secs || chosen.len() != self.cameras.len() {
            return Err(self.lagging(&captured, spread_secs));
        }
        let frames = chosen.iter().zip(&kept).map(|(index, frames)| frames[*index].clone()).collect();
        Ok(FrameSet { frames, spread_secs })
    }

    /// Of each camera the first frame that was captured at `from_secs` or later: what it showed then. Where there is
    /// none yet, the newest one; where it is kept no more, the oldest of the newest few.
    ///
    /// # Errors
    /// As [`CameraSet::read_latest`].
    pub fn read_from(&self, from_secs: f64, max_age: Duration) -> Result<FrameSet> {
        let newest = self.cameras.iter().map(|camera| camera.read_latest(max_age)).collect::<Result<Vec<_>>>()?;
        let first = |(camera, newest): (&Camera, Arc<CameraFrame>)| {
            let kept = camera.newest().into_iter().find(|frame| frame.captured_secs >= from_secs);
            kept.unwrap_or(newest)
        };
        let frames: Vec<Arc<CameraFrame>> = self.cameras.iter().zip(newest).map(first).collect();
        let captured: Vec<f64> = frames.iter().map(|frame| frame.captured_secs).collect();
        let low = captured.iter().copied().fold(f64::INFINITY, f64::min);
        let spread_secs = captured.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
        if spread_secs > self.tolerance_secs {
            return Err(self.lagging(&captured, spread_secs));
        }
        Ok(FrameSet { frames, spread_secs })
    }

    /// As [`CameraSet::read_latest`], waiting up to `timeout` for frames that agree.
    ///
    /// # Errors
    /// The last error of [`CameraSet::read_latest`].
    pub fn read(&self, max_age: Duration, timeout: Duration) -> Result<FrameSet> {
        let until = Instant::now() + timeout;
        loop {
            match self.read_latest(max_age) {
                Err(_) if Instant::now() < until => std::thread::sleep(LOOK),
                read => return read,
            }
        }
    }

    fn lagging(&self, captured: &[f64], spread_secs: f64) -> Error {
        let newest = captured.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let slowest = captured.iter().zip(&self.cameras).min_by(|a, b| a.0.total_cmp(b.0));
        let (behind, camera) = slowest.map_or((0.0, ""), |(time, camera)| (newest - time, camera.name()));
        let reason = format!(
            "its newest frame is {behind:.3} s behind; expected frames within {:.3} s, got {spread_secs:.3}",
            self.tolerance_secs
        );
        Error::NotLive { camera: camera.into(), state: crate::State::Stale, reason }
    }
}

impl FrameSet {
    /// The frames as an observation has them, with capture times counted from `start_secs` (the reset of an episode).
    pub fn observed(&self, start_secs: f64) -> Vec<Frame> {
        self.frames.iter().map(|frame| frame.observed(start_secs)).collect()
    }
}

/// Refuses two cameras of one name: files and columns are called by it.
pub(crate) fn require_different_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::argument("names of cameras", "different ones (#name=...)", pair[0])),
        None => Ok(()),
    }
}

/// For the capture times of each camera, ascending: which frame of each to take, as new as possible and as close
/// together as possible, and from the earliest to the latest of them, seconds.
fn matched(times: &[Vec<f64>]) -> (Vec<usize>, f64) {
    // No set is newer than the newest frame of the camera that is furthest behind.
    let reference = times.iter().filter_map(|times| times.last()).copied().fold(f64::INFINITY, f64::min);
    let nearest = |times: &Vec<f64>| {
        let distance = |index: &usize| (times[*index] - reference).abs();
        (0..times.len()).rev().min_by(|a, b| distance(a).total_cmp(&distance(b)))
    };
    let chosen: Vec<usize> = times.iter().filter_map(nearest).collect();
    let taken = chosen.iter().zip(times).map(|(index, times)| times[*index]);
    let (low, high) =
        taken.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), time| (low.min(time), high.max(time)));
    (chosen, (high - low).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_nearest_to_the_slowest_camera_are_taken() {
        let fast = vec![1.00, 1.02, 1.04];
        assert_eq!(matched(&[fast.clone(), vec![0.99, 1.021]]).0, [1, 1]);
        let (chosen, spread) = matched(&[fast.clone(), vec![0.5]]);
        assert_eq!(chosen, [0, 0]);
        assert!((spread - 0.5).abs() < 1e-12, "{spread}");
        assert_eq!(matched(&[fast]), (vec![2], 0.0));
    }
}
