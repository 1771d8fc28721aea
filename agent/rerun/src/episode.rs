//! An episode of a data set as entities.

use anyhow::Result;
use mindseye_episodes::{EpisodeData, EpisodeSource, Sidecar};
use mindseye_interface::text::printable_path;
use mindseye_interface::{Image, ImageSize};
use mindseye_sim::{Factors, Figure};
use rerun::{RecordingStream, Scalars, TextDocument};

use crate::layout;
use crate::output::Output;
use crate::parts::{encoded, under};
use crate::solids::{log_bodies, log_static};

/// Episodes on their way into recordings.
pub struct Episodes<'a> {
    source: &'a dyn EpisodeSource,
    cameras: Vec<String>,
    /// Seconds from timestep to timestep, where they are known.
    step_secs: Option<f64>,
    actions: Vec<String>,
    states: Vec<String>,
    proprioception: Vec<String>,
}

impl<'a> Episodes<'a> {
    /// Those of `source`.
    pub fn new(source: &'a dyn EpisodeSource) -> Self {
        let shape = source.shape();
        let of_rate = || source.frames_per_second().map(|rate| 1.0 / rate);
        Self {
            source,
            cameras: source.camera_names(),
            step_secs: source.sidecar().map(|sidecar| sidecar.control_step_secs).or_else(of_rate),
            actions: named(source.action_names(), shape.action),
            states: named(source.state_names(), shape.state),
            proprioception: named(source.proprioception_names(), shape.proprioception),
        }
    }

    /// Records episode `index`, and returns its number of timesteps.
    ///
    /// # Errors
    /// When it is broken, or the output cannot be written.
    pub fn log(&self, output: &Output, index: usize) -> Result<usize> {
        let episode = self.source.read_episode(index)?;
        let figure = self.figure(index);
        let layout = layout::of_episode(&self.cameras, figure.is_some());
        let name = self.source.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stream = output.recording(layout::EPISODES, &format!("{name}, episode {index}"), &layout)?;
        stream.log_static("about", &TextDocument::from_markdown(self.about(index)?))?;
        if let Some(figure) = &figure {
            log_static(&stream, figure)?;
        }
        for timestep in 0..episode.len() {
            stream.set_time_sequence("timestep", timestep as i64);
            if let Some(secs) = self.step_secs {
                stream.set_duration_secs("time", timestep as f64 * secs);
            }
            self.log_timestep(&stream, &episode, timestep)?;
            if let Some(figure) = &figure {
                let state: Vec<f64> = episode.states[timestep].iter().map(|value| f64::from(*value)).collect();
                log_bodies(&stream, figure, &state)?;
            }
            output.check()?;
        }
        output.end(stream)?;
        Ok(episode.len())
    }

    fn log_timestep(&self, stream: &RecordingStream, episode: &EpisodeData, timestep: usize) -> Result<()> {
        for (camera, image) in self.cameras.iter().zip(unstacked(&episode.frames[timestep], self.cameras.len())?) {
            stream.log(under("camera", camera), &encoded(&image)?)?;
        }
        let rows = [
            ("action", &self.actions, &episode.actions),
            ("state", &self.states, &episode.states),
            ("proprioception", &self.proprioception, &episode.proprioception),
        ];
        for (root, names, rows) in rows {
            for (name, value) in names.iter().zip(&rows[timestep]).filter(|(_, value)| value.is_finite()) {
                stream.log(under(root, name), &Scalars::new([f64::from(*value)]))?;
            }
        }
        Ok(())
    }

    /// What episode `index` looks like, where mindseye recorded it in a scene without factors of variation.
    fn figure(&self, index: usize) -> Option<Figure> {
        let sidecar: &Sidecar = self.source.sidecar()?;
        let (recording, episode) = sidecar.recording_of(index)?;
        let scene = mindseye_sim::scene(&sidecar.scene).ok()?;
        let figure = scene.figure(&Factors::default(), episode).ok()?;
        let is_known = recording.factors.is_empty() && self.states == figure.state_names;
        is_known.then_some(figure)
    }

    fn about(&self, index: usize) -> Result<String> {
        let meta = self.source.episode(index)?;
        let (path, format) = (printable_path(self.source.path()), self.source.format());
        let tasks = meta.tasks.join("; ");
        let (shape, length, version) = (self.source.shape(), meta.length, env!("CARGO_PKG_VERSION"));
        Ok(format!(
            "# Episode {index}\n\n- `{path}`, {format}\n- {length} timesteps, {shape}\n- task: {tasks}\n\
             - mindseye {version}\n"
        ))
    }
}

/// Names of `width` numbers: those that are recorded, or else their indices.
fn named(names: Vec<String>, width: usize) -> Vec<String> {
    if names.len() == width { names } else { (0..width).map(|index| index.to_string()).collect() }
}

/// The images of `count` cameras in a stack of them.
fn unstacked(stack: &Image, count: usize) -> Result<Vec<Image>> {
    let size = ImageSize::new(stack.size().height() / count.max(1), stack.size().width())?;
    let images = stack.pixels().chunks_exact(size.rgb_len());
    Ok(images.map(|pixels| Image::new(size, pixels.to_vec())).collect::<mindseye_interface::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_cameras_are_taken_out_of_their_stack() {
        let mut stack = Image::filled(ImageSize::new(4, 3).unwrap(), [1; 3]);
        stack.pixels_mut()[2 * 3 * 3..].fill(2);
        let images = unstacked(&stack, 2).unwrap();
        assert_eq!(images.len(), 2);
        assert!(images.iter().zip([1, 2]).all(|(image, value)| image.pixels() == [value; 18]));
    }

    #[test]
    fn numbers_without_names_are_counted() {
        assert_eq!(named(Vec::new(), 2), ["0", "1"]);
        assert_eq!(named(vec!["x".into()], 1), ["x"]);
    }
}
