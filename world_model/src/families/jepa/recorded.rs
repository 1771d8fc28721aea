//! What recordings of other tools do not say, and a training needs: how long a chunk of actions is, and which values of
//! the actions are -1 and 1.

use std::path::Path;

use mindseye_episodes::{ActionNormalisation, DatasetMixture, FrameCache, NormalisationMethod, RobustRange};
use mindseye_interface::{ActionSpace, files, inputs};
use serde::{Deserialize, Serialize};

use super::training::TrainingConfig;
use crate::families::jepa::checkpoint_config::CheckpointConfig;
use crate::families::jepa::config::ModelConfig;
use crate::{Error, Result};

/// Duration of an action chunk by default, seconds.
const CHUNK_SECS: f64 = 0.5;
/// Share of an episode of usual length that a window of the training may span where the recipe's would not fit.
const MOST_OF_EPISODE: f64 = 0.75;
/// File of an unfinished run with what its recordings were taken for.
const TAKEN_FOR: &str = "recorded.json";
/// Share of the values of a dimension beyond the bounds of a model above which they are in other units.
const OTHER_UNITS: f64 = 0.5;

/// What the recordings of a run were taken for: of a run that continues, or of the model that it starts from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenFor {
    /// The bounds of the actions.
    pub action_space: ActionSpace,
    /// The model.
    pub model: ModelConfig,
    /// Duration of a control step, seconds.
    pub control_step_secs: f64,
}

impl TakenFor {
    /// What the recordings of the checkpoint with this `config` were taken for.
    pub fn of(config: &CheckpointConfig) -> Self {
        let (action_space, model) = (config.action_space.clone(), config.model.clone());
        Self { action_space, model, control_step_secs: config.control_step_secs }
    }

    /// What the run in `out` took them for; none where it does not say so.
    ///
    /// # Errors
    /// When the file is broken.
    pub fn of_run(out: &Path) -> Result<Option<Self>> {
        if out.join("config.json").exists() {
            return Ok(Some(Self::of(&CheckpointConfig::load(out)?)));
        }
        let path = out.join(TAKEN_FOR);
        let text = inputs::read_if_present(&path, inputs::MAX_CONFIG_BYTES);
        let text = text.map_err(|error| Error::file(&path, error))?;
        text.map(|text| serde_json::from_slice(&text).map_err(|error| Error::file(&path, error))).transpose()
    }

    /// Keeps it in `out`, for --resume.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, out: &Path) -> Result<()> {
        let path = out.join(TAKEN_FOR);
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::file(&path, error))?;
        files::write_whole(&path, &text).map_err(|error| Error::file(&path, error))
    }

    /// Removes what [`TakenFor::keep`] wrote: the finished checkpoint says it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget(out: &Path) -> Result<()> {
        let path = out.join(TAKEN_FOR);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(&path, error)),
            _ => Ok(()),
        }
    }
}

/// Fits the chunk of the shipped recipe to recordings with control steps of `step_secs` and episodes of usually
/// `frames` timesteps: half a second, and windows that fit into such an episode. Returns where the chunk comes from.
pub fn fit_to_episodes(recipe: &mut TrainingConfig, step_secs: f64, frames: usize, chunk: Option<usize>) -> String {
    let most = (MOST_OF_EPISODE * frames.saturating_sub(1) as f64) as usize;
    let half_second = ((CHUNK_SECS / step_secs).round() as usize).max(1);
    let chosen = chunk.unwrap_or_else(|| half_second.min(most.max(1)));
    recipe.model.action_chunk = chosen;
    let fitting = |wanted: usize| match (wanted - 1) * chosen < frames {
        true => wanted,
        false => wanted.min(most / chosen + 1).max(2),
    };
    let wanted = recipe.data.frames;
    recipe.data.frames = fitting(wanted);
    recipe.finetuning.frames = fitting(recipe.finetuning.frames);
    let why = match chunk {
        Some(_) => "as asked for",
        None if chosen < half_second => "episodes are too short for half a second",
        None => "half a second; --action-chunk for another",
    };
    let shorter = match recipe.data.frames < wanted {
        true => {
            format!("; episodes of {frames} frames: windows of {} instead of {wanted} chunks", recipe.data.frames - 1)
        }
        false => String::new(),
    };
    format!("{why}{shorter}")
}

/// The number of timesteps that half of the episodes have at least.
///
/// # Errors
/// When an episode is missing.
pub fn usual_frames(sources: &DatasetMixture) -> Result<usize> {
    let mut lengths = Vec::with_capacity(sources.episodes());
    for source in sources.sources() {
        for index in 0..source.len() {
            lengths.push(source.episode(index)?.length);
        }
    }
    lengths.sort_unstable();
    Ok(lengths.get(lengths.len() / 2).copied().unwrap_or(0))
}

/// Normalises the actions of `cache` as `known` has them, else as `method` measures them, and returns their space. A
/// line for what does not fit goes to `tell`.
///
/// # Errors
/// When actions do not fit those of `known`: other names, other units, or a motion of what never moved there.
pub fn normalise(
    sources: &DatasetMixture,
    cache: &mut FrameCache,
    ranges: &[RobustRange],
    method: NormalisationMethod,
    known: Option<(&TakenFor, &Path)>,
    mut tell: impl FnMut(&str),
) -> Result<ActionSpace> {
    let (Some((known, path)), None) = (known, sources.sidecar()?) else {
        return Ok(sources.normalise_actions(cache, method)?);
    };
    let space = &known.action_space;
    let refused = |reason: String| Error::file(sources.path(), reason);
    let (names, own) = (sources.action_names(), sources.proprioception_names());
    let measured = ActionNormalisation::measure(cache, &names, &own, NormalisationMethod::Robust)?;
    let is_named = |names: &[String]| names.iter().enumerate().any(|(index, name)| *name != format!("action_{index}"));
    let (expected, got) = (&space.names, &measured.action_space().names);
    if is_named(expected) && is_named(got) && expected != got {
        return Err(refused(format!("actions: expected {expected:?} as in {}, got {got:?}", path.display())));
    }
    for (index, name) in expected.iter().enumerate() {
        let (Some(&low), Some(&high), Some(range)) = (space.low.get(index), space.high.get(index), ranges.get(index))
        else {
            continue;
        };
        let span = format!("{} to {}", short(range.low.into()), short(range.high.into()));
        if low == high {
            if !range.is_constant() {
                let held = format!("what never moved in {}, {}", path.display(), short(low));
                return Err(refused(format!("action {name}: expected {held}, got {span}: train without --from")));
            }
            continue;
        }
        let slack = 1e-6 * (high - low);
        let values = cache.actions().iter().skip(index).step_by(cache.action_width().max(1));
        let beyond = |value: &&f32| f64::from(**value) < low - slack || f64::from(**value) > high + slack;
        let share = values.filter(beyond).count() as f64 / cache.len().max(1) as f64;
        let bounds = format!("{} to {} of {}", short(low), short(high), path.display());
        if share > OTHER_UNITS {
            let reason = format!("action {name}: expected values within {bounds}, got {span}: other units? ");
            return Err(refused(reason + "Train without --from"));
        }
        if share > 0.0 {
            let percent = short((100.0 * share).max(0.01));
            tell(&format!(
                "action {name}: {span}, {percent} % of it beyond the bounds {bounds}, which are kept: clamped"
            ));
        } else if f64::from(range.high - range.low) < 0.05 * (high - low) {
            tell(&format!("action {name}: {span}, less than a twentieth of the bounds {bounds}, which are kept"));
        }
    }
    sources.normalise_actions_into(cache, space)?;
    Ok(space.clone())
}

/// A number with four digits.
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (3.0 - value.abs().log10().floor()).clamp(0.0, 12.0);
    let scale = 10f64.powf(digits);
    ((value * scale).round() / scale).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chunk, frames of a window, and frames of the finetuning's, for control steps at `rate` and episodes of `frames`.
    fn fitted(rate: f64, frames: usize, chunk: Option<usize>) -> Result<([usize; 3], String)> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/recipes/recorded.toml");
        let mut recipe: TrainingConfig = mindseye_interface::config::load(&path)?;
        let why = fit_to_episodes(&mut recipe, 1.0 / rate, frames, chunk);
        Ok(([recipe.model.action_chunk, recipe.data.frames, recipe.finetuning.frames], why))
    }

    /// Symptom: at 30 frames per second a chunk was a sixth of a second, and nothing said so.
    /// Cause: the recipe's five control steps, whatever the rate.
    /// Fix: half a second by the rate, printed.
    #[test]
    fn a_chunk_is_half_a_second_whatever_the_rate_and_fits_into_the_episodes() -> Result<()> {
        assert_eq!(fitted(10.0, 200, None)?.0, [5, 4, 6], "the recipe's own");
        assert_eq!(fitted(30.0, 200, None)?.0, [15, 4, 6]);
        assert_eq!(fitted(29.97, 200, None)?.0, [15, 4, 6]);
        assert_eq!(fitted(1.0, 200, None)?.0, [1, 4, 6]);
        assert_eq!(fitted(10.0, 26, None)?.0, [5, 4, 6], "26 frames hold five chunks");
        let (short, why) = fitted(30.0, 60, None)?;
        assert_eq!(short, [15, 4, 3], "60 frames hold three chunks, and a finetuning of two");
        assert!(why.contains("half a second"), "{why}");
        let (shorter, why) = fitted(50.0, 20, None)?;
        assert!(shorter == [14, 2, 2] && why.contains("too short"), "{shorter:?} {why}");
        assert_eq!(fitted(30.0, 200, Some(6))?.0, [6, 4, 6]);
        Ok(())
    }

    #[test]
    fn numbers_have_four_digits() {
        let shown = [0.0, -1.0, 400_000.0, 0.123_456, 1.0 / 3.0e5, 29.970_03].map(short);
        assert_eq!(shown, ["0", "-1", "400000", "0.1235", "0.000003333", "29.97"]);
    }
}
