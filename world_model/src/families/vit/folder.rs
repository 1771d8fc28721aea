//! A folder or file of a published vision transformer: read whole, or refused with what is wrong.

use std::path::{Path, PathBuf};

use mindseye_interface::config::Validate;
use mindseye_interface::{MemoryLimit, Seed};

use super::account::Inventory;
use super::action_predictor::ActionPredictor;
use super::classifier::AttentiveClassifier;
use super::config::{BlocksConfig, VitConfig, VitKind};
use super::describe::describe;
use super::encoder::VitEncoder;
use super::fields::Fields;
use super::fresh::FreshParameters;
use super::parameters::{DrawnParameters, Parameters, StoredParameters};
use super::predictor::VitPredictor;
use super::preprocessing::Preprocessing;
use crate::ops::Precision;
use crate::parameters::values_in;
use crate::tensor_files::TensorFiles;
use crate::{Error, Result};

/// What a folder does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VitOptions {
    /// How the large weights are kept.
    pub precision: Precision,
    /// Whose recipe it is, where neither the config nor the names of the tensors say.
    pub kind: Option<VitKind>,
    /// Frames, height and width of the clips that it was trained on, where the config does not say.
    pub clip: Option<[usize; 3]>,
    /// Most memory; none: what this machine has.
    pub memory: Option<MemoryLimit>,
}

/// A published vision transformer: the parts that its folder has.
#[derive(Debug, Clone)]
pub struct Vit {
    config: VitConfig,
    ported: bool,
    encoder: Option<VitEncoder>,
    predictor: Option<VitPredictor>,
    actions: Option<ActionPredictor>,
    classifier: Option<AttentiveClassifier>,
    labels: Vec<String>,
    preprocessing: Preprocessing,
    /// Most memory that preparing images may take.
    memory: MemoryLimit,
}

impl Vit {
    /// Whether `folder` holds a model of Hugging Face's library that this family reads, by its config.
    pub fn is_in(folder: &Path) -> bool {
        let fields = Fields::read(folder);
        let known = ["vjepa2", "vjepa2_1", "vjepa", "dinov2", "dinov2_with_registers", "ijepa"];
        fields.is_ok_and(|fields| fields.text("", &["model_type"]).is_some_and(|(_, kind)| known.contains(&kind)))
    }

    /// Reads the model at `path`: a folder with weights (safetensors, whole or in shards, or a PyTorch file) and, where
    /// there is one, a `config.json`; or one file of weights, with the config beside it. Of PyTorch's files only lists
    /// of tensors are interpreted: no code in them is ever run.
    ///
    /// Sizes are measured in the shapes of the weights. A config that says otherwise is refused, naming both; so are
    /// tensors that are missing, left over, of another shape or not finite. Values are read one tensor at a time.
    ///
    /// # Errors
    /// [`Error::File`] that names the file and what is wrong with it.
    pub fn load(path: &Path, options: &VitOptions) -> Result<Self> {
        let folder = match path.parent().filter(|_| path.is_file()) {
            Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
            Some(parent) => parent.to_path_buf(),
            None => path.to_path_buf(),
        };
        let memory = options.memory.unwrap_or_default();
        let fields = Fields::read(&folder)?;
        let mut files = TensorFiles::open(path, memory)?;
        let of_weights = files.paths().next().unwrap_or(path).to_path_buf();
        let refused = |reason: String| Error::file(&of_weights, reason);
        let inventory = Inventory::of(files.tensors()).map_err(refused)?;
        let config = describe(&fields, &inventory.shapes, options.kind, options.clip);
        let config = config.map_err(|reason| Error::file(&fields.path, reason))?;
        config.validate().map_err(|error| Error::file(&fields.path, error))?;
        let shapes = config.shapes();
        inventory.require(&shapes).map_err(refused)?;
        let mut stored = inventory.pieces.values().flatten();
        if let Some((name, kind)) = stored.find_map(|name| Some((name, files.integers(name)?))) {
            return Err(refused(format!("{name}: expected floats, got {kind}")));
        }
        // The weights, and the largest of them a second time while it is packed.
        let largest = shapes.values().map(|shape| shape.iter().product::<usize>()).max().unwrap_or(0);
        let needed = values_in(&shapes).saturating_mul(4).saturating_add(8 * largest as u128);
        memory.require("weights", needed).map_err(|error| Error::file(&of_weights, error))?;
        let ported = fields.text("", &["model_type"]).is_some() && fields.value("", &["architectures"]).is_some();
        let mut parameters = StoredParameters { files: &mut files, pieces: &inventory.pieces };
        let mut vit = Self::build(config, &mut parameters, options.precision)?;
        (vit.ported, vit.memory) = (ported, memory);
        vit.labels = fields.labels();
        vit.preprocessing = Preprocessing::read(&folder, Preprocessing::usual(vit.config.kind, vit.image(), ported))?;
        Ok(vit)
    }

    /// A model with random weights, for measuring speed and for tests; what it gives means nothing.
    ///
    /// # Errors
    /// When the config makes no sense, or its weights need more memory than this machine has.
    pub fn initialise(config: VitConfig, seed: Seed, precision: Precision) -> Result<Self> {
        config.validate()?;
        let shapes = config.shapes();
        MemoryLimit::default().require("weights", values_in(&shapes).saturating_mul(4))?;
        Self::build(config, &mut DrawnParameters { seed, shapes }, precision)
    }

    /// An untrained model of the same sizes and preprocessing, its weights drawn from `seed` as a training begins: what
    /// a claim about trained weights has to be held against.
    ///
    /// # Errors
    /// As [`Vit::initialise`].
    pub fn untrained(&self, seed: Seed) -> Result<Self> {
        let (config, shapes) = (self.config.clone(), self.config.shapes());
        MemoryLimit::default().require("weights", values_in(&shapes).saturating_mul(4))?;
        let drawn = Self::build(config, &mut FreshParameters { seed, shapes }, Precision::F32)?;
        let (preprocessing, labels) = (self.preprocessing.clone(), self.labels.clone());
        Ok(Self { preprocessing, labels, ported: self.ported, ..drawn })
    }

    fn build(config: VitConfig, parameters: &mut dyn Parameters, precision: Precision) -> Result<Self> {
        let (kind, of_encoder) = (config.kind, config.encoder.as_ref());
        let encoder = of_encoder.map(|encoder| VitEncoder::read(parameters, kind, encoder, precision)).transpose()?;
        let predictor = match &config.predictor {
            Some(predictor) => Some(VitPredictor::read(parameters, predictor, of_encoder, precision)?),
            None => None,
        };
        let actions = match &config.actions {
            Some(actions) => Some(ActionPredictor::read(parameters, actions, precision)?),
            None => None,
        };
        let classifier = match &config.classifier {
            Some(classifier) => Some(AttentiveClassifier::read(parameters, classifier)?),
            None => None,
        };
        let image = of_encoder.map_or([224; 2], |encoder| encoder.image);
        let preprocessing = Preprocessing::usual(kind, image, false);
        let (labels, memory) = (Vec::new(), MemoryLimit::default());
        Ok(Self { ported: false, encoder, predictor, actions, classifier, labels, preprocessing, memory, config })
    }

    /// Its sizes.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// Whether it is of Hugging Face's library, whose clips are `[T, C, H, W]` and whose positions are always counted
    /// by the grid of the config; else of its authors', whose clips are `[C, T, H, W]`.
    pub fn is_ported(&self) -> bool {
        self.ported
    }

    /// The encoder.
    pub fn encoder(&self) -> Option<&VitEncoder> {
        self.encoder.as_ref()
    }

    /// The predictor of masked tokens.
    pub fn predictor(&self) -> Option<&VitPredictor> {
        self.predictor.as_ref()
    }

    /// The predictor conditioned on actions.
    pub fn actions(&self) -> Option<&ActionPredictor> {
        self.actions.as_ref()
    }

    /// The classifier.
    pub fn classifier(&self) -> Option<&AttentiveClassifier> {
        self.classifier.as_ref()
    }

    /// Names of the classes; empty where the config has none.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// How images become the encoder's input.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Whether images of `height` x `width` can be prepared for a clip of `frames`: known from sizes alone, before
    /// anything is scaled.
    ///
    /// # Errors
    /// [`Error::Shape`] when the encoder does not take as many patches, [`Error::Interface`] when it needs more memory
    /// than the model was given.
    pub fn require_input(&self, frames: usize, height: usize, width: usize) -> Result<()> {
        if let Some(encoder) = &self.encoder {
            let [rows, columns] = self.preprocessing.output_size(height, width);
            encoder.grid_of(frames, rows, columns)?;
        }
        Ok(self.memory.require("preparing images", self.preprocessing.bytes(frames, height, width))?)
    }

    /// Height and width of the images it was trained on.
    fn image(&self) -> [usize; 2] {
        self.config.encoder.as_ref().map_or([224; 2], |encoder| encoder.image)
    }
}

/// What it holds, on one line.
impl std::fmt::Display for Vit {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let VitConfig { kind, encoder, predictor, actions, classifier } = &self.config;
        write!(text, "{kind}")?;
        let of = |blocks: &BlocksConfig| {
            format!("{} layers of {} heads, width {}", blocks.layers, blocks.heads, blocks.width)
        };
        if let Some(encoder) = encoder {
            let [frames, rows, columns] = encoder.grid();
            write!(text, ": encoder of {}, {frames}x{rows}x{columns} patches", of(&encoder.blocks))?;
        }
        let mut part = |name: &str, blocks: &BlocksConfig| write!(text, "; {name} of {}", of(blocks));
        predictor.iter().try_for_each(|predictor| part("predictor", &predictor.blocks))?;
        actions.iter().try_for_each(|actions| part("predictor conditioned on actions", &actions.blocks))?;
        classifier.iter().try_for_each(|classifier| part("classifier", &classifier.blocks))
    }
}
