//! The arguments of `mindseye encode`, `mindseye classify` and `mindseye check-parity`, and what they run.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use mindseye_interface::MemoryLimit;
use mindseye_interface::config::require_range;
use mindseye_interface::text::printable;
use mindseye_world_model::Precision;
use mindseye_world_model::families::vit::{Vit, VitKind, VitOptions};
use mindseye_world_model::families::{check_parity, require_encoder};

use crate::classification::{ClassScore, Classification};
use crate::encoding::{Encoding, Pooling, usual_clips};
use crate::inputs::{ClipOptions, Sampling};
use crate::output::{require_own_place, write_tokens};
use crate::pretraining::PretrainArguments;
use crate::probing::ProbeArguments;
use crate::surroundings::{Surroundings, default_threads};
use crate::{Error, Result};

/// Verbs about encoders.
#[derive(Debug, Subcommand)]
pub enum EncoderCommand {
    /// Turn images and videos into tokens with a published encoder: V-JEPA, V-JEPA 2, V-JEPA 2.1, I-JEPA or DINOv2.
    #[command(after_help = "Examples:\n  \
        mindseye encode clip.mp4 --weights vjepa2-vitl --out tokens.safetensors\n  \
        mindseye encode photos/ --weights dinov2-small --pool class --out photos.npy")]
    Encode(EncodeArguments),
    /// Name what happens in a clip, with a published video classifier.
    #[command(after_help = "Example: mindseye classify clip.mp4 --weights vjepa2-vitl-ssv2")]
    Classify(ClassifyArguments),
    /// Run a model on the inputs beside it and compare its outputs with those of another implementation.
    #[command(after_help = "The folder has the model and io.safetensors with inputs (in.NAME) and expected outputs\n\
        (out.NAME). The exit code is 1 where an output differs by more than 1e-4.\n\n\
        Example: mindseye check-parity vjepa2_tiny")]
    CheckParity(ParityArguments),
    /// Train an encoder from recordings or videos without labels or actions, by predicting what is hidden (V-JEPA).
    ///
    /// The folder has the encoder as published ones are: encode, probe and check-parity read it.
    #[command(after_help = "Examples:\n  \
        mindseye pretrain --data data/push_t --out runs/encoder\n  \
        mindseye pretrain --data videos/ --fps 10 --objective levjepa --out runs/encoder\n  \
        mindseye pretrain --data data/push_t --objective pixels --out runs/pixel_twin   # for comparison")]
    Pretrain(Box<PretrainArguments>),
    /// Measure what a small probe reads from a frozen encoder: a published one, one pretrained here, or a checkpoint's.
    ///
    /// Probes are trained on some episodes and scored on others; intervals are by a bootstrap over the held-out ones.
    /// Say --untrained: without an untrained encoder of the same sizes beside it no score means anything.
    #[command(after_help = "Examples:\n  \
        mindseye probe runs/encoder --data data/push_t --untrained\n  \
        mindseye probe runs/encoder --data data/push_t --label block_x_m --fractions 5,10,50,100 --probe attentive\n  \
        mindseye probe runs/encoder --data data/push_t --label order --untrained --json")]
    Probe(Box<ProbeArguments>),
}

/// Which model, and how it runs.
#[derive(Debug, Args)]
struct ModelArguments {
    /// Whose recipe the weights follow, where neither their config nor their names say.
    #[arg(long, value_enum)]
    family: Option<FamilyName>,
    /// How the large weights are kept.
    #[arg(long, value_enum, default_value_t = WeightsIn::F32)]
    precision: WeightsIn,
    /// Threads; the result does not depend on it.
    #[arg(long, default_value_t = default_threads())]
    threads: usize,
    /// Most memory for the weights, and for preparing images, GiB each; by default three quarters of what is free.
    #[arg(long)]
    memory_gib: Option<f64>,
}

/// How weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WeightsIn {
    /// As they were trained.
    F32,
    /// In sixteen bits.
    Bf16,
}

/// Recipes by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FamilyName {
    /// I-JEPA.
    Ijepa,
    /// V-JEPA.
    Vjepa,
    /// V-JEPA 2 and 2-AC.
    Vjepa2,
    /// V-JEPA 2.1.
    #[value(name = "vjepa2_1")]
    Vjepa21,
    /// DINOv2.
    Dinov2,
}

/// What is kept of the tokens of an image or clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PoolName {
    /// All tokens.
    None,
    /// Their mean.
    Mean,
    /// The class token.
    Class,
}

/// Arguments of `mindseye encode`.
#[derive(Debug, Args)]
pub struct EncodeArguments {
    /// Images (PNG, JPEG), videos (mp4), and folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The model: a folder, or a file of weights.
    #[arg(long)]
    weights: PathBuf,
    /// The file for the tokens: .safetensors, which also has the file and time of every item, or .npy, which has not.
    #[arg(long)]
    out: PathBuf,
    /// What is kept of the tokens of an image or clip.
    #[arg(long, value_enum, default_value_t = PoolName::None)]
    pool: PoolName,
    /// Frames of a clip; by default 16, or fewer where the model was trained on fewer. A still image is repeated.
    #[arg(long)]
    frames: Option<usize>,
    /// Frames a second that are taken out of a video; by default 4 (V-JEPA 2), 7.5 (V-JEPA) or 1 (images).
    #[arg(long)]
    fps: Option<f64>,
    #[command(flatten)]
    model: ModelArguments,
}

/// Arguments of `mindseye classify`.
#[derive(Debug, Args)]
pub struct ClassifyArguments {
    /// A video (mp4) or an image.
    clip: PathBuf,
    /// The model: a folder.
    #[arg(long)]
    weights: PathBuf,
    /// Frames of the clip; by default those that the model was trained on.
    #[arg(long)]
    frames: Option<usize>,
    /// Frames a second; probabilities of several clips are averaged. By default one clip is spread over the video.
    #[arg(long)]
    fps: Option<f64>,
    /// Classes to print.
    #[arg(long, default_value_t = 5)]
    top: usize,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArguments,
}

/// Arguments of `mindseye check-parity`.
#[derive(Debug, Args)]
pub struct ParityArguments {
    /// The folder.
    folder: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArguments,
}

impl ModelArguments {
    fn options(&self) -> Result<VitOptions> {
        let kind = self.family.map(|family| match family {
            FamilyName::Ijepa => VitKind::Ijepa,
            FamilyName::Vjepa => VitKind::Vjepa,
            FamilyName::Vjepa2 => VitKind::Vjepa2,
            FamilyName::Vjepa21 => VitKind::Vjepa21,
            FamilyName::Dinov2 => VitKind::Dinov2,
        });
        let precision = match self.precision {
            WeightsIn::F32 => Precision::F32,
            WeightsIn::Bf16 => Precision::Bf16,
        };
        let memory = self.memory_gib.map(MemoryLimit::from_gib).transpose()?;
        Ok(VitOptions { precision, kind, memory, clip: None })
    }

    /// Runs `work` on threads of its own.
    fn on_threads<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        require_range("--threads", self.threads, 1, 1024)?;
        rayon::ThreadPoolBuilder::new().num_threads(self.threads).build()?.install(work)
    }

    fn load(&self, weights: &Path) -> Result<Vit> {
        require_encoder(weights)?;
        Ok(Vit::load(weights, &self.options()?)?)
    }
}

impl EncoderCommand {
    /// Runs the verb; `say` prints a line.
    ///
    /// # Errors
    /// Those of the verb; of `check-parity` also where an output differs.
    pub fn run(&self, surroundings: &Surroundings<'_>, say: &mut (dyn FnMut(&str) + Send)) -> Result<()> {
        match self {
            Self::Encode(arguments) => arguments.run(say),
            Self::Classify(arguments) => arguments.run(say),
            Self::CheckParity(arguments) => arguments.run(say),
            Self::Pretrain(arguments) => arguments.run(surroundings, say),
            Self::Probe(arguments) => arguments.run(surroundings, say),
        }
    }

    /// Whether it may take long, and ends in order when it is asked to stop.
    pub fn is_long(&self) -> bool {
        matches!(self, Self::Pretrain(_) | Self::Probe(_))
    }
}

impl EncodeArguments {
    fn run(&self, say: &mut (dyn FnMut(&str) + Send)) -> Result<()> {
        let pooling = match self.pool {
            PoolName::None => Pooling::None,
            PoolName::Mean => Pooling::Mean,
            PoolName::Class => Pooling::Class,
        };
        require_own_place(&self.out, &self.weights, &self.paths)?;
        let folder = self.out.parent().filter(|folder| !folder.as_os_str().is_empty() && folder.exists());
        self.model.on_threads(|| {
            let model = self.model.load(&self.weights)?;
            let Some(encoder) = model.encoder() else {
                return Err(Error::MissingPart { path: self.weights.clone(), part: "an encoder" });
            };
            let clips = usual_clips(encoder, model.config().kind, self.frames, self.fps);
            let encoding = Encoding { model: &model, weights: &self.weights, clips, pooling };
            let tokens = encoding.run(&self.paths)?;
            // A folder that was there and is gone was moved by somebody: it is not made anew.
            if folder.is_some_and(|folder| !folder.exists()) {
                return Err(Error::file(&self.out, "expected its folder as it was at the start, got none"));
            }
            write_tokens(&self.out, &tokens, pooling)?;
            let (shape, out) = (tokens.shape(pooling), self.out.display().to_string());
            say(&format!("{model}"));
            say(&format!("tokens of {} images or clips, {shape:?}, in {}", tokens.items.len(), printable(&out)));
            Ok(())
        })
    }
}

impl ClassifyArguments {
    fn run(&self, say: &mut (dyn FnMut(&str) + Send)) -> Result<()> {
        require_range("--top", self.top, 1, 100_000)?;
        let mut scores = self.model.on_threads(|| {
            let model = self.model.load(&self.weights)?;
            let trained = model.encoder().map_or(1, |encoder| encoder.config().frames);
            let sampling = self.fps.map_or(Sampling::Spread, Sampling::Rate);
            let clips = ClipOptions { frames: self.frames.unwrap_or(trained), sampling };
            Classification { model: &model, weights: &self.weights, clips }.run(&self.clip)
        })?;
        scores.truncate(self.top);
        if self.json {
            say(&serde_json::to_string_pretty(&scores)?);
            return Ok(());
        }
        for ClassScore { label, probability, .. } in &scores {
            say(&format!("{:6.2} %  {}", 100.0 * probability, printable(label)));
        }
        Ok(())
    }
}

impl ParityArguments {
    fn run(&self, say: &mut (dyn FnMut(&str) + Send)) -> Result<()> {
        let options = self.model.options()?;
        let report = self.model.on_threads(|| Ok(check_parity(&self.folder, &options)?))?;
        say(&if self.json { serde_json::to_string_pretty(&report)? } else { report.to_string() });
        if report.agrees() {
            return Ok(());
        }
        let differing = report.outputs.iter().filter(|output| !output.agrees()).count();
        Err(Error::Parity { path: self.folder.clone(), differing, all: report.outputs.len() })
    }
}
