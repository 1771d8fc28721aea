//! The verdict in words, and the numbers that it turns on.

use serde::{Deserialize, Serialize};

use super::estimate::MOST_SHOWN;
use super::{Origin, Verdict};

/// Share of equal images above which nothing is to be seen.
const STILL: f64 = 0.9;
/// Change of the latent, over that of the training, below which nothing happens in the recordings.
const LITTLE_CHANGE: f64 = 0.02;
/// Distance from the training data, in squared standard deviations, above which recordings are of something else.
const NOVEL: f64 = 2.0;
/// Error with other actions over that with the recorded ones, up to which actions do not matter.
const INDIFFERENT: f64 = 1.05;
/// Error at the best lag over that without, below which images and actions are out of step.
const OUT_OF_STEP: f64 = 0.9;
/// Held-out over training error above which a model is overfitted, if it predicts badly too.
const OVERFITTED: f64 = 1.5;
/// Error, over that of the prediction that nothing changes, up to which predictions are good.
const GOOD: f64 = 0.3;
/// The same, from which they are worth next to nothing.
const POOR: f64 = 0.7;
/// Chance that a planned chunk is nearer to the recorded one than to another.
const CHANCE: f64 = 0.5;
/// Gain of the whole data over half of them, above which more episodes would help.
const STILL_LEARNING: f64 = 0.9;

/// A verdict in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It predicts, and its plans agree with what was done.
    Plans,
    /// It predicts; that plans are any good is not shown.
    Predicts,
    /// It predicts something, with large errors.
    Weak,
    /// It predicts its training episodes far better than others.
    Overfitted,
    /// Actions make no difference to what it predicts, or explain nothing of what was recorded.
    ActionsIgnored,
    /// Images and actions of the recordings are out of step.
    OutOfStep,
    /// The images do not change.
    Still,
    /// The recordings show something that the model was not trained on.
    Foreign,
    /// Its latent does not tell states apart.
    Collapsed,
}

impl Class {
    /// The word, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plans => "plans",
            Self::Predicts => "predicts",
            Self::Weak => "weak",
            Self::Overfitted => "overfitted",
            Self::ActionsIgnored => "actions_ignored",
            Self::OutOfStep => "out_of_step",
            Self::Still => "still",
            Self::Foreign => "foreign",
            Self::Collapsed => "collapsed",
        }
    }
}

/// The class by what was measured: first what makes all other numbers meaningless.
pub(super) fn class(verdict: &Verdict) -> Class {
    let Verdict { latents, actions, planning, overfitting, .. } = verdict;
    let ratio = |index: usize| verdict.prediction.get(index).map(|error| error.ratio);
    let near = ratio(0).map_or(1.0, |ratio| ratio.value);
    let far = ratio(1).map_or(near, |ratio| ratio.value);
    if latents.still_images > STILL || latents.change < LITTLE_CHANGE {
        return Class::Still;
    }
    // Episodes held out of the model's own data are not foreign, however little it has seen: see [`Class::Overfitted`].
    let novel = latents.novelty > NOVEL && near > POOR && overfitting.is_none();
    if novel || (verdict.other_scene.is_some() && near > GOOD) {
        return Class::Foreign;
    }
    if latents.spread.collapsed {
        return Class::Collapsed;
    }
    if actions.as_ref().is_some_and(|actions| actions.best_lag != 0 && actions.at_best_lag.is_below(OUT_OF_STEP)) {
        return Class::OutOfStep;
    }
    // Before the actions: of a model that knows its training episodes by heart, they explain others badly.
    if far > GOOD && overfitting.as_ref().is_some_and(|overfitting| overfitting.gap.is_above(OVERFITTED)) {
        return Class::Overfitted;
    }
    if actions.as_ref().is_some_and(|actions| !actions.shuffled.is_above(INDIFFERENT)) {
        return Class::ActionsIgnored;
    }
    if far > POOR {
        return Class::Weak;
    }
    match planning {
        Some(planning) if planning.agreement.is_above(CHANCE) && !planning.to_mean_action.is_above(1.0) => Class::Plans,
        _ => Class::Predicts,
    }
}

/// The paragraph.
pub(super) fn words(verdict: &Verdict) -> String {
    let parts = [known(verdict), expect(verdict), do_not_expect(verdict), next(verdict)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// On what it was judged, where that is not as it should be.
fn known(verdict: &Verdict) -> String {
    let count = verdict.judged.episodes;
    let few = if count < 3 { " So few give no intervals." } else { "" };
    let count = if count == 1 { "1 episode".to_owned() } else { format!("{count} episodes") };
    let scene = match &verdict.other_scene {
        Some(scene) => format!(" The recordings say that they are of {scene}, the model is of another scene."),
        None => String::new(),
    };
    let judged = match verdict.judged.familiar {
        Origin::Trained => {
            format!("Judged on {count} that it was TRAINED on, for lack of others: it will do worse on new ones.")
        }
        Origin::Unknown => "Whether it was trained on these episodes, the checkpoint does not say.".to_owned(),
        Origin::NotTrained => format!("Judged on {count} that it was not trained on."),
    };
    format!("{judged}{few}{scene}")
}

/// What it predicts.
fn expect(verdict: &Verdict) -> String {
    let Some(first) = verdict.prediction.first().filter(|_| verdict.class != Class::Still) else {
        return String::new();
    };
    let secs = |chunks: usize| format!("{:.1} s", chunks as f64 * verdict.chunk_secs);
    let good = verdict.prediction.iter().rev().find(|error| error.ratio.value < GOOD);
    let some = verdict.prediction.iter().rev().find(|error| error.ratio.value < 1.0);
    let error = |ratio: f64| format!("{:.0} % of the error of assuming that nothing changes", 100.0 * ratio);
    match (good, some) {
        (Some(good), _) => {
            let ahead = secs(good.chunks);
            format!("This model predicts {ahead} ahead well: {}.", error(good.ratio.value))
        }
        (None, Some(some)) => {
            let ahead = secs(some.chunks);
            format!("This model predicts a little of what comes, up to {ahead} ahead: {}.", error(some.ratio.value))
        }
        (None, None) => {
            let ahead = secs(first.chunks);
            format!(
                "{ahead} ahead this model is worse than assuming that nothing changes ({:.1} times its error).",
                first.ratio.value
            )
        }
    }
}

/// What it does not do.
fn do_not_expect(verdict: &Verdict) -> String {
    let actions = verdict.actions.as_ref();
    let shuffled = actions.map_or(1.0, |actions| actions.shuffled.value);
    match verdict.class {
        Class::Still => {
            let share = 100.0 * verdict.latents.still_images;
            format!(
                "Nothing of this counts: {share:.0} % of the images equal the one before, and the latent hardly moves."
            )
        }
        Class::Foreign if verdict.latents.novelty <= NOVEL => {
            "Do not expect anything here: it predicts another scene's images badly, as is to be expected.".into()
        }
        Class::Foreign => {
            let novelty = verdict.latents.novelty.sqrt();
            format!(
                "Do not expect anything here: these images are unlike those it was trained on \
                 ({novelty:.1} standard deviations from their mean, where 1 is usual)."
            )
        }
        Class::Collapsed => "Do not expect plans: the latent has collapsed, all states look alike to it.".into(),
        Class::OutOfStep => {
            let (lag, gain) = actions.map_or((0, 1.0), |actions| (actions.best_lag, actions.at_best_lag.value));
            let late = if lag < 0 { "late" } else { "early" };
            let (steps, error) = (lag.unsigned_abs(), 100.0 * gain);
            format!(
                "Do not trust these recordings: the images are {steps} control steps {late} against the actions \
                 (moved by that, {error:.0} % of the error is left)."
            )
        }
        Class::ActionsIgnored => format!(
            "Do not expect plans: with the actions of other episodes it predicts as well as with the recorded ones \
             ({shuffled:.2} times the error), so the actions explain nothing of these images."
        ),
        Class::Overfitted => {
            let gap = verdict.overfitting.as_ref().map_or(1.0, |overfitting| overfitting.gap.value);
            let gap = if gap > MOST_SHOWN { format!("over {MOST_SHOWN:.0}") } else { format!("{gap:.1}") };
            format!("Do not expect plans in new situations: on its training episodes its error is {gap} times smaller.")
        }
        Class::Weak | Class::Predicts | Class::Plans if actions.is_none() => {
            "It knows no actions: it can watch (mindseye watch), and not plan.".into()
        }
        Class::Weak => format!(
            "Do not expect plans that arrive, though actions matter to it ({shuffled:.1} times the error with others)."
        ),
        Class::Predicts | Class::Plans => {
            let plans = match &verdict.planning {
                None => "Plans were not tried.".to_owned(),
                Some(planning) => {
                    let agreement = 100.0 * planning.agreement.value;
                    let known = match planning.to_mean_action.value < 1.0 {
                        true => ", nearer to it than the mean action",
                        false => ", not nearer to it than the mean action",
                    };
                    format!(
                        "Its plans to states {} chunks later begin as was done in {agreement:.0} % of comparisons \
                         (chance is 50 %){known}.",
                        planning.chunks
                    )
                }
            };
            let last = verdict.prediction.iter().find(|error| error.ratio.value >= GOOD);
            let far = last.map_or(String::new(), |error| {
                let ahead = error.chunks as f64 * verdict.chunk_secs;
                format!(
                    " Do not expect much from {ahead:.1} s ahead on ({:.0} % of that error).",
                    100.0 * error.ratio.value
                )
            });
            format!("Actions matter to it ({shuffled:.1} times the error with those of other episodes). {plans}{far}")
        }
    }
}

/// What helps against overfitting.
const OVERFITTED_NEXT: &str = "Next: record more episodes, of other situations (train --learning-curve says whether \
                               more help), and train without --quick.";

/// What to do.
fn next(verdict: &Verdict) -> String {
    let overfitted = verdict.overfitting.as_ref().is_some_and(|overfitting| overfitting.gap.value > OVERFITTED);
    let curve = verdict.learning_curve.as_ref().map_or(String::new(), |curve| match curve.gain() {
        Some(gain) if gain < STILL_LEARNING => {
            format!(" Twice as many episodes cut the error by {:.0} %: more would help.", 100.0 * (1.0 - gain))
        }
        Some(_) => " Half of the episodes do as well: more of the same would not help much.".to_owned(),
        None => String::new(),
    });
    let next = match verdict.class {
        Class::Still => "Next: look at them (mindseye data preview); was the camera on, and is it the right one?",
        Class::Foreign => {
            "Next: train a model on such recordings (mindseye train --data), or judge this one on its own."
        }
        Class::Collapsed => "Next: train again, with whitening or more SIGReg in the recipe.",
        Class::OutOfStep => "Next: shift them when recording, or drop the latency; then train again.",
        Class::ActionsIgnored => {
            "Next: check that the column of actions is what moved the robot (--mapping), and that it moved."
        }
        Class::Overfitted => OVERFITTED_NEXT,
        Class::Weak if overfitted => OVERFITTED_NEXT,
        Class::Weak => "Next: train longer (without --quick), then record more episodes.",
        Class::Predicts if overfitted => "Next: record more episodes, or plan with short horizons.",
        Class::Predicts if verdict.actions.is_none() => "Next: let it watch (mindseye watch).",
        Class::Predicts => "Next: look at imagination.png, then try plans with care (mindseye plan).",
        Class::Plans if overfitted => "Next: try it with care (mindseye plan); more episodes would make it better.",
        Class::Plans => "Next: try it: mindseye plan on images, mindseye evaluate in a scene.",
    };
    format!("{next}{curve}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Symptom: of a model trained on four episodes, the fifth was called unlike its training data, and the advice was
    /// to train on such recordings. Cause: four episodes cover so little that the fifth lies outside. Fix: where there
    /// are training episodes to compare with, the gap to them decides.
    #[test]
    fn an_episode_held_out_of_a_small_data_set_is_not_foreign_but_shows_overfitting() {
        let measured = include_str!("../../tests/fixtures/verdict_of_five_episodes.json");
        let mut verdict: Verdict = serde_json::from_str(measured).unwrap();
        assert!(verdict.latents.novelty > NOVEL && verdict.overfitting.is_some());
        verdict.class = class(&verdict);
        assert_eq!(verdict.class, Class::Overfitted);
        assert!(words(&verdict).contains("record more episodes"), "{}", words(&verdict));

        verdict.overfitting = None; // as of recordings that are no part of its data
        assert_eq!(class(&verdict), Class::Foreign);
    }
}
