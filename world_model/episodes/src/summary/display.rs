//! A summary of a data set as text, without a line break at the end.

use std::fmt::{Display, Formatter, Result};

use mindseye_interface::text::{printable, printable_path};

use super::DatasetSummary;
use crate::sidecar::Sidecar;

impl Display for DatasetSummary {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let [shortest, longest] = self.episode_frames;
        writeln!(text, "data set {} ({})", printable_path(&self.path), self.format)?;
        writeln!(text, "  {} episodes of {shortest} to {longest} frames, {} in all", self.episodes, self.frames)?;
        let rate = self.frames_per_second.map_or("an unknown number of".into(), |rate| rate.to_string());
        write!(text, "  {rate} frames per second, {:.1} MiB", self.bytes_on_disk as f64 / f64::from(1 << 20))?;
        if !self.tasks.is_empty() {
            write!(text, "\n  tasks: {}", shown(&self.tasks, "; "))?;
        }
        for feature in &self.features {
            let (name, dtype) = (printable(&feature.name), printable(&feature.dtype));
            let names = shown(&feature.element_names, ", ");
            write!(text, "\n  {name:<26} {dtype:<8} {:?} {names}", feature.shape)?;
        }
        if let Some(action) = &self.action {
            write!(text, "\n  action mean {:.2?}, std {:.2?}", action.mean, action.std)?;
        }
        for recording in self.sidecar.iter().flat_map(|sidecar| &sidecar.recordings) {
            let factors = if recording.factors.is_empty() { "none".into() } else { shown(&recording.factors, ", ") };
            let (first, seed) = (recording.first_episode, recording.seed.value());
            write!(
                text,
                "\n  from episode {first}: policy {}, seed {seed}, factors {factors}",
                printable(&recording.policy)
            )?;
        }
        for note in &self.notes {
            write!(text, "\n  {note}")?;
        }
        match &self.sidecar {
            Some(Sidecar { scene, control_step_secs, .. }) => {
                write!(text, "\n  scene {}, control step {control_step_secs} s", printable(scene))
            }
            None => Ok(()),
        }
    }
}

/// Texts from files in a row, escaped.
fn shown(texts: &[String], separator: &str) -> String {
    texts.iter().map(|text| printable(text)).collect::<Vec<_>>().join(separator)
}
