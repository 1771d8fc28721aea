//! Strips of the best and the worst episodes of an evaluation.

use std::cmp::Ordering;

use mindseye_evaluation::{Evaluation, EvaluationReport, Method, PairReport, Replay};
use mindseye_interface::Progress;

use super::counted;
use super::page::{Strip, StripImage};
use crate::evaluation::outcome;

/// The best and the worst episodes, run again for their images.
#[derive(Debug, Default)]
pub struct Films {
    /// Places in the report's results, with what was seen; the best first.
    best: Vec<(usize, Replay)>,
    /// The same; the worst first.
    worst: Vec<(usize, Replay)>,
    /// Why there are none.
    left_out: Option<String>,
}

/// Episodes of either kind.
const SHOWN: usize = 3;
/// Most images of the camera in a strip, with start and end.
const IMAGES: usize = 10;

impl Films {
    /// Runs the best and the worst episodes of `method`, the one under test, again. The report stays as it is: where
    /// that fails or is stopped there are no strips, and the page says why.
    pub fn of(
        evaluation: &Evaluation<'_>,
        method: &dyn Method,
        report: &EvaluationReport,
        progress: &dyn Progress,
    ) -> Self {
        let (best, worst) = best_and_worst(&report.results);
        let places = || best.iter().chain(&worst).copied();
        let pairs: Vec<_> = places().map(|place| report.results[place].pair.clone()).collect();
        match evaluation.replay(method, &pairs, progress) {
            Ok(replays) => {
                let mut films: Vec<_> = places().zip(replays).collect();
                let worst = films.split_off(best.len());
                Self { best: films, worst, left_out: None }
            }
            Err(error) => Self { left_out: Some(error.to_string()), ..Self::default() },
        }
    }

    /// Why there are no strips, where there are none.
    pub(super) fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    /// The strips of the best episodes, and those of the worst.
    pub(super) fn strips(&self, report: &EvaluationReport) -> [Vec<Strip>; 2] {
        [&self.best, &self.worst]
            .map(|films| films.iter().map(|(place, replay)| strip(&report.results[*place], replay)).collect())
    }
}

/// Places of the best episodes (the quickest successes) and of the worst (the failures that end farthest away, then
/// the slowest successes). No episode is both.
fn best_and_worst(results: &[PairReport]) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..results.len()).collect();
    order.sort_by(|&one, &other| compared(&results[one], &results[other]).then(one.cmp(&other)));
    let worst = SHOWN.min(order.len().div_ceil(2));
    let best = SHOWN.min(order.len() - worst);
    (order[..best].to_vec(), order.iter().rev().take(worst).copied().collect())
}

/// Better episodes first.
fn compared(one: &PairReport, other: &PairReport) -> Ordering {
    let key = |result: &PairReport| (result.first_success_step.unwrap_or(usize::MAX), !result.strict);
    key(one).cmp(&key(other)).then(one.final_distance.total_cmp(&other.final_distance))
}

fn strip(measured: &PairReport, replay: &Replay) -> Strip {
    let result = &replay.result;
    let every = replay.images.len().div_ceil(IMAGES - 1).max(1);
    let mut row: Vec<StripImage> = replay
        .images
        .iter()
        .step_by(every)
        .map(|(step, image)| StripImage {
            label: if *step == 0 { "start".into() } else { format!("step {step}") },
            image: image.clone(),
            is_other: false,
        })
        .collect();
    let [_, goal, end] = &result.images;
    row.push(StripImage { label: format!("end, step {}", result.steps), image: end.clone(), is_other: false });
    row.push(StripImage { label: "goal".into(), image: goal.clone(), is_other: true });
    let (pair, ends) = (&measured.pair, measured.final_distance);
    let outcome = outcome(measured.first_success_step, measured.strict);
    let mut caption = format!("seed {}, pair {}: {outcome}, ends {ends:.3} away", pair.seed, pair.index);
    if measured.error_ticks > 0 {
        caption += &format!("; held still because of an error in {}", counted(measured.error_ticks, "tick"));
    }
    let is_same = (measured.first_success_step, measured.strict) == (result.first_success_step, result.strict);
    if !is_same || measured.final_distance.to_bits() != result.final_distance.to_bits() {
        caption += "; the world went another way when it ran again for these images";
    }
    Strip { caption, reached: Some(measured.first_success_step.is_some()), rows: vec![row] }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mindseye_interface::{Seed, StartGoal};

    use super::*;

    fn result(first_success_step: Option<usize>, final_distance: f64) -> PairReport {
        let pair = StartGoal {
            seed: 0,
            index: 0,
            episode: Seed::new(0),
            start: Vec::new(),
            via: Vec::new(),
            goal: Vec::new(),
            metrics: BTreeMap::new(),
        };
        PairReport {
            pair,
            first_success_step,
            strict: false,
            reached: BTreeMap::new(),
            region: None,
            violating_steps: None,
            routes: Vec::new(),
            final_distance,
            error_ticks: 0,
            error: None,
        }
    }

    #[test]
    fn quick_successes_are_the_best_and_far_failures_the_worst() {
        let results = [(Some(9), 0.1), (None, 0.5), (Some(4), 0.2), (None, 2.0), (Some(4), 0.1), (Some(30), 0.0)];
        let results = results.map(|(step, distance)| result(step, distance));
        assert_eq!(best_and_worst(&results), (vec![4, 2, 0], vec![3, 1, 5]));
        assert_eq!(best_and_worst(&results[..3]), (vec![2], vec![1, 0]), "no episode is both");
        assert_eq!(best_and_worst(&[]), (Vec::new(), Vec::new()));
    }
}
