//! A readout on plain slices: many latents at a time, and slopes back to them.

use super::Readout;
use crate::layers::Linear;
use crate::ops::{Map, Precision};
use crate::scratch::Spare;
use crate::training::ProbeErrors;
use crate::trunk_slopes::{Bench, Kept, TrunkSlopes};
use crate::{Error, Result};

/// Latents read together: what they need stays in the second-level cache.
const GROUP: usize = 64;
/// An angle whose sine and cosine are both this near to zero (squared length) is not known; slopes stay finite there.
const UNKNOWN: f32 = 1e-4;

/// A readout whose weights stay as they are.
#[derive(Debug, Clone)]
pub struct ReadoutEngine {
    names: Vec<String>,
    typical_steps: Vec<f32>,
    angles: Vec<bool>,
    latent_width: usize,
    linear: (Map, Map),
    trunk: TrunkSlopes,
    output: (Map, Map),
    /// What nobody is using.
    spare: Spare<Tape>,
}

/// What a group of latents keeps on its way forward, and what it works with on its way back.
#[derive(Debug, Default)]
struct Tape {
    kept: Vec<Kept>,
    hidden: Vec<f32>,
    columns: Vec<f32>,
    on_latents: Vec<f32>,
    bench: Bench,
}

impl ReadoutEngine {
    /// Copies the weights of `readout`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(readout: &Readout) -> Result<Self> {
        let (config, trunk) = (&readout.config, &readout.trunk);
        let both =
            |linear: &Linear| -> Result<(Map, Map)> { Ok((linear.packed(Precision::F32)?, linear.transposed()?)) };
        Ok(Self {
            names: config.state_names.clone(),
            typical_steps: config.typical_steps.clone(),
            angles: config.angles(),
            latent_width: config.latent_width,
            linear: both(&readout.linear)?,
            trunk: TrunkSlopes::new((&trunk.input, &trunk.input_norm), &trunk.layers, true)?,
            output: both(&readout.output)?,
            spare: Spare::default(),
        })
    }

    /// Names of the `K` dimensions that are read.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What counts as one step of each dimension, in its unit, `[K]`.
    pub fn typical_steps(&self) -> &[f32] {
        &self.typical_steps
    }

    /// States `[N, K]` of `latents [N, D]`; angles from -π to π.
    ///
    /// # Errors
    /// [`Error::Shape`] when there are no whole latents.
    pub fn read(&self, latents: &[f32]) -> Result<Vec<f32>> {
        self.require(latents)?;
        let mut states = Vec::with_capacity(latents.len() / self.latent_width * self.angles.len());
        self.spare.lend(|tape| {
            for latents in latents.chunks(GROUP * self.latent_width) {
                self.forward(latents, tape);
                for columns in tape.columns.chunks_exact(self.output.0.outputs()) {
                    let mut columns = columns.iter();
                    for &angle in &self.angles {
                        let mut next = || columns.next().copied().unwrap_or(0.0);
                        let value = next();
                        states.push(if angle { value.atan2(next()) } else { value });
                    }
                }
            }
        });
        Ok(states)
    }

    /// Adds the slopes on `latents [N, D]` to `slopes [N, D]`, given those on what is read from them, `pull [N, K]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn add_slopes(&self, latents: &[f32], pull: &[f32], slopes: &mut [f32]) -> Result<()> {
        self.require(latents)?;
        let (width, names) = (self.latent_width, self.angles.len());
        if slopes.len() != latents.len() || pull.len() * width != latents.len() * names {
            return Err(Error::Shape {
                operation: "slopes of a readout",
                expected: format!("slopes on {names} numbers of every latent"),
                got: format!("{} slopes for {} latents", pull.len(), latents.len() / width),
            });
        }
        self.spare.lend(|tape| {
            let groups = latents.chunks(GROUP * width).zip(pull.chunks(GROUP * names));
            for ((latents, pull), slopes) in groups.zip(slopes.chunks_mut(GROUP * width)) {
                self.forward(latents, tape);
                self.back(pull, slopes, tape);
            }
        });
        Ok(())
    }

    /// How well `states [N, K]` are read from `latents [N, D]`: as a linear probe is judged.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn judge(&self, latents: &[f32], states: &[f32]) -> Result<ProbeErrors> {
        let read = self.read(latents)?;
        if read.len() != states.len() {
            let (expected, got) = (format!("{} states", read.len()), states.len().to_string());
            return Err(Error::Shape { operation: "judging a readout", expected, got });
        }
        Ok(ProbeErrors::between(&read, states, &self.angles))
    }

    fn require(&self, latents: &[f32]) -> Result<()> {
        if latents.len().is_multiple_of(self.latent_width) {
            return Ok(());
        }
        let expected = format!("latents of {} values", self.latent_width);
        Err(Error::Shape { operation: "reading latents", expected, got: format!("{} values", latents.len()) })
    }

    /// Fills `tape` with what is read of `latents [n, D]`.
    fn forward(&self, latents: &[f32], tape: &mut Tape) {
        tape.kept.resize(self.trunk.len(), Kept::default());
        self.trunk.forward(latents, &mut tape.hidden, &mut tape.kept, &mut tape.bench);
        self.linear.0.replace(latents, &mut tape.columns, &mut tape.bench.rounded);
        self.output.0.apply(&tape.hidden, &mut tape.columns, true, &mut tape.bench.rounded);
    }

    /// Adds slopes on the latents of `tape` to `slopes [n, D]` from those on states, `pull [n, K]`.
    fn back(&self, pull: &[f32], slopes: &mut [f32], tape: &mut Tape) {
        // From here on `columns` holds the slopes on the columns, `hidden` those on the hidden state.
        let states = pull.chunks_exact(self.angles.len());
        for (columns, pull) in tape.columns.chunks_exact_mut(self.output.0.outputs()).zip(states) {
            let mut at = 0;
            for (&pull, &angle) in pull.iter().zip(&self.angles) {
                if angle {
                    let (sine, cosine) = (columns[at], columns[at + 1]);
                    let length = (sine * sine + cosine * cosine).max(UNKNOWN);
                    (columns[at], columns[at + 1]) = (pull * cosine / length, -pull * sine / length);
                } else {
                    columns[at] = pull;
                }
                at += 1 + usize::from(angle);
            }
        }
        self.linear.1.apply(&tape.columns, slopes, true, &mut tape.bench.rounded);
        self.output.1.replace(&tape.columns, &mut tape.hidden, &mut tape.bench.rounded);
        self.trunk.back(&mut tape.hidden, &mut tape.on_latents, &tape.kept, &mut tape.bench);
        slopes.iter_mut().zip(&tape.on_latents).for_each(|(sum, slope)| *sum += slope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{tensor, with_values};
    use crate::parameters::Source;
    use crate::part::Part;
    use crate::readout::ReadoutConfig;
    use mindseye_interface::Seed;

    fn readout() -> Result<Readout> {
        let config = ReadoutConfig {
            latent_width: 5,
            state_names: vec!["x_m".into(), "turn_rad".into(), "y_m".into()],
            typical_steps: vec![0.1; 3],
            hidden: 16,
            layers: 2,
        };
        Readout::build(config, Source::fresh(Seed::new(3)))
    }

    fn latents(count: usize) -> Vec<f32> {
        (0..count * 5).map(|index| ((index * index) as f32 * 0.713).sin()).collect()
    }

    #[test]
    fn it_reads_what_the_network_says_row_by_row() -> Result<()> {
        let (readout, latents) = (readout()?, latents(150));
        let engine = ReadoutEngine::new(&readout)?;
        let columns = readout.forward(&tensor(latents.clone(), (150, 5))?)?;
        let columns = with_values(&columns, <[f32]>::to_vec)?;
        let read = engine.read(&latents)?;
        for (state, columns) in read.chunks_exact(3).zip(columns.chunks_exact(4)) {
            let expected = [columns[0], columns[1].atan2(columns[2]), columns[3]];
            assert!(state.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-4), "{state:?}");
        }
        assert_eq!(engine.read(&latents[..5])?, read[..3], "a row has the same bits whatever stands beside it");
        let whole = engine.read(&latents[..7]).map(drop);
        assert!(whole.is_err_and(|error| error.to_string().contains("latents of 5")));
        Ok(())
    }

    #[test]
    fn its_slopes_are_those_of_small_differences() -> Result<()> {
        let (engine, latents) = (ReadoutEngine::new(&readout()?)?, latents(4));
        let pull: Vec<f32> = (0..12).map(|index| (index as f32 * 1.3).cos()).collect();
        let energy = |latents: &[f32]| -> Result<f32> {
            Ok(engine.read(latents)?.iter().zip(&pull).map(|(value, pull)| value * pull).sum())
        };
        let mut slopes = vec![1.0; latents.len()];
        engine.add_slopes(&latents, &pull, &mut slopes)?;
        for index in 0..latents.len() {
            let moved = |by: f32| {
                let mut moved = latents.clone();
                moved[index] += by;
                energy(&moved)
            };
            let numeric = (moved(2e-3)? - moved(-2e-3)?) / 4e-3;
            let off = (slopes[index] - 1.0 - numeric).abs();
            assert!(off < 2e-2 * (1.0 + numeric.abs()), "{index}: {} against {numeric}", slopes[index] - 1.0);
        }
        assert!(engine.add_slopes(&latents, &pull[1..], &mut slopes).is_err());
        Ok(())
    }
}
