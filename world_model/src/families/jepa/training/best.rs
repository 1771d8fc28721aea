//! The predictor with the smallest held-out error: of few episodes the last one of a finetuning is not the best.

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::diagnostics::Validation;
use crate::parameters::Weights;
use crate::trainer::RunOptions;
use crate::{Error, Result, weights_file};

/// Its file in the folder of a run, beside the state: a resumed run goes on from both.
const FILE: &str = "best_predictor.safetensors";
/// What names of its weights begin with.
const PREDICTOR: &str = "predictor.";

/// The best predictor so far.
pub(super) struct BestPredictor {
    path: Option<PathBuf>,
    best: Option<(Header, BTreeMap<String, Tensor>)>,
}

/// When it was, and how good.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Header {
    step: usize,
    /// Mean over horizons of the error over that of copying the last latent, as bits: JSON numbers are not read back
    /// exactly.
    error: u64,
}

impl BestPredictor {
    /// That of the run of `options`: none yet, or the one beside the state from which it goes on.
    ///
    /// # Errors
    /// [`Error::File`] when the file is broken.
    pub fn open(options: &RunOptions<'_>) -> Result<Self> {
        let path = options.folder.map(|folder| folder.folder().join(FILE));
        let known = path.as_ref().filter(|path| options.resume && path.exists());
        let best = known.map(|path| {
            let (tensors, header) = weights_file::read(path)?;
            let header = serde_json::from_str(header.as_deref().unwrap_or_default());
            Ok::<_, Error>((header.map_err(|error| Error::file(path, error))?, tensors))
        });
        Ok(Self { path, best: best.transpose()? })
    }

    /// Keeps the predictor of `weights` after step `step` if `validation` is better than all before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn offer(&mut self, step: usize, validation: &Validation, weights: &Weights) -> Result<()> {
        let relative = validation.rollout.iter().map(|rollout| rollout.error / rollout.copy_last.max(1e-12));
        let error = relative.sum::<f64>() / validation.rollout.len().max(1) as f64;
        // Equal errors are those of the same step, done again after a stop.
        if !error.is_finite() || self.best.as_ref().is_some_and(|(best, _)| f64::from_bits(best.error) <= error) {
            return Ok(());
        }
        let predictor = weights.iter().filter(|(name, _)| name.starts_with(PREDICTOR));
        let tensors = predictor.map(|(name, weight)| Ok((name.clone(), weight.as_tensor().copy()?)));
        let tensors: BTreeMap<String, Tensor> = tensors.collect::<Result<_>>()?;
        let header = Header { step, error: error.to_bits() };
        if let Some(path) = &self.path {
            let text = serde_json::to_string(&header).map_err(|error| Error::file(path, error))?;
            weights_file::write(path, &tensors, Some(text))?;
        }
        self.best = Some((header, tensors));
        Ok(())
    }

    /// Puts the best predictor into `weights`. Its step, where it is another than `step`, after which they are.
    ///
    /// # Errors
    /// When it is of another shape.
    pub fn restore(&self, step: usize, weights: &Weights) -> Result<Option<usize>> {
        let Some((best, tensors)) = self.best.as_ref().filter(|(best, _)| best.step != step) else { return Ok(None) };
        for (name, weight) in weights.iter().filter(|(name, _)| name.starts_with(PREDICTOR)) {
            let tensor = tensors.get(name).filter(|tensor| tensor.dims() == weight.dims()).ok_or_else(|| {
                let got = tensors.get(name).map_or_else(|| "none".into(), |tensor| format!("{:?}", tensor.dims()));
                let path = self.path.clone().unwrap_or_else(|| FILE.into());
                Error::file(&path, format!("{name}: expected {:?}, got {got}", weight.dims()))
            })?;
            weight.set(tensor)?;
        }
        Ok(Some(best.step))
    }
}
