//! A summary of a data set as text, without a line break at the end.

use std::fmt::{Display, Formatter, Result};

use super::DatasetSummary;

impl Display for DatasetSummary {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let [shortest, longest] = self.episode_frames;
        writeln!(text, "data set {} ({})", self.path.display(), self.format)?;
        writeln!(text, "  {} episodes of {shortest} to {longest} frames, {} in all", self.episodes, self.frames)?;
        let rate = self.frames_per_second.map_or("an unknown number of".into(), |rate| rate.to_string());
        write!(text, "  {rate} frames per second, {:.1} MiB", self.bytes_on_disk as f64 / f64::from(1 << 20))?;
        if !self.tasks.is_empty() {
            write!(text, "\n  tasks: {}", self.tasks.join("; "))?;
        }
        for feature in &self.features {
            let names = feature.element_names.join(", ");
            write!(text, "\n  {:<26} {:<8} {:?} {names}", feature.name, feature.dtype, feature.shape)?;
        }
        if let Some(action) = &self.action {
            write!(text, "\n  action mean {:.2?}, std {:.2?}", action.mean, action.std)?;
        }
        for recording in self.sidecar.iter().flat_map(|sidecar| &sidecar.recordings) {
            let factors = if recording.factors.is_empty() { "none".into() } else { recording.factors.join(", ") };
            let (first, seed) = (recording.first_episode, recording.seed.value());
            write!(text, "\n  from episode {first}: policy {}, seed {seed}, factors {factors}", recording.policy)?;
        }
        for note in &self.notes {
            write!(text, "\n  {note}")?;
        }
        match &self.sidecar {
            Some(sidecar) => write!(text, "\n  scene {}, control step {} s", sidecar.scene, sidecar.control_step_secs),
            None => Ok(()),
        }
    }
}
