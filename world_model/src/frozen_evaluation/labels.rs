//! What is read from tokens: numbers or classes.

use super::samples::{ProbeData, Samples};
use super::task::ProbeTask;
use crate::{Error, Result};

/// Most values of a whole-numbered column that is taken for classes.
const MOST_CLASSES: usize = 64;

/// Labels of all clips.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Labels {
    /// Targets `[n, K]` of the probes: numbers, angles as sine and cosine; of classes 1 for the right one and 0 else.
    pub targets: Vec<f32>,
    /// `K`.
    pub width: usize,
    /// Name of each label, and how many of the targets' columns it has, one after the other.
    pub names: Vec<(String, usize)>,
    /// Whether they are classes.
    pub classes: bool,
}

impl Labels {
    /// Labels of the clips of `samples`.
    ///
    /// # Errors
    /// [`Error::Data`] when there is no such label, or it never changes.
    pub fn of(task: &ProbeTask, data: &ProbeData, samples: &Samples) -> Result<Self> {
        let cache = data.cache();
        let names = cache.state_names();
        let state = |columns: &[usize]| -> Vec<f32> {
            let rows = samples.spans.iter().map(|(_, last)| cache.state(*last));
            rows.flat_map(|state| columns.iter().map(|column| state[*column])).collect()
        };
        match task {
            ProbeTask::Order => {
                Ok(Self::of_classes("order", samples.reversed.iter().map(|&back| usize::from(back)), 2))
            }
            ProbeTask::Action => {
                let width = cache.action_width();
                let mean = |&(_, last): &(usize, usize), column: usize| {
                    let steps = last - samples.stride..last;
                    steps.map(|step| cache.actions()[step * width + column]).sum::<f32>() / samples.stride as f32
                };
                let values = samples.spans.iter().flat_map(|span| (0..width).map(move |column| mean(span, column)));
                let names: Vec<String> = (0..width).map(|index| format!("action_{index}")).collect();
                Self::of_numbers(&values.collect::<Vec<f32>>(), &names)
            }
            ProbeTask::State if names.is_empty() => {
                let expected = "a true state (--label action or order need none)".into();
                Err(Error::Data { field: "label", expected, got: "none".into() })
            }
            ProbeTask::State => Self::of_numbers(&state(&(0..names.len()).collect::<Vec<_>>()), names),
            ProbeTask::Column(name) => {
                let Some(column) = names.iter().position(|known| known == name) else {
                    let expected = format!("state, action, order or one of {}", names.join(", "));
                    return Err(Error::Data { field: "label", expected, got: name.clone() });
                };
                let values = state(&[column]);
                let mut classes: Vec<i64> = values.iter().map(|value| value.round() as i64).collect();
                let whole = values.iter().all(|value| value.fract() == 0.0 && value.abs() < 1e9);
                let of: Vec<i64> = classes.clone();
                classes.sort_unstable();
                classes.dedup();
                if whole && (2..=MOST_CLASSES).contains(&classes.len()) {
                    let number = |class: &i64| classes.binary_search(class).unwrap_or(0);
                    return Ok(Self::of_classes(name, of.iter().map(number), classes.len()));
                }
                Self::of_numbers(&values, std::slice::from_ref(name))
            }
        }
    }

    fn of_classes(name: &str, classes: impl Iterator<Item = usize>, count: usize) -> Self {
        let targets = classes.flat_map(|class| (0..count).map(move |other| f32::from(u8::from(other == class))));
        Self { targets: targets.collect(), width: count, names: vec![(name.to_owned(), count)], classes: true }
    }

    /// Columns that never change are left out: there is nothing to read.
    fn of_numbers(values: &[f32], names: &[String]) -> Result<Self> {
        let changes =
            |column: usize| values.iter().skip(column).step_by(names.len()).any(|&value| value != values[column]);
        let used: Vec<usize> = (0..names.len()).filter(|&column| changes(column)).collect();
        if used.is_empty() {
            let expected = "values that change".into();
            return Err(Error::Data { field: "label", expected, got: format!("{} that never do", names.join(", ")) });
        }
        let is_angle = |column: usize| names[column].ends_with("_rad");
        let named = |&column: &usize| (names[column].clone(), 1 + usize::from(is_angle(column)));
        let parts = |row: &[f32], column: usize| match is_angle(column) {
            true => vec![row[column].sin(), row[column].cos()],
            false => vec![row[column]],
        };
        let rows = values.chunks_exact(names.len());
        let targets: Vec<f32> = rows.flat_map(|row| used.iter().flat_map(|&column| parts(row, column))).collect();
        let names: Vec<(String, usize)> = used.iter().map(named).collect();
        Ok(Self { targets, width: names.iter().map(|(_, columns)| columns).sum(), names, classes: false })
    }

    /// Targets `[K]` of clip `row`.
    pub fn target(&self, row: usize) -> &[f32] {
        &self.targets[row * self.width..(row + 1) * self.width]
    }

    /// What scores are.
    pub fn measure(&self) -> &'static str {
        if self.classes { "accuracy" } else { "R2" }
    }

    /// The score of who knows nothing but the frequencies: of the most frequent class, or the mean.
    pub fn by_chance(&self, rows: &[usize]) -> f64 {
        if !self.classes {
            return 0.0;
        }
        let of = |class: usize| rows.iter().map(|&row| f64::from(self.target(row)[class])).sum::<f64>();
        (0..self.width).map(of).fold(0.0, f64::max) / rows.len().max(1) as f64
    }
}

/// The class with the highest score.
pub(super) fn best(scores: &[f32]) -> usize {
    (0..scores.len()).fold(0, |best, class| if scores[class] > scores[best] { class } else { best })
}
