//! Sizes of vision transformers.

use serde::Serialize;

use super::sincos::SinCos;

/// Whose recipe a vision transformer follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VitKind {
    /// I-JEPA: images.
    Ijepa,
    /// V-JEPA: clips, added positions.
    Vjepa,
    /// V-JEPA 2 and 2-AC: clips, rotary positions with tiled angles.
    Vjepa2,
    /// V-JEPA 2.1: clips and images, rotary positions with interleaved angles, several levels.
    Vjepa21,
    /// DINOv2: images, class token.
    Dinov2,
}

impl VitKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Ijepa, Self::Vjepa, Self::Vjepa2, Self::Vjepa21, Self::Dinov2];

    /// Its name, as in a config's `model_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ijepa => "ijepa",
            Self::Vjepa => "vjepa",
            Self::Vjepa2 => "vjepa2",
            Self::Vjepa21 => "vjepa2_1",
            Self::Dinov2 => "dinov2",
        }
    }

    /// Whether it takes clips; else images.
    pub fn takes_clips(self) -> bool {
        matches!(self, Self::Vjepa | Self::Vjepa2 | Self::Vjepa21)
    }
}

impl std::fmt::Display for VitKind {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        text.write_str(self.name())
    }
}

/// Rotary positions (Su et al. 2021) in three axes: time, row, column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotary {
    /// The angles of a slice are repeated as a whole, while neighbours are rotated: how V-JEPA 2 was trained.
    Tiled,
    /// Each angle stands twice, side by side, as rotating neighbours asks for. With a reference, rows and columns are
    /// scaled so that the grid has the extent of `reference` patches.
    Interleaved {
        /// Patches per side that positions are scaled to; none: positions are whole numbers.
        reference: Option<usize>,
    },
}

/// Sizes of a stack of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BlocksConfig {
    /// Width `D` of a token.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Hidden width of a block's perceptron.
    pub hidden: usize,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Whether the perceptron is gated (SwiGLU) instead of GELU.
    pub gated: bool,
    /// Whether both branches are scaled by a learned vector.
    pub layer_scale: bool,
    /// Added to the variance in layer norms.
    pub epsilon: f32,
    /// Rotation of queries and keys by their positions.
    pub rotary: Option<Rotary>,
}

/// Positions that are added to tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// None: rotary ones, or none at all.
    None,
    /// A stored table; `antialias`: how it is scaled to a smaller grid.
    Stored {
        /// Whether scaling it down averages.
        antialias: bool,
    },
    /// A table of sines and cosines that is not stored.
    Computed(SinCos),
}

/// Norms behind the blocks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Norms {
    /// One, after the last block.
    Last,
    /// One after each of these blocks (counted from 0); the last of them gives the encoder's output.
    Levels(Vec<usize>),
}

/// Sizes of an encoder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EncoderConfig {
    /// Its blocks.
    pub blocks: BlocksConfig,
    /// Channels `C` of an image.
    pub channels: usize,
    /// Side of a patch, pixels.
    pub patch: usize,
    /// Frames of a tubelet; 1: images.
    pub tubelet: usize,
    /// Frames of the clips it was trained on; 1: images.
    pub frames: usize,
    /// Height and width of its images, pixels.
    pub image: [usize; 2],
    /// Positions that are added.
    pub positions: Positions,
    /// Whether there is a class token.
    pub class_token: bool,
    /// Register tokens behind the class token.
    pub registers: usize,
    /// Whether there is a token for masked patches, which inference does not use.
    pub mask_token: bool,
    /// Whether images have a patch embedding of their own.
    pub image_patches: bool,
    /// Whether a learned vector says whether it is an image or a clip.
    pub modality: bool,
    /// Norms behind the blocks.
    pub norms: Norms,
}

/// Sizes of a predictor of masked tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictorConfig {
    /// Its blocks.
    pub blocks: BlocksConfig,
    /// Width of a token of the encoder, times its levels.
    pub input: usize,
    /// Hidden width of the map that tokens enter by; none: one linear map.
    pub entry: Option<usize>,
    /// Width of its predictions.
    pub output: usize,
    /// Learned mask tokens.
    pub mask_tokens: usize,
    /// Positions that are added.
    pub positions: Positions,
    /// Whether there is a second linear map for context tokens.
    pub context_output: bool,
    /// Whether a learned vector says whether it is an image or a clip.
    pub modality: bool,
}

/// Sizes of V-JEPA 2-AC's predictor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionPredictorConfig {
    /// Its blocks.
    pub blocks: BlocksConfig,
    /// Width of a token of the encoder.
    pub input: usize,
    /// Numbers per action.
    pub action_width: usize,
    /// Numbers per state.
    pub state_width: usize,
    /// Numbers per camera pose; none where there is no such encoder.
    pub extrinsics_width: Option<usize>,
}

/// Sizes of an attentive classifier.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassifierConfig {
    /// Self-attention blocks before the query; its layers may be 0.
    pub blocks: BlocksConfig,
    /// Classes.
    pub classes: usize,
}

/// All that a folder holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VitConfig {
    /// Whose recipe.
    pub kind: VitKind,
    /// The encoder.
    pub encoder: Option<EncoderConfig>,
    /// The predictor of masked tokens.
    pub predictor: Option<PredictorConfig>,
    /// The predictor conditioned on actions.
    pub actions: Option<ActionPredictorConfig>,
    /// The classifier.
    pub classifier: Option<ClassifierConfig>,
}

impl VitConfig {
    /// The encoder of V-JEPA 2's ViT-L at 256 pixels and 16 frames.
    pub fn vjepa2_large() -> Self {
        let rotary = Some(Rotary::Tiled);
        let (positions, frames, image) = (Positions::None, 16, [256; 2]);
        let blocks = BlocksConfig { layers: 24, rotary, ..BlocksConfig::plain(1024, 16) };
        Self::of_encoder(VitKind::Vjepa2, blocks, EncoderSizes { patch: 16, tubelet: 2, frames, image, positions })
    }

    /// DINOv2's ViT-S at 224 pixels.
    pub fn dinov2_small() -> Self {
        let blocks = BlocksConfig { layer_scale: true, ..BlocksConfig::plain(384, 6) };
        let (positions, image) = (Positions::Stored { antialias: false }, [224; 2]);
        Self::of_encoder(VitKind::Dinov2, blocks, EncoderSizes { patch: 14, tubelet: 1, frames: 1, image, positions })
    }

    fn of_encoder(kind: VitKind, blocks: BlocksConfig, sizes: EncoderSizes) -> Self {
        let EncoderSizes { patch, tubelet, frames, image, positions } = sizes;
        let encoder = EncoderConfig {
            blocks,
            channels: 3,
            patch,
            tubelet,
            frames,
            image,
            positions,
            class_token: kind == VitKind::Dinov2,
            registers: 0,
            mask_token: false,
            image_patches: false,
            modality: false,
            norms: Norms::Last,
        };
        Self { kind, encoder: Some(encoder), predictor: None, actions: None, classifier: None }
    }
}

/// What published encoders differ in beside their blocks.
struct EncoderSizes {
    patch: usize,
    tubelet: usize,
    frames: usize,
    image: [usize; 2],
    positions: Positions,
}

impl BlocksConfig {
    /// Twelve blocks as most recipes have them: a perceptron of four times the width, biases, no scales.
    pub(super) fn plain(width: usize, heads: usize) -> Self {
        Self {
            width,
            layers: 12,
            heads,
            hidden: 4 * width,
            qkv_bias: true,
            gated: false,
            layer_scale: false,
            epsilon: 1e-6,
            rotary: None,
        }
    }

    /// Floating-point operations of the matrix products on `tokens` tokens.
    pub fn operations(&self, tokens: usize) -> f64 {
        let (tokens, width, hidden) = (tokens as f64, self.width as f64, self.hidden as f64);
        let perceptron = if self.gated { 6.0 } else { 4.0 } * width * hidden;
        self.layers as f64 * tokens * (8.0 * width * width + perceptron + 4.0 * tokens * width)
    }
}
