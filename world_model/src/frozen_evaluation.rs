//! Frozen evaluation: what can be read from an encoder's tokens by a small probe, while the encoder stays as it is
//! (what it makes of the first clips is hashed before and after).
//!
//! Labels are columns of the true state, the action between the last two frames, or the order of time. Probes are
//! trained on some episodes and scored on others. An encoder alone says little: an untrained one of the same sizes
//! belongs beside it.
//!
//! Letters: `n` clips, `P` tokens of a clip, `D` width of a token, `K` numbers of a label.

mod attentive;
mod encoder;
mod labels;
mod neighbours;
mod report;
mod ridge;
mod samples;
mod scores;
mod task;

pub use encoder::{ProbedEncoder, ProbedEncoderOptions};
pub use report::{ColumnScore, ProbeReport, ProbeRow};
pub use samples::{ProbeData, SampleOptions};
pub use task::ProbeTask;

use mindseye_episodes::Split;
use mindseye_interface::config::require_range;
use mindseye_interface::{Progress, Seed};
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use labels::Labels;
use samples::Samples;

/// What reads labels from tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// A linear map of the mean token.
    Linear,
    /// The nearest mean tokens.
    Knn,
    /// V-JEPA's attentive probe: a query that attends to all tokens, and a perceptron behind it.
    Attentive,
}

impl ProbeKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Knn => "knn",
            Self::Attentive => "attentive",
        }
    }
}

/// A study of one encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct FrozenEvaluation {
    /// What is read.
    pub task: ProbeTask,
    /// By what.
    pub probes: Vec<ProbeKind>,
    /// Percentages of the training episodes whose labels are used.
    pub percents: Vec<f64>,
    /// Which clips.
    pub samples: SampleOptions,
    /// Root of what is drawn.
    pub seed: Seed,
    /// Draws of the bootstrap over held-out episodes.
    pub bootstrap: usize,
}

/// Share of the episodes that probes are scored on.
const HELD_OUT: f64 = 0.2;
/// Share of the labelled episodes by which a probe's setting is chosen.
const CHOOSING: f64 = 0.2;

impl FrozenEvaluation {
    /// Scores of `encoder` on `data`, on the current rayon pool.
    ///
    /// # Errors
    /// When the data do not fit the encoder, have too few episodes or no such label, tokens need more memory than there
    /// is, or the encoder changed.
    pub fn run(&self, encoder: &ProbedEncoder, data: &ProbeData, progress: &dyn Progress) -> Result<ProbeReport> {
        for percent in &self.percents {
            require_range("--fractions", *percent, 0.1, 100.0)?;
        }
        require_range("--bootstrap", self.bootstrap, 10, 1_000_000)?;
        let split = Split::new(data.cache().episodes().len(), HELD_OUT, Seed::new(0));
        if split.validation.is_empty() || split.training.len() < 2 {
            let expected = "at least 3, of which some are held out".into();
            let got = data.cache().episodes().len().to_string();
            return Err(Error::Data { field: "episodes", expected, got });
        }
        let samples = Samples::encode(encoder, data, &self.task, &self.samples, self.seed, progress)?;
        let before = samples.first_digest();
        let labels = Labels::of(&self.task, data, &samples)?;
        let mut order = split.training.clone();
        order.shuffle(&mut Seed::new(0).child("labelled").rng());
        let held_out = samples.rows_of(&split.validation);
        progress.begin("probe", self.probes.len() * self.percents.len(), "probes");
        let mut rows = Vec::new();
        for &kind in &self.probes {
            for &percent in &self.percents {
                let count = ((order.len() as f64 * percent / 100.0).round() as usize).clamp(2, order.len());
                let labelled = &order[..count];
                let choosing = ((count as f64 * CHOOSING).round() as usize).clamp(1, count - 1);
                let parts = Parts {
                    samples: &samples,
                    labels: &labels,
                    all: samples.rows_of(labelled),
                    fitting: samples.rows_of(&labelled[choosing..]),
                    choosing: samples.rows_of(&labelled[..choosing]),
                    held_out: &held_out,
                };
                if parts.fitting.is_empty() || parts.choosing.is_empty() || held_out.is_empty() {
                    let expected = "clips in labelled and in held-out episodes (more of --clips or --fractions)".into();
                    return Err(Error::Data { field: "clips", expected, got: "none".into() });
                }
                let read = match kind {
                    ProbeKind::Linear => ridge::read(&parts)?,
                    ProbeKind::Knn => neighbours::read(&parts),
                    ProbeKind::Attentive => attentive::read(&parts, self.seed.child("attentive"))?,
                };
                let columns = scores::score(&labels, &samples, &held_out, &read, self.bootstrap, self.seed);
                rows.push(ProbeRow::new(kind, percent, (count, parts.all.len()), columns));
                if !progress.advance(rows.len(), kind.name()) {
                    return Err(Error::Cancelled);
                }
            }
        }
        progress.end();
        let after = samples.digest_again(encoder, data)?;
        if before != after {
            let expected = format!("the encoder unchanged, tokens {before}");
            return Err(Error::Shape { operation: "frozen evaluation", expected, got: after });
        }
        Ok(ProbeReport {
            encoder: encoder.name().to_owned(),
            untrained_seed: encoder.untrained_seed(),
            weights_sha256: encoder.weights_sha256().map(str::to_owned),
            tokens_sha256: after,
            task: self.task.to_string(),
            measure: labels.measure().to_owned(),
            by_chance: labels.by_chance(&held_out),
            frames: samples.frames,
            stride: samples.stride,
            tokens: samples.tokens,
            width: samples.width,
            training_episodes: split.training.len(),
            held_out_episodes: split.validation.len(),
            held_out_clips: held_out.len(),
            rows,
        })
    }
}

/// Rows of samples that a probe is fitted to, that choose its setting, and that it is scored on.
struct Parts<'a> {
    samples: &'a Samples,
    labels: &'a Labels,
    all: Vec<usize>,
    fitting: Vec<usize>,
    choosing: Vec<usize>,
    held_out: &'a [usize],
}
