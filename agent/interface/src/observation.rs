//! Observations: what sensors report at one control step.

use std::sync::Arc;

use crate::Image;

/// One image of one camera.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Name of the camera, for example `top`.
    pub camera: Arc<str>,
    /// The image.
    pub image: Arc<Image>,
    /// When it was captured, seconds since the reset.
    pub captured_secs: f64,
}

/// One control step as the agent observes it. Nothing here is privileged: the true state of a simulator is not an
/// observation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// The newest image of every camera, in the cameras' fixed order; a camera whose frame was lost is missing.
    pub frames: Vec<Frame>,
    /// Measurements of the robot itself (for example joint positions), SI units; may be empty.
    pub proprioception: Vec<f32>,
    /// Control steps since the reset.
    pub tick: u64,
    /// Seconds since the reset.
    pub time_secs: f64,
}

impl Frame {
    /// An image of the camera called `camera`.
    pub fn new(camera: &Arc<str>, image: Image, captured_secs: f64) -> Self {
        Self { camera: camera.clone(), image: Arc::new(image), captured_secs }
    }
}

impl Observation {
    /// The frame of the camera called `camera`, unless it was lost.
    pub fn frame(&self, camera: &str) -> Option<&Frame> {
        self.frames.iter().find(|frame| &*frame.camera == camera)
    }

    /// The first frame's image, if there is one: for robots with one camera.
    pub fn image(&self) -> Option<&Image> {
        self.frames.first().map(|frame| frame.image.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageSize;

    #[test]
    fn frames_are_found_by_camera_and_a_lost_frame_is_missing() {
        let frame = |camera: &str, grey: u8| {
            let size = ImageSize::square(1).unwrap();
            Frame::new(&camera.into(), Image::filled(size, [grey; 3]), 0.0)
        };
        let observation = Observation { frames: vec![frame("top", 1), frame("wrist", 2)], ..Observation::default() };
        assert_eq!(observation.frame("wrist"), Some(&frame("wrist", 2)));
        assert_eq!(observation.frame("side"), None);
        assert_eq!(observation.image(), Some(frame("top", 1).image.as_ref()));
        assert_eq!(Observation::default().image(), None);
    }
}
