//! V-JEPA 2-AC's predictor: the patch tokens of the next frame, from those of the frames so far, the robot's states and
//! the actions between them. Attention is causal over frames.

use super::blocks::{Blocks, map_rows, norm_rows, standardised};
use super::config::ActionPredictorConfig;
use super::parameters::{Norm, Parameters, linear};
use super::rotation::Rotation;
use crate::ops::{InferenceLinear, Precision, Visible};
use crate::{Error, Result};

/// Most frames of a context.
const MAX_FRAMES: usize = 4096;

/// Frames that a prediction follows from, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct ActionContext<'a> {
    /// Layer-normed patch tokens of the frames, `[T, rows x columns, D]`.
    pub tokens: &'a [f32],
    /// The action that follows each frame, `[T, A]`.
    pub actions: &'a [f32],
    /// The robot's state at each frame, `[T, S]`.
    pub states: &'a [f32],
    /// The camera's pose at each frame, `[T, E]`; empty: no such token.
    pub extrinsics: &'a [f32],
    /// Rows and columns of patches.
    pub grid: [usize; 2],
}

/// The predictor, ready to run.
#[derive(Debug, Clone)]
pub struct ActionPredictor {
    config: ActionPredictorConfig,
    entry: InferenceLinear,
    action: InferenceLinear,
    state: InferenceLinear,
    extrinsics: Option<InferenceLinear>,
    blocks: Blocks,
    norm: Norm,
    output: InferenceLinear,
}

impl ActionPredictor {
    pub(super) fn read(
        parameters: &mut dyn Parameters,
        config: &ActionPredictorConfig,
        precision: Precision,
    ) -> Result<Self> {
        let exact = Precision::F32;
        let extrinsics = match config.extrinsics_width {
            Some(_) => Some(linear(parameters, "predictor.extrinsics_encoder", exact)?),
            None => None,
        };
        Ok(Self {
            entry: linear(parameters, "predictor.embed", exact)?,
            action: linear(parameters, "predictor.action_encoder", exact)?,
            state: linear(parameters, "predictor.state_encoder", exact)?,
            extrinsics,
            blocks: Blocks::read(parameters, "predictor.", config.blocks, precision)?,
            norm: Norm::read(parameters, "predictor.norm")?,
            output: linear(parameters, "predictor.proj", exact)?,
            config: config.clone(),
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &ActionPredictorConfig {
        &self.config
    }

    /// For every frame of `context` the tokens of the next one, `[T, rows x columns, D]`, as the network gives them.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn predict_raw(&self, context: &ActionContext<'_>) -> Result<Vec<f32>> {
        let frames = self.frames(context)?;
        let ActionPredictorConfig { action_width, state_width, .. } = self.config;
        let (width, [rows, columns]) = (self.config.blocks.width, context.grid);
        let pool = self.blocks.pool();
        let patches = map_rows(&self.entry, context.tokens, pool);
        let mut vectors = vec![
            map_rows(&self.action, &context.actions[..frames * action_width], pool),
            map_rows(&self.state, &context.states[..frames * state_width], pool),
        ];
        if let Some(map) = self.extrinsics.as_ref().filter(|_| !context.extrinsics.is_empty()) {
            vectors.push(map_rows(map, context.extrinsics, pool));
        }
        let (before, area) = (vectors.len(), rows * columns);
        let mut hidden = Vec::with_capacity(frames * (before + area) * width);
        for frame in 0..frames {
            vectors.iter().for_each(|values| hidden.extend_from_slice(&values[frame * width..(frame + 1) * width]));
            hidden.extend_from_slice(&patches[frame * area * width..(frame + 1) * area * width]);
        }
        let rotation = self.config.blocks.rotary.map(|rotary| {
            let of_frame = move |frame: usize| {
                let vectors = std::iter::repeat_n([frame as f32, 0.0, 0.0], before);
                vectors.chain((0..area).map(move |at| [frame as f32, (at / columns) as f32, (at % columns) as f32]))
            };
            Rotation::new(rotary, self.config.blocks.head(), (0..frames).flat_map(of_frame))
        });
        self.blocks.run(&mut hidden, rotation.as_ref(), Visible::Frames(before + area), &mut |_, _| {});
        let per_frame = hidden.chunks_exact((before + area) * width);
        let patches: Vec<f32> = per_frame.flat_map(|frame| frame[before * width..].iter().copied()).collect();
        let normal = norm_rows(&self.norm, self.config.blocks.epsilon, &patches);
        Ok(map_rows(&self.output, &normal, pool))
    }

    /// As [`ActionPredictor::predict_raw`], layer-normed as the tokens of frames are: what is compared with the next
    /// frame, and fed back.
    ///
    /// # Errors
    /// As [`ActionPredictor::predict_raw`].
    pub fn predict(&self, context: &ActionContext<'_>) -> Result<Vec<f32>> {
        Ok(standardised(&self.predict_raw(context)?, self.config.input))
    }

    /// Rolls out `steps` frames from the first frame of `context`, feeding predictions back; actions and states are
    /// those of `context`, one per frame. The predicted tokens, `[steps, rows x columns, D]`.
    ///
    /// # Errors
    /// As [`ActionPredictor::predict_raw`], and when there are fewer actions or states than steps.
    pub fn rollout(&self, context: &ActionContext<'_>, steps: usize) -> Result<Vec<f32>> {
        let ActionPredictorConfig { input, action_width, state_width, extrinsics_width, .. } = self.config;
        let (area, camera) = (context.grid[0] * context.grid[1], extrinsics_width.unwrap_or(0));
        let frame = area * input;
        let enough = context.tokens.len() >= frame
            && context.actions.len() >= steps * action_width
            && context.states.len() >= steps * state_width
            && (context.extrinsics.is_empty() || context.extrinsics.len() >= steps * camera);
        if !enough || frame == 0 {
            return Err(Error::Shape {
                operation: "rolling out frames",
                expected: format!("one frame, {steps} actions of {action_width} and states of {state_width}"),
                got: format!("{} values of actions, {} of states", context.actions.len(), context.states.len()),
            });
        }
        let mut tokens = context.tokens[..frame].to_vec();
        for step in 1..=steps {
            let extrinsics = if context.extrinsics.is_empty() { &[] } else { &context.extrinsics[..step * camera] };
            let seen = ActionContext {
                tokens: &tokens,
                actions: &context.actions[..step * action_width],
                states: &context.states[..step * state_width],
                extrinsics,
                grid: context.grid,
            };
            let next = self.predict(&seen)?;
            tokens.extend_from_slice(&next[(step - 1) * frame..]);
        }
        Ok(tokens.split_off(frame))
    }

    /// Frames of a context whose sizes fit.
    fn frames(&self, context: &ActionContext<'_>) -> Result<usize> {
        let ActionPredictorConfig { input, action_width, state_width, extrinsics_width, .. } = self.config;
        let [rows, columns] = context.grid;
        let frame = rows.saturating_mul(columns).saturating_mul(input);
        let frames = context.tokens.len() / frame.max(1);
        let camera = context.extrinsics.is_empty()
            || extrinsics_width.map(|width| frames * width) == Some(context.extrinsics.len());
        let fits = (1..=MAX_FRAMES).contains(&frames)
            && context.tokens.len() == frames * frame
            && context.actions.len() >= frames * action_width
            && context.states.len() >= frames * state_width
            && camera;
        if fits {
            return Ok(frames);
        }
        let (tokens, actions, states) = (context.tokens.len(), context.actions.len(), context.states.len());
        Err(Error::Shape {
            operation: "predicting frames",
            expected: format!(
                "frames of {rows}x{columns}x{input}, as many actions of {action_width} and states of {state_width}"
            ),
            got: format!("{tokens} values of tokens, {actions} of actions, {states} of states"),
        })
    }
}
