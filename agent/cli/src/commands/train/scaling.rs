//! What a training takes from recordings of other tools, as arguments, and how it is said.

use std::sync::Mutex;

use clap::ValueEnum;
use mindseye_episodes::NormalisationMethod;
use mindseye_interface::Progress;

use crate::progress::TerminalProgress;

/// Which values of recorded actions become -1 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scaling {
    /// Smallest and largest, without glitches: at most a thousandth of the values, far from all others.
    Robust,
    /// Smallest and largest, glitches included.
    MinMax,
    /// Three standard deviations around the mean.
    MeanStd,
    /// The 1 % and the 99 % quantile.
    Quantiles,
}

impl Scaling {
    /// The method of the library.
    pub fn method(self) -> NormalisationMethod {
        match self {
            Self::Robust => NormalisationMethod::Robust,
            Self::MinMax => NormalisationMethod::MinMax,
            Self::MeanStd => NormalisationMethod::MeanStd { deviations: 3.0 },
            Self::Quantiles => NormalisationMethod::Quantile { low: 0.01, high: 0.99 },
        }
    }
}

/// Progress that says `lines` before the first stage begins: what is refused before is refused in one line.
pub struct Announced<'a> {
    progress: &'a TerminalProgress,
    lines: Mutex<Vec<String>>,
}

impl<'a> Announced<'a> {
    pub fn new(progress: &'a TerminalProgress, lines: Vec<String>) -> Self {
        Self { progress, lines: Mutex::new(lines) }
    }
}

impl Progress for Announced<'_> {
    fn begin(&self, stage: &str, total: usize, unit: &str) {
        let lines = self.lines.lock().map(|mut lines| std::mem::take(&mut *lines)).unwrap_or_default();
        lines.iter().for_each(|line| self.progress.note(line));
        self.progress.begin(stage, total, unit);
    }

    fn advance(&self, done: usize, note: &str) -> bool {
        self.progress.advance(done, note)
    }

    fn end(&self) {
        self.progress.end();
    }
}
