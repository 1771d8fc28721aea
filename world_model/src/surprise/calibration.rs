//! What surprise is usual, as a part of a checkpoint: `surprise.json`, bound to its model.

use std::fmt::{Display, Formatter};
use std::path::Path;

use mindseye_interface::config::require_range;
use mindseye_interface::{Seed, files, inputs};
use serde::{Deserialize, Serialize};

use super::alarm::AlarmRule;
use super::band::{band, kinds, rate, scales, score, sorted};
use super::{KINDS, RawScores, STEPS};
use crate::{Error, Result};

/// Version of the file.
const FORMAT: u32 = 1;
/// Most bytes of the file.
const MAX_BYTES: u64 = 16 << 20;
/// Most values of the factor of errors: a latent of 1024 values.
const MAX_FACTOR: usize = 1 << 20;
/// Longest block of ticks that counts as independent of others, seconds: some times a prediction's.
const BLOCK_SECS: f64 = 5.0;
/// Fewest blocks of a calibration.
const LEAST_BLOCKS: usize = 4;
/// Surprising ticks that make an alarm, among so many: chosen on other seeds than are reported (docs/log.md).
pub const DEFAULT_RULE: (usize, usize) = (3, 5);

/// Values that shares of the ticks of normal episodes do not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    /// Half of them.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %: the scale that scores are divided by.
    pub p99: f64,
    /// All of them.
    pub max: f64,
}

/// What is usual of one kind of score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurpriseBand {
    /// `prediction 1`, `error 1`, ... by the number of chunks, or `shell`.
    pub kind: String,
    /// Its values on normal episodes.
    pub quantiles: Quantiles,
}

/// What surprise is usual for one model. Field names are stable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurpriseCalibration {
    /// Version of the file.
    pub format: u32,
    /// SHA-256 of the weights of the model that it belongs to.
    pub model_fingerprint: String,
    /// Time between two ticks, seconds: a control step of the recordings.
    pub tick_secs: f64,
    /// Usual distance of latents from the mean of the training data, see [`RawScores::radius`].
    pub radius: f64,
    /// What whitens errors of one chunk, `[D, D]`, row-major.
    pub error_factor: Vec<f32>,
    /// One entry per kind of score: predictions and errors over 1, 2, ... chunks, and the shell.
    pub bands: Vec<SurpriseBand>,
    /// When scores are an alarm.
    pub rule: AlarmRule,
    /// Episodes that it was measured on, held out of the training where some were.
    pub episodes: usize,
    /// Their ticks.
    pub ticks: usize,
    /// Alarms in ten minutes of these episodes, each judged by the others, with the 95 % interval of a bootstrap over
    /// blocks of at most 5 s.
    pub alarms_per_10_minutes: [f64; 3],
}

impl SurpriseCalibration {
    /// Name of its file in a checkpoint.
    pub const FILE: &'static str = "surprise.json";

    /// The calibration by `episodes`, the scores of their ticks, `tick_secs` apart; of the model with this
    /// `fingerprint`, for alarms of `ticks` among `of` ticks. Equal arguments give equal bits.
    ///
    /// # Errors
    /// [`Error::Data`] for less than four episodes or blocks of 5 s.
    pub(super) fn of(
        episodes: &[Vec<RawScores>],
        tick_secs: f64,
        (fingerprint, error_factor): (&str, Vec<f32>),
        (ticks_above, of): (usize, usize),
    ) -> Result<Self> {
        let block_ticks = ((BLOCK_SECS / tick_secs) as usize).max(1);
        // Episodes are judged by other episodes; of few, blocks by other blocks.
        let few = episodes.len() < LEAST_BLOCKS;
        let of_episode =
            |(episode, ticks)| <[RawScores]>::chunks(ticks, block_ticks).map(move |block| (episode, block));
        let blocks = episodes.iter().map(Vec::as_slice).enumerate().flat_map(of_episode);
        let grouped = blocks.enumerate().map(|(number, (episode, block))| (if few { number } else { episode }, block));
        let blocks: Vec<(usize, &[RawScores])> = grouped.collect();
        let ticks: usize = blocks.iter().map(|(_, block)| block.len()).sum();
        if blocks.len() < LEAST_BLOCKS {
            let expected = format!("{LEAST_BLOCKS} or more, or as many times {BLOCK_SECS} s");
            return Err(Error::Data {
                field: "episodes to calibrate surprise",
                expected,
                got: blocks.len().to_string(),
            });
        }
        let minutes = ticks as f64 * tick_secs / 60.0;
        let mut radii: Vec<f64> = episodes.iter().flatten().map(|raw| raw.radius).collect();
        radii.sort_by(f64::total_cmp);
        let radius = radii[radii.len() / 2];
        let of_block = |(group, block): &(usize, &[RawScores])| -> (usize, Vec<_>) {
            (*group, block.iter().map(|raw| kinds(raw, radius)).collect())
        };
        let kinds: Vec<(usize, Vec<_>)> = blocks.iter().map(of_block).collect();
        let by_kind = sorted(&kinds);
        let judged = |(group, ticks): &(usize, Vec<_>)| -> Vec<f64> {
            let scales = scales(&by_kind, Some(*group));
            ticks.iter().map(|tick| score(tick, &scales)).collect()
        };
        let scores: Vec<Vec<f64>> = kinds.iter().map(judged).collect();
        let rule = AlarmRule { band: 1.0, ticks: ticks_above, of };
        rule.validate()?;
        let rule = AlarmRule { band: band(&scores, rule, minutes), ..rule };
        let all = scales(&by_kind, None);
        let band = |kind: usize| {
            let values = &by_kind[kind];
            let at = |share: f64| values.get((share * values.len() as f64) as usize).or(values.last());
            let at = |share: f64| at(share).map_or(0.0, |(value, _)| *value);
            let quantiles = Quantiles { p50: at(0.5), p90: at(0.9), p99: all[kind], max: at(1.0) };
            SurpriseBand { kind: kind_name(kind), quantiles }
        };
        Ok(Self {
            format: FORMAT,
            model_fingerprint: fingerprint.to_owned(),
            tick_secs,
            radius,
            error_factor,
            bands: (0..KINDS).map(band).collect(),
            rule,
            episodes: episodes.len(),
            ticks,
            alarms_per_10_minutes: rate(&scores, rule, minutes, Seed::new(0).child("surprise")),
        })
    }

    /// The score of a tick: the largest of its kinds, each over the value that 99 % of normal ticks do not exceed.
    pub fn score(&self, raw: &RawScores) -> f64 {
        score(&kinds(raw, self.radius), &self.scales())
    }

    /// The scores of a tick by kind, see [`SurpriseCalibration::bands`].
    pub fn scores(&self, raw: &RawScores) -> [Option<f64>; KINDS] {
        let (kinds, scales) = (kinds(raw, self.radius), self.scales());
        std::array::from_fn(|kind| kinds[kind].map(|value| value / scales[kind]))
    }

    fn scales(&self) -> [f64; KINDS] {
        std::array::from_fn(|kind| self.bands.get(kind).map_or(1.0, |band| band.quantiles.p99))
    }

    /// Reads that of the checkpoint in `folder` with this `fingerprint`; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::File`] when it is broken, or of another model.
    pub fn load(folder: &Path, fingerprint: &str) -> Result<Option<Self>> {
        let path = folder.join(Self::FILE);
        let text = inputs::read_if_present(&path, MAX_BYTES).map_err(|error| Error::file(&path, error))?;
        let Some(text) = text else { return Ok(None) };
        let read: Self = serde_json::from_slice(&text).map_err(|error| Error::file(&path, error))?;
        read.validate().map_err(|error| Error::file(&path, error))?;
        if read.model_fingerprint != fingerprint {
            let got = &read.model_fingerprint;
            let reason = format!("model_fingerprint: expected {fingerprint}, got {got} (mindseye train surprise)");
            return Err(Error::file(&path, reason));
        }
        Ok(Some(read))
    }

    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("format", self.format, FORMAT, FORMAT)?;
        require_range("tick_secs", self.tick_secs, 1e-4, 3600.0)?;
        require_range("radius", self.radius, 0.0, 1e9)?;
        require_range("error_factor", self.error_factor.len(), 1, MAX_FACTOR)?;
        for &value in &self.error_factor {
            require_range("error_factor", value, -1e9, 1e9)?;
        }
        require_range("episodes", self.episodes, 1, usize::MAX)?;
        require_range("bands", self.bands.len(), KINDS, KINDS)?;
        for (index, band) in self.bands.iter().enumerate() {
            if band.kind != kind_name(index) {
                let field = format!("bands[{index}].kind");
                return Err(mindseye_interface::Error::field(field, kind_name(index), &band.kind));
            }
            let Quantiles { p50, p90, p99, max } = band.quantiles;
            require_range("bands.quantiles.max", max, 0.0, 1e12)?;
            require_range("bands.quantiles.p90", p90, 0.0, max)?;
            require_range("bands.quantiles.p50", p50, 0.0, p90)?;
            require_range("bands.quantiles.p99", p99, 1e-12, 1e12)?;
        }
        self.rule.validate()
    }

    /// Writes it into the checkpoint in `folder`. Nothing else there is written.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join(Self::FILE);
        let mut text = serde_json::to_vec(self).map_err(|error| Error::file(&path, error))?;
        text.push(b'\n');
        files::write_whole(&path, &text).map_err(|error| Error::file(&path, error))
    }
}

/// Name of the score number `kind` of [`KINDS`].
fn kind_name(kind: usize) -> String {
    match kind / STEPS {
        0 => format!("prediction {}", kind + 1),
        1 => format!("error {}", kind + 1 - STEPS),
        _ => "shell".to_owned(),
    }
}

impl Display for SurpriseCalibration {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let AlarmRule { band, ticks, of } = self.rule;
        let minutes = self.ticks as f64 * self.tick_secs / 60.0;
        let [rate, low, high] = self.alarms_per_10_minutes;
        write!(
            formatter,
            "surprise: band {band:.2}, alarm at {ticks} of {of} ticks; {} episodes, {minutes:.1} minutes: {rate:.2} \
             false alarms in 10 minutes ({low:.2} to {high:.2})",
            self.episodes
        )
    }
}
