//! `config.json` of a LeWM folder: the sizes that cannot be read from the weights.

use std::path::Path;

use mindseye_interface::config::{Validate, require_range};
use mindseye_interface::inputs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ops::MAX_FRAMES;
use crate::{Error, Result};

/// Sizes of a LeWorldModel (arXiv 2603.19312). Letters: `D` width of an embedding, `A` width of an action chunk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LewmConfig {
    /// The vision transformer.
    pub vision: VisionConfig,
    /// Hidden width of the two projectors, of the encoder's output and of the predictor's.
    pub projector_hidden: [usize; 2],
    /// The action encoder.
    pub action: ActionConfig,
    /// The predictor.
    pub predictor: TransformerConfig,
}

/// Sizes of the encoder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VisionConfig {
    /// Side of the square images, pixels.
    pub image_side: usize,
    /// Side of a patch, pixels.
    pub patch: usize,
    /// Width `D` of a token.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Hidden width of a layer's perceptron.
    pub hidden: usize,
}

/// Sizes of the action encoder: `A` → `smoothed` (a convolution over one chunk) → `hidden` → `D`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionConfig {
    /// Width `A` of an action chunk.
    pub chunk_width: usize,
    /// Width after the convolution.
    pub smoothed: usize,
    /// Hidden width.
    pub hidden: usize,
}

/// Sizes of the predictor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransformerConfig {
    /// Most frames of a window.
    pub history: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of a head.
    pub head_width: usize,
    /// Hidden width of a layer's perceptron.
    pub hidden: usize,
}

/// The file as the authors' library writes it; fields that concern only their training are ignored.
#[derive(Deserialize)]
struct Stored {
    encoder: StoredEncoder,
    predictor: StoredPredictor,
    action_encoder: StoredAction,
    projector: StoredProjector,
    pred_proj: StoredProjector,
}

#[derive(Deserialize)]
struct StoredEncoder {
    size: Option<String>,
    patch_size: usize,
    image_size: usize,
    hidden_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    intermediate_size: Option<usize>,
}

#[derive(Deserialize)]
struct StoredPredictor {
    num_frames: usize,
    input_dim: usize,
    hidden_dim: usize,
    output_dim: Option<usize>,
    depth: usize,
    heads: usize,
    dim_head: usize,
    mlp_dim: usize,
}

#[derive(Deserialize)]
struct StoredAction {
    input_dim: usize,
    smoothed_dim: Option<usize>,
    emb_dim: usize,
    mlp_scale: Option<usize>,
}

#[derive(Deserialize)]
struct StoredProjector {
    input_dim: usize,
    output_dim: Option<usize>,
    hidden_dim: usize,
    norm_fn: Option<Value>,
}

/// The parts of a LeWM's config.
const PARTS: [&str; 5] = ["encoder", "predictor", "action_encoder", "projector", "pred_proj"];
/// Default of the authors' library, whatever the width of an action chunk.
const SMOOTHED: usize = 10;
/// Default of the authors' library: hidden width of the action encoder over its output.
const ACTION_SCALE: usize = 4;

/// The parts of a LeWM in a `config.json`: its root, or what a whole Hydra config calls `model`.
pub(super) fn parts_in(config: &Value) -> Option<&Value> {
    let has_all = |value: &&Value| PARTS.iter().all(|part| value[*part].is_object());
    [config, &config["model"]].into_iter().find(has_all)
}

impl LewmConfig {
    /// Reads a folder's `config.json`.
    ///
    /// # Errors
    /// [`Error::File`] when it is missing, not a LeWM's, or of sizes that we do not build.
    pub fn load(path: &Path) -> Result<Self> {
        let text = inputs::read_if_present(path, inputs::MAX_CONFIG_BYTES).map_err(|error| Error::file(path, error))?;
        let text = text.ok_or_else(|| Error::file(path, "expected the model's config beside its weights, got none"))?;
        Self::parse(&text).map_err(|problem| Error::file(path, problem))
    }

    /// Reads the content of a `config.json`.
    pub(crate) fn parse(text: &[u8]) -> std::result::Result<Self, String> {
        let whole: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let stored = match parts_in(&whole) {
            Some(parts) if *parts != whole => Stored::deserialize(parts), // a whole Hydra config
            _ => serde_json::from_slice(text),
        };
        let config = Self::of(stored.map_err(|error| error.to_string())?)?;
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    }

    fn of(stored: Stored) -> std::result::Result<Self, String> {
        let Stored { encoder, predictor, action_encoder, projector, pred_proj } = stored;
        let named = match encoder.size.as_deref() {
            Some("tiny") => Some((192, 12, 3)),
            Some("small") => Some((384, 12, 6)),
            Some("base") => Some((768, 12, 12)),
            Some("large") => Some((1024, 24, 16)),
            _ => None,
        };
        let missing = |field: &str| format!("encoder.{field}: expected it, or a known encoder.size, got neither");
        let width = encoder.hidden_size.or(named.map(|sizes| sizes.0)).ok_or_else(|| missing("hidden_size"))?;
        let layers = encoder.num_hidden_layers.or(named.map(|sizes| sizes.1));
        let heads = encoder.num_attention_heads.or(named.map(|sizes| sizes.2));
        let widths = [
            ("predictor.input_dim", predictor.input_dim),
            ("predictor.hidden_dim", predictor.hidden_dim),
            ("predictor.output_dim", predictor.output_dim.unwrap_or(predictor.input_dim)),
            ("action_encoder.emb_dim", action_encoder.emb_dim),
            ("projector.input_dim", projector.input_dim),
            ("projector.output_dim", projector.output_dim.unwrap_or(projector.input_dim)),
            ("pred_proj.input_dim", pred_proj.input_dim),
            ("pred_proj.output_dim", pred_proj.output_dim.unwrap_or(pred_proj.input_dim)),
        ];
        if let Some((field, got)) = widths.into_iter().find(|(_, got)| *got != width) {
            return Err(format!("{field}: expected the encoder's width {width}, got {got}"));
        }
        for (field, projector) in [("projector", &projector), ("pred_proj", &pred_proj)] {
            let norm = projector.norm_fn.as_ref().map(Value::to_string).unwrap_or_default();
            if !norm.contains("BatchNorm1d") {
                return Err(format!("{field}.norm_fn: expected torch.nn.BatchNorm1d, got {norm:?}"));
            }
        }
        Ok(Self {
            vision: VisionConfig {
                image_side: encoder.image_size,
                patch: encoder.patch_size,
                width,
                layers: layers.ok_or_else(|| missing("num_hidden_layers"))?,
                heads: heads.ok_or_else(|| missing("num_attention_heads"))?,
                hidden: encoder.intermediate_size.unwrap_or(width.saturating_mul(4)),
            },
            projector_hidden: [projector.hidden_dim, pred_proj.hidden_dim],
            action: ActionConfig {
                chunk_width: action_encoder.input_dim,
                smoothed: action_encoder.smoothed_dim.unwrap_or(SMOOTHED),
                // What overflows is beyond the range of `validate`.
                hidden: action_encoder.mlp_scale.unwrap_or(ACTION_SCALE).saturating_mul(action_encoder.emb_dim),
            },
            predictor: TransformerConfig {
                history: predictor.num_frames,
                layers: predictor.depth,
                heads: predictor.heads,
                head_width: predictor.dim_head,
                hidden: predictor.mlp_dim,
            },
        })
    }

    /// The sizes of the published models (`quentinll/lewm-pusht` and its like), for action chunks of `chunk_width`
    /// values.
    pub fn published(chunk_width: usize) -> Self {
        Self {
            vision: VisionConfig { image_side: 224, patch: 14, width: 192, layers: 12, heads: 3, hidden: 768 },
            projector_hidden: [2048, 2048],
            action: ActionConfig { chunk_width, smoothed: SMOOTHED, hidden: 768 },
            predictor: TransformerConfig { history: 3, layers: 6, heads: 16, head_width: 64, hidden: 2048 },
        }
    }

    /// Width `D` of an embedding.
    pub fn width(&self) -> usize {
        self.vision.width
    }
}

impl Validate for LewmConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        let VisionConfig { image_side, patch, width, layers, heads, hidden } = self.vision;
        require_range("encoder.patch_size", patch, 1, 512)?;
        require_range("encoder.image_size", image_side, patch, 4096)?;
        require_range("encoder.hidden_size", width, 1, 8192)?;
        require_range("encoder.num_hidden_layers", layers, 1, 200)?;
        require_range("encoder.num_attention_heads", heads, 1, width)?;
        require_range("encoder.hidden_size % encoder.num_attention_heads", width % heads, 0, 0)?;
        require_range("encoder.intermediate_size", hidden, 1, 65_536)?;
        require_range("projector.hidden_dim", self.projector_hidden[0], 1, 65_536)?;
        require_range("pred_proj.hidden_dim", self.projector_hidden[1], 1, 65_536)?;
        require_range("action_encoder.input_dim", self.action.chunk_width, 1, 4096)?;
        require_range("action_encoder.smoothed_dim", self.action.smoothed, 1, 4096)?;
        require_range("action_encoder.mlp_scale x emb_dim", self.action.hidden, 1, 65_536)?;
        let TransformerConfig { history, layers, heads, head_width, hidden } = self.predictor;
        require_range("predictor.num_frames", history, 1, MAX_FRAMES)?;
        require_range("predictor.depth", layers, 1, 200)?;
        require_range("predictor.heads", heads, 1, 256)?;
        require_range("predictor.dim_head", head_width, 1, 4096)?;
        require_range("predictor.mlp_dim", hidden, 1, 65_536)
    }
}
/// The sizes in words, on three lines, without a line break at the end.
impl std::fmt::Display for LewmConfig {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { vision, action, predictor, .. } = self;
        writeln!(text, "embeddings of {}", vision.width)?;
        let (side, patch, layers, heads) = (vision.image_side, vision.patch, vision.layers, vision.heads);
        writeln!(text, "  encoder: images of {side}x{side} in patches of {patch}, {layers} layers of {heads} heads")?;
        let (layers, heads, history, width) =
            (predictor.layers, predictor.heads, predictor.history, action.chunk_width);
        write!(text, "  predictor: {layers} layers of {heads} heads over {history} frames, ")?;
        write!(text, "action chunks of {width} numbers")
    }
}
