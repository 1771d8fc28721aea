//! Sizes that are measured in the shapes of weights, and held against a config.

use super::config::{BlocksConfig, Rotary, VitKind};
use super::fields::Fields;
use crate::parameters::Shapes;

/// Epsilon of the authors' layer norms.
pub(super) const EPSILON: f32 = 1e-6;

/// Sizes and where they come from.
pub(super) struct Source<'a> {
    /// The config.
    pub fields: &'a Fields,
    /// Shapes of the weights by inner name.
    pub shapes: &'a Shapes,
    /// Whose recipe.
    pub kind: VitKind,
    /// Frames, height and width of its clips, where the config does not say.
    pub clip: Option<[usize; 3]>,
}

impl Source<'_> {
    /// The shape of the weight `name`.
    ///
    /// # Errors
    /// When there is none of so many dimensions.
    pub fn shape(&self, name: &str, least: usize) -> Result<&[usize], String> {
        match self.shapes.get(name) {
            Some(shape) if shape.len() >= least => Ok(shape),
            Some(shape) => Err(format!("{name}: expected {least} dimensions or more, got {shape:?}")),
            None => Err(format!("expected a weight {name}, got none")),
        }
    }

    /// Size `dimension` of the weight `name`.
    ///
    /// # Errors
    /// As [`Source::shape`].
    pub fn size(&self, name: &str, dimension: usize) -> Result<usize, String> {
        Ok(self.shape(name, dimension + 1)?[dimension])
    }

    /// Number of blocks whose names begin with `prefix`.
    pub fn layers(&self, prefix: &str) -> usize {
        let start = format!("{prefix}blocks.");
        let numbers = self.shapes.keys().filter_map(|name| name.strip_prefix(&start)?.split('.').next()?.parse().ok());
        numbers.max().map_or(0, |last: usize| last.saturating_add(1))
    }

    /// The blocks whose names begin with `prefix`, of `width`; `heads` and `epsilon` where the config does not say.
    ///
    /// # Errors
    /// When config and weights disagree.
    pub fn blocks(&self, prefix: &str, width: usize, heads: usize, epsilon: f32) -> Result<BlocksConfig, String> {
        let first = format!("{prefix}blocks.0.");
        let gated = self.shapes.contains_key(&format!("{first}mlp.w3.weight"));
        let hidden = match gated {
            true => self.size(&format!("{first}mlp.w3.weight"), 1)?,
            false => self.size(&format!("{first}mlp.fc1.weight"), 0)?,
        };
        Ok(BlocksConfig {
            width,
            layers: self.layers(prefix),
            heads,
            hidden,
            qkv_bias: self.shapes.contains_key(&format!("{first}attn.qkv.bias")),
            gated,
            layer_scale: self.shapes.contains_key(&format!("{first}ls1")),
            epsilon,
            rotary: None,
        })
    }

    /// The hidden width that a config's ratio gives has to be that of the weights.
    ///
    /// # Errors
    /// When it is not: both are named.
    pub fn agree_on_ratio(&self, part: &str, names: &[&str], blocks: &BlocksConfig) -> Result<(), String> {
        let Some((name, ratio)) = self.fields.number(part, names)? else { return Ok(()) };
        let full = (blocks.width as f64 * ratio) as usize;
        let expected = if blocks.gated { (full * 2 / 3).div_ceil(8) * 8 } else { full };
        if expected == blocks.hidden || blocks.gated && full == blocks.hidden {
            return Ok(());
        }
        let hidden = blocks.hidden;
        Err(format!("{name}: expected a ratio that gives {hidden}, the hidden width of the weights, got {ratio}"))
    }

    /// Rotary positions of the recipe.
    pub fn rotary(&self, part: &str, patch: usize) -> Result<Option<Rotary>, String> {
        Ok(match self.kind {
            VitKind::Vjepa2 => Some(Rotary::Tiled),
            VitKind::Vjepa21 => {
                let scaled = self.fields.flag(part, &["interpolate_rope"])?.unwrap_or(true);
                let named = self.fields.count(part, &["rope_reference", "pretrained_grid_size"])?;
                // What it was trained on first: 256 pixels, or 252 with patches of 14.
                let usual = if patch == 14 { 18 } else { 16 };
                Some(Rotary::Interleaved { reference: scaled.then(|| named.map_or(usual, |(_, side)| side)) })
            }
            _ => None,
        })
    }
}
