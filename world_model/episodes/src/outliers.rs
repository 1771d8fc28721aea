//! Values that a glitch put into recorded numbers: so few and so far from all others that they say nothing about the
//! range.

use crate::cache::FrameCache;

/// Most outliers at either end, per value; rarer is a glitch, more frequent is something that happens.
const MOST_SHARE: f64 = 1e-3;
/// An outlier is further from the range of the other values than this many times its width.
const REACH: f32 = 3.0;
/// Two values are equal if they differ by less than this, relative to the larger: the noise of a conversion to `f32`.
const ROUNDING: f32 = 1e-6;

/// The range of the values of one dimension, without outliers.
#[derive(Debug, Clone, PartialEq)]
pub struct RobustRange {
    /// Smallest value that is no outlier.
    pub low: f32,
    /// Largest value that is no outlier; the smallest where the dimension is constant.
    pub high: f32,
    /// Indices of the outliers, ascending.
    pub outliers: Vec<usize>,
}

impl RobustRange {
    /// The range of `values`; -1 to 1 without any finite one.
    ///
    /// At either end, up to a thousandth of the values (but 2 of 50 or more, 1 of 20 or more) are outliers if they are
    /// further from the others than three times the others' range. Beside a dimension that is constant otherwise, a
    /// single value is one.
    pub fn of(values: &[f32]) -> Self {
        let mut sorted: Vec<f32> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else {
            return Self { low: -1.0, high: 1.0, outliers: Vec::new() };
        };
        let share = (sorted.len() as f64 * MOST_SHARE) as usize;
        let few = match sorted.len() {
            0..20 => 0,
            20..50 => 1,
            _ => share.max(2),
        };
        let (low, high) = (sorted[few], sorted[sorted.len() - 1 - few]);
        let reach = (REACH * (high - low)).max(ROUNDING * low.abs().max(high.abs()));
        let is_outlier = |value: f32| value < low - reach || value > high + reach;
        let outliers: Vec<usize> = (0..values.len()).filter(|&index| is_outlier(values[index])).collect();
        let most = if is_constant(low, high) { share.max(usize::from(few > 0)) } else { 2 * few };
        if outliers.is_empty() || outliers.len() > most {
            return Self::between(first, last, Vec::new());
        }
        let inside = || sorted.iter().copied().filter(|value| !is_outlier(*value));
        Self::between(inside().next().unwrap_or(low), inside().next_back().unwrap_or(high), outliers)
    }

    fn between(low: f32, high: f32, outliers: Vec<usize>) -> Self {
        let high = if is_constant(low, high) { low } else { high };
        Self { low, high, outliers }
    }

    /// Whether all values are the same, apart from outliers: a motor that never moved.
    pub fn is_constant(&self) -> bool {
        self.low == self.high
    }
}

/// Whether two bounds are equal but for rounding.
pub(crate) fn is_constant(low: f32, high: f32) -> bool {
    high - low <= ROUNDING * low.abs().max(high.abs())
}

/// An outlier among recorded actions.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionOutlier {
    /// Index of the dimension.
    pub dimension: usize,
    /// Index of the episode in the cache.
    pub episode: usize,
    /// Index of the timestep in the episode.
    pub frame: usize,
    /// The value, in the units of the recording.
    pub value: f32,
}

/// The range of every dimension of the actions in `cache`, which are not normalised yet, and all outliers, by dimension
/// and time.
pub fn action_ranges(cache: &FrameCache) -> (Vec<RobustRange>, Vec<ActionOutlier>) {
    let width = cache.action_width();
    let mut outliers = Vec::new();
    let ranges = (0..width).map(|dimension| {
        let column: Vec<f32> = cache.actions().iter().skip(dimension).step_by(width).copied().collect();
        let range = RobustRange::of(&column);
        outliers.extend(range.outliers.iter().map(|&timestep| {
            let episode = cache.episodes().partition_point(|episode| episode.end <= timestep);
            let start = cache.episodes().get(episode).map_or(0, |episode| episode.start);
            ActionOutlier { dimension, episode, frame: timestep - start, value: column[timestep] }
        }));
        range
    });
    let ranges = ranges.collect();
    (ranges, outliers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 206 values from -1 to 1.
    fn wave() -> Vec<f32> {
        (0..206).map(|step| (step as f32 * 0.7).sin()).collect()
    }

    /// Symptom: one value of 400000 among actions of [-1, 1] made all others equal to within 0.00001.
    /// Cause: the range went from the smallest to the largest value.
    /// Fix: what is so rare and so far is no part of the range.
    #[test]
    fn a_glitch_is_no_part_of_the_range() {
        let clean = RobustRange::of(&wave());
        assert!(clean.outliers.is_empty() && clean.low < -0.98 && clean.high > 0.99);
        for glitches in [&[(58, 400_000.0)][..], &[(0, -3e38)], &[(7, 50.0), (205, 60.0)], &[(3, -9.0), (4, 9.0)]] {
            let mut values = wave();
            glitches.iter().for_each(|&(at, value)| values[at] = value);
            let range = RobustRange::of(&values);
            assert_eq!(range.outliers, glitches.iter().map(|(at, _)| *at).collect::<Vec<_>>());
            assert!(range.low >= clean.low && range.high <= clean.high && range.high > 0.98, "{range:?}");
        }
    }

    #[test]
    fn what_happens_more_often_or_nearby_is_a_part_of_the_range() {
        // A motor that rests with noise, and moves in six timesteps of 206.
        let mut values: Vec<f32> = wave().iter().map(|value| value * 1e-3).collect();
        (100..106).for_each(|at| values[at] = 0.8);
        assert_eq!((RobustRange::of(&values).high, RobustRange::of(&values).outliers.len()), (0.8, 0));
        let mut near = wave();
        near[9] = 5.0;
        assert_eq!(RobustRange::of(&near).high, 5.0, "within three widths");
        // A gripper that closes once, for two timesteps.
        let mut gripper = vec![0.0; 206];
        gripper[204..].fill(1.0);
        assert_eq!((RobustRange::of(&gripper).low, RobustRange::of(&gripper).high), (0.0, 1.0));
        assert_eq!(RobustRange::of(&[1.0, 2.0, 900.0]).high, 900.0, "too few values to know");
    }

    #[test]
    fn a_motor_that_never_moved_is_constant_but_for_rounding_and_one_glitch() {
        assert!(RobustRange::of(&[0.3; 9]).is_constant());
        let mut values: Vec<f32> = (0..206).map(|step| 0.3 + (step % 3) as f32 * 1e-8).collect();
        assert!(RobustRange::of(&values).is_constant());
        values[17] = 1e6;
        let range = RobustRange::of(&values);
        assert!(range.is_constant() && range.outliers == [17], "{range:?}");
        assert!(!RobustRange::of(&[0.0, 1e-9]).is_constant(), "small units are units");
        let nothing = RobustRange::of(&[f32::NAN]);
        assert_eq!((nothing.low, nothing.high), (-1.0, 1.0));
    }
}
