//! The arguments of `mindseye probe`, and what it runs.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::{Args, ValueEnum};
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use mindseye_world_model::frozen_evaluation::{
    FrozenEvaluation, ProbeData, ProbeKind, ProbeReport, ProbeTask, ProbedEncoder, ProbedEncoderOptions, SampleOptions,
};

use crate::recordings::DataArguments;
use crate::surroundings::{Surroundings, default_threads};
use crate::{Error, Result};

/// Seeds of untrained encoders are apart from those of trainings.
const UNTRAINED: &str = "untrained";

/// Arguments of `mindseye probe`.
#[derive(Debug, Args)]
pub struct ProbeArguments {
    /// The encoder: a folder or a file of weights.
    encoder: PathBuf,
    #[command(flatten)]
    data: DataArguments,
    /// What is read: state (all of the true state at the clip's last frame), one of its columns (whole numbers: a
    /// class), action (between the last two frames), or order (of time: forwards or backwards).
    #[arg(long, default_value = "state")]
    label: String,
    /// Percentages of the training episodes whose labels are used, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "100")]
    fractions: Vec<f64>,
    /// Probes, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "linear,knn,attentive")]
    probe: Vec<ProbeName>,
    /// An untrained encoder of the same sizes, too.
    #[arg(long)]
    untrained: bool,
    /// Clips in all.
    #[arg(long, default_value_t = 2000)]
    clips: usize,
    /// Frames of a clip; by default as the encoder was trained, at most 16, and 4 for encoders of images.
    #[arg(long)]
    frames: Option<usize>,
    /// Timesteps between them; by default as the encoder was trained.
    #[arg(long)]
    stride: Option<usize>,
    /// Draws of the bootstrap.
    #[arg(long, default_value_t = 1000)]
    bootstrap: usize,
    /// Root of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; scores do not depend on it.
    #[arg(long, default_value_t = default_threads())]
    threads: usize,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Probes by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProbeName {
    /// A linear map of mean tokens.
    Linear,
    /// Nearest neighbours.
    Knn,
    /// V-JEPA's attentive probe.
    Attentive,
}

impl ProbeArguments {
    pub(crate) fn run(&self, surroundings: &Surroundings<'_>, say: &mut (dyn FnMut(&str) + Send)) -> Result<()> {
        require_range("--threads", self.threads, 1, 1024)?;
        let options = ProbedEncoderOptions { frames: self.frames, stride: self.stride, ..Default::default() };
        let encoder = ProbedEncoder::load(&self.encoder, &options)?;
        let kind = |probe: &ProbeName| match probe {
            ProbeName::Linear => ProbeKind::Linear,
            ProbeName::Knn => ProbeKind::Knn,
            ProbeName::Attentive => ProbeKind::Attentive,
        };
        let seed = Seed::new(self.seed);
        let evaluation = FrozenEvaluation {
            task: ProbeTask::named(&self.label),
            probes: self.probe.iter().map(kind).collect(),
            percents: self.fractions.clone(),
            samples: SampleOptions { clips: self.clips, memory: self.data.memory()? },
            seed,
            bootstrap: self.bootstrap,
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build()?;
        let reports = pool.install(|| -> Result<Vec<ProbeReport>> {
            let sources = self.data.open()?;
            let data = ProbeData::load(&sources, &encoder, &self.data.options()?, surroundings.progress)?;
            let mut reports = vec![evaluation.run(&encoder, &data, surroundings.progress)?];
            if self.untrained {
                let untrained = encoder.untrained(seed.child(UNTRAINED))?;
                reports.push(evaluation.run(&untrained, &data, surroundings.progress)?);
            }
            Ok(reports)
        });
        let reports = match reports {
            Err(_) if surroundings.stop.load(Ordering::Relaxed) => return Err(Error::Stopped),
            other => other?,
        };
        if self.json {
            say(&serde_json::to_string_pretty(&reports)?);
            return Ok(());
        }
        let text: Vec<String> = reports.iter().map(ToString::to_string).collect();
        say(&text.join("\n\n"));
        if !self.untrained {
            (surroundings.note)("without --untrained nothing says how much of this comes from training");
        }
        Ok(())
    }
}
