//! Shape of a JEPA: everything that is needed to rebuild it from its weights.

use mindseye_interface::config::{Validate, require_range};
use serde::{Deserialize, Serialize};

use crate::latent::LatentShape;
use crate::model::{CameraSpec, ClipSpec, ModelSpec};
use crate::ops::Convolution;

/// Shape of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Side of the square images that the encoder takes, pixels.
    pub image_side: usize,
    /// Cameras. Each has image layers of its own.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub cameras: usize,
    /// Numbers of proprioception that the encoder takes beside the images; 0 for images alone. It contains what
    /// images do not show: speeds and forces.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub proprioception_width: usize,
    /// Numbers per action (one control step).
    pub action_width: usize,
    /// Control steps per action chunk: the model's time step.
    #[serde(alias = "action_block")]
    pub action_chunk: usize,
    /// Width `D` of a latent. Wider keeps more of the scene and needs more data.
    pub latent_width: usize,
    /// Whether latents are whitened: by the batch while training, by constants from the data afterwards.
    pub whitening: bool,
    /// The encoder.
    pub encoder: EncoderConfig,
    /// The predictor.
    pub predictor: PredictorConfig,
}

fn one() -> usize {
    1
}

fn is_one(cameras: &usize) -> bool {
    *cameras == 1
}

fn is_zero(width: &usize) -> bool {
    *width == 0
}

impl ModelConfig {
    /// Bytes of the images of one timestep.
    pub fn image_bytes(&self) -> usize {
        self.cameras * self.image_side * self.image_side * 3
    }

    /// Numbers per action chunk.
    pub fn chunk_width(&self) -> usize {
        self.action_width * self.action_chunk
    }

    /// Inputs and outputs of a model of this shape. `camera_names` are in the order of the model's cameras; cameras
    /// without a name are taken by their position.
    pub fn spec(&self, camera_names: &[String]) -> ModelSpec {
        let side = self.image_side;
        let camera = |index: usize| CameraSpec {
            name: camera_names.get(index).cloned().unwrap_or_default(),
            height: side,
            width: side,
        };
        ModelSpec {
            cameras: (0..self.cameras).map(camera).collect(),
            clip: ClipSpec::SINGLE,
            proprioception: self.proprioception_width,
            action_width: self.action_width,
            action_chunk: self.action_chunk,
            latent: LatentShape::global(self.latent_width),
            context: 1,
        }
    }
}

impl Validate for ModelConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("model.image_side", self.image_side, 8, 512)?;
        require_range("model.cameras", self.cameras, 1, 16)?;
        require_range("model.proprioception_width", self.proprioception_width, 0, 4096)?;
        require_range("model.action_width", self.action_width, 1, 256)?;
        require_range("model.action_chunk", self.action_chunk, 1, 100)?;
        require_range("model.latent_width", self.latent_width, 1, 4096)?;
        require_range("model.predictor.hidden", self.predictor.hidden, 1, 8192)?;
        require_range("model.predictor.layers", self.predictor.layers, 0, 64)?;
        self.encoder.validate(self.image_side)
    }
}

/// Which encoder, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EncoderConfig {
    /// One patch convolution, then residual 3x3 blocks: fast, represents positions (two_room).
    Patch(PatchConfig),
    /// Convolutions to a spatial softmax: represents angles too (push_t).
    Keypoint(KeypointConfig),
}

impl EncoderConfig {
    fn validate(&self, image_side: usize) -> mindseye_interface::Result<()> {
        match self {
            Self::Patch(config) => {
                require_range("model.encoder.patch", config.patch, 1, image_side)?;
                if !image_side.is_multiple_of(config.patch) {
                    let expected = format!("a divisor of model.image_side, {image_side}");
                    return Err(mindseye_interface::Error::field("model.encoder.patch", expected, config.patch));
                }
                require_range("model.encoder.channels", config.channels, 1, 1024)?;
                require_range("model.encoder.bottleneck", config.bottleneck, 1, 1024)?;
                require_range("model.encoder.blocks", config.blocks, 0, 32)?;
                require_range("model.encoder.hidden", config.hidden, 1, 8192)
            }
            Self::Keypoint(config) => {
                require_range("model.encoder.channels", config.channels, 4, 1024)?;
                require_range("model.encoder.hidden", config.hidden, 1, 8192)
            }
        }
    }
}

/// Settings of the patch encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchConfig {
    /// Side of a patch, pixels. Smaller patches resolve more and cost quadratically more.
    pub patch: usize,
    /// Channels of the patch grid.
    pub channels: usize,
    /// Residual blocks on the grid.
    pub blocks: usize,
    /// Channels kept per patch before flattening.
    pub bottleneck: usize,
    /// Width of the hidden layer of the projector.
    pub hidden: usize,
}

impl PatchConfig {
    /// The convolution from pixels to the patch grid.
    pub(super) fn grid(&self) -> Convolution {
        Convolution { kernel: self.patch, stride: self.patch, padding: 0, silu_first: false, input_gradient: false }
    }

    /// Features of an image of `image_side` pixels.
    pub(super) fn features(&self, image_side: usize) -> usize {
        self.grid().output_side(image_side).pow(2) * self.bottleneck
    }
}

/// Settings of the keypoint encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeypointConfig {
    /// Channels of the first convolution; the rest of the network has twice as many, each of them one keypoint.
    pub channels: usize,
    /// Width of the hidden layer of the projector.
    pub hidden: usize,
}

impl KeypointConfig {
    /// Features of an image: position and strength of every keypoint.
    pub(super) fn features(&self) -> usize {
        3 * 2 * self.channels
    }
}

/// Settings of the predictor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictorConfig {
    /// Width of the hidden layers. Planning time grows with its square.
    pub hidden: usize,
    /// Residual hidden layers after the first.
    pub layers: usize,
    /// Whether every hidden layer multiplies two maps of its input (one of them through SiLU) instead of activating
    /// one. Contact needs products: the point of a turned block that the pusher touches is its position times the
    /// block's angle. Twice the weights.
    #[serde(default)]
    pub gated: bool,
}
