//! A predictor of masked tokens: from the tokens that an encoder saw, what it would have made of the others.

use super::blocks::{Blocks, map_rows, norm_rows};
use super::config::{EncoderConfig, Positions, PredictorConfig};
use super::encoder::Grid;
use super::parameters::{Norm, Parameters, linear};
use super::rotation::{Rotation, places};
use super::sincos::sincos;
use crate::ops::{InferenceLinear, Precision, Visible, gelu_in_place};
use crate::{Error, Result};

/// A predictor, ready to run. As with encoders, the number of threads changes no bit.
#[derive(Debug, Clone)]
pub struct VitPredictor {
    config: PredictorConfig,
    entry: Vec<InferenceLinear>,
    mask_tokens: Vec<f32>,
    /// Added positions of the clips it was trained on, and their grid.
    table: Vec<f32>,
    grid: [usize; 3],
    modality: Option<[Vec<f32>; 2]>,
    blocks: Blocks,
    norm: Norm,
    output: InferenceLinear,
    context_output: Option<InferenceLinear>,
}

/// What a predictor predicts from.
#[derive(Debug, Clone, Copy)]
pub struct Masked<'a> {
    /// Tokens of the context, `[N, input]`.
    pub context: &'a [f32],
    /// Their numbers in the grid.
    pub context_numbers: &'a [usize],
    /// Numbers of the tokens to predict.
    pub target_numbers: &'a [usize],
    /// Patches of the clip.
    pub grid: Grid,
    /// Which mask token stands for the targets; beyond their number it begins again.
    pub mask_token: usize,
    /// Whether it is an image.
    pub is_image: bool,
}

/// What a predictor predicts.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// The targets, `[M, output]`, in the order of their numbers.
    pub targets: Vec<f32>,
    /// The context, `[N, output]`; empty for predictors without such an output.
    pub context: Vec<f32>,
}

impl VitPredictor {
    pub(super) fn read(
        parameters: &mut dyn Parameters,
        config: &PredictorConfig,
        encoder: Option<&EncoderConfig>,
        precision: Precision,
    ) -> Result<Self> {
        let named = |name: &str| format!("predictor.{name}");
        let names: &[&str] = if config.entry.is_some() { &["embed.0", "embed.2"] } else { &["embed"] };
        let entry = names.iter().map(|name| linear(parameters, &named(name), Precision::F32)).collect::<Result<_>>()?;
        let table = match config.positions {
            Positions::Stored { .. } => parameters.values(&named("pos_embed"))?,
            _ => Vec::new(),
        };
        let modality = match config.modality {
            true => {
                let image = parameters.values(&named("img_mod_embed"))?;
                Some([image, parameters.values(&named("video_mod_embed"))?])
            }
            false => None,
        };
        let context_output = match config.context_output {
            true => Some(linear(parameters, &named("proj_context"), Precision::F32)?),
            false => None,
        };
        Ok(Self {
            entry,
            mask_tokens: parameters.values(&named("mask_tokens"))?,
            table,
            grid: encoder.map_or([0; 3], EncoderConfig::grid),
            modality,
            blocks: Blocks::read(parameters, "predictor.", config.blocks, precision)?,
            norm: Norm::read(parameters, &named("norm"))?,
            output: linear(parameters, &named("proj"), Precision::F32)?,
            context_output,
            config: config.clone(),
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &PredictorConfig {
        &self.config
    }

    /// Predicts the targets of `masked`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit, a number is beyond the grid, or the grid is not that of a stored
    /// table of positions.
    pub fn predict(&self, masked: &Masked<'_>) -> Result<Predicted> {
        self.require(masked)?;
        let width = self.config.blocks.width;
        let mut hidden = masked.context.to_vec();
        for (index, map) in self.entry.iter().enumerate() {
            if index > 0 {
                gelu_in_place(&mut hidden);
            }
            hidden = map_rows(map, &hidden, self.blocks.pool());
        }
        let number = masked.mask_token % self.config.mask_tokens;
        let mask_token = &self.mask_tokens[number * width..(number + 1) * width];
        masked.target_numbers.iter().for_each(|_| hidden.extend_from_slice(mask_token));
        let numbers = || masked.context_numbers.iter().chain(masked.target_numbers).copied();
        let table = self.positions(masked.grid)?;
        let add = |row: &mut [f32], values: &[f32]| {
            row.iter_mut().zip(values).for_each(|(value, other)| *value += other);
        };
        if !table.is_empty() {
            for (row, number) in hidden.chunks_exact_mut(width).zip(numbers()) {
                add(row, &table[number * width..(number + 1) * width]);
            }
        }
        if let Some([image, clip]) = &self.modality {
            let vector = if masked.is_image { image } else { clip };
            hidden.chunks_exact_mut(width).for_each(|row| add(row, vector));
        }
        let rotation = self.config.blocks.rotary.map(|rotary| {
            let places = places(rotary, [masked.grid.rows, masked.grid.columns], numbers());
            Rotation::new(rotary, self.config.blocks.head(), places)
        });
        self.blocks.run(&mut hidden, rotation.as_ref(), Visible::All, &mut |_, _| {});
        let normal = norm_rows(&self.norm, self.config.blocks.epsilon, &hidden);
        let (context, targets) = normal.split_at(masked.context_numbers.len() * width);
        let context = self.context_output.as_ref().map(|map| map_rows(map, context, self.blocks.pool()));
        let targets = map_rows(&self.output, targets, self.blocks.pool());
        Ok(Predicted { targets, context: context.unwrap_or_default() })
    }

    fn require(&self, masked: &Masked<'_>) -> Result<()> {
        let (count, tokens) = (masked.context_numbers.len(), masked.grid.tokens());
        let numbers = || masked.context_numbers.iter().chain(masked.target_numbers);
        let highest = numbers().max().copied();
        let fits = masked.context.len() == count * self.config.input;
        if fits && highest.is_some_and(|highest| highest < tokens) {
            return Ok(());
        }
        Err(Error::Shape {
            operation: "predicting masked tokens",
            expected: format!("{count} tokens of {} values, numbers below {tokens}", self.config.input),
            got: format!("{} values, numbers up to {highest:?}", masked.context.len()),
        })
    }

    /// Positions of all patches of `grid`; none: empty.
    fn positions(&self, grid: Grid) -> Result<Vec<f32>> {
        let width = self.config.blocks.width;
        match self.config.positions {
            Positions::None => Ok(Vec::new()),
            Positions::Computed(kind) => Ok(sincos(kind, width, [grid.frames, grid.rows, grid.columns])),
            Positions::Stored { .. } => {
                let [frames, rows, columns] = self.grid;
                if (rows, columns) == (grid.rows, grid.columns) && grid.frames <= frames {
                    return Ok(self.table.clone());
                }
                Err(Error::Shape {
                    operation: "predicting masked tokens",
                    expected: format!("patches of {frames} x {rows} x {columns}, as the table of positions has"),
                    got: format!("{} x {} x {}", grid.frames, grid.rows, grid.columns),
                })
            }
        }
    }
}
