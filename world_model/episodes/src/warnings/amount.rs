//! Too little to learn from.

use std::collections::BTreeMap;

use super::observed::Observed;
use super::wording::{in_episodes, short};
use super::{Warning, WarningKind};
use crate::source::EpisodeSource;

/// Fewest episodes and timesteps from which something general can be learned.
const EPISODES: usize = 20;
const TIMESTEPS: usize = 2000;
/// What the shipped models learned from.
const SHIPPED: &str = "the shipped models learned from 1,000 episodes of 100 timesteps (two_room) and 5,000 of 60 \
                       (push_t)";
/// Duration of a chunk in the shipped recipes, seconds, and its control steps where no rate is known.
const CHUNK_SECS: f64 = 0.5;
const CHUNK_STEPS: usize = 5;
/// Chunks of a window of the recipe for recordings.
const WINDOW_CHUNKS: usize = 3;

/// Warns of few episodes, few timesteps, episodes that are too short, and several rates.
pub(super) fn warnings(source: &dyn EpisodeSource, episodes: &[Observed]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if episodes.is_empty() {
        if source.is_empty() {
            warnings.push(Warning::new(WarningKind::FewEpisodes, "there are no episodes".into()));
        }
        return warnings; // else all are broken, and said to be
    }
    let timesteps: usize = episodes.iter().map(|episode| episode.length).sum();
    if episodes.len() < EPISODES {
        let held_out = match episodes.len() {
            1 => "a training needs at least 2, of which it holds out one",
            _ => "a training holds out 1 of 20, at least 1",
        };
        let readable = if episodes.len() == 1 { "1 episode" } else { &format!("{} episodes", episodes.len()) };
        let message = format!("{readable}, fewer than {EPISODES}: {held_out}; {SHIPPED}");
        warnings.push(Warning::new(WarningKind::FewEpisodes, message));
    }
    if timesteps < TIMESTEPS {
        let message = format!("{timesteps} timesteps, fewer than {TIMESTEPS}");
        warnings.push(Warning::new(WarningKind::FewTimesteps, message));
    }
    warnings.extend(short_episodes(source, episodes));
    warnings.extend(several_rates(episodes));
    warnings
}

fn short_episodes(source: &dyn EpisodeSource, episodes: &[Observed]) -> Option<Warning> {
    let (chunk, what) = match source.frames_per_second() {
        Some(fps) => (((CHUNK_SECS * fps).round() as usize).max(1), "half a second"),
        None => (CHUNK_STEPS, "5 timesteps"),
    };
    let needed = WINDOW_CHUNKS * chunk + 1;
    let short: Vec<usize> =
        episodes.iter().filter(|episode| episode.length < needed).map(|episode| episode.episode).collect();
    let message = || {
        format!(
            "fewer than {needed} timesteps {}: a window of the recipe is {WINDOW_CHUNKS} chunks of {what} and one \
             image more; shorter episodes are not trained on, or need shorter chunks (--action-chunk)",
            in_episodes(&short, episodes.len())
        )
    };
    (!short.is_empty()).then(|| Warning::new(WarningKind::ShortEpisodes, message()).in_episodes(short.clone()))
}

fn several_rates(episodes: &[Observed]) -> Option<Warning> {
    let mut rates: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for episode in episodes {
        if let Some(rate) = episode.numbers.frames_per_second {
            rates.entry(short(rate)).or_default().push(episode.episode);
        }
    }
    let at = |(rate, of): (&String, &Vec<usize>)| format!("{rate} a second {}", in_episodes(of, episodes.len()));
    let listed = rates.iter().map(at).collect::<Vec<String>>().join("; ");
    let message = format!("the timestamps run at several rates, which are read as one: {listed}");
    (rates.len() > 1).then(|| Warning::new(WarningKind::SeveralRates, message))
}
