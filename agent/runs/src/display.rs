//! What is computed of a tick for people alone, after its decision. Nothing in a run depends on it.

use std::sync::Arc;

use mindseye_agent::cost::{LearnedEstimator, StateEstimator};
use mindseye_agent::{Agent, LatentShape, ModelSource, Plan, Plans, Rollouts};
use mindseye_interface::{Clock as _, Image, Observation, StateSchema, SystemClock};
use mindseye_world_model::{Decoder, Dynamics, InferenceOptions, SampleSource};

use crate::record::{ImaginedPlan, TickRecord};
use crate::{Detail, Result, RunSetup};

/// The heads of a model that show what it thinks.
pub(crate) struct Display {
    source: ModelSource,
    detail: Detail,
    probe: Option<LearnedEstimator>,
    names: Vec<String>,
    /// A decoder that was read from a file; that of a JEPA is in its memory.
    decoder: Option<Arc<Decoder>>,
    /// Dynamics with several samples.
    samples: Option<Box<dyn Dynamics>>,
}

impl Display {
    /// What the model of `setup` has of it.
    pub fn new(setup: &RunSetup) -> Result<Self> {
        let (source, detail) = (setup.source.clone(), setup.detail);
        let shape = source.model().spec().latent;
        let probe = source.state_probe()?.map(|probe| LearnedEstimator::of_tokens(&probe, shape)).transpose()?;
        let decoder = match &source {
            ModelSource::Any(checkpoint) if detail.strip => checkpoint.head::<Decoder>()?,
            _ => None,
        };
        let wants_samples = detail.samples > 0 && probe.is_some();
        let samples = if wants_samples { sampled_dynamics(setup)? } else { None };
        let names = probe.as_ref().map(|probe| probe.names().to_vec()).unwrap_or_default();
        Ok(Self { source, detail, probe, names, decoder, samples })
    }

    /// Names of what the state probe reads, with their units; none without one.
    pub fn probe_names(&self) -> &[String] {
        &self.names
    }

    /// Adds to `record` what is there for display of the newest tick of `agent`, which observed `observation`.
    pub fn show(&self, record: &mut TickRecord, agent: &Agent, observation: &Observation) -> Result<()> {
        let clock = SystemClock::start();
        let report = &record.report;
        let shape = self.source.model().spec().latent;
        if record.latent.is_empty() {
            return Ok(()); // the tick failed
        }
        let perceived = agent.memory().recent(1).first().map(|newest| newest.latent.values().to_vec());
        record.read_state = match (&self.probe, perceived) {
            (Some(probe), Some(perceived)) => Some(probe.read(&perceived)?),
            _ => None,
        };
        let best = Plans::from(&report.plan);
        let rollout = match &report.expected {
            Some(expected) => Some(expected.clone()),
            None => agent.imagine(report, observation, &best, None)?,
        };
        if let Some(rollout) = rollout {
            let energy = report.planning_energies.last().copied().unwrap_or(f32::NAN);
            record.best = Some(self.imagined(&rollout, 0, energy, &report.plan)?);
            record.strip = self.drawn(&rollout, shape)?;
        }
        let mut candidates: Vec<(&Plan, f32)> =
            report.candidates.iter().map(|(plan, energy)| (plan, *energy)).collect();
        candidates.sort_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((first, _)) = candidates.first() {
            let values: Vec<f32> = candidates.iter().flat_map(|(plan, _)| plan.values()).copied().collect();
            let plans = Plans::new(candidates.len(), first.horizon(), first.chunk_width(), values)?;
            if let Some(rollouts) = agent.imagine(report, observation, &plans, None)? {
                let imagined = candidates.iter().enumerate();
                let imagined = imagined.map(|(index, (plan, energy))| self.imagined(&rollouts, index, *energy, plan));
                record.candidates = imagined.collect::<Result<_>>()?;
            }
        }
        if let Some(dynamics) = &self.samples
            && let Some(rollouts) = agent.imagine(report, observation, &best, Some(dynamics.as_ref()))?
        {
            let count = rollouts.samples().min(self.detail.samples);
            let samples = (0..count).map(|sample| self.states(&rollouts, 0, sample));
            record.samples = samples.collect::<Result<_>>()?;
            record.spread = spread(&record.samples, &self.names);
        }
        record.display_ms += clock.now_secs() * 1e3;
        Ok(())
    }

    /// The plan number `index` of `rollouts`.
    fn imagined(&self, rollouts: &Rollouts, index: usize, energy: f32, plan: &Plan) -> Result<ImaginedPlan> {
        let last = rollouts.horizon().saturating_sub(1);
        let end = if rollouts.horizon() > 0 { rollouts.state(index, 0, last).values().to_vec() } else { Vec::new() };
        let shape = LatentShape { tokens: rollouts.tokens(), width: rollouts.width() };
        Ok(ImaginedPlan {
            energy,
            actions: plan.values().to_vec(),
            states: self.states(rollouts, index, 0)?,
            end: mean_token(&end, shape),
        })
    }

    /// What the probe reads from a sample of a plan, `[H][K']`; nothing without a probe.
    fn states(&self, rollouts: &Rollouts, plan: usize, sample: usize) -> Result<Vec<Vec<f32>>> {
        let Some(probe) = &self.probe else { return Ok(Vec::new()) };
        let states = (0..rollouts.horizon()).map(|chunk| rollouts.state(plan, sample, chunk));
        let values: Vec<f32> = states.flat_map(|state| state.values().to_vec()).collect();
        Ok(probe.read(&values)?.chunks_exact(self.names.len().max(1)).map(<[f32]>::to_vec).collect())
    }

    /// The states of the first plan's first sample, drawn; nothing without a decoder, which draws states of one token.
    fn drawn(&self, rollout: &Rollouts, shape: LatentShape) -> Result<Vec<Image>> {
        let decoder = match (&self.source, &self.decoder) {
            (ModelSource::Jepa(checkpoint), _) => checkpoint.decoder.as_ref(),
            (_, decoder) => decoder.as_deref(),
        };
        let Some(decoder) = decoder.filter(|_| self.detail.strip && shape.tokens == 1) else { return Ok(Vec::new()) };
        let states = (0..rollout.horizon()).map(|chunk| rollout.state(0, 0, chunk));
        let values: Vec<f32> = states.flat_map(|state| state.values().to_vec()).collect();
        if values.is_empty() { Ok(Vec::new()) } else { Ok(decoder.draw(&values)?) }
    }
}

/// Dynamics of several samples: of the stochastic predictor, else of the ensemble; `None` without either.
fn sampled_dynamics(setup: &RunSetup) -> Result<Option<Box<dyn Dynamics>>> {
    if matches!(setup.source, ModelSource::Model(_)) {
        return Ok(None); // it has no heads
    }
    let (precision, threads) = (setup.task.precision, setup.threads.max(1));
    for samples in [SampleSource::Stochastic { samples: setup.detail.samples }, SampleSource::Ensemble] {
        match setup.source.dynamics(&InferenceOptions { precision, threads, samples }) {
            Err(mindseye_agent::Error::Model(mindseye_world_model::Error::MissingHead { .. })) => {}
            dynamics => return Ok(Some(dynamics?)),
        }
    }
    Ok(None)
}

/// How far `samples [S][H][K']` are apart after each chunk `[H]`, see [`TickRecord::spread`].
fn spread(samples: &[Vec<Vec<f32>>], names: &[String]) -> Vec<f32> {
    let schema = StateSchema::named(names);
    let with = |wanted: &dyn Fn(usize) -> bool| -> Vec<usize> { (0..schema.len()).filter(|&k| wanted(k)).collect() };
    let positions = with(&|k| schema.0[k].unit == "m");
    let dimensions = if positions.is_empty() { with(&|k| !schema.0[k].is_angle()) } else { positions };
    let count = samples.len().max(1) as f64;
    let variance = |chunk: usize, dimension: usize| {
        let values = || samples.iter().map(move |sample| f64::from(sample[chunk][dimension]));
        let mean = values().sum::<f64>() / count;
        values().map(|value| (value - mean).powi(2)).sum::<f64>() / count
    };
    let of_chunk = |chunk: usize| {
        let sum: f64 = dimensions.iter().map(|&dimension| variance(chunk, dimension)).sum();
        (sum / dimensions.len().max(1) as f64).sqrt() as f32
    };
    (0..samples.first().map_or(0, Vec::len)).map(of_chunk).collect()
}

/// The mean over tokens of a state `[P, D]`, `[D]`.
pub(crate) fn mean_token(state: &[f32], shape: LatentShape) -> Vec<f32> {
    if shape.tokens <= 1 {
        return state.to_vec();
    }
    let mean = |index: usize| state.iter().skip(index).step_by(shape.width).sum::<f32>() / shape.tokens as f32;
    (0..shape.width.min(state.len())).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_the_standard_deviation_over_positions_alone() {
        let names: Vec<String> = ["x_m", "y_m", "turn_rad"].map(String::from).to_vec();
        let sample = |x: f32, y: f32, turn: f32| vec![vec![0.0, 0.0, turn], vec![x, y, turn]];
        let spread_of = |names: &[String]| spread(&[sample(1.0, 0.0, 9.0), sample(-1.0, 0.0, -9.0)], names);
        let apart = spread_of(&names);
        assert_eq!(apart[0], 0.0);
        assert!((apart[1] - 0.5f32.sqrt()).abs() < 1e-6, "variances 1 and 0: {apart:?}");
        let other: Vec<String> = ["speed_m_per_s", "grip", "turn_rad"].map(String::from).to_vec();
        assert!((spread_of(&other)[1] - 0.5f32.sqrt()).abs() < 1e-6, "without positions all but angles count");
        assert!(spread(&[], &names).is_empty());
    }

    #[test]
    fn the_mean_token_is_the_mean_over_tokens() {
        let shape = LatentShape { tokens: 2, width: 3 };
        assert_eq!(mean_token(&[1.0, 2.0, 3.0, 5.0, 6.0, 9.0], shape), [3.0, 4.0, 6.0]);
        assert_eq!(mean_token(&[1.0, 2.0], LatentShape::global(2)), [1.0, 2.0]);
        assert_eq!(mean_token(&[], shape), [0.0f32; 0]);
    }
}
