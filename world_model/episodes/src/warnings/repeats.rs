//! Cameras whose images do not change, or do not change when they should.

use super::observed::{Observed, Ranges, Vectors};
use super::wording::in_episodes;
use super::{Warning, WarningKind};

/// Contrast over time of an episode, of 255, up to which nothing but noise changes.
const NOISE: u8 = 8;
/// Steps of at least this share of an episode's mean motion count as motion.
const MOVING: f32 = 0.5;
/// Most images in a row that may be equal while something moves.
const LONGEST_RUN: usize = 4;
/// Most of the moving steps that may show the same image as the step before.
const MOST_REPEATED: f64 = 0.25;
/// Fewest moving steps of an episode that are judged by their share.
const FEWEST_MOVING: usize = 12;

/// Warns of episodes in which the images of a camera never change, or hardly.
pub(super) fn frozen(episodes: &[Observed], index: usize, camera: &str) -> Vec<Warning> {
    let looked_at = |episode: &&Observed| episode.length > 1;
    let all = episodes.iter().filter(looked_at).count();
    let with = |from: u8, to: u8, what: &str| {
        let is_frozen =
            |episode: &&Observed| episode.cameras.get(index).is_some_and(|seen| (from..=to).contains(&seen.contrast));
        let frozen = episodes.iter().filter(looked_at).filter(is_frozen).map(|episode| episode.episode);
        let frozen: Vec<usize> = frozen.collect();
        let message = || format!("camera {camera}: its images {what} {}", in_episodes(&frozen, all));
        let warning = || Warning::new(WarningKind::FrozenCamera, message()).of_camera(camera);
        (!frozen.is_empty()).then(|| warning().in_episodes(frozen.clone()))
    };
    let hardly = format!("change by at most {NOISE} of 255 anywhere");
    [with(0, 0, "never change"), with(1, NOISE, &hardly)].into_iter().flatten().collect()
}

/// Warns of episodes in which something moves while a camera repeats its image.
pub(super) fn repeated(episodes: &[Observed], ranges: &Ranges, index: usize, camera: &str) -> Option<Warning> {
    let (mut found, mut longest, mut repeated, mut moving) = (Vec::new(), 0, 0, 0);
    for episode in episodes {
        let Some(seen) = episode.cameras.get(index).filter(|seen| seen.contrast > 0) else { continue };
        let order = [Vectors::State, Vectors::Proprioception, Vectors::Action];
        let Some(motion) = order.iter().find_map(|&vectors| ranges.motion(episode, vectors)) else { continue };
        let own = Repeats::of(&seen.changes, &motion);
        if own.is_suspicious() {
            found.push(episode.episode);
            longest = longest.max(own.longest);
            repeated += own.repeated;
            moving += own.moving;
        }
    }
    let share = 100.0 * repeated as f64 / moving.max(1) as f64;
    let message = || {
        format!(
            "camera {camera}: {share:.0} % of the images in which something moved are those of the step before, up to \
             {longest} in a row, {}: a camera that stalls, or is slower than the recording",
            in_episodes(&found, episodes.len())
        )
    };
    let warning = || Warning::new(WarningKind::RepeatedImages, message()).of_camera(camera);
    (!found.is_empty()).then(|| warning().in_episodes(found.clone()))
}

/// Equal images of an episode.
struct Repeats {
    /// Steps with motion, and those of them without a change of the image.
    moving: usize,
    repeated: usize,
    /// Most steps in a row without a change, with motion on average.
    longest: usize,
}

impl Repeats {
    fn of(changes: &[f32], motion: &[f32]) -> Self {
        let threshold = MOVING * motion.iter().sum::<f32>() / motion.len().max(1) as f32;
        let (mut moving, mut repeated, mut longest) = (0, 0, 0);
        let (mut run, mut moved) = (0, 0.0);
        for (change, step) in changes.iter().zip(motion) {
            moving += usize::from(*step >= threshold);
            if *change > 0.0 {
                (run, moved) = (0, 0.0);
                continue;
            }
            repeated += usize::from(*step >= threshold);
            (run, moved) = (run + 1, moved + step);
            if moved >= threshold * run as f32 {
                longest = longest.max(run);
            }
        }
        Self { moving, repeated, longest }
    }

    fn is_suspicious(&self) -> bool {
        let share = self.repeated as f64 / self.moving.max(1) as f64;
        self.longest > LONGEST_RUN || (self.moving >= FEWEST_MOVING && share > MOST_REPEATED)
    }
}
