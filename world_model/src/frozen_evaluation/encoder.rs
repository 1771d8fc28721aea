//! The encoder under evaluation: any family, trained or not, behind the seam of [`Model`].

use std::path::Path;
use std::sync::Arc;

use mindseye_interface::{Frame, Image, Observation, Seed};

use crate::checkpoint::AnyCheckpoint;
use crate::families::jepa::{self, Jepa};
use crate::families::lewm::Lewm;
use crate::families::vit::pretraining::PretrainingRecord;
use crate::families::vit::{FrozenEncoder, Vit, VitOptions};
use crate::model::{ClipSpec, Model};
use crate::{Error, Result, fingerprint};

/// Most frames of a clip by default.
const USUAL_FRAMES: usize = 16;

/// How an encoder is read and what it is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProbedEncoderOptions {
    /// Frames of a clip; by default those of the encoder's training, at most 16, and 4 for encoders of images.
    pub frames: Option<usize>,
    /// Timesteps between them; by default those of the encoder's training, or 1.
    pub stride: Option<usize>,
    /// What a folder of a published encoder does not say.
    pub vit: VitOptions,
}

/// An encoder that is not trained any further.
#[derive(Debug)]
pub struct ProbedEncoder {
    name: String,
    model: Arc<dyn Model>,
    frames: usize,
    stride: usize,
    weights_sha256: Option<String>,
    untrained_seed: Option<u64>,
}

impl ProbedEncoder {
    /// The encoder at `path`: a checkpoint, or the folder or file of a vision transformer.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read; [`Error::Shape`] when it does not take such clips.
    pub fn load(path: &Path, options: &ProbedEncoderOptions) -> Result<Self> {
        let name = path.display().to_string();
        if jepa::folder::is_in(path) || Lewm::is_in(path) {
            let checkpoint = AnyCheckpoint::load(path)?;
            let chunk = checkpoint.spec().action_chunk;
            let sha256 = Some(checkpoint.fingerprint().to_owned());
            let model = checkpoint.model.clone();
            let frames = options.frames.unwrap_or(4);
            let stride = options.stride.unwrap_or(chunk);
            return Ok(Self { name, model, frames, stride, weights_sha256: sha256, untrained_seed: None });
        }
        let vit = Vit::load(path, &options.vit)?;
        let record = if path.is_dir() { PretrainingRecord::read(path)? } else { None };
        let stride = options.stride.or(record.map(|record| record.config.data.stride)).unwrap_or(1);
        let weights = if path.is_dir() { path.join("model.safetensors") } else { path.to_path_buf() };
        let sha256 = if weights.exists() { Some(fingerprint::of_files(std::iter::once(&*weights))?) } else { None };
        Self::of_vit(vit, name, (options.frames, stride), sha256)
    }

    fn of_vit(
        vit: Vit,
        name: String,
        (frames, stride): (Option<usize>, usize),
        weights_sha256: Option<String>,
    ) -> Result<Self> {
        let trained = vit.config().encoder.as_ref().map_or(1, |encoder| encoder.frames);
        let takes_clips = vit.config().kind.takes_clips();
        let frames = frames.unwrap_or(if takes_clips { trained.min(USUAL_FRAMES) } else { 4 });
        let clip = if takes_clips { ClipSpec { frames, stride } } else { ClipSpec::SINGLE };
        let model: Arc<dyn Model> = Arc::new(FrozenEncoder::new(Arc::new(vit), clip)?);
        Ok(Self { name, model, frames, stride, weights_sha256, untrained_seed: None })
    }

    /// An untrained encoder of the same sizes, its weights drawn from `seed`, that is shown the same.
    ///
    /// # Errors
    /// [`Error::Shape`] for a LeWM, which is not drawn here.
    pub fn untrained(&self, seed: Seed) -> Result<Self> {
        let (name, shown) = (self.name.clone(), (Some(self.frames), self.stride));
        let untrained_seed = Some(seed.value());
        if let Some(frozen) = self.model.as_any().downcast_ref::<FrozenEncoder>() {
            let drawn = Self::of_vit(frozen.vit().untrained(seed)?, name, shown, None)?;
            return Ok(Self { untrained_seed, ..drawn });
        }
        let Some(jepa) = self.model.as_any().downcast_ref::<Jepa>() else {
            let expected = "a vision transformer or a JEPA".into();
            return Err(Error::Shape { operation: "an untrained encoder", expected, got: "another family".into() });
        };
        let model: Arc<dyn Model> = Arc::new(Jepa::initialise(jepa.config().clone(), seed)?);
        let (frames, stride) = (self.frames, self.stride);
        Ok(Self { name, model, frames, stride, weights_sha256: None, untrained_seed })
    }

    /// Where it comes from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of its weights: of the file, or of names and values for checkpoints of world models. None of untrained
    /// ones, and of weights in several files.
    pub fn weights_sha256(&self) -> Option<&str> {
        self.weights_sha256.as_deref()
    }

    /// The seed of an untrained one.
    pub fn untrained_seed(&self) -> Option<u64> {
        self.untrained_seed
    }

    /// Frames of a clip.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Timesteps between them.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Steps in time that the tokens of a clip stand for.
    pub(super) fn slots(&self) -> usize {
        let frozen = self.model.as_any().downcast_ref::<FrozenEncoder>();
        let tubelet = frozen.and_then(|frozen| frozen.vit().config().encoder.as_ref().map(|encoder| encoder.tubelet));
        if self.model.spec().clip.frames > 1 { self.frames.div_ceil(tubelet.unwrap_or(1)) } else { self.frames }
    }

    /// Height and width of the images of each of its cameras, and how many cameras it takes.
    pub fn cameras(&self) -> ([usize; 2], usize) {
        let cameras = &self.model.spec().cameras;
        cameras.first().map_or(([1, 1], 0), |camera| ([camera.height, camera.width], cameras.len()))
    }

    /// Tokens `[P, D]` of a clip, and `D`: images of its cameras, and proprioception, of every frame.
    pub(super) fn tokens(&self, frames: Vec<(Vec<Image>, Vec<f32>)>) -> Result<(Vec<f32>, usize)> {
        let spec = self.model.spec();
        let observation = |(tick, (images, proprioception)): (usize, (Vec<Image>, Vec<f32>))| {
            let named = spec.cameras.iter().zip(images);
            let frames = named.map(|(camera, image)| Frame::new(&camera.name.as_str().into(), image, 0.0));
            Observation { frames: frames.collect(), proprioception, tick: tick as u64, time_secs: 0.0 }
        };
        let observations: Vec<Observation> = frames.into_iter().enumerate().map(observation).collect();
        let latents = self.model.encode(&observations)?;
        let values = latents.iter().flat_map(|latent| latent.values()).copied().collect();
        Ok((values, spec.latent.width))
    }
}
