//! The arguments of `mindseye surprise-suite`, and what they run.

use std::path::PathBuf;

use clap::Args;
use mindseye_interface::config::require_range;
use mindseye_interface::{FolderLock, ImageSize, Progress, Seed};
use mindseye_plots::report::FILE;
use mindseye_sim::intuition::Concept;

use super::page::write_suite;
use super::{Spectator, SuiteReport, SurpriseSuite, films};
use crate::{Error, Result};

/// Does a model know what can happen? Matched films of possible and impossible events, and which surprise it more.
///
/// Seven concepts: an object behind a screen is still there (permanence), is somewhere on its way (continuity), keeps
/// shape and colour, does not pass through a wall (solidity), falls as things do (gravity), and needs something below
/// it (support). The four films of a set differ in the order of events alone, and chance is 50 %. Models are encoders
/// of clips with a predictor (V-JEPA, published or of `mindseye pretrain`), and world models of ours.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye surprise-suite --make 2000 --out data/films      # possible films alone, to learn from\n  \
    mindseye surprise-suite runs/films_encoder --untrained    # what was learnt, beside the same network without\n  \
    mindseye surprise-suite --films suite                     # look at them")]
pub struct SurpriseSuiteArguments {
    /// Folders of models.
    models: Vec<PathBuf>,
    /// Beside every encoder, one of the same sizes that has learnt nothing.
    #[arg(long)]
    untrained: bool,
    /// Images of a film from one frame that an encoder sees to the next; by default as in its pretraining, or 1.
    #[arg(long)]
    stride: Option<usize>,
    /// Concepts; by default all.
    #[arg(long, value_delimiter = ',')]
    concepts: Vec<Concept>,
    /// Sets of four films for each concept.
    #[arg(long, default_value_t = 100)]
    sets: usize,
    /// Write the first set of every concept as an image into this folder, and report.html with all that was measured.
    #[arg(long, value_name = "FOLDER")]
    films: Option<PathBuf>,
    /// Make so many possible films, a data set for training without actions; no film of the suite is among them.
    #[arg(long, value_name = "COUNT", requires = "out")]
    make: Option<usize>,
    /// Folder for that data set.
    #[arg(long, requires = "make")]
    out: Option<PathBuf>,
    /// Side of its images, pixels.
    #[arg(long, default_value_t = 64)]
    image_side: usize,
    /// Threads; the result does not depend on their number.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Root of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

impl SurpriseSuiteArguments {
    /// Runs what is asked for; the text for stdout, `None` when `progress` asked to stop.
    ///
    /// # Errors
    /// When a model cannot be read or takes no films, or a file cannot be written.
    pub fn run(&self, progress: &dyn Progress) -> Result<Option<String>> {
        require_range("--sets", self.sets, 1, 100_000)?;
        require_range("--stride", self.stride.unwrap_or(1), 1, 1000)?;
        require_range("--threads", self.threads, 1, 1024)?;
        if self.models.is_empty() && self.make.is_none() && self.films.is_none() {
            let (operation, got) = ("surprise-suite".into(), "none".into());
            return Err(Error::Data { operation, expected: "folders of models, --make or --films".into(), got });
        }
        let all: Vec<Concept> = Concept::ALL.iter().map(|(_, concept)| *concept).collect();
        let concepts = if self.concepts.is_empty() { &all } else { &self.concepts };
        let (seed, mut text) = (Seed::new(self.seed), Vec::new());
        if let (Some(count), Some(out)) = (self.make, &self.out) {
            require_range("--make", count, 1, 10_000_000)?;
            if !films::make(out, count, ImageSize::square(self.image_side)?, seed, progress)? {
                return Ok(None);
            }
            text.push(format!("{}: {count} possible films", out.display()));
        }
        if let Some(folder) = &self.films {
            films::draw(FolderLock::acquire(folder, "surprise-suite")?.folder(), concepts, seed)?;
            text.push(format!("{}: an image for every concept, and {FILE}", folder.display()));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build()?;
        let mut reports: Vec<SuiteReport> = Vec::new();
        for folder in &self.models {
            let spectator = Spectator::load(folder, self.stride)?;
            let untrained = if self.untrained { spectator.untrained(seed.child("untrained"))? } else { None };
            let name = folder.display().to_string();
            let named = [(Some(spectator), name.clone()), (untrained, format!("{name}, untrained"))];
            for (spectator, name) in named {
                let Some(spectator) = &spectator else { continue };
                let suite = SurpriseSuite { spectator, concepts, sets: self.sets, seed };
                let Some(report) = pool.install(|| suite.measure(&name, progress))? else { return Ok(None) };
                reports.push(report);
            }
        }
        if let Some(folder) = &self.films {
            let lock = FolderLock::acquire(folder, "surprise-suite")?;
            write_suite(lock.folder(), &reports, concepts, seed, &self.settings(concepts))?;
        }
        if self.json {
            return Ok(Some(serde_json::to_string_pretty(&reports)?));
        }
        text.extend(reports.iter().map(SuiteReport::to_string));
        Ok(Some(text.join("\n")))
    }

    /// All settings of the measurement.
    fn settings(&self, concepts: &[Concept]) -> serde_json::Value {
        let models: Vec<String> = self.models.iter().map(|folder| folder.display().to_string()).collect();
        let concepts: Vec<&str> = concepts.iter().map(|concept| concept.name()).collect();
        let (untrained, sets, threads, seed) = (self.untrained, self.sets, self.threads, self.seed);
        let stride = self.stride;
        serde_json::json!({
            "models": models, "untrained": untrained, "concepts": concepts, "sets": sets, "threads": threads,
            "seed": seed, "stride": stride,
        })
    }
}
