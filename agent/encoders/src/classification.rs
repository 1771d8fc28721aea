//! Classes of clips, by a model's attentive classifier.

use std::path::Path;

use mindseye_world_model::families::vit::{AttentiveClassifier, Clip, Vit, VitEncoder};
use serde::Serialize;

use crate::inputs::{ClipOptions, for_clips, inputs_at};
use crate::{Error, Result};

/// Classifies files with one model.
#[derive(Debug)]
pub struct Classification<'a> {
    /// The model.
    pub model: &'a Vit,
    /// Where it comes from, for errors.
    pub weights: &'a Path,
    /// How videos are cut. Probabilities of several clips are averaged.
    pub clips: ClipOptions,
}

/// A class and how probable it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassScore {
    /// Its number.
    pub class: usize,
    /// Its name; `class N` where the model has none.
    pub label: String,
    /// Its probability, 0 to 1.
    pub probability: f32,
}

impl Classification<'_> {
    fn parts(&self) -> Result<(&VitEncoder, &AttentiveClassifier)> {
        let missing = |part| Error::MissingPart { path: self.weights.to_path_buf(), part };
        let encoder = self.model.encoder().ok_or_else(|| missing("an encoder"))?;
        Ok((encoder, self.model.classifier().ok_or_else(|| missing("a classifier"))?))
    }

    /// The classes of the clip, or the image, in the file `path`, the most probable first.
    ///
    /// # Errors
    /// When the file cannot be read, or the model has no classifier.
    pub fn run(&self, path: &Path) -> Result<Vec<ClassScore>> {
        let (encoder, classifier) = self.parts()?;
        self.clips.validate()?;
        let inputs = inputs_at(path)?;
        let [input] = inputs.as_slice() else {
            return Err(Error::file(path, format!("expected one clip, got a folder with {} files", inputs.len())));
        };
        let (mut sums, mut count) = (vec![0.0f32; classifier.config().classes], 0_usize);
        for_clips(input, self.model, self.clips, &mut |clip| {
            let [height, width] = clip.size;
            let view = Clip { values: &clip.values, frames: clip.frames, height, width };
            let probabilities = classifier.classify(&encoder.encode(&view)?)?;
            if probabilities.iter().any(|probability| !probability.is_finite()) {
                return Err(Error::file(input.path(), "expected finite probabilities, got others"));
            }
            sums.iter_mut().zip(&probabilities).for_each(|(sum, probability)| *sum += probability);
            count += 1;
            Ok(())
        })?;
        let label = |class: usize| {
            let name = self.model.labels().get(class).cloned();
            name.unwrap_or_else(|| format!("class {class}"))
        };
        let score = |(class, sum): (usize, &f32)| {
            let probability = sum / count.max(1) as f32;
            ClassScore { class, label: label(class), probability }
        };
        let mut scores: Vec<ClassScore> = sums.iter().enumerate().map(score).collect();
        scores.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.class.cmp(&b.class)));
        Ok(scores)
    }
}
