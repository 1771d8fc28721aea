//! A state probe on plain slices: many latents at a time, and gradients on them.

use super::StateProbe;
use crate::layers::Linear;
use crate::linear_probe::ProbeErrors;
use crate::mlp_backward::{BackwardScratch, MlpBackward, SavedActivations};
use crate::ops::{InferenceLinear, Precision};
use crate::scratch::BufferPool;
use crate::{Error, Result};

/// Latents read together: their buffers stay in the second-level cache.
const GROUP: usize = 64;
/// Smallest squared length of an angle's sine and cosine by which gradients are divided: they stay finite where the
/// angle is undefined.
const SMALLEST_SQUARED_LENGTH: f32 = 1e-4;

/// A state probe with fixed weights.
#[derive(Debug, Clone)]
pub struct StateProbeEngine {
    names: Vec<String>,
    step_scales: Vec<f32>,
    angles: Vec<bool>,
    latent_width: usize,
    linear: (InferenceLinear, InferenceLinear),
    mlp: MlpBackward,
    output: (InferenceLinear, InferenceLinear),
    pool: BufferPool<Tape>,
}

/// What a group of latents keeps in the forward pass, and the scratch memory of its backward pass.
#[derive(Debug, Default)]
struct Tape {
    saved: Vec<SavedActivations>,
    hidden: Vec<f32>,
    columns: Vec<f32>,
    on_latents: Vec<f32>,
    scratch: BackwardScratch,
}

impl StateProbeEngine {
    /// Copies the weights of `state_probe`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(state_probe: &StateProbe) -> Result<Self> {
        let (config, trunk) = (&state_probe.config, &state_probe.trunk);
        let both = |linear: &Linear| -> Result<_> { Ok((linear.packed(Precision::F32)?, linear.transposed()?)) };
        Ok(Self {
            names: config.state_names.clone(),
            step_scales: config.step_scales.clone(),
            angles: config.angles(),
            latent_width: config.latent_width,
            linear: both(&state_probe.linear)?,
            mlp: MlpBackward::new((&trunk.input, &trunk.input_norm), &trunk.layers, true)?,
            output: both(&state_probe.output)?,
            pool: BufferPool::default(),
        })
    }

    /// Names of the `K` dimensions that are read.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What counts as one step of each dimension, in its unit, `[K]`.
    pub fn step_scales(&self) -> &[f32] {
        &self.step_scales
    }

    /// States `[N, K]` of `latents [N, D]`; angles from -π to π.
    ///
    /// # Errors
    /// [`Error::Shape`] when there are no whole latents.
    pub fn read(&self, latents: &[f32]) -> Result<Vec<f32>> {
        self.require(latents)?;
        let mut states = Vec::with_capacity(latents.len() / self.latent_width * self.angles.len());
        self.pool.lend(|tape| {
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

    /// Adds the gradients on `latents [N, D]` to `gradients [N, D]`, given those on the states read from them,
    /// `upstream [N, K]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn add_gradients(&self, latents: &[f32], upstream: &[f32], gradients: &mut [f32]) -> Result<()> {
        self.require(latents)?;
        let (width, names) = (self.latent_width, self.angles.len());
        if gradients.len() != latents.len() || upstream.len() * width != latents.len() * names {
            return Err(Error::Shape {
                operation: "gradients of a state probe",
                expected: format!("gradients on {names} numbers of every latent"),
                got: format!("{} gradients for {} latents", upstream.len(), latents.len() / width),
            });
        }
        self.pool.lend(|tape| {
            let groups = latents.chunks(GROUP * width).zip(upstream.chunks(GROUP * names));
            for ((latents, upstream), gradients) in groups.zip(gradients.chunks_mut(GROUP * width)) {
                self.forward(latents, tape);
                self.back(upstream, gradients, tape);
            }
        });
        Ok(())
    }

    /// Errors of reading `states [N, K]` from `latents [N, D]`, measured as those of a linear probe.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn errors_on(&self, latents: &[f32], states: &[f32]) -> Result<ProbeErrors> {
        let read = self.read(latents)?;
        if read.len() != states.len() {
            let (expected, got) = (format!("{} states", read.len()), states.len().to_string());
            return Err(Error::Shape { operation: "errors of a state probe", expected, got });
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

    /// Fills `tape` with the activations and columns of `latents [n, D]`.
    fn forward(&self, latents: &[f32], tape: &mut Tape) {
        tape.saved.resize(self.mlp.len(), SavedActivations::default());
        self.mlp.forward(latents, &mut tape.hidden, &mut tape.saved, &mut tape.scratch);
        self.linear.0.replace(latents, &mut tape.columns, &mut tape.scratch.rounded);
        self.output.0.apply(&tape.hidden, &mut tape.columns, true, &mut tape.scratch.rounded);
    }

    /// Adds gradients on the latents of `tape` to `gradients [n, D]` from those on states, `upstream [n, K]`.
    fn back(&self, upstream: &[f32], gradients: &mut [f32], tape: &mut Tape) {
        // From here on `columns` holds the gradients on the columns, `hidden` those on the hidden state.
        let states = upstream.chunks_exact(self.angles.len());
        for (columns, upstream) in tape.columns.chunks_exact_mut(self.output.0.outputs()).zip(states) {
            let mut at = 0;
            for (&upstream, &angle) in upstream.iter().zip(&self.angles) {
                if angle {
                    let (sine, cosine) = (columns[at], columns[at + 1]);
                    let length = (sine * sine + cosine * cosine).max(SMALLEST_SQUARED_LENGTH);
                    (columns[at], columns[at + 1]) = (upstream * cosine / length, -upstream * sine / length);
                } else {
                    columns[at] = upstream;
                }
                at += 1 + usize::from(angle);
            }
        }
        self.linear.1.apply(&tape.columns, gradients, true, &mut tape.scratch.rounded);
        self.output.1.replace(&tape.columns, &mut tape.hidden, &mut tape.scratch.rounded);
        self.mlp.back(&mut tape.hidden, &mut tape.on_latents, &tape.saved, &mut tape.scratch);
        gradients.iter_mut().zip(&tape.on_latents).for_each(|(sum, gradient)| *sum += gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads::Head;
    use crate::heads::state_probe::StateProbeConfig;
    use crate::ops::{tensor, with_values};
    use crate::parameters::WeightSource;
    use mindseye_interface::Seed;

    fn state_probe() -> Result<StateProbe> {
        let config = StateProbeConfig {
            latent_width: 5,
            state_names: vec!["x_m".into(), "turn_rad".into(), "y_m".into()],
            step_scales: vec![0.1; 3],
            hidden: 16,
            layers: 2,
        };
        StateProbe::build(config, WeightSource::fresh(Seed::new(3)))
    }

    fn latents(count: usize) -> Vec<f32> {
        (0..count * 5).map(|index| ((index * index) as f32 * 0.713).sin()).collect()
    }

    #[test]
    fn the_engine_gives_what_the_network_gives_row_by_row() -> Result<()> {
        let (state_probe, latents) = (state_probe()?, latents(150));
        let engine = StateProbeEngine::new(&state_probe)?;
        let columns = state_probe.forward(&tensor(latents.clone(), (150, 5))?)?;
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
    fn gradients_are_those_of_finite_differences() -> Result<()> {
        let (engine, latents) = (StateProbeEngine::new(&state_probe()?)?, latents(4));
        let upstream: Vec<f32> = (0..12).map(|index| (index as f32 * 1.3).cos()).collect();
        let energy = |latents: &[f32]| -> Result<f32> {
            Ok(engine.read(latents)?.iter().zip(&upstream).map(|(value, upstream)| value * upstream).sum())
        };
        let mut gradients = vec![1.0; latents.len()];
        engine.add_gradients(&latents, &upstream, &mut gradients)?;
        for index in 0..latents.len() {
            let moved = |by: f32| {
                let mut moved = latents.clone();
                moved[index] += by;
                energy(&moved)
            };
            let numeric = (moved(2e-3)? - moved(-2e-3)?) / 4e-3;
            let off = (gradients[index] - 1.0 - numeric).abs();
            assert!(off < 2e-2 * (1.0 + numeric.abs()), "{index}: {} against {numeric}", gradients[index] - 1.0);
        }
        assert!(engine.add_gradients(&latents, &upstream[1..], &mut gradients).is_err());
        Ok(())
    }
}
