//! Images that come later or earlier than the motion that they show.
//!
//! How much each image differs from the next is correlated with how far vectors move in the same step, over a few
//! frames to either side. Ranks are compared, so that neither units nor single large values matter, in pieces of
//! episodes that are then judged together: a lag is reported only where most of them agree.

use mindseye_interface::correlation::{pearson, ranks};

use super::observed::{Observed, Ranges, Vectors};
use super::wording::short;
use super::{Warning, WarningKind};

/// Largest lag that is looked for, frames; the largest of all is an end of the curve and no peak.
const LARGEST: usize = 9;
/// Smallest, without which there is nothing to look for.
const SMALLEST: usize = 3;
/// Most steps of a piece.
const PIECE: usize = 120;
/// Steps of a piece that are compared, at least, and of all pieces together.
const COMPARED: usize = 12;
const COMPARED_IN_ALL: usize = 100;
/// Fewest pieces.
const PIECES: usize = 3;
/// Smallest mean correlation at the peak.
const CORRELATION: f64 = 0.2;
/// Smallest gain over the correlation without a lag: of several frames, and of one. Slow motion hides the difference of
/// one.
const GAIN: f64 = 0.05;
const GAIN_OF_ONE: f64 = 0.25;
/// Smallest gain, in standard errors over pieces.
const CERTAINTY: f64 = 4.0;
/// Smallest share of pieces with a gain.
const AGREEING: f64 = 0.75;

/// The delay of images behind a signal, as all pieces together show it.
#[derive(Debug, Clone, PartialEq)]
struct Lag {
    frames: i64,
    /// Mean rank correlation there, and without a lag.
    correlation: f64,
    unshifted: f64,
    pieces: usize,
    agreeing: usize,
    is_clear: bool,
}

/// Changes of images, and motion, of an episode.
type Pair<'a> = (&'a [f32], Vec<f32>);

/// Warns of the images of a camera that come late or early.
pub(super) fn warnings(
    episodes: &[Observed],
    ranges: &Ranges,
    (index, camera): (usize, &str),
    fps: Option<f64>,
) -> Vec<Warning> {
    let measure = |signal: &dyn Fn(&Observed) -> Option<Vec<f32>>| {
        let pair = |episode| -> Option<Pair<'_>> {
            let changes = Observed::cameras_of(episode, index)?;
            Some((changes, signal(episode)?))
        };
        lag(&episodes.iter().filter_map(pair).collect::<Vec<_>>())
    };
    let of = |vectors: Vectors| measure(&|episode| ranges.motion(episode, vectors));
    let better = |a: Option<Lag>, b: Option<Lag>| match (a, b) {
        (Some(a), Some(b)) => Some(if b.correlation > a.correlation { b } else { a }),
        (a, b) => a.or(b),
    };
    let states = [Vectors::Proprioception, Vectors::State].map(|vectors| (vectors.name(), of(vectors)));
    let motion = states.into_iter().filter_map(|(name, lag)| Some((name, lag?)));
    let motion = motion.max_by(|(_, a), (_, b)| a.correlation.total_cmp(&b.correlation));
    let actions = better(measure(&|episode| ranges.strength(episode)), of(Vectors::Action));
    let motion = motion.filter(|(_, lag)| lag.is_clear && lag.frames != 0);
    // A step's delay of a motion behind its command is that of a motor, not of a recording.
    let actions = actions.filter(|lag| lag.is_clear && lag.frames != 0 && lag.frames != 1);
    match (motion, actions) {
        (Some((name, lag)), Some(other)) if lag.frames == other.frames => {
            vec![warning(camera, &format!("the motion of the {name} and the actions"), &lag, fps, "")]
        }
        (motion, actions) => {
            let motion = motion.map(|(name, lag)| warning(camera, &format!("the motion of the {name}"), &lag, fps, ""));
            let actions = actions.map(|lag| {
                let delay = if lag.frames > 0 { " (a shift, or the delay of the robot itself)" } else { "" };
                warning(camera, "the actions", &lag, fps, delay)
            });
            motion.into_iter().chain(actions).collect()
        }
    }
}

fn warning(camera: &str, what: &str, lag: &Lag, fps: Option<f64>, more: &str) -> Warning {
    let Lag { frames, correlation, unshifted, pieces, agreeing, .. } = lag;
    let count = frames.unsigned_abs();
    let plural = if count == 1 { "" } else { "s" };
    let secs = fps.map_or(String::new(), |fps| format!(" ({} s)", short(count as f64 / fps)));
    let side = if *frames > 0 { "after" } else { "before" };
    let message = format!(
        "camera {camera}: its images come {count} frame{plural}{secs} {side} {what}{more}: correlation \
         {correlation:.2} there, {unshifted:.2} as recorded; {agreeing} of {pieces} pieces of episodes agree"
    );
    Warning { lag_frames: Some(*frames), ..Warning::new(WarningKind::ImageLag, message).of_camera(camera) }
}

impl Observed {
    /// Changes of the images of camera `index`, unless it is frozen.
    fn cameras_of(&self, index: usize) -> Option<&[f32]> {
        let seen = self.cameras.get(index)?;
        (seen.contrast > 0).then_some(&seen.changes[..])
    }
}

/// The delay of the first of each pair behind the second; none where there is too little to say.
fn lag(pairs: &[Pair<'_>]) -> Option<Lag> {
    let mut lengths: Vec<usize> = pairs.iter().map(|(changes, _)| changes.len()).collect();
    lengths.sort_unstable();
    let usual = lengths.get(lengths.len() / 2)?.min(&PIECE);
    let largest = (usual.saturating_sub(COMPARED) / 2).min(LARGEST);
    if largest < SMALLEST {
        return None;
    }
    let mut curves = Vec::new();
    let mut compared = 0;
    for (changes, motion) in pairs {
        let steps = changes.len().min(motion.len());
        let pieces = steps.div_ceil(PIECE).max(1);
        for piece in 0..pieces {
            let range = piece * steps / pieces..(piece + 1) * steps / pieces;
            if let Some(curve) = curve(&changes[range.clone()], &motion[range.clone()], largest) {
                compared += range.len() - 2 * largest;
                curves.push(curve);
            }
        }
    }
    if curves.len() < PIECES || compared < COMPARED_IN_ALL {
        return None;
    }
    let count = curves.len() as f64;
    let mean = |at: usize| curves.iter().map(|curve| curve[at]).sum::<f64>() / count;
    let peak = (0..=2 * largest).max_by(|&a, &b| mean(a).total_cmp(&mean(b)))?;
    let gains: Vec<f64> = curves.iter().map(|curve| curve[peak] - curve[largest]).collect();
    let gain = gains.iter().sum::<f64>() / count;
    let variance = gains.iter().map(|own| (own - gain).powi(2)).sum::<f64>() / (count - 1.0);
    let frames = peak as i64 - largest as i64;
    let agreeing = gains.iter().filter(|gain| **gain > 0.0).count();
    let least = if frames.abs() == 1 { GAIN_OF_ONE } else { GAIN };
    let is_shifted = gain >= least
        && gain >= CERTAINTY * (variance / count).sqrt()
        && agreeing as f64 >= AGREEING * count
        && frames.unsigned_abs() < largest as u64;
    Some(Lag {
        frames,
        correlation: mean(peak),
        unshifted: mean(largest),
        pieces: curves.len(),
        agreeing,
        is_clear: mean(peak) >= CORRELATION && (frames == 0 || is_shifted),
    })
}

/// Rank correlation of `changes[t + lag]` and `motion[t]` for lags from `-largest` to `largest`; none where one of them
/// is constant.
fn curve(changes: &[f32], motion: &[f32], largest: usize) -> Option<Vec<f64>> {
    let compared = changes.len().checked_sub(2 * largest).filter(|compared| *compared >= COMPARED)?;
    let ranked = |values: &[f32]| ranks(&values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>());
    let (changes, motion) = (ranked(changes), ranked(motion));
    let fixed = &motion[largest..largest + compared];
    (0..=2 * largest).map(|start| pearson(&changes[start..start + compared], fixed)).collect()
}
