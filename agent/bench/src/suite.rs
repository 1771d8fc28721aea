//! Violation of expectation: which films surprise a model more, possible or impossible ones?

mod arguments;
mod films;
mod page;

use std::fmt::{Display, Formatter};
use std::path::Path;

use mindseye_episodes::{EpisodeData, FrameCache};
use mindseye_interface::text::printable;
use mindseye_interface::{ImageSize, Progress, Seed};
use mindseye_sim::intuition::{Clip, Concept, quadruple};
use mindseye_world_model::families::vit::pretraining::PretrainingRecord;
use mindseye_world_model::families::vit::{Expectation, Vit, VitOptions};
use mindseye_world_model::surprise::{SurpriseCalibration, recorded_scores};
use mindseye_world_model::{Checkpoint, bootstrap};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use arguments::SurpriseSuiteArguments;

use crate::{Error, Result};

/// Resamples of a bootstrap.
const DRAWS: usize = 1000;

/// A model that can be surprised by a film.
pub enum Spectator {
    /// An encoder of clips with a predictor of masked tokens.
    Masked {
        /// Both.
        vit: Box<Vit>,
        /// Images of a film from one of its frames to the next.
        stride: usize,
    },
    /// A world model of ours with what surprise is usual for it; nobody acts in the films.
    WorldModel(Box<(Checkpoint, SurpriseCalibration)>),
}

impl Spectator {
    /// The model in `folder`. An encoder sees every `stride`-th image of a film; where that is `None`, as it did in its
    /// pretraining, or all images where that was elsewhere. World models see one image at a time, whatever it is.
    ///
    /// # Errors
    /// When there is none, or a world model without calibration.
    pub fn load(folder: &Path, stride: Option<usize>) -> Result<Self> {
        if Vit::is_in(folder) {
            let vit = Box::new(Vit::load(folder, &VitOptions::default())?);
            let pretrained = PretrainingRecord::read(folder)?.map(|record| record.config.data.stride);
            return Ok(Self::Masked { vit, stride: stride.or(pretrained).unwrap_or(1) });
        }
        let checkpoint = Checkpoint::load(folder)?;
        let calibration = SurpriseCalibration::load(folder, checkpoint.fingerprint())?;
        let calibration = calibration.ok_or_else(|| Error::Data {
            operation: format!("{}", folder.display()),
            expected: format!("{} (mindseye train surprise)", SurpriseCalibration::FILE),
            got: "none".into(),
        })?;
        Ok(Self::WorldModel(Box::new((checkpoint, calibration))))
    }

    /// The same network with weights as they are drawn: what is found without learning. `None` for world models.
    ///
    /// # Errors
    /// When its sizes cannot be initialised.
    pub fn untrained(&self, seed: Seed) -> Result<Option<Self>> {
        Ok(match self {
            Self::Masked { vit, stride } => {
                let fresh = Vit::initialise(vit.config().clone(), seed, VitOptions::default().precision)?;
                Some(Self::Masked { vit: Box::new(fresh), stride: *stride })
            }
            Self::WorldModel(_) => None,
        })
    }

    /// Size of the images that it takes.
    fn image_size(&self) -> Result<ImageSize> {
        Ok(match self {
            Self::Masked { vit, .. } => {
                let [height, width] = vit.encoder().map_or([64, 64], |encoder| encoder.config().image);
                ImageSize::new(height, width)?
            }
            Self::WorldModel(model) => ImageSize::square(model.0.config.model.image_side)?,
        })
    }

    /// How surprising `film` is, window by window or tick by tick.
    ///
    /// # Errors
    /// When the film does not fit the model.
    fn surprise(&self, film: &Clip) -> Result<Vec<f64>> {
        match self {
            Self::Masked { vit, stride } => Ok(Expectation::new(vit, *stride)?.surprise(&film.images)?),
            Self::WorldModel(model) => {
                let (checkpoint, calibration) = &**model;
                let (frames, config) = (film.images.len(), &checkpoint.config.model);
                let mut cache = FrameCache::new(self.image_size()?, config.action_width, 0, 0);
                cache.push(&EpisodeData {
                    frames: film.images.clone(),
                    proprioception: vec![Vec::new(); frames],
                    states: vec![Vec::new(); frames],
                    actions: vec![vec![0.0; config.action_width]; frames],
                })?;
                let scores = recorded_scores(checkpoint, calibration, &cache, 0)?;
                Ok(scores.iter().map(|raw| calibration.score(raw)).collect())
            }
        }
    }
}

/// The measurement and its settings.
pub struct SurpriseSuite<'a> {
    /// The model.
    pub spectator: &'a Spectator,
    /// What the films are about.
    pub concepts: &'a [Concept],
    /// Sets of four films for each concept.
    pub sets: usize,
    /// Root of every random choice. Films for training are made from other seeds.
    pub seed: Seed,
}

/// What was found, by concept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuiteReport {
    /// The model.
    pub model: String,
    /// By concept.
    pub concepts: Vec<ConceptReport>,
}

/// How well one concept is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConceptReport {
    /// The concept.
    pub concept: String,
    /// Sets of four films.
    pub sets: usize,
    /// Share of pairs of an impossible and a possible film of one set in which the impossible one surprises more, by
    /// the mean over the film; 0.5 is chance.
    pub pairwise: f64,
    /// Its 95 % interval, of a bootstrap over sets.
    pub interval: [f64; 2],
    /// The same share by the largest surprise of each film.
    pub pairwise_by_peak: f64,
    /// Share of sets in which both impossible films together surprise more than both possible ones.
    pub by_set: f64,
}

impl SurpriseSuite<'_> {
    /// Shows the films. `progress` counts sets; `None` when it asks to stop.
    ///
    /// # Errors
    /// When the films do not fit the model.
    pub fn measure(&self, model: &str, progress: &dyn Progress) -> Result<Option<SuiteReport>> {
        let size = self.spectator.image_size()?;
        let done = std::sync::atomic::AtomicUsize::new(0);
        progress.begin("surprise", self.concepts.len() * self.sets, "sets of films");
        let mut concepts = Vec::with_capacity(self.concepts.len());
        for &concept in self.concepts {
            let root = self.seed.child("surprise suite").child(concept.name());
            let one = |index: usize| -> Result<Option<Surprises>> {
                let finished = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if !progress.advance(finished, concept.name()) {
                    return Ok(None);
                }
                let set = quadruple(concept, root.index(index as u64), size);
                let of = |film: &Clip| -> Result<Film> { Ok(Film::of(&self.spectator.surprise(film)?)) };
                let both = |films: &[Clip; 2]| -> Result<[Film; 2]> { Ok([of(&films[0])?, of(&films[1])?]) };
                Ok(Some(Surprises { possible: both(&set.possible)?, impossible: both(&set.impossible)? }))
            };
            let sets: Vec<Option<Surprises>> = (0..self.sets).into_par_iter().map(one).collect::<Result<_>>()?;
            let Some(sets) = sets.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
            concepts.push(ConceptReport::of(concept, &sets, self.seed.child("bootstrap")));
        }
        progress.end();
        Ok(Some(SuiteReport { model: model.to_owned(), concepts }))
    }
}

/// The surprise of a film.
#[derive(Debug, Clone, Copy)]
struct Film {
    mean: f64,
    peak: f64,
}

impl Film {
    fn of(windows: &[f64]) -> Self {
        let mean = windows.iter().sum::<f64>() / windows.len().max(1) as f64;
        Self { mean, peak: windows.iter().copied().fold(f64::NEG_INFINITY, f64::max) }
    }
}

/// The surprise of the films of a set.
struct Surprises {
    possible: [Film; 2],
    impossible: [Film; 2],
}

impl Surprises {
    /// Share of its four pairs in which the impossible film surprises more; a tie counts half.
    fn pairwise(&self, of: fn(&Film) -> f64) -> f64 {
        let pairs = self.impossible.iter().flat_map(|one| self.possible.iter().map(move |other| (of(one), of(other))));
        let won = pairs.map(|(one, other)| if one == other { 0.5 } else { f64::from(u8::from(one > other)) });
        won.sum::<f64>() / 4.0
    }

    fn is_told(&self) -> bool {
        let sum = |films: &[Film; 2]| films[0].mean + films[1].mean;
        sum(&self.impossible) > sum(&self.possible)
    }
}

impl ConceptReport {
    fn of(concept: Concept, sets: &[Surprises], seed: Seed) -> Self {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let by_mean: Vec<f64> = sets.iter().map(|set| set.pairwise(|film| film.mean)).collect();
        let by_peak: Vec<f64> = sets.iter().map(|set| set.pairwise(|film| film.peak)).collect();
        let told: Vec<f64> = sets.iter().map(|set| f64::from(u8::from(set.is_told()))).collect();
        let pairwise = mean(&by_mean);
        let of = |chosen: &[usize]| vec![mean(&chosen.iter().map(|&set| by_mean[set]).collect::<Vec<f64>>())];
        let intervals = bootstrap(by_mean.len(), DRAWS, seed.child(concept.name()), of);
        Self {
            concept: concept.name().to_owned(),
            sets: sets.len(),
            pairwise,
            interval: intervals.first().copied().unwrap_or([pairwise; 2]),
            pairwise_by_peak: mean(&by_peak),
            by_set: mean(&told),
        }
    }
}

impl Display for SuiteReport {
    fn fmt(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        write!(
            text,
            "{}: share of pairs in which the impossible film surprises more (chance: 50)",
            printable(&self.model)
        )?;
        write!(
            text,
            "\n    {:<18}{:>5}{:>9}{:>18}{:>9}{:>9}",
            "concept", "sets", "pairs, %", "95 %", "by peak", "by set"
        )?;
        for row in &self.concepts {
            let [low, high] = row.interval.map(|share| 100.0 * share);
            let interval = format!("[{low:.1}, {high:.1}]");
            let (pairwise, peak, set) = (100.0 * row.pairwise, 100.0 * row.pairwise_by_peak, 100.0 * row.by_set);
            write!(text, "\n    {:<18}{:>5}{pairwise:>9.1}{interval:>18}{peak:>9.1}{set:>9.1}", row.concept, row.sets)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(possible: [f64; 2], impossible: [f64; 2]) -> Surprises {
        let films = |means: [f64; 2]| means.map(|mean| Film { mean, peak: -mean });
        Surprises { possible: films(possible), impossible: films(impossible) }
    }

    /// A spectator that counts what moves, or how films begin or end, gets half of the pairs.
    #[test]
    fn cues_that_a_possible_and_an_impossible_film_share_are_worth_chance() {
        let report = |sets: &[Surprises]| ConceptReport::of(Concept::Permanence, sets, Seed::new(1));
        for cue in [set([2.0, 0.0], [1.0, 1.0]), set([1.0, 0.0], [1.0, 0.0]), set([1.0, 0.0], [0.0, 1.0])] {
            assert_eq!((cue.pairwise(|film| film.mean), cue.pairwise(|film| film.peak)), (0.5, 0.5));
        }
        let told = report(&[set([0.1, 0.2], [0.3, 0.4]), set([0.0, 0.1], [0.2, 0.2])]);
        assert_eq!((told.pairwise, told.interval, told.by_set), (1.0, [1.0; 2], 1.0));
        assert_eq!(told.pairwise_by_peak, 0.0, "peaks say the opposite here");
        let mixed = report(&[set([0.1, 0.2], [0.3, 0.4]), set([0.3, 0.4], [0.1, 0.2])]);
        assert!(mixed.pairwise == 0.5 && mixed.interval == [0.0, 1.0], "{mixed:?}");
    }
}
