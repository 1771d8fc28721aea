//! Success rates with their uncertainty.

pub use mindseye_interface::percentiles::Percentiles;
use serde::{Deserialize, Serialize};

/// A success rate with its Wilson 95 % interval (Wilson 1927), all in 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SuccessRate {
    /// Share of the episodes that succeeded.
    pub rate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of episodes.
    pub episodes: usize,
}

/// Standard normal quantile of 97.5 %.
const Z: f64 = 1.959_963_984_540_054;

impl SuccessRate {
    /// The rate of `successes` in `episodes`; without episodes nothing is known.
    pub fn of(successes: usize, episodes: usize) -> Self {
        if episodes == 0 {
            return Self { rate: 0.0, low: 0.0, high: 1.0, episodes };
        }
        let count = episodes as f64;
        let rate = successes as f64 / count;
        let spread = Z * Z / count;
        let centre = (rate + spread / 2.0) / (1.0 + spread);
        let half = (rate * (1.0 - rate) * spread + spread * spread / 4.0).sqrt() / (1.0 + spread);
        Self { rate, low: (centre - half).clamp(0.0, rate), high: (centre + half).clamp(rate, 1.0), episodes }
    }
}

impl std::fmt::Display for SuccessRate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |share: f64| share * 100.0;
        write!(formatter, "{:5.1} % [{:.1}, {:.1}]", percent(self.rate), percent(self.low), percent(self.high))
    }
}

/// The difference of two success rates on the same episodes, with its 95 % interval (Newcombe 1998, paired data,
/// method 10), all in -1..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// Rate of the first minus that of the second.
    pub difference: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl PairedDifference {
    /// The rate of `first` minus that of `second`, episode by episode; what one list has more is left out. Without
    /// episodes nothing is known.
    pub fn of(first: &[bool], second: &[bool]) -> Self {
        let count = |wanted: (bool, bool)| {
            first.iter().zip(second).filter(|(first, second)| (**first, **second) == wanted).count() as f64
        };
        let [both, one, other, none] = [(true, true), (true, false), (false, true), (false, false)].map(count);
        let episodes = both + one + other + none;
        if episodes == 0.0 {
            return Self { difference: 0.0, low: -1.0, high: 1.0 };
        }
        let rate = |successes: f64| SuccessRate::of(successes as usize, episodes as usize);
        let (first, second) = (rate(both + one), rate(both + other));
        // The correlation of both, less a correction where it is positive; 0 where a margin is empty.
        let product = both * none - one * other;
        let corrected = if product > 0.0 { (product - episodes / 2.0).max(0.0) } else { product };
        let margins = (both + one) * (other + none) * (both + other) * (one + none);
        let correlation = if margins > 0.0 { corrected / margins.sqrt() } else { 0.0 };
        let width = |below: f64, above: f64| {
            (below * below - 2.0 * correlation * below * above + above * above).max(0.0).sqrt()
        };
        let difference = first.rate - second.rate;
        Self {
            difference,
            low: difference - width(first.rate - first.low, second.high - second.rate),
            high: difference + width(first.high - first.rate, second.rate - second.low),
        }
    }
}

impl std::fmt::Display for PairedDifference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [difference, low, high] = [self.difference, self.low, self.high].map(|share| 100.0 * share);
        write!(formatter, "{difference:+.1} [{low:+.1}, {high:+.1}]")
    }
}

/// How many durations fall between which edges.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Histogram {
    /// Upper edges, milliseconds, each about a fifth above the last; what is slower than the last edge counts there.
    pub up_to_ms: Vec<f64>,
    /// Durations up to each edge and above the one before.
    pub counts: Vec<usize>,
}

impl Histogram {
    /// Counts `durations_ms`, from the first interval that holds one to the last.
    pub fn of(durations_ms: &[f64]) -> Self {
        /// Twelve intervals from a number to ten times it, from 10 microseconds to 100 seconds.
        const PER_DECADE: usize = 12;
        const DECADES: usize = 7;
        let edge = |index: usize| 0.01 * 10f64.powf(index as f64 / PER_DECADE as f64);
        let last = PER_DECADE * DECADES;
        let mut counts = vec![0; last + 1];
        for &duration in durations_ms {
            counts[(0..last).find(|&index| duration <= edge(index)).unwrap_or(last)] += 1;
        }
        let Some(first) = counts.iter().position(|&count| count > 0) else { return Self::default() };
        let end = counts.iter().rposition(|&count| count > 0).unwrap_or(first);
        Self { up_to_ms: (first..=end).map(edge).collect(), counts: counts[first..=end].to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_agrees_with_published_values() {
        // Newcombe 1998, table I: 81 of 263 and 15 of 148, Wilson without continuity correction.
        for (successes, episodes, low, high) in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)] {
            let rate = SuccessRate::of(successes, episodes);
            assert!((rate.low - low).abs() < 1e-4 && (rate.high - high).abs() < 1e-4, "{rate:?}");
        }
    }

    #[test]
    fn certainty_is_never_claimed() {
        let all = SuccessRate::of(300, 300);
        assert!(all.rate == 1.0 && all.high == 1.0 && all.low > 0.98 && all.low < 0.99, "{all:?}");
        assert_eq!(SuccessRate::of(0, 0).high, 1.0);
    }

    #[test]
    fn the_interval_of_a_paired_difference_agrees_with_published_values() {
        // Newcombe 1998, improved confidence intervals for paired data: 36, 12, 2 and 0 of 50.
        let counts = [((true, true), 36), ((true, false), 12), ((false, true), 2)];
        let pairs = counts.iter().flat_map(|(pair, count)| std::iter::repeat_n(*pair, *count));
        let (first, second): (Vec<bool>, Vec<bool>) = pairs.unzip();
        let found = PairedDifference::of(&first, &second);
        assert!((found.difference - 0.2).abs() < 1e-12, "{found:?}");
        assert!((found.low - 0.0569).abs() < 1e-4 && (found.high - 0.3404).abs() < 1e-4, "{found:?}");
        let turned = PairedDifference::of(&second, &first);
        assert!((turned.low + found.high).abs() < 1e-12 && (turned.high + found.low).abs() < 1e-12, "{turned:?}");
        // As many successes on the same episodes say more than on others.
        let alternating: Vec<bool> = (0..40).map(|index| index % 2 == 0).collect();
        let shifted: Vec<bool> = alternating.iter().map(|success| !success).collect();
        let width = |other: &[bool]| {
            let found = PairedDifference::of(&alternating, other);
            found.high - found.low
        };
        assert!(width(&alternating) < 0.5 * width(&shifted));
    }

    #[test]
    fn every_duration_is_in_one_interval() {
        let durations: Vec<f64> = (0..500).map(|index| 0.002 * 1.05f64.powi(index)).collect();
        let histogram = Histogram::of(&durations);
        assert_eq!(histogram.counts.iter().sum::<usize>(), durations.len());
        assert_eq!(histogram.counts.len(), histogram.up_to_ms.len());
        assert!(histogram.counts.first() > Some(&0) && histogram.counts.last() > Some(&0));
        let below_ten = durations.iter().filter(|&&duration| duration <= 10.0).count();
        let edge = histogram.up_to_ms.iter().position(|edge| (edge - 10.0).abs() < 1e-9).unwrap();
        assert_eq!(histogram.counts[..=edge].iter().sum::<usize>(), below_ten);
        assert_eq!(Histogram::of(&[]), Histogram::default());
    }
}
