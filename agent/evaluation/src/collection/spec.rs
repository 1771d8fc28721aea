//! The data set that episodes of a simulator are written to.

use mindseye_episodes::{DatasetSpec, ImageStorage};
use mindseye_interface::{ImageSize, Simulator};

/// Name of the camera that simulators have.
const CAMERA: &str = "top";
/// Episodes per data file.
const EPISODES_PER_FILE: usize = 50;

/// The data set that episodes of `simulator` are written to: lossless images of `image_size`, columns named as the
/// simulator names them. `name` is that of its scene.
pub fn dataset_spec(name: &str, image_size: ImageSize, simulator: &dyn Simulator) -> DatasetSpec {
    DatasetSpec {
        frames_per_second: (1.0 / simulator.control_step_secs()).round() as u32,
        camera: CAMERA.into(),
        more_cameras: Vec::new(),
        image_size,
        image_storage: ImageStorage::Png,
        proprioception_names: simulator.proprioception_names(),
        state_names: simulator.state_names(),
        action_names: simulator.action_space().names.clone(),
        task: format!("{name} demonstrations"),
        robot: Some(name.into()),
        episodes_per_file: EPISODES_PER_FILE,
        sidecar: None,
    }
}
