//! What a LeWM computes from the inputs of a parity file, under the names that such files use.

use std::path::Path;

use candle_core::Tensor;
use mindseye_interface::MemoryLimit;

use super::engine::LewmEngine;
use super::network::Lewm;
use crate::ops::{product, sigreg, tensor, with_values};
use crate::parity::{Io, IoTensor, ParityReport, Quantity, compared};
use crate::{Error, Result};

/// Weight of the regulariser in the authors' training loss.
const SIGREG_WEIGHT: f64 = 0.09;
/// Knots of the regulariser's integral.
const KNOTS: usize = 17;
/// Rounds of the cross-entropy method keep so many of their samples.
const ELITES: usize = 4;

/// Compares the LeWM in `folder` with the expected outputs beside it.
pub(in crate::families) fn check(folder: &Path, memory: MemoryLimit) -> Result<ParityReport> {
    let io = Io::read(folder, memory)?;
    let model = Lewm::load_within(folder, memory)?;
    let quantities = Inputs { io: &io, model: &model }.quantities()?;
    Ok(ParityReport { model: format!("lewm: {}", model.config()), outputs: compared(&io.outputs, &quantities) })
}

struct Inputs<'a> {
    io: &'a Io,
    model: &'a Lewm,
}

fn values_of(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(with_values(tensor, <[f32]>::to_vec)?)
}

impl Inputs<'_> {
    fn tensor(&self, name: &str) -> Result<Option<Tensor>> {
        let of = |io: &IoTensor| tensor(io.values.clone(), io.shape.clone());
        Ok(self.io.inputs.get(name).map(of).transpose()?)
    }

    fn quantities(&self) -> Result<Vec<Quantity>> {
        let mut all = Vec::new();
        let Some(pixels) = self.tensor("pixels")? else {
            let expected = "in.pixels [B, T, 3, H, W]".into();
            let got = format!("{:?}", self.io.inputs.keys().collect::<Vec<_>>());
            return Err(Error::Shape { operation: "checking parity of a LeWM", expected, got });
        };
        let (batch, frames, ..) = pixels.dims5()?;
        let width = self.model.config().width();
        let images = pixels.flatten_to(1)?;
        all.push(Quantity::new(&["encoder.embeddings"], values_of(&self.model.patch_tokens(&images)?)?));
        all.push(Quantity::new(&["encoder.cls"], values_of(&self.model.class_tokens(&images)?)?));
        let embeddings = self.model.embed(&images)?.reshape((batch, frames, width))?;
        all.push(Quantity::new(&["emb"], values_of(&embeddings)?));
        let mut goal = None;
        for (name, [tokens, embedding]) in [
            ("goal_pixels", ["goal.embeddings", "goal_emb"]),
            ("resized_pixels", ["resized.embeddings", "resized.emb"]),
        ] {
            let Some(pixels) = self.tensor(name)? else { continue };
            let images = pixels.flatten_to(1)?;
            all.push(Quantity::new(&[tokens], values_of(&self.model.patch_tokens(&images)?)?));
            let embedded = self.model.embed(&images)?;
            all.push(Quantity::new(&[embedding], values_of(&embedded)?));
            goal = if name == "goal_pixels" { Some(embedded) } else { goal };
        }
        let Some(actions) = self.tensor("actions")? else { return Ok(all) };
        let embedded = self.model.embed_actions(&actions.flatten_to(1)?)?.reshape((batch, (), width))?;
        all.push(Quantity::new(&["act_emb"], values_of(&embedded)?));
        let history = self.model.config().predictor.history.min(frames);
        for seen in 1..=history {
            let first = |tensor: &Tensor| tensor.narrow(1, 0, seen)?.contiguous();
            let (frames, actions) = (first(&embeddings)?, first(&embedded)?);
            let raw = self.model.predict_raw(&frames, &actions)?;
            all.push(Quantity::new(&[&format!("predictor.t{seen}")], values_of(&raw)?));
            let predicted = self.model.predict(&frames, &actions)?;
            all.push(Quantity::new(&[&format!("pred.t{seen}")], values_of(&predicted)?));
            if let Some(small) = self.tensor("small_emb")?.filter(|small| small.dims().get(1) == Some(&seen)) {
                let raw = self.model.predict_raw(&small, &actions)?;
                all.push(Quantity::new(&["small.predictor"], values_of(&raw)?));
            }
        }
        if let Some(goal) = &goal {
            self.rollouts(&embeddings, &actions, goal, &mut all)?;
            self.rounds(&embeddings, goal, &mut all)?;
        }
        self.training(&pixels, &actions, &mut all)?;
        Ok(all)
    }

    /// Rolled out candidates and their costs, after one frame and after several.
    fn rollouts(&self, frames: &Tensor, actions: &Tensor, goal: &Tensor, all: &mut Vec<Quantity>) -> Result<()> {
        let Some(candidates) = self.tensor("candidates")? else { return Ok(()) };
        let engine = LewmEngine::new(self.model)?;
        let (batch, count, width) = frames.dims3()?;
        let (_, _, horizon, _) = candidates.dims4()?;
        for seen in 1..=count {
            let (mut costs, mut rollouts) = (Vec::new(), Vec::new());
            for world in 0..batch {
                let context = values_of(&frames.get(world)?.narrow(0, 0, seen)?)?;
                let past = if seen > 1 { values_of(&actions.get(world)?.narrow(0, 0, seen - 1)?)? } else { Vec::new() };
                let rolled = engine.rollout(&context, &past, &values_of(&candidates.get(world)?)?, horizon, 1)?;
                for rollout in rolled.chunks_exact(horizon * width) {
                    rollouts.extend_from_slice(&context);
                    rollouts.extend_from_slice(rollout);
                }
                costs.extend(costs_of(&rolled, horizon, &values_of(&goal.get(world)?)?));
            }
            all.push(Quantity::new(&[&format!("rollout.h{seen}")], rollouts));
            all.push(Quantity::relative(&format!("cost.h{seen}"), costs, 1e-4));
        }
        Ok(())
    }

    /// Rounds of the cross-entropy method from mean 0 and standard deviation 1, the mean being candidate 0.
    fn rounds(&self, frames: &Tensor, goal: &Tensor, all: &mut Vec<Quantity>) -> Result<()> {
        let Some(noise) = self.tensor("cem.noise")? else { return Ok(()) };
        let engine = LewmEngine::new(self.model)?;
        let (rounds, batch, samples, horizon, chunk) = noise.dims5()?;
        let len = horizon * chunk;
        let mut state = vec![(vec![0.0f32; len], vec![1.0f32; len]); batch];
        let (mut costs, mut elites, mut means, mut stds) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            for (world, (mean, std)) in state.iter_mut().enumerate() {
                let noise = values_of(&noise.get(round)?.get(world)?)?;
                let mut plans: Vec<f32> = Vec::with_capacity(noise.len());
                for noise in noise.chunks_exact(len) {
                    let drawn = noise.iter().zip(std.iter()).zip(mean.iter());
                    plans.extend(drawn.map(|((noise, std), mean)| noise * std + mean));
                }
                plans[..len].copy_from_slice(mean);
                let context = values_of(&frames.get(world)?.narrow(0, 0, 1)?)?;
                let rolled = engine.rollout(&context, &[], &plans, horizon, 1)?;
                let of_plans = costs_of(&rolled, horizon, &values_of(&goal.get(world)?)?);
                let mut order: Vec<usize> = (0..samples).collect();
                order.sort_by(|&a, &b| of_plans[a].total_cmp(&of_plans[b]));
                order.truncate(ELITES);
                for at in 0..len {
                    let values: Vec<f32> = order.iter().map(|plan| plans[plan * len + at]).collect();
                    mean[at] = values.iter().sum::<f32>() / values.len() as f32;
                    let squares: f32 = values.iter().map(|value| (value - mean[at]).powi(2)).sum();
                    std[at] = (squares / (values.len() - 1) as f32).sqrt();
                }
                costs.extend(of_plans);
                elites.extend(order.iter().map(|&index| index as f32));
                means.extend_from_slice(mean);
                stds.extend_from_slice(std);
            }
        }
        all.push(Quantity::relative("cem.costs", costs, 1e-4));
        all.push(Quantity::new(&["cem.elites"], elites));
        all.push(Quantity::new(&["cem.mean"], means));
        all.push(Quantity::new(&["cem.std"], stds));
        Ok(())
    }

    /// One training step's forward pass, losses, gradients and statistics, in training mode.
    fn training(&self, pixels: &Tensor, actions: &Tensor, all: &mut Vec<Quantity>) -> Result<()> {
        let Some(gaussian) = self.tensor("sigreg.gaussian")? else { return Ok(()) };
        let lengths = gaussian.sqr()?.sum_keepdim(0)?.sqrt()?;
        let directions = gaussian.broadcast_div(&lengths)?;
        all.push(Quantity::new(&["sigreg.directions"], values_of(&directions)?));
        let directions = directions.t()?.contiguous()?;
        if let Some(projected) = self.tensor("sigreg.proj")? {
            let (frames, batch, _) = projected.dims3()?;
            let mut sum = 0.0;
            for frame in 0..frames {
                let projections = product(&projected.get(frame)?, &directions)?;
                sum += batch as f32 * sigreg(&projections, KNOTS)?.to_scalar::<f32>()?;
            }
            all.push(Quantity::relative("sigreg.statistic", vec![sum / frames as f32], 1e-4));
        }
        let pass = self.model.training_pass(pixels, actions, &directions)?;
        all.push(Quantity::new(&["train.emb"], values_of(&pass.embeddings)?));
        all.push(Quantity::new(&["train.pred"], values_of(&pass.predictions)?));
        let total = (&pass.prediction + (&pass.sigreg * SIGREG_WEIGHT)?)?;
        let losses = Tensor::stack(&[&pass.prediction, &pass.sigreg, &total], 0)?;
        all.push(Quantity::relative("train.loss", values_of(&losses)?, 1e-4));
        let gradients = total.backward()?;
        let trained = self.model.weights().iter().filter(|(name, _)| !name.contains("running_"));
        let mut square = 0.0f64;
        for (name, var) in trained {
            let Some(gradient) = gradients.get(var) else { continue };
            let values = values_of(gradient)?;
            square += values.iter().map(|value| f64::from(value * value)).sum::<f64>();
            all.push(Quantity::relative(&format!("grad.{name}"), values, 1e-3));
        }
        all.push(Quantity::relative("grad.total_norm", vec![square.sqrt() as f32], 1e-3));
        self.model.remember_statistics(&pass)?;
        for (name, var) in self.model.weights().iter().filter(|(name, _)| name.contains("running_")) {
            let name = format!("train.{}", name.replace("net.1.", ""));
            all.push(Quantity::new(&[name.as_str()], values_of(var)?));
        }
        Ok(())
    }
}

/// Squared distances of the last embeddings of rollouts `[N, H, D]` to the goal.
fn costs_of(rollouts: &[f32], horizon: usize, goal: &[f32]) -> Vec<f32> {
    let ends = rollouts.chunks_exact(horizon * goal.len()).map(|rollout| &rollout[(horizon - 1) * goal.len()..]);
    ends.map(|end| end.iter().zip(goal).map(|(value, goal)| (value - goal) * (value - goal)).sum()).collect()
}
