//! Checks of every field of a checkpoint's `config.json`, by itself and against the others.

use mindseye_interface::config::{Validate, require_count, require_names, require_range};
use mindseye_interface::{Error, Neutral, Result};

use super::CheckpointConfig;
use crate::families::jepa::training::{DataStatistics, MAX_VALUE, TrainingConfig, TrainingReport, Validation};

/// Most frames of a data set.
const MAX_FRAMES: usize = 1 << 50;

impl Validate for CheckpointConfig {
    fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.origin().validate(self.model.action_width)?;
        if !self.camera_names.is_empty() {
            require_count("camera_names", self.camera_names.len(), self.model.cameras)?;
            require_names("camera_names", &self.camera_names)?;
        }
        self.validate_data()?;
        self.recipe.validate().map_err(|error| within("recipe", error))?;
        if self.recipe.model != self.model {
            return Err(Error::field("recipe.model", "the fields of model", "others"));
        }
        require_report("training", &self.training, &self.recipe)?;
        let episodes = self.data.episodes;
        require_range("training.training_episodes", self.training.training_episodes, 1, episodes)?;
        self.training.validation.iter().try_for_each(|validation| {
            let states = self.state_names.len();
            let lengths = [
                ("probe_r2", validation.probe_r2.len()),
                ("probe_rmse", validation.probe_rmse.len()),
                ("probe_median", validation.probe_median.len()),
            ];
            let wrong = lengths.iter().find(|(_, length)| *length != 0 && *length != states);
            wrong.map_or(Ok(()), |(field, length)| {
                let field = format!("training.validation.{field} (number of values)");
                Err(Error::field(field, format!("0 or {states}, one per state name"), length))
            })
        })
    }
}

impl CheckpointConfig {
    fn validate_data(&self) -> Result<()> {
        let DataStatistics {
            episodes,
            frames,
            action_mean,
            action_std,
            proprioception_mean,
            proprioception_std,
            background_rgb: _, // every value is a colour
        } = &self.data;
        require_range("data.frames", *frames, 1, MAX_FRAMES)?;
        require_range("data.episodes", *episodes, 1, *frames)?;
        let actions = self.model.action_width;
        require_numbers("data.action_mean", action_mean, actions, -MAX_VALUE)?;
        require_numbers("data.action_std", action_std, actions, 0.0)?;
        // A dimension may be constant in a recording, but not all, unless it has no actions at all.
        if self.action_space.moves() && action_std.iter().all(|&std| std == 0.0) {
            return Err(Error::field("data.action_std", "a number above 0", format!("{action_std:?}")));
        }
        let proprioception = match self.model.proprioception_width {
            0 => proprioception_mean.len(), // recorded, but the model does not take it
            width => width,
        };
        require_numbers("data.proprioception_mean", proprioception_mean, proprioception, -MAX_VALUE)?;
        require_numbers("data.proprioception_std", proprioception_std, proprioception, 0.0)?;
        for (index, neutral) in self.action_space.neutral.iter().enumerate() {
            if let Neutral::HoldPosition { proprioception: at } = *neutral
                && at >= proprioception
            {
                let field = format!("action_space.neutral[{index}].proprioception");
                return Err(Error::field(field, format!("one of {proprioception} values of proprioception"), at));
            }
        }
        Ok(())
    }
}

/// `count` numbers from `low` to [`MAX_VALUE`].
fn require_numbers(field: &str, values: &[f64], count: usize, low: f64) -> Result<()> {
    require_count(field, values.len(), count)?;
    let mut numbers = values.iter().enumerate();
    numbers.try_for_each(|(index, &value)| require_range(&format!("{field}[{index}]"), value, low, MAX_VALUE))
}

/// The outcome of a run by `recipe`, and of those that it started from: as many as a JSON file can nest.
fn require_report(field: &str, report: &TrainingReport, recipe: &TrainingConfig) -> Result<()> {
    let TrainingReport {
        steps,
        finished,
        seed: _,
        minutes,
        training_episodes,
        validation,
        start,
        predictor_step,
        seen,
    } = report;
    let all = recipe.all_steps();
    require_range(&format!("{field}.steps"), *steps, if *finished { all } else { 0 }, all)?;
    require_range(&format!("{field}.minutes"), *minutes, 0.0, MAX_VALUE)?;
    require_range(&format!("{field}.training_episodes"), *training_episodes, 1, MAX_FRAMES)?;
    predictor_step.iter().try_for_each(|&step| require_range(&format!("{field}.predictor_step"), step, 0, all))?;
    seen.iter().try_for_each(|seen| seen.require_valid(&format!("{field}.seen")))?;
    validation.iter().try_for_each(|validation| require_validation(&format!("{field}.validation"), validation))?;
    start.iter().try_for_each(|start| {
        let field = format!("{field}.start");
        start.recipe.validate().map_err(|error| within(&format!("{field}.recipe"), error))?;
        require_report(&format!("{field}.training"), &start.training, &start.recipe)
    })
}

fn require_validation(field: &str, validation: &Validation) -> Result<()> {
    let Validation {
        rollout,
        probe_r2,
        probe_rmse,
        probe_median,
        effective_rank,
        smallest_std,
        mean_std,
        collapsed: _,
    } = validation;
    let require = |name: &str, value: f64, low: f64| require_range(&format!("{field}.{name}"), value, low, MAX_VALUE);
    for (index, rollout) in rollout.iter().enumerate() {
        require_range(&format!("{field}.rollout[{index}].chunks"), rollout.chunks, 1, MAX_FRAMES)?;
        require(&format!("rollout[{index}].error"), rollout.error, 0.0)?;
        require(&format!("rollout[{index}].copy_last"), rollout.copy_last, 0.0)?;
    }
    probe_r2.iter().try_for_each(|&value| require("probe_r2", value, f64::MIN))?;
    probe_rmse.iter().try_for_each(|&value| require("probe_rmse", value, 0.0))?;
    probe_median.iter().try_for_each(|&value| require("probe_median", value, 0.0))?;
    require("effective_rank", *effective_rank, 0.0)?;
    require("smallest_std", *smallest_std, 0.0)?;
    require("mean_std", *mean_std, 0.0)
}

/// The same error with the name of the table that its field is in.
fn within(table: &str, error: Error) -> Error {
    match error {
        Error::Field { field, expected, got } => Error::Field { field: format!("{table}.{field}"), expected, got },
        other => other,
    }
}
