//! What a frozen evaluation found.

use std::fmt;

use mindseye_interface::text::printable;
use serde::Serialize;

use super::ProbeKind;

/// The score of one label, and its 95 % interval over held-out episodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnScore {
    /// Name of the label; `mean` over several.
    pub name: String,
    /// Coefficient of determination, or share of the clips that is right.
    pub score: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// One probe with one share of the labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeRow {
    /// What read.
    pub probe: ProbeKind,
    /// Percentage of the training episodes whose labels it had.
    pub percent: f64,
    /// How many that are.
    pub episodes: usize,
    /// Clips in them.
    pub clips: usize,
    /// The score over all labels.
    #[serde(flatten)]
    pub score: ColumnScore,
    /// That of each label.
    pub labels: Vec<ColumnScore>,
}

impl ProbeRow {
    pub(super) fn new(
        probe: ProbeKind,
        percent: f64,
        (episodes, clips): (usize, usize),
        mut columns: Vec<ColumnScore>,
    ) -> Self {
        let nothing = ColumnScore { name: "mean".into(), score: f64::NAN, low: f64::NAN, high: f64::NAN };
        let score = if columns.len() > 1 { columns.pop() } else { columns.first().cloned() };
        Self { probe, percent, episodes, clips, score: score.unwrap_or(nothing), labels: columns }
    }
}

/// All that was measured of one encoder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeReport {
    /// The encoder's folder or file.
    pub encoder: String,
    /// The seed of an untrained encoder of the same sizes; none of the encoder itself.
    pub untrained_seed: Option<u64>,
    /// SHA-256 of the encoder's weights.
    pub weights_sha256: Option<String>,
    /// SHA-256 of its tokens of the first clips, the same before and after.
    pub tokens_sha256: String,
    /// What was read.
    pub task: String,
    /// What scores are: `R2` or `accuracy`.
    pub measure: String,
    /// The score of the most frequent class, or of the mean.
    pub by_chance: f64,
    /// Frames of a clip.
    pub frames: usize,
    /// Timesteps between them.
    pub stride: usize,
    /// Tokens of a clip.
    pub tokens: usize,
    /// Width of a token.
    pub width: usize,
    /// Episodes that labels are taken from.
    pub training_episodes: usize,
    /// Episodes that scores are of.
    pub held_out_episodes: usize,
    /// Clips in them.
    pub held_out_clips: usize,
    /// Scores.
    pub rows: Vec<ProbeRow>,
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, measure, frames, stride, tokens, width, .. } = self;
        let what = match self.untrained_seed {
            Some(seed) => format!("untrained (seed {seed}), of the sizes of {}", printable(&self.encoder)),
            None => printable(&self.encoder).into_owned(),
        };
        writeln!(text, "{what}")?;
        let (episodes, clips, chance) = (self.held_out_episodes, self.held_out_clips, self.by_chance);
        writeln!(
            text,
            "{} by {measure} on {clips} clips of {episodes} held-out episodes (by chance {chance:.3}); clips of \
             {frames} frames, {stride} apart: {tokens} tokens of {width}; tokens unchanged, sha256 {}",
            printable(task),
            &self.tokens_sha256[..12.min(self.tokens_sha256.len())]
        )?;
        write!(text, "{:>10} {:>8} {:>9} {:>7}   {:<22}", "probe", "labels", "episodes", "score", "95 % interval")?;
        for row in &self.rows {
            let ColumnScore { score, low, high, .. } = row.score;
            let interval = format!("{low:.3} to {high:.3}");
            let (probe, percent) = (row.probe.name(), format!("{} %", row.percent));
            write!(text, "\n{probe:>10} {percent:>8} {:>9} {score:>7.3}   {interval:<22}", row.episodes)?;
            if row.labels.len() > 1 {
                for label in &row.labels {
                    write!(text, " {} {:.3}", printable(&label.name), label.score)?;
                }
            }
        }
        Ok(())
    }
}
