//! Actions that say nothing, and values far from all others.

use super::observed::{Observed, Ranges, Vectors};
use super::wording::{in_episodes, listed, short};
use super::{Warning, WarningKind};
use crate::names::or_numbered;
use crate::outliers::RobustRange;
use crate::source::EpisodeSource;

/// Most warnings about outliers, one for each dimension.
const OUTLIER_WARNINGS: usize = 8;

/// Warns of actions that are 0 or constant, and of outliers in all vectors.
pub(super) fn warnings(source: &dyn EpisodeSource, episodes: &[Observed], ranges: &Ranges) -> Vec<Warning> {
    let shape = source.shape();
    let mut warnings = actions(source, episodes, ranges);
    for (vectors, kind, names) in [
        (Vectors::Action, WarningKind::OutlierAction, source.action_names()),
        (Vectors::State, WarningKind::OutlierState, source.state_names()),
        (Vectors::Proprioception, WarningKind::OutlierProprioception, source.proprioception_names()),
    ] {
        let names = or_numbered(names, vectors.width(shape), vectors.name());
        warnings.extend(outliers(episodes, ranges, vectors, kind, &names));
    }
    warnings
}

fn actions(source: &dyn EpisodeSource, episodes: &[Observed], ranges: &Ranges) -> Vec<Warning> {
    let all: Vec<&Observed> = episodes.iter().filter(|episode| episode.length > 1).collect();
    if all.is_empty() {
        return Vec::new();
    }
    if ranges.actions.is_empty() {
        let message = "no column of actions: a model of it can watch, not plan (--mapping names one)";
        return vec![Warning::new(WarningKind::NoActions, message.into())];
    }
    let is_zero = |episode: &&Observed| episode.numbers.actions.iter().all(|value| *value == 0.0 || value.is_nan());
    let zero: Vec<usize> = all.iter().copied().filter(is_zero).map(|episode| episode.episode).collect();
    let names = or_numbered(source.action_names(), ranges.actions.len(), "action");
    let mut warnings = Vec::new();
    if !zero.is_empty() {
        let message = format!("all actions are 0 {}", in_episodes(&zero, all.len()));
        warnings.push(Warning::new(WarningKind::ZeroActions, message).in_episodes(zero.clone()));
    }
    let constant: Vec<usize> =
        (0..ranges.actions.len()).filter(|&dimension| ranges.actions[dimension].is_constant()).collect();
    let at =
        |&dimension: &usize| format!("{} at {}", names[dimension], short(f64::from(ranges.actions[dimension].low)));
    let held = listed(&constant.iter().map(at).collect::<Vec<String>>());
    let (kind, message) = match constant.len() {
        0 => return warnings,
        count if count < ranges.actions.len() => {
            let message = format!("{count} of {} dimensions of the actions never change: {held}", ranges.actions.len());
            (WarningKind::ConstantActionDimensions, message)
        }
        _ if zero.len() == all.len() => return warnings,
        _ => (WarningKind::ConstantActions, format!("the actions never change: {held}")),
    };
    let dimensions = constant.iter().map(|&dimension| names[dimension].clone()).collect();
    warnings.push(Warning { dimensions, ..Warning::new(kind, message) });
    warnings
}

/// A warning for each of the first dimensions with outliers.
fn outliers(
    episodes: &[Observed],
    ranges: &Ranges,
    vectors: Vectors,
    kind: WarningKind,
    names: &[String],
) -> Vec<Warning> {
    let mut starts = vec![0];
    for episode in episodes {
        starts.push(starts.last().copied().unwrap_or(0) + episode.length);
    }
    let width = ranges.get(vectors).len();
    let place = |timestep: usize| -> Option<(usize, usize)> {
        let index = starts.partition_point(|start| *start <= timestep).checked_sub(1)?;
        episodes.get(index).map(|_| (index, timestep - starts[index]))
    };
    let with_any = ranges.get(vectors).iter().enumerate().filter(|(_, range)| !range.outliers.is_empty());
    let warning = |(dimension, range): (usize, &RobustRange)| {
        let places: Vec<(usize, usize)> = range.outliers.iter().filter_map(|&timestep| place(timestep)).collect();
        let value = |&(index, frame): &(usize, usize)| {
            vectors.of(&episodes[index].numbers).get(frame * width + dimension).copied().unwrap_or(f32::NAN)
        };
        let shown = places.iter().map(|&(index, frame)| {
            format!("{} in episode {} frame {frame}", value(&(index, frame)), episodes[index].episode)
        });
        let (low, high) = (f64::from(range.low), f64::from(range.high));
        let (least, most) = places.iter().map(value).fold((low, high), |(least, most), value| {
            (least.min(f64::from(value)), most.max(f64::from(value))) //
        });
        let share = short(100.0 * (high - low) / (most - least));
        let message = format!(
            "{} {}: far from all others ({} to {}), which fall into {share} % of the whole range: {}",
            vectors.name(),
            names[dimension],
            short(low),
            short(high),
            listed(&shown.collect::<Vec<String>>()),
        );
        let mut of: Vec<usize> = places.iter().map(|&(index, _)| episodes[index].episode).collect();
        of.dedup();
        let dimensions = vec![names[dimension].clone()];
        Warning { dimensions, ..Warning::new(kind, message).in_episodes(of) }
    };
    with_any.take(OUTLIER_WARNINGS).map(warning).collect()
}
