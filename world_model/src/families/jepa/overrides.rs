//! What a person asks of a training beside its recipe, and what recordings say against it.

use mindseye_episodes::DatasetMixture;
use mindseye_interface::Error as InterfaceError;
use mindseye_interface::config::require_range;

use super::recorded::{TakenFor, fit_to_episodes, usual_frames};
use super::training::TrainingConfig;
use crate::Result;

/// Largest difference of control steps that counts as none, as a share.
const SAME_STEP: f64 = 0.01;

/// Wishes beside a recipe.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// The recipe is one that somebody chose: its chunk and windows are taken as they are.
    pub is_chosen: bool,
    /// A mapping says which cameras there are.
    pub has_mapping: bool,
    /// Give the encoder proprioception.
    pub proprioception: bool,
    /// Take data without actions.
    pub without_actions: bool,
    /// Cut the steps down to those of a first try.
    pub quick: bool,
    /// Control steps per action chunk.
    pub action_chunk: Option<usize>,
    /// Optimiser steps of the model; fewer than the recipe's shorten what follows them in proportion.
    pub steps: Option<usize>,
    /// Optimiser steps of the decoder.
    pub decoder_steps: Option<usize>,
}

impl Overrides {
    /// Changes `recipe` for `sources`, with control steps of `step_secs`. `fits_any` recipes are for data of any shape,
    /// and are fitted to these, or to the model that is `known`. Where the length of the chunk comes from, in words.
    ///
    /// # Errors
    /// When the data lack what is asked for, a wish is out of its range, or the data have other control steps than the
    /// model that is known.
    pub fn apply(
        &self,
        recipe: &mut TrainingConfig,
        sources: &DatasetMixture,
        fits_any: bool,
        known: Option<&TakenFor>,
        step_secs: f64,
    ) -> Result<String> {
        let (shape, path) = (sources.shape(), sources.path().display().to_string());
        let refused = |field: String, expected: &str| Err(InterfaceError::field(field, expected, "none").into());
        if fits_any {
            let may_watch = self.without_actions || sources.sources().all(|source| source.is_of_cameras());
            if shape.action == 0 && !may_watch {
                return refused(path, "a column of actions, or --without-actions for a model that only watches");
            }
            recipe.model.action_width = shape.action.max(1); // without actions, one that never changes
        }
        if self.has_mapping {
            recipe.model.cameras = sources.cameras().len();
        }
        if self.proprioception {
            if shape.proprioception == 0 {
                return refused(format!("{path}: --proprioception"), "a column of it");
            }
            recipe.model.proprioception_width = shape.proprioception;
        }
        let mut chunk = "by the recipe".to_owned();
        if let Some(asked) = self.action_chunk {
            require_range("--action-chunk", asked, 1, 10_000)?;
            (recipe.model.action_chunk, chunk) = (asked, "as asked for".into());
        }
        if fits_any && !self.is_chosen {
            if let Some(known) = known {
                recipe.model = known.model.clone();
            }
            let asked = known.map(|known| known.model.action_chunk).or(self.action_chunk);
            chunk = fit_to_episodes(recipe, step_secs, usual_frames(sources)?, asked);
        }
        let trained_secs = known.map(|known| known.control_step_secs);
        if let Some(trained) = trained_secs.filter(|trained| (step_secs / trained - 1.0).abs() > SAME_STEP) {
            let expected = format!("{trained:.4} s as the model was trained with");
            return Err(
                InterfaceError::field(format!("{path}: control step"), expected, format!("{step_secs:.4} s")).into()
            );
        }
        if self.quick {
            recipe.quicken();
        }
        if let Some(steps) = self.steps {
            require_range("--steps", steps, 0, 100_000_000)?;
            if steps > 0 && steps < recipe.steps {
                // A try of a few steps is not followed by thousands.
                let shortened = |other: usize| (other * steps).div_ceil(recipe.steps);
                recipe.finetuning.steps = shortened(recipe.finetuning.steps);
                recipe.decoder_steps = shortened(recipe.decoder_steps);
            }
            recipe.steps = steps;
        }
        recipe.decoder_steps = self.decoder_steps.unwrap_or(recipe.decoder_steps);
        Ok(chunk)
    }
}
