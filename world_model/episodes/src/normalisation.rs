//! Normalisation of recorded actions: the bounds that become -1 and 1, measured from the data or given by an
//! [`ActionSpace`].
//!
//! Only data of other tools are normalised here. Data that mindseye recorded are normalised already, and their
//! [`crate::Sidecar`] has their action space.

use mindseye_interface::{ActionSpace, Neutral};
use serde::{Deserialize, Serialize};

use crate::cache::FrameCache;
use crate::names::or_numbered;
use crate::outliers::{RobustRange, is_constant};
use crate::{Error, Result};

/// Measurement of the bounds of each dimension. Values beyond the bounds are clamped. A dimension without any range is
/// constant: both bounds are its value, so that no normalised action ever moves it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum NormalisationMethod {
    /// Smallest and largest value that are no outliers (see [`RobustRange`]): outliers are clamped and do not compress
    /// the other values; without any it is the same as `MinMax`.
    #[default]
    Robust,
    /// Smallest and largest value. No value is clamped, but one outlier compresses all other values.
    MinMax,
    /// Mean minus and plus `deviations` standard deviations: a number above 0, usually 3. With 1, a normalised value is
    /// the field's `(x - mean) / std`, of which about a third is clamped.
    MeanStd {
        /// Standard deviations between the mean and a bound.
        deviations: f64,
    },
    /// Quantiles, for example 0.01 and 0.99: an outlier does not compress the other values, and 2 % of the values are
    /// clamped.
    Quantile {
        /// Fraction of the values at or below the lower bound, in `[0, high)`.
        low: f64,
        /// Fraction of the values at or below the upper bound, in `(low, 1]`.
        high: f64,
    },
}

impl NormalisationMethod {
    fn check(self) -> Result<()> {
        let refused = |expected: &str, got: String| Err(Error::argument("normalisation", expected, got));
        match self {
            Self::MeanStd { deviations } if !(deviations > 0.0 && deviations.is_finite()) => {
                refused("a number of standard deviations above 0", deviations.to_string())
            }
            Self::Quantile { low, high } if !(0.0 <= low && low < high && high <= 1.0) => {
                refused("quantiles with 0 <= low < high <= 1", format!("{low} and {high}"))
            }
            _ => Ok(()),
        }
    }

    /// Bounds of the values of one dimension.
    fn bounds(self, values: &mut [f32]) -> (f32, f32) {
        let extremes = |values: &[f32]| {
            let extreme = |(low, high): (f32, f32), value: &f32| (low.min(*value), high.max(*value));
            values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), extreme)
        };
        let (low, high) = match self {
            Self::Robust => {
                let range = RobustRange::of(values);
                (range.low, range.high)
            }
            Self::MinMax => extremes(values),
            Self::MeanStd { deviations } => {
                let count = values.len().max(1) as f64;
                let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
                let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
                let distance = deviations * variance.sqrt();
                ((mean - distance) as f32, (mean + distance) as f32)
            }
            Self::Quantile { low, high } => {
                values.sort_unstable_by(f32::total_cmp);
                // The smallest value that at least this fraction of the values do not exceed.
                let rank = |fraction: f64| ((values.len() as f64 * fraction).ceil() as usize).saturating_sub(1);
                let value = |fraction: f64| values.get(rank(fraction)).copied().unwrap_or(0.0);
                (value(low), value(high))
            }
        };
        // The quantiles of a dimension that rarely changes can be equal: its extremes are its bounds then.
        let (low, high) = if low < high || self == Self::Robust { (low, high) } else { extremes(values) };
        match low <= high {
            true if is_constant(low, high) => (low, low),
            true => (low, high),
            false => (-1.0, 1.0), // no value at all
        }
    }
}

/// The map of actions in the units of a recording to normalised ones in `[-1, 1]`, and back.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionNormalisation {
    space: ActionSpace,
    /// The bounds of the space, `[A]` each.
    low: Vec<f32>,
    high: Vec<f32>,
}

impl ActionNormalisation {
    /// Measures the actions in `cache`. `action_names` and `proprioception_names` are those of the recording; where it
    /// has none (or not `A`), actions are called `action_0`, ... Units are empty, because no format that is read
    /// records any.
    ///
    /// A dimension with the name of an element of proprioception commands an absolute position, so its neutral command
    /// is the observed position. For all others the neutral value is 0 if it lies within the bounds, else their middle.
    ///
    /// # Errors
    /// [`Error::Argument`] when the parameters of `method` are out of range.
    pub fn measure(
        cache: &FrameCache,
        action_names: &[String],
        proprioception_names: &[String],
        method: NormalisationMethod,
    ) -> Result<Self> {
        method.check()?;
        let width = cache.action_width();
        let taken = cache.taken_actions();
        let column = |index: usize| taken.iter().skip(index).step_by(width).copied().collect::<Vec<f32>>();
        let (low, high): (Vec<f32>, Vec<f32>) = (0..width).map(|index| method.bounds(&mut column(index))).unzip();
        let names = or_numbered(action_names.to_vec(), width, "action");
        let neutral = |index: usize| {
            let (low, high) = (f64::from(low[index]), f64::from(high[index]));
            match proprioception_names.iter().position(|name| *name == names[index]) {
                Some(proprioception) => Neutral::HoldPosition { proprioception },
                None if low <= 0.0 && 0.0 <= high => Neutral::Value(0.0),
                None => Neutral::Value((low + high) / 2.0),
            }
        };
        let neutral: Vec<Neutral> = (0..width).map(neutral).collect();
        // A velocity may be reversed at once; a joint that is sent to another place jumps there.
        let is_absolute = |index: &usize| matches!(neutral[*index], Neutral::HoldPosition { .. });
        let step = |index: usize| {
            Some(index).filter(is_absolute).and_then(|index| largest_step(cache, index, (low[index], high[index])))
        };
        let max_step =
            if (0..width).any(|index| is_absolute(&index)) { (0..width).map(step).collect() } else { Vec::new() };
        let units = vec![String::new(); width];
        let wide = |bounds: &[f32]| bounds.iter().map(|&bound| f64::from(bound)).collect();
        let space = ActionSpace { names, units, low: wide(&low), high: wide(&high), neutral, max_step };
        Ok(Self { space, low, high })
    }

    /// The normalisation into `space`, for example that of a model's training data.
    ///
    /// # Errors
    /// [`Error::Argument`] when the space has not as many lower as upper bounds, or one that is not finite.
    pub fn from_space(space: ActionSpace) -> Result<Self> {
        let bounds = || space.low.iter().chain(&space.high);
        if space.low.len() != space.high.len() || bounds().any(|bound| !bound.is_finite()) {
            let got = format!("{:?} and {:?}", space.low, space.high);
            return Err(Error::argument("action space", "a finite lower and upper bound per dimension", got));
        }
        let narrow = |bounds: &[f64]| bounds.iter().map(|&bound| bound as f32).collect();
        Ok(Self { low: narrow(&space.low), high: narrow(&space.high), space })
    }

    /// The meaning of normalised actions.
    pub fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    /// Normalises all actions of `cache`; values beyond the bounds are clamped. A dimension with equal bounds becomes
    /// 0.
    ///
    /// # Errors
    /// [`Error::Argument`] when the widths differ; the cache is then unchanged.
    pub fn normalise(&self, cache: &mut FrameCache) -> Result<()> {
        self.require_width(cache.action_width())?;
        scale(cache.actions_mut(), &self.low, &self.high);
        cache.clear_missing_actions();
        Ok(())
    }

    /// Normalised `actions [N, A]` in the units of the recording.
    ///
    /// # Errors
    /// [`Error::Argument`] when the length is no multiple of the width.
    pub fn denormalise(&self, actions: &[f32]) -> Result<Vec<f64>> {
        let width = self.low.len();
        if !actions.len().is_multiple_of(width.max(1)) {
            return Err(Error::argument("actions", format!("rows of {width} values"), actions.len()));
        }
        let bounds = self.space.low.iter().zip(&self.space.high).cycle();
        let physical =
            |(value, (low, high)): (&f32, (&f64, &f64))| low + (f64::from(*value) + 1.0) / 2.0 * (high - low);
        Ok(actions.iter().zip(bounds).map(physical).collect())
    }

    fn require_width(&self, got: usize) -> Result<()> {
        let expected = self.low.len();
        if got == expected { Ok(()) } else { Err(Error::argument("actions", format!("{expected} wide"), got)) }
    }
}

/// Share of the changes of a command that are no larger than its largest step: the others are glitches and resets.
const USUAL_STEPS: f64 = 0.999;

/// By how much dimension `index` of the actions changes at most from one timestep to the next, within its bounds and
/// but for glitches; none where it never changes.
fn largest_step(cache: &FrameCache, index: usize, (low, high): (f32, f32)) -> Option<f64> {
    let width = cache.action_width();
    let command = |timestep: usize| cache.actions()[timestep * width + index].clamp(low, high);
    let mut steps = Vec::new();
    for episode in cache.episodes() {
        let pairs = (episode.start + 1..episode.end).filter(|&at| cache.has_action(at) && cache.has_action(at - 1));
        steps.extend(pairs.map(|at| (command(at) - command(at - 1)).abs()).filter(|change| *change > 0.0));
    }
    steps.sort_unstable_by(f32::total_cmp);
    let rank = ((steps.len() as f64 * USUAL_STEPS).ceil() as usize).saturating_sub(1);
    steps.get(rank).map(|&step| f64::from(step))
}

/// Maps `low [A]` to -1 and `high [A]` to 1 in `actions [N, A]`.
fn scale(actions: &mut [f32], low: &[f32], high: &[f32]) {
    for action in actions.chunks_exact_mut(low.len().max(1)) {
        for (value, (low, high)) in action.iter_mut().zip(low.iter().zip(high)) {
            let scaled = ((*value - low) / (high - low) * 2.0 - 1.0).clamp(-1.0, 1.0);
            *value = if low == high { 0.0 } else { scaled };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EpisodeData;
    use mindseye_interface::{Image, ImageSize};

    const QUANTILES: NormalisationMethod = NormalisationMethod::Quantile { low: 0.01, high: 0.99 };

    /// Symptom: plans for an arm that is commanded to absolute positions jumped over the whole range from one control
    /// step to the next. Cause: nothing said how far a command may be from the one before. Fix: as far as in the
    /// recording, but for glitches.
    #[test]
    fn a_joint_that_is_sent_to_places_changes_its_command_as_in_the_recording_at_most() -> Result<()> {
        // Steps of 0.5 up and down, one glitch, and a velocity beside it.
        let height = |step: usize| 0.5 * (step % 40).min(40 - step % 40) as f32;
        let row = |step: usize| vec![if step == 777 { 20.0 } else { height(step) }, (step % 3) as f32 - 1.0];
        let cache = cache((0..4000).map(row).collect())?;
        let names = |names: [&str; 2]| names.map(str::to_owned);
        let measured = |own: &[String]| {
            let names = names(["elbow", "speed"]);
            ActionNormalisation::measure(&cache, &names, own, NormalisationMethod::Robust)
        };
        let space = measured(&names(["wrist", "elbow"]))?.action_space().clone();
        assert_eq!(space.max_step, [Some(0.5), None]);
        let [elbow, speed] = space.normalised_max_step()[..] else { panic!("{space:?}") };
        assert!((elbow - (2.0 * 0.5 / (space.high[0] - space.low[0])) as f32).abs() < 1e-6 && speed.is_infinite());
        assert!(measured(&[])?.action_space().max_step.is_empty(), "no positions, no limits");
        Ok(())
    }

    /// A cache of one episode with these actions `[T][A]`.
    fn cache(actions: Vec<Vec<f32>>) -> Result<FrameCache> {
        let size = ImageSize::square(1)?;
        let mut cache = FrameCache::new(size, actions[0].len(), 0, 0);
        let nothing = || vec![vec![]; actions.len()];
        let frames = vec![Image::filled(size, [1; 3]); actions.len()];
        cache.push(&EpisodeData { frames, proprioception: nothing(), states: nothing(), actions })?;
        Ok(cache)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn actions_of_any_units_are_normalised_by_their_smallest_and_largest_values() -> Result<()> {
        let mut normalised = cache(vec![vec![100.0, 3.0], vec![300.0, 3.0], vec![150.0, 3.0]])?;
        let measured = ActionNormalisation::measure(&normalised, &[], &[], NormalisationMethod::default())?;
        let space = measured.action_space();
        assert_eq!((&space.low, &space.high), (&vec![100.0, 3.0], &vec![300.0, 3.0]), "the second never moved");
        assert_eq!((&space.names, &space.units), (&names(&["action_0", "action_1"]), &names(&["", ""])));
        measured.normalise(&mut normalised)?;
        assert_eq!(normalised.actions(), [-1.0, 0.0, 1.0, 0.0, -0.5, 0.0]);
        let again = ActionNormalisation::measure(&normalised, &[], &[], NormalisationMethod::default())?;
        assert_eq!(again.action_space().low, [-1.0, 0.0], "normalised actions keep their bounds");
        let moved = space.denormalise(&mindseye_interface::Action::new(vec![1.0, 1.0])?)?;
        assert_eq!(moved, [300.0, 3.0], "no normalised action moves it");
        Ok(())
    }

    #[test]
    fn denormalising_undoes_normalising() -> Result<()> {
        let recorded = vec![vec![-2.0, 10.0], vec![6.0, 30.0], vec![1.0, 12.5]];
        let mut cache = cache(recorded.clone())?;
        let measured = ActionNormalisation::measure(&cache, &[], &[], NormalisationMethod::MinMax)?;
        measured.normalise(&mut cache)?;
        for (value, expected) in measured.denormalise(cache.actions())?.into_iter().zip(recorded.concat()) {
            assert!((value - f64::from(expected)).abs() < 1e-5, "{value} for {expected}");
        }
        assert!(measured.denormalise(&[0.0; 3]).is_err());
        Ok(())
    }

    #[test]
    fn an_outlier_does_not_compress_the_other_actions_with_quantiles_or_standard_deviations() -> Result<()> {
        let mut actions: Vec<Vec<f32>> = (0..1000).map(|step| vec![(step % 11) as f32 / 10.0]).collect();
        actions[500][0] = 1000.0;
        let normalised = |method| -> Result<(f32, f32, f32)> {
            let mut cache = cache(actions.clone())?;
            ActionNormalisation::measure(&cache, &[], &[], method)?.normalise(&mut cache)?;
            Ok((cache.actions()[0], cache.actions()[10], cache.actions()[500]))
        };
        let (low, high, outlier) = normalised(NormalisationMethod::MinMax)?;
        assert!(high - low < 0.01 && outlier == 1.0, "compressed to {low} to {high}");
        assert_eq!(normalised(QUANTILES)?, (-1.0, 1.0, 1.0));
        assert_eq!(normalised(NormalisationMethod::default())?, (-1.0, 1.0, 1.0));
        let (low, high, outlier) = normalised(NormalisationMethod::MeanStd { deviations: 1.0 })?;
        assert!(high - low > 0.03 && outlier == 1.0, "{low} to {high}");
        Ok(())
    }

    /// A gripper in 0..1 beside metres: each dimension has bounds of its own.
    #[test]
    fn dimensions_of_different_units_each_use_the_whole_range() -> Result<()> {
        let mut cache = cache(vec![vec![-0.002, 0.0, 0.1], vec![0.003, 1.0, 0.1], vec![0.0, 0.5, 0.1]])?;
        let measured = ActionNormalisation::measure(&cache, &[], &[], NormalisationMethod::default())?;
        measured.normalise(&mut cache)?;
        let expected = [-1.0, -1.0, 0.0, 1.0, 1.0, 0.0, -0.2, 0.0, 0.0];
        assert!(cache.actions().iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-6));
        let held = measured.action_space().hold(&[])?;
        assert_eq!(measured.action_space().denormalise(&held)?[2], f64::from(0.1f32), "held where it always was");
        Ok(())
    }

    #[test]
    fn one_standard_deviation_is_the_usual_standardisation() -> Result<()> {
        let mut cache = cache(vec![vec![0.0], vec![2.0], vec![0.0], vec![2.0], vec![1.0]])?;
        let measured =
            ActionNormalisation::measure(&cache, &[], &[], NormalisationMethod::MeanStd { deviations: 2.0 })?;
        let deviation = 0.8f64.sqrt();
        assert!((measured.action_space().low[0] - (1.0 - 2.0 * deviation)).abs() < 1e-6);
        measured.normalise(&mut cache)?;
        assert!((f64::from(cache.actions()[1]) - 0.5 / deviation).abs() < 1e-6);
        assert!(cache.actions()[4].abs() < 1e-6);
        Ok(())
    }

    #[test]
    fn a_dimension_that_rarely_changes_keeps_its_extremes_with_quantiles() -> Result<()> {
        let mut actions = vec![vec![0.0, 7.0]; 1000];
        actions[3][0] = 1.0;
        let cache = cache(actions)?;
        let space = ActionNormalisation::measure(&cache, &[], &[], QUANTILES)?.action_space().clone();
        assert_eq!((space.low, space.high), (vec![0.0, 7.0], vec![1.0, 7.0]));
        Ok(())
    }

    #[test]
    fn the_neutral_action_holds_a_position_that_is_observed_else_zero_else_the_middle() -> Result<()> {
        let cache = cache(vec![vec![-3.0, -1.0, 2.0], vec![5.0, 1.0, 4.0]])?;
        let (actions, proprioception) = (names(&["lift.pos", "vx", "force"]), names(&["pan.pos", "lift.pos"]));
        let measured = ActionNormalisation::measure(&cache, &actions, &proprioception, NormalisationMethod::MinMax)?;
        let space = measured.action_space();
        let held = Neutral::HoldPosition { proprioception: 1 };
        assert_eq!(space.neutral, [held, Neutral::Value(0.0), Neutral::Value(3.0)]);
        assert_eq!(space.names, actions);
        assert_eq!(space.hold(&[9.0, 5.0])?.values(), [1.0, 0.0, 0.0], "the observed position");
        Ok(())
    }

    #[test]
    fn actions_are_normalised_into_the_space_of_another_recording() -> Result<()> {
        let mut cache = cache(vec![vec![0.0, 5.0], vec![100.0, 5.0]])?;
        let space = ActionSpace {
            names: names(&["a", "b"]),
            units: names(&["m", ""]),
            low: vec![-10.0, 5.0],
            high: vec![10.0, 5.0],
            neutral: Vec::new(),
            max_step: Vec::new(),
        };
        ActionNormalisation::from_space(space.clone())?.normalise(&mut cache)?;
        assert_eq!(cache.actions(), [0.0, 0.0, 1.0, 0.0], "clamped, and 0 where the bounds are equal");
        let narrow = ActionSpace { low: vec![0.0], high: vec![1.0], ..space.clone() };
        let error = ActionNormalisation::from_space(narrow)?.normalise(&mut cache);
        assert!(error.is_err_and(|error| error.to_string().contains("1 wide, got 2")));
        assert!(ActionNormalisation::from_space(ActionSpace { low: vec![f64::NAN, 0.0], ..space }).is_err());
        Ok(())
    }

    #[test]
    fn normalisation_methods_out_of_range_are_refused() -> Result<()> {
        let cache = cache(vec![vec![0.0]])?;
        let quantile = |low, high| NormalisationMethod::Quantile { low, high };
        let deviations = |deviations| NormalisationMethod::MeanStd { deviations };
        for method in
            [quantile(0.5, 0.5), quantile(-0.1, 1.0), quantile(0.0, 1.1), deviations(0.0), deviations(f64::NAN)]
        {
            let error = ActionNormalisation::measure(&cache, &[], &[], method).err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| error.contains("normalisation")), "{method:?}");
        }
        Ok(())
    }
}
