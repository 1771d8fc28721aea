//! What is computed from the inputs of a parity file, under the names that such files use.

use std::path::Path;

use super::action_predictor::{ActionContext, ActionPredictor};
use super::blocks::standardised;
use super::classifier::AttentiveClassifier;
use super::config::VitKind;
use super::encoder::{Clip, Grid, Stage, VitEncoder};
use super::fields::Fields;
use super::folder::{Vit, VitOptions};
use super::parity_inputs::{Pairs, clip_size, clips, mask_pairs, mask_token, within};
use super::predictor::{Masked, Predicted, VitPredictor};
use super::sincos::{SinCos, sincos};
use crate::parity::{Io, IoTensor, ParityReport, Quantity, compared};
use crate::{Error, Result};

/// Compares the model in `folder`, or the tables of positions that its file is about, with the expected outputs.
pub(in crate::families) fn check(folder: &Path, options: &VitOptions) -> Result<ParityReport> {
    let io = Io::read(folder, options.memory.unwrap_or_default())?;
    if let Some(tables) = tables(&io) {
        let model = "fixed positions of sines and cosines".into();
        return Ok(ParityReport { model, outputs: compared(&io.others, &tables) });
    }
    let vit = Vit::load(folder, &VitOptions { clip: options.clip.or_else(|| clip_size(&io)), ..*options })?;
    let mut quantities = Vec::new();
    if let Some(encoder) = vit.encoder() {
        let pixels: Vec<(&String, &IoTensor)> =
            io.inputs.iter().filter(|(_, tensor)| [4, 5].contains(&tensor.shape.len()) && !tensor.is_whole).collect();
        for (name, tensor) in &pixels {
            let prefix = if pixels.len() == 1 { String::new() } else { format!("{name}.") };
            of_pixels(&vit, encoder, &io, tensor, &prefix, &mut quantities)?;
        }
    }
    if let Some(actions) = vit.actions() {
        let fields = Fields::read(folder)?;
        quantities.extend(of_actions(actions, &io, &fields)?);
    }
    if let (None, Some(classifier)) = (vit.encoder(), vit.classifier()) {
        let mut collected = Collected::default();
        for tensor in io.inputs.values().filter(|tensor| tensor.shape.len() == 3) {
            let len = tensor.shape[1] * tensor.shape[2];
            tensor
                .values
                .chunks_exact(len.max(1))
                .try_for_each(|one| of_classifier(classifier, one, &mut collected))?;
        }
        quantities.extend(collected.quantities(""));
    }
    if quantities.is_empty() {
        let expected = "in.pixel_values (4 or 5 dimensions), or in.features, in.actions and in.states";
        let got = format!("{:?}", io.inputs.keys().collect::<Vec<_>>());
        return Err(Error::Shape { operation: "checking parity", expected: expected.into(), got });
    }
    Ok(ParityReport { model: vit.to_string(), outputs: compared(&io.outputs, &quantities) })
}

/// The tables that a file without inputs names: `sincos3d.uniform.d32.t2h2w2`.
fn tables(io: &Io) -> Option<Vec<Quantity>> {
    let mut tables = Vec::new();
    for (name, tensor) in &io.others {
        let mut parts = name.split('.');
        let kind = match (parts.next()?, parts.next()?) {
            ("sincos3d", "uniform") => SinCos::Uniform,
            ("sincos3d", "split") => SinCos::Split,
            ("sincos2d", "ijepa") => SinCos::ColumnFirst,
            ("sincos2d", "vjepa") => SinCos::RowFirst,
            _ => return None,
        };
        let numbers = |text: &str| -> Vec<usize> {
            text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
        };
        let width = *numbers(parts.next()?).first()?;
        let grid = match numbers(parts.next()?).as_slice() {
            [rows, columns] => [1, *rows, *columns],
            [frames, rows, columns] => [*frames, *rows, *columns],
            _ => return None,
        };
        let expected = grid.iter().try_fold(width, |all, size| all.checked_mul(*size))?;
        if expected != tensor.values.len() {
            return None;
        }
        tables.push(Quantity { tolerance: 1e-6, ..Quantity::new(&[name.as_str()], sincos(kind, width, grid)) });
    }
    (io.inputs.is_empty() && io.outputs.is_empty() && !tables.is_empty()).then_some(tables)
}

/// Values by name, each for all clips of a batch one after the other.
#[derive(Default)]
struct Collected(Vec<(Vec<String>, Vec<f32>)>);

impl Collected {
    fn add(&mut self, names: &[&str], values: &[f32]) {
        match self.0.iter_mut().find(|(known, _)| known.first().is_some_and(|known| known == names[0])) {
            Some((_, all)) => all.extend_from_slice(values),
            None => self.0.push((names.iter().map(|name| (*name).to_owned()).collect(), values.to_vec())),
        }
    }

    fn quantities(self, prefix: &str) -> impl Iterator<Item = Quantity> {
        self.0.into_iter().map(move |(names, values)| {
            let names: Vec<String> = names.iter().map(|name| format!("{prefix}{name}")).collect();
            Quantity::new(&names.iter().map(String::as_str).collect::<Vec<_>>(), values)
        })
    }
}

fn of_pixels(
    vit: &Vit,
    encoder: &VitEncoder,
    io: &Io,
    pixels: &IoTensor,
    prefix: &str,
    quantities: &mut Vec<Quantity>,
) -> Result<()> {
    let all = clips(pixels, encoder.config().channels, vit)?;
    let mut collected = Collected::default();
    for clip in &all {
        of_clip(vit, encoder, &clip.view(), &mut collected)?;
    }
    quantities.extend(collected.quantities(prefix));
    if let Some(predictor) = vit.predictor() {
        let views: Vec<Clip<'_>> = all.iter().map(|clip| clip.view()).collect();
        let tokens = views.first().map_or(Ok(0), |clip| encoder.grid(clip).map(Grid::tokens))?;
        let pairs = within(mask_pairs(io, views.len()), tokens);
        let masking = Masking { vit, encoder, predictor, clips: &views };
        // Both kinds of masks of V-JEPA have a token of their own; later recipes use number 1.
        let tokens: Vec<usize> = match (mask_token(io), vit.config().kind) {
            (Some(number), _) => vec![number],
            (None, VitKind::Vjepa) => vec![1, 0],
            (None, _) => vec![1],
        };
        for token in tokens {
            quantities.extend(masking.quantities(&pairs, token)?.quantities(prefix));
        }
    }
    Ok(())
}

/// The grid by which a ported model counts positions.
fn counted(vit: &Vit, encoder: &VitEncoder) -> Option<[usize; 2]> {
    let is_fixed = vit.is_ported() && vit.config().kind == VitKind::Vjepa2;
    is_fixed.then(|| [encoder.config().grid()[1], encoder.config().grid()[2]])
}

fn of_clip(vit: &Vit, encoder: &VitEncoder, clip: &Clip<'_>, collected: &mut Collected) -> Result<()> {
    let width = encoder.width();
    let last = encoder.encode_observed(clip, None, counted(vit, encoder), &mut |stage, values| match stage {
        Stage::Patches => collected.add(&["encoder.patch_embed", "patch_embed"], values),
        Stage::Embedded => collected.add(&["embeddings", "encoder.embeddings"], values),
        Stage::Block(block) => {
            collected.add(&[&format!("encoder.block{block}"), &format!("block{block}")], values);
        }
        Stage::Level(level) => {
            collected.add(&[&format!("encoder.level{level}"), &format!("encoder.norms_block{level}")], values);
        }
    })?;
    collected.add(&["encoder.last_hidden_state", "last_hidden_state", "features"], &last);
    collected.add(&["target", "encoder.normalised"], &standardised(&last, width));
    collected.add(&["mean_token"], &mean_token(&last[encoder.prefix() * width..], width));
    if encoder.config().class_token {
        collected.add(&["pooler_output", "class_token"], &last[..width]);
        collected.add(&["patch_tokens"], &last[encoder.prefix() * width..]);
    }
    let levels = encoder.encode_levels(clip, None)?;
    if levels.len() > last.len() {
        collected.add(&["encoder.hierarchical", "encoder.levels"], &levels);
    }
    if let Some(classifier) = vit.classifier() {
        of_classifier(classifier, &last, collected)?;
    }
    Ok(())
}

fn of_classifier(classifier: &AttentiveClassifier, tokens: &[f32], collected: &mut Collected) -> Result<()> {
    let pooled = classifier.pool(tokens)?;
    collected.add(&["pooled"], &pooled);
    collected.add(&["logits"], &classifier.logits(&pooled));
    collected.add(&["probabilities"], &classifier.classify(tokens)?);
    Ok(())
}

fn mean_token(tokens: &[f32], width: usize) -> Vec<f32> {
    let count = (tokens.len() / width.max(1)).max(1) as f32;
    let mut mean = vec![0.0; width];
    for token in tokens.chunks_exact(width) {
        mean.iter_mut().zip(token).for_each(|(mean, value)| *mean += value / count);
    }
    mean
}

/// Predictions of masked tokens of a batch of clips.
struct Masking<'a> {
    vit: &'a Vit,
    encoder: &'a VitEncoder,
    predictor: &'a VitPredictor,
    clips: &'a [Clip<'a>],
}

impl Masking<'_> {
    fn quantities(&self, pairs: &Pairs, mask_token: usize) -> Result<Collected> {
        let mut collected = Collected::default();
        for (index, clip) in self.clips.iter().enumerate() {
            let (tokens, full) = (self.encode(clip, None)?, (0..self.grid(clip)?.tokens()).collect::<Vec<_>>());
            if self.encoder.prefix() > 0 {
                return Ok(collected);
            }
            let predicted = self.predict(clip, &tokens, &full, &full, mask_token)?;
            collected.add(&["predictor.full"], &predicted.targets);
            if index == 0 && !predicted.context.is_empty() {
                collected.add(&["predictor.full.context"], &predicted.context);
            }
        }
        for (pair, masks) in pairs.iter().enumerate() {
            let mut losses = [Vec::new(), Vec::new()];
            for (index, (clip, [context, target])) in self.clips.iter().zip(masks).enumerate() {
                let all = self.encode(clip, None)?;
                let width = all.len() / self.grid(clip)?.tokens().max(1);
                let seen = self.encode(clip, Some(context))?;
                let is_new = pairs[..pair].iter().all(|others| others[index][0] != *context);
                if is_new {
                    let last = self.encoder.encode_kept(clip, context)?;
                    let names = ["context_encoder.last_hidden_state", "context_encoder", "encoder.context"];
                    collected.add(&names, &last);
                }
                let partial = self.predict(clip, &gathered(&all, context, width), context, target, mask_token)?;
                let trained = self.predict(clip, &seen, context, target, mask_token)?;
                let own = format!(".{pair}");
                for (name, predicted) in [("predictor.partial", &partial), ("predictor.from_context_encoder", &trained)]
                {
                    collected.add(&[name, "predictor.targets"], &predicted.targets);
                    collected.add(&[&format!("{name}{own}")], &predicted.targets);
                    if !predicted.context.is_empty() {
                        collected.add(&[&format!("{name}.context"), "predictor.context"], &predicted.context);
                    }
                }
                let goal = standardised(&gathered(&all, target, width), self.encoder.width());
                for (losses, predicted) in losses.iter_mut().zip([&partial, &trained]) {
                    losses.push(mean_distance(&predicted.targets, &goal));
                }
            }
            for (losses, name) in losses.iter().zip(["loss.l1.partial", "loss.l1.trained"]) {
                let mean = losses.iter().sum::<f32>() / losses.len().max(1) as f32;
                collected.add(&[name, "loss.l1"], &[mean]);
            }
        }
        Ok(collected)
    }

    /// Tokens that the predictor takes: those of all its levels.
    fn encode(&self, clip: &Clip<'_>, kept: Option<&[usize]>) -> Result<Vec<f32>> {
        match self.predictor.config().input > self.encoder.width() {
            true => self.encoder.encode_levels(clip, kept),
            false => self.encoder.encode_observed(clip, kept, counted(self.vit, self.encoder), &mut |_, _| {}),
        }
    }

    /// The grid by which positions are counted.
    fn grid(&self, clip: &Clip<'_>) -> Result<Grid> {
        let grid = self.encoder.grid(clip)?;
        Ok(match counted(self.vit, self.encoder) {
            Some([rows, columns]) => Grid { rows, columns, ..grid },
            None => grid,
        })
    }

    fn predict(
        &self,
        clip: &Clip<'_>,
        context: &[f32],
        context_numbers: &[usize],
        target_numbers: &[usize],
        mask_token: usize,
    ) -> Result<Predicted> {
        let (grid, is_image) = (self.grid(clip)?, clip.frames == 1);
        self.predictor.predict(&Masked { context, context_numbers, target_numbers, grid, mask_token, is_image })
    }
}

/// The tokens with the given numbers.
fn gathered(tokens: &[f32], numbers: &[usize], width: usize) -> Vec<f32> {
    let rows = numbers.iter().filter_map(|number| tokens.get(number * width..(number + 1) * width));
    rows.flatten().copied().collect()
}

fn mean_distance(left: &[f32], right: &[f32]) -> f32 {
    let distances = left.iter().zip(right).map(|(left, right)| f64::from((left - right).abs()));
    (distances.sum::<f64>() / left.len().max(1) as f64) as f32
}

/// One pass, teacher forcing and roll-out of an action-conditioned predictor.
fn of_actions(predictor: &ActionPredictor, io: &Io, fields: &Fields) -> Result<Vec<Quantity>> {
    let input = |names: &[&str]| names.iter().find_map(|name| io.inputs.get(*name));
    let (Some(tokens), Some(actions), Some(states)) =
        (input(&["features", "tokens", "latents", "z"]), input(&["actions", "action"]), input(&["states", "state"]))
    else {
        return Ok(Vec::new());
    };
    let extrinsics = input(&["extrinsics"]);
    let batch = tokens.shape.first().copied().unwrap_or(1).max(1);
    let config = predictor.config();
    let (width, frames) = (config.input, states.values.len() / batch / config.state_width.max(1));
    let area = tokens.values.len() / batch / width / frames.max(1);
    let wrong = |error: String| Error::file(&fields.path, error);
    let side = fields.count("predictor", &["grid", "grid_size"]).map_err(wrong)?.map_or(area.isqrt(), |(_, side)| side);
    let grid = [side, area / side.max(1)];
    let of_output = |name: &str| io.outputs.get(name).map(|output| output.values.len() / batch / (area * width).max(1));
    let named = fields.count("predictor", &["auto_steps"]).map_err(wrong)?.map(|(_, steps)| steps);
    let steps = of_output("rollout").or(named).unwrap_or(2);
    let mut collected = Collected::default();
    let mut losses = [0.0, 0.0];
    for sample in 0..batch {
        let part = |tensor: &IoTensor| {
            let len = tensor.values.len() / batch;
            tensor.values[sample * len..(sample + 1) * len].to_vec()
        };
        let (tokens, actions, states) = (part(tokens), part(actions), part(states));
        let extrinsics = extrinsics.map(part).unwrap_or_default();
        let given = (actions.len() / config.action_width.max(1)).min(frames);
        let camera = config.extrinsics_width.unwrap_or(0);
        let frame = area * width;
        let context = ActionContext {
            tokens: &tokens[..(given * frame).min(tokens.len())],
            actions: &actions,
            states: &states,
            extrinsics: extrinsics.get(..given * camera).unwrap_or_default(),
            grid,
        };
        let raw = predictor.predict_raw(&context)?;
        let forced = standardised(&raw, width);
        let rolled = predictor.rollout(&context, steps.min(given))?;
        collected.add(&["one_pass"], &raw);
        collected.add(&["teacher_forced"], &forced);
        collected.add(&["rollout"], &rolled);
        let goals = tokens.get(frame..).unwrap_or_default();
        losses[0] += mean_distance(&forced[..goals.len().min(forced.len())], goals) / batch as f32;
        losses[1] += mean_distance(&rolled[..goals.len().min(rolled.len())], goals) / batch as f32;
    }
    collected.add(&["loss.teacher_forced_and_rollout"], &losses);
    collected.add(&["loss.teacher_forced"], &losses[..1]);
    collected.add(&["loss.rollout"], &losses[1..]);
    collected.add(&["loss", "loss.total"], &[losses[0] + losses[1]]);
    Ok(collected.quantities("").collect())
}
