//! What pretraining predicts.

use serde::{Deserialize, Serialize};

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PretrainingObjective {
    /// V-JEPA: the layer-normed tokens of an averaged (EMA) encoder that sees the whole clip; L1.
    Vjepa,
    /// I-JEPA: the same of images, block by block; smooth L1.
    Ijepa,
    /// Without an averaged encoder: the encoder's own tokens of the whole clip, with gradients on both sides, and
    /// SIGReg against collapse; squared error.
    Levjepa,
    /// The pixel twin: normalised pixels of the hidden tubelets; squared error. For comparison alone.
    Pixels,
}

impl PretrainingObjective {
    /// Whether tokens are predicted; else pixels.
    pub fn is_latent(self) -> bool {
        self != Self::Pixels
    }

    /// Whether an average of the encoder over steps is kept, which is what is saved.
    pub fn averages(self) -> bool {
        self != Self::Levjepa
    }
}
