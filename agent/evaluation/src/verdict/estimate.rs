//! Ratios with their uncertainty over episodes.

use std::fmt;

use mindseye_interface::Seed;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

/// Bootstrap samples behind an interval.
const RESAMPLES: usize = 400;
/// Fewest episodes that an interval is given for.
const LEAST_EPISODES: usize = 3;
/// Numbers above this are shown as such: of images that hardly change, errors are many times the change.
pub(super) const MOST_SHOWN: f64 = 1000.0;

/// A number with its 95 % interval: a bootstrap over episodes, since timesteps of one episode are alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Lower end of the interval; none of fewer than three episodes.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
}

impl Estimate {
    /// The sum of the first numbers over that of the second, one pair per episode.
    pub fn ratio(pairs: &[(f64, f64)], seed: Seed) -> Self {
        Self::of(&[pairs], seed, |ratios| ratios[0])
    }

    /// What `combine` makes of the ratios of several groups of episodes, each resampled by itself.
    pub(super) fn of(groups: &[&[(f64, f64)]], seed: Seed, combine: impl Fn(&[f64]) -> f64) -> Self {
        let ratio = |pairs: &mut dyn Iterator<Item = (f64, f64)>| {
            let (above, below) = pairs.fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
            above / f64::max(below, 1e-12)
        };
        let ratios: Vec<f64> = groups.iter().map(|group| ratio(&mut group.iter().copied())).collect();
        let value = combine(&ratios);
        if groups.iter().any(|group| group.len() < LEAST_EPISODES) {
            return Self { value, low: None, high: None };
        }
        let mut rng = seed.rng();
        let mut drawn: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let one = |group: &&[(f64, f64)]| {
                    ratio(&mut (0..group.len()).map(|_| group[rng.random_range(0..group.len())]))
                };
                combine(&groups.iter().map(one).collect::<Vec<f64>>())
            })
            .collect();
        drawn.sort_by(f64::total_cmp);
        let at = |share: f64| Some(drawn[(share * (RESAMPLES - 1) as f64).round() as usize]);
        Self { value, low: at(0.025), high: at(0.975) }
    }

    /// Whether the whole interval is above `bound`; without an interval, whether the number is, by half of it.
    pub fn is_above(&self, bound: f64) -> bool {
        self.low.map_or(self.value > 1.5 * bound, |low| low > bound)
    }

    /// Whether the whole interval is below `bound`; without an interval, whether the number is, by a third of it.
    pub fn is_below(&self, bound: f64) -> bool {
        self.high.map_or(1.5 * self.value < bound, |high| high < bound)
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value > MOST_SHOWN {
            return write!(text, "over {MOST_SHOWN:.0}");
        }
        let digits = |value: f64| if value.abs() < 0.1 { 3 } else { 2 };
        write!(text, "{:.*}", digits(self.value), self.value)?;
        if let (Some(low), Some(high)) = (self.low, self.high) {
            write!(text, " [{:.*}, {:.*}]", digits(low), low, digits(high), high)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_widens_with_the_difference_of_episodes_and_two_have_none() {
        let seed = Seed::new(0);
        let alike = Estimate::ratio(&[(1.0, 2.0); 10], seed);
        assert_eq!((alike.value, alike.low, alike.high), (0.5, Some(0.5), Some(0.5)));
        let unlike: Vec<(f64, f64)> = (0..10).map(|index| (f64::from(index), 9.0)).collect();
        let unlike = Estimate::ratio(&unlike, seed);
        assert!(unlike.value == 0.5 && unlike.low < Some(0.4) && unlike.high > Some(0.6), "{unlike:?}");
        assert!(unlike.is_below(0.9) && unlike.is_above(0.1) && !unlike.is_above(0.5));
        assert_eq!(Estimate::ratio(&[(1.0, 2.0); 2], seed).low, None);
        assert_eq!(unlike, Estimate::ratio(&(0..10).map(|i| (f64::from(i), 9.0)).collect::<Vec<_>>(), seed));
    }
}
