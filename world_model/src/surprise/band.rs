//! The band of a calibration: from the scores of normal episodes to the level that they hardly ever reach.

use mindseye_interface::Seed;

use super::alarm::{AlarmRule, alarms};
use super::{KINDS, STEPS};
use crate::bootstrap;

/// Share of ticks of normal episodes whose score is below the scale.
pub(super) const SCALE_AT: f64 = 0.99;
/// Alarms in ten minutes that the band is chosen for: half of the one that is promised.
const WANTED: f64 = 0.5;
/// Share of the blocks from whose largest levels the rest of the tail is taken.
const TAIL: f64 = 0.1;
/// Draws of the bootstrap.
const DRAWS: usize = 1000;

/// The scores of one tick by kind, each already a distance from what is usual; none where there is none.
pub(super) type Kinds = [Option<f64>; KINDS];

/// For each kind the value below which are [`SCALE_AT`] of the ticks of all groups but `left_out`.
pub(super) fn scales(sorted: &[Vec<(f64, usize)>; KINDS], left_out: Option<usize>) -> [f64; KINDS] {
    let scale = |values: &Vec<(f64, usize)>| {
        let kept = || values.iter().filter(|(_, group)| Some(*group) != left_out);
        let rank = (SCALE_AT * kept().count() as f64) as usize;
        kept().nth(rank).or(kept().next_back()).map_or(1.0, |(value, _)| value.max(1e-9))
    };
    std::array::from_fn(|kind| scale(&sorted[kind]))
}

/// The values of each kind, ascending, with the group that they are of.
pub(super) fn sorted(blocks: &[(usize, Vec<Kinds>)]) -> [Vec<(f64, usize)>; KINDS] {
    std::array::from_fn(|kind| {
        let of_block = |(group, ticks): &(usize, Vec<Kinds>)| {
            ticks.iter().filter_map(|tick| Some((tick[kind]?, *group))).collect::<Vec<_>>()
        };
        let mut values: Vec<(f64, usize)> = blocks.iter().flat_map(of_block).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        values
    })
}

/// The score of a tick: the largest of its kinds over their scales.
pub(super) fn score(kinds: &Kinds, scales: &[f64; KINDS]) -> f64 {
    let over = (0..KINDS).filter_map(|kind| Some(kinds[kind]? / scales[kind]));
    over.fold(0.0, |largest, value| if value.is_nan() { f64::NAN } else { f64::max(largest, value) })
}

/// The kinds of `raw` scores where the usual radius is `radius`.
pub(super) fn kinds(raw: &super::RawScores, radius: f64) -> Kinds {
    let mut kinds = [None; KINDS];
    kinds[..STEPS].copy_from_slice(&raw.prediction);
    kinds[STEPS..2 * STEPS].copy_from_slice(&raw.error);
    kinds[2 * STEPS] = Some((raw.radius - radius).abs());
    kinds
}

/// The band at which `blocks` of scores, each judged by the others' scales, give [`WANTED`] alarms in ten minutes. The
/// largest levels of the blocks beyond those seen are those of an exponential tail (peaks over threshold), so that a
/// recording shorter than the time between two alarms gives a band beyond all that it shows. More blocks than are
/// wanted never reach it.
pub(super) fn band(blocks: &[Vec<f64>], rule: AlarmRule, minutes: f64) -> f64 {
    let most = |scores: &Vec<f64>| rule.levels(scores).into_iter().fold(0.0, f64::max);
    let mut largest: Vec<f64> = blocks.iter().map(most).collect();
    largest.sort_by(|a, b| b.total_cmp(a));
    let tail = ((TAIL * largest.len() as f64).ceil() as usize).clamp(3, 50).min(largest.len() - 1);
    let threshold = largest[tail];
    let excess = largest[..tail].iter().map(|level| level - threshold).sum::<f64>() / tail as f64;
    let allowed = WANTED * minutes / 10.0;
    let seen = largest.get(allowed as usize).copied().unwrap_or(0.0);
    (threshold + excess * (tail as f64 / allowed).ln().max(0.0)).max(seen).max(1e-6)
}

/// Alarms of `blocks` in ten minutes, and the 95 % interval of it.
pub(super) fn rate(blocks: &[Vec<f64>], rule: AlarmRule, minutes: f64, seed: Seed) -> [f64; 3] {
    let counts: Vec<usize> = blocks.iter().map(|scores| alarms(rule, scores)).collect();
    per_10_minutes(&counts, minutes, seed)
}

/// How many alarms there are in ten minutes, from `counts` of as many blocks or episodes that last `minutes` in all,
/// and the ends of its 95 % interval, by a bootstrap over these; where there are none, up to what none in so many
/// minutes leaves possible.
pub fn per_10_minutes(counts: &[usize], minutes: f64, seed: Seed) -> [f64; 3] {
    let per_ten = |alarms: usize| 10.0 * alarms as f64 / minutes.max(1e-9);
    let total = counts.iter().sum();
    let of = |chosen: &[usize]| vec![per_ten(chosen.iter().map(|&index| counts[index]).sum())];
    let [low, high] = bootstrap(counts.len(), DRAWS, seed, of).first().copied().unwrap_or([per_ten(total); 2]);
    // Of a Poisson process with this mean, 2.5 % show nothing.
    let of_none = if total == 0 { -(0.025f64).ln() * 10.0 / minutes.max(1e-9) } else { 0.0 };
    [per_ten(total), low, high.max(of_none)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_minutes_without_an_alarm_give_a_band_nearer_to_what_was_seen() {
        let rule = AlarmRule { band: 1.0, ticks: 1, of: 1 };
        let blocks: Vec<Vec<f64>> = (0..100).map(|block| vec![0.1, 1.0 + f64::from(block) / 100.0]).collect();
        let bands = [10.0, 100.0, 1000.0].map(|minutes| band(&blocks, rule, minutes));
        assert!(bands[0] > bands[1] && bands[1] > bands[2], "{bands:?}");
        assert!(bands[0] > 1.99, "ten minutes with no more than half an alarm: beyond all that was seen");
        let [seen, low, high] = rate(&blocks, AlarmRule { band: 1.895, ..rule }, 100.0, Seed::new(1));
        assert!((seen - 1.0).abs() < 1e-9 && low < seen && seen < high, "{low} {seen} {high}");
    }

    #[test]
    fn a_block_is_not_judged_by_itself() {
        let tick = |value: f64| std::array::from_fn(|kind| [Some(value), Some(0.0)].get(kind).copied().flatten());
        let (calm, wild): (Vec<Kinds>, Vec<Kinds>) = (vec![tick(1.0); 50], vec![tick(9.0); 50]);
        let sorted = sorted(&[(0, calm), (1, wild)]);
        assert_eq!((scales(&sorted, Some(1))[0], scales(&sorted, None)[0]), (1.0, 9.0));
        assert_eq!(score(&tick(9.0), &scales(&sorted, Some(1))), 9.0);
    }
}
