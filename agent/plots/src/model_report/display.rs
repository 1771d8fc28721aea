//! A model report as text, without a line break at the end.

use std::fmt::{Display, Formatter, Result};

use mindseye_interface::StateDimension;

use super::ModelReport;

impl Display for ModelReport {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        write!(text, "on a part of {} episodes (linear probes are fitted to the others):", self.episodes)?;
        if self.trained_on {
            write!(
                text,
                "\n  WARNING: the model was trained on these episodes, or on as many of this length, and will "
            )?;
            write!(text, "do worse on others;\n  measure it on a recording of its own")?;
        }
        write!(text, "\n  {}", self.validation)?;
        let measures = self.validation.probe_rmse.iter().zip(&self.validation.probe_median);
        for (name, (rmse, median)) in self.state_names.iter().zip(measures) {
            write!(text, "\n  {name:<16} rmse {rmse:.4}, median error {median:.4}")?;
            if StateDimension::named(name).is_angle() {
                write!(text, " ({:.1} degrees)", median.to_degrees())?;
            }
        }
        if !self.imagined.is_empty() {
            write!(text, "\n  read from imagined latents, root mean square error (of predicting no change):")?;
        }
        for imagined in &self.imagined {
            let pairs = imagined.rmse.iter().zip(&imagined.copy_last_rmse);
            let parts: Vec<String> = pairs.map(|(error, copy_last)| format!("{error:.4} ({copy_last:.4})")).collect();
            write!(text, "\n    {} chunks: {}", imagined.chunks, parts.join(", "))?;
        }
        if !self.images.is_empty() {
            write!(text, "\n  images: {}", self.images.join(", "))?;
        }
        self.left_out.iter().try_for_each(|reason| write!(text, "\n  left out: {reason}"))?;
        write!(text, "\n{}", self.verdict)
    }
}
