//! LeWorldModels that others have trained, as agents here take them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use mindseye_world_model::Lewm;

/// A LeWM, and what its folder does not say: how actions were standardised when it was trained.
#[derive(Debug, Clone)]
pub struct PublishedLewm {
    /// The model.
    pub model: Arc<Lewm>,
    /// Control steps per action block.
    pub action_block: usize,
    /// Numbers per action.
    pub action_width: usize,
    /// What a normalised block's values are multiplied by, `[A]`,
    pub gain: Vec<f32>,
    /// and what is added then, `[A]`.
    pub offset: Vec<f32>,
}

impl PublishedLewm {
    /// The model in `folder`, for bodies with actions of `action_width` numbers. `mean` and `std` are those of normalised actions in its
    /// training data, one for every number or one for all; none: actions go in as they are.
    ///
    /// # Errors
    /// When the folder is broken, its blocks are not made of such actions, or the numbers make no sense.
    pub fn load(folder: &Path, action_width: usize, mean: &[f32], std: &[f32]) -> Result<Self> {
        let model = Lewm::load(folder)?;
        let block_width = model.config().action.block_width;
        if action_width == 0 || !block_width.is_multiple_of(action_width) {
            bail!("{}: blocks: expected a multiple of {action_width} numbers, got {block_width}", folder.display());
        }
        let every = |name: &str, values: &[f32], otherwise: f32| -> Result<Vec<f32>> {
            let values = match values {
                [] => vec![otherwise; action_width],
                [one] => vec![*one; action_width],
                all if all.len() == action_width => all.to_vec(),
                other => bail!("{name}: expected 1 or {action_width} numbers, got {}", other.len()),
            };
            match values.iter().find(|value| !value.is_finite()) {
                None => Ok(values.repeat(block_width / action_width)),
                Some(value) => bail!("{name}: expected finite numbers, got {value}"),
            }
        };
        let (mean, std) = (every("--action-mean", mean, 0.0)?, every("--action-std", std, 1.0)?);
        if let Some(value) = std.iter().find(|value| **value <= 0.0) {
            bail!("--action-std: expected numbers above 0, got {value}");
        }
        Ok(Self {
            model: Arc::new(model),
            action_block: block_width / action_width,
            action_width,
            gain: std.iter().map(|std| 1.0 / std).collect(),
            offset: mean.iter().zip(&std).map(|(mean, std)| -mean / std).collect(),
        })
    }
}
