//! A verdict as text, without a line break at the end.

use std::fmt::{Display, Formatter, Result};

use super::{Origin, Verdict};

/// Columns of the paragraph.
const COLUMNS: usize = 100;

impl Display for Verdict {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        write!(text, "verdict: {}", self.class.name())?;
        for line in wrapped(&self.words) {
            write!(text, "\n  {line}")?;
        }
        let judged = &self.judged;
        let which = match judged.familiar {
            Origin::NotTrained => "not trained on",
            Origin::Trained => "all TRAINED on",
            Origin::Unknown => "perhaps trained on: the checkpoint does not say",
        };
        write!(text, "\n  episodes: {} judged, {which}; {} read", judged.episodes, judged.read)?;
        if judged.trained_on + judged.held_out > 0 {
            write!(text, ", {} of them trained on, {} held out", judged.trained_on, judged.held_out)?;
        }
        let errors: Vec<String> =
            self.prediction.iter().map(|error| format!("{} chunks {}", error.chunks, error.ratio)).collect();
        write!(text, "\n  error / that of nothing changes: {}", errors.join(", "))?;
        if let Some(actions) = &self.actions {
            let (shuffled, neutral, lag) = (actions.shuffled, actions.neutral, actions.best_lag);
            write!(text, "\n  error with actions of other episodes {shuffled} times, holding still {neutral} times; ")?;
            match lag {
                0 => write!(text, "images and actions are in step")?,
                lag => write!(text, "moved by {lag} control steps {} times", actions.at_best_lag)?,
            }
        }
        if let Some(retrieval) = &self.retrieval {
            let (first, candidates) = (retrieval.first, retrieval.candidates);
            let (rank, copied) = (retrieval.median_rank, retrieval.median_rank_of_copy_last);
            write!(text, "\n  the true next state is the nearest of {candidates:.0} in a share of {first}; ")?;
            write!(text, "median rank {rank:.0} (of the present state: {copied:.0})")?;
        }
        let latents = &self.latents;
        write!(text, "\n  latent: effective rank {:.1}, ", latents.spread.effective_rank)?;
        write!(text, "standard deviation {:.2}, ", latents.spread.mean_std)?;
        let away = latents.novelty.sqrt();
        write!(text, "{away:.2} standard deviations from the training's mean (1 is usual), ")?;
        let still = 100.0 * latents.still_images;
        write!(text, "change {:.2} of the training's; {still:.0} % of images still", latents.change)?;
        if let Some(planning) = &self.planning {
            let (chunks, plans) = (planning.chunks, planning.plans);
            write!(
                text,
                "\n  {plans} plans over {chunks} chunks (task {}): agreement {}, ",
                planning.task, planning.agreement
            )?;
            write!(text, "error / that of the mean action {}; ", planning.to_mean_action)?;
            write!(text, "predicted end / that of holding still {} ", planning.planned_end)?;
            write!(text, "(recorded actions: {})", planning.recorded_end)?;
        }
        if let Some(overfitting) = &self.overfitting {
            write!(text, "\n  on {} training episodes: {} of the error ", overfitting.episodes, overfitting.trained)?;
            write!(text, "of nothing changes, 1 chunk ahead; held out it is {} times that", overfitting.gap)?;
        }
        self.learning_curve.iter().try_for_each(|curve| write!(text, "\n  {curve}"))
    }
}

/// Lines of at most so many columns.
fn wrapped(words: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > COLUMNS {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
