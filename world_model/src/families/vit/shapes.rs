//! Names and shapes of the weights that follow from a vision transformer's sizes, and the ranges of those.

use mindseye_interface::config::{Validate, require_range};

use super::config::{
    ActionPredictorConfig, BlocksConfig, ClassifierConfig, EncoderConfig, Norms, Positions, PredictorConfig, VitConfig,
};
use crate::parameters::Shapes;

impl BlocksConfig {
    /// Width of a head.
    pub fn head(&self) -> usize {
        self.width / self.heads.max(1)
    }

    fn validate(&self, part: &str, least_layers: usize) -> mindseye_interface::Result<()> {
        let named = |name: &str| format!("{part}.{name}");
        require_range(&named("width"), self.width, 1, 16_384)?;
        require_range(&named("layers"), self.layers, least_layers, 200)?;
        require_range(&named("heads"), self.heads, 1, self.width)?;
        require_range(&named("width % heads"), self.width % self.heads, 0, 0)?;
        require_range(&named("hidden"), self.hidden, 1, 131_072)?;
        require_range(&named("layer_norm_eps"), self.epsilon, 1e-15, 1.0)?;
        if self.rotary.is_some() {
            require_range(&named("width / heads"), self.head(), 6, 4096)?;
        }
        Ok(())
    }

    /// Adds the shapes of the weights of block `prefix.N`.
    fn shapes(&self, prefix: &str, shapes: &mut Shapes) {
        let (width, hidden) = (self.width, self.hidden);
        for layer in 0..self.layers {
            let block = format!("{prefix}blocks.{layer}.");
            norm(shapes, &format!("{block}norm1"), width);
            linear(shapes, &format!("{block}attn.qkv"), 3 * width, width, self.qkv_bias);
            linear(shapes, &format!("{block}attn.proj"), width, width, true);
            norm(shapes, &format!("{block}norm2"), width);
            if self.gated {
                linear(shapes, &format!("{block}mlp.w12"), 2 * hidden, width, true);
                linear(shapes, &format!("{block}mlp.w3"), width, hidden, true);
            } else {
                linear(shapes, &format!("{block}mlp.fc1"), hidden, width, true);
                linear(shapes, &format!("{block}mlp.fc2"), width, hidden, true);
            }
            if self.layer_scale {
                shapes.insert(format!("{block}ls1"), vec![width]);
                shapes.insert(format!("{block}ls2"), vec![width]);
            }
        }
    }
}

impl EncoderConfig {
    /// Patches of a clip in time, in a column and in a row, of the size it was trained on.
    pub fn grid(&self) -> [usize; 3] {
        let [height, width] = self.image;
        [self.frames / self.tubelet, height / self.patch, width / self.patch]
    }

    /// Patches of such a clip.
    pub fn patches(&self) -> usize {
        self.grid().iter().product()
    }

    /// Numbers in a patch.
    pub fn patch_values(&self) -> usize {
        self.channels * self.tubelet * self.patch * self.patch
    }

    fn shapes(&self, shapes: &mut Shapes) {
        let width = self.blocks.width;
        let named = |name: &str| format!("encoder.{name}");
        linear(shapes, &named("patch_embed.proj"), width, self.patch_values(), true);
        if self.image_patches {
            linear(shapes, &named("patch_embed_img.proj"), width, self.patch_values() / self.tubelet, true);
        }
        if let Positions::Stored { .. } = self.positions {
            let rows = self.patches() + usize::from(self.class_token);
            shapes.insert(named("pos_embed"), vec![rows, width]);
        }
        let vectors = [
            ("cls_token", self.class_token),
            ("mask_token", self.mask_token),
            ("img_mod_embed", self.modality),
            ("video_mod_embed", self.modality),
        ];
        for (name, _) in vectors.iter().filter(|(_, there)| *there) {
            shapes.insert(named(name), vec![width]);
        }
        if self.registers > 0 {
            shapes.insert(named("register_tokens"), vec![self.registers, width]);
        }
        self.blocks.shapes("encoder.", shapes);
        match &self.norms {
            Norms::Last => norm(shapes, &named("norm"), width),
            Norms::Levels(levels) => {
                (0..levels.len()).for_each(|level| norm(shapes, &named(&format!("norms_block.{level}")), width));
            }
        }
    }
}

impl PredictorConfig {
    fn shapes(&self, patches: usize, shapes: &mut Shapes) {
        let width = self.blocks.width;
        let named = |name: &str| format!("predictor.{name}");
        match self.entry {
            None => linear(shapes, &named("embed"), width, self.input, true),
            Some(hidden) => {
                linear(shapes, &named("embed.0"), hidden, self.input, true);
                linear(shapes, &named("embed.2"), width, hidden, true);
            }
        }
        shapes.insert(named("mask_tokens"), vec![self.mask_tokens, width]);
        if let Positions::Stored { .. } = self.positions {
            shapes.insert(named("pos_embed"), vec![patches, width]);
        }
        if self.modality {
            shapes.insert(named("img_mod_embed"), vec![width]);
            shapes.insert(named("video_mod_embed"), vec![width]);
        }
        self.blocks.shapes("predictor.", shapes);
        norm(shapes, &named("norm"), width);
        linear(shapes, &named("proj"), self.output, width, true);
        if self.context_output {
            linear(shapes, &named("proj_context"), self.output, width, true);
        }
    }
}

impl ActionPredictorConfig {
    fn shapes(&self, shapes: &mut Shapes) {
        let width = self.blocks.width;
        let named = |name: &str| format!("predictor.{name}");
        linear(shapes, &named("embed"), width, self.input, true);
        linear(shapes, &named("action_encoder"), width, self.action_width, true);
        linear(shapes, &named("state_encoder"), width, self.state_width, true);
        if let Some(inputs) = self.extrinsics_width {
            linear(shapes, &named("extrinsics_encoder"), width, inputs, true);
        }
        self.blocks.shapes("predictor.", shapes);
        norm(shapes, &named("norm"), width);
        linear(shapes, &named("proj"), self.input, width, true);
    }
}

impl ClassifierConfig {
    fn shapes(&self, shapes: &mut Shapes) {
        let (width, hidden) = (self.blocks.width, self.blocks.hidden);
        shapes.insert("pooler.query_tokens".into(), vec![1, width]);
        self.blocks.shapes("pooler.", shapes);
        norm(shapes, "pooler.cross.norm1", width);
        linear(shapes, "pooler.cross.q", width, width, true);
        linear(shapes, "pooler.cross.kv", 2 * width, width, true);
        norm(shapes, "pooler.cross.norm2", width);
        linear(shapes, "pooler.cross.mlp.fc1", hidden, width, true);
        linear(shapes, "pooler.cross.mlp.fc2", width, hidden, true);
        linear(shapes, "classifier", self.classes, width, true);
    }
}

impl VitConfig {
    /// Names and shapes of all weights.
    pub(super) fn shapes(&self) -> Shapes {
        let mut shapes = Shapes::new();
        let patches = self.encoder.as_ref().map_or(0, EncoderConfig::patches);
        self.encoder.iter().for_each(|encoder| encoder.shapes(&mut shapes));
        self.predictor.iter().for_each(|predictor| predictor.shapes(patches, &mut shapes));
        self.actions.iter().for_each(|actions| actions.shapes(&mut shapes));
        self.classifier.iter().for_each(|classifier| classifier.shapes(&mut shapes));
        shapes
    }
}

impl Validate for VitConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        if let Some(encoder) = &self.encoder {
            encoder.blocks.validate("encoder", 1)?;
            require_range("encoder.channels", encoder.channels, 1, 64)?;
            require_range("encoder.patch_size", encoder.patch, 1, 512)?;
            require_range("encoder.tubelet_size", encoder.tubelet, 1, 64)?;
            require_range("encoder.frames", encoder.frames, encoder.tubelet, 4096)?;
            for side in encoder.image {
                require_range("encoder.image_size", side, encoder.patch, 8192)?;
            }
            require_range("encoder patches", encoder.patches(), 1, 1 << 20)?;
            require_range("encoder.registers", encoder.registers, 0, 1024)?;
        }
        if let Some(predictor) = &self.predictor {
            predictor.blocks.validate("predictor", 1)?;
            require_range("predictor.input", predictor.input, 1, 1 << 20)?;
            require_range("predictor.output", predictor.output, 1, 1 << 20)?;
            require_range("predictor.mask_tokens", predictor.mask_tokens, 1, 4096)?;
        }
        if let Some(actions) = &self.actions {
            actions.blocks.validate("predictor", 1)?;
            require_range("predictor.input", actions.input, 1, 1 << 20)?;
            require_range("predictor.action_width", actions.action_width, 1, 4096)?;
            require_range("predictor.state_width", actions.state_width, 1, 4096)?;
        }
        if let Some(classifier) = &self.classifier {
            classifier.blocks.validate("pooler", 0)?;
            require_range("classifier.classes", classifier.classes, 1, 1 << 20)?;
        }
        Ok(())
    }
}

fn norm(shapes: &mut Shapes, name: &str, width: usize) {
    shapes.insert(format!("{name}.weight"), vec![width]);
    shapes.insert(format!("{name}.bias"), vec![width]);
}

fn linear(shapes: &mut Shapes, name: &str, outputs: usize, inputs: usize, bias: bool) {
    shapes.insert(format!("{name}.weight"), vec![outputs, inputs]);
    if bias {
        shapes.insert(format!("{name}.bias"), vec![outputs]);
    }
}
