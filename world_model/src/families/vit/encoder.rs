//! An encoder: an image or a clip becomes tokens.

use rayon::prelude::*;

use super::blocks::{Blocks, ROWS, norm_rows};
use super::config::{EncoderConfig, Norms, Positions, VitKind};
use super::parameters::{Norm, Parameters, linear};
use super::resampling::{Filter, resized, resized_in_time};
use super::rotation::{Rotation, places};
use super::sincos::sincos;
use crate::ops::{InferenceLinear, Precision, Visible};
use crate::{Error, Result};

/// Most tokens of a clip: attention takes time with their square.
const MAX_TOKENS: usize = 1 << 16;

/// A normalised clip, `values [T, C, H, W]`; an image has one frame.
#[derive(Debug, Clone, Copy)]
pub struct Clip<'a> {
    /// Values, row-major.
    pub values: &'a [f32],
    /// Frames `T`.
    pub frames: usize,
    /// Height `H`, pixels.
    pub height: usize,
    /// Width `W`, pixels.
    pub width: usize,
}

/// Patches of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Tubelets in time.
    pub frames: usize,
    /// Patches in a column.
    pub rows: usize,
    /// Patches in a row.
    pub columns: usize,
}

impl Grid {
    /// Patches in all.
    pub fn tokens(self) -> usize {
        self.frames * self.rows * self.columns
    }
}

/// Values on the way through an encoder, for comparison with another implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Patches, embedded, without positions.
    Patches,
    /// All that enters the first block.
    Embedded,
    /// What leaves a block, counted from 0.
    Block(usize),
    /// The norm of a level, counted from 0.
    Level(usize),
}

/// How an encoder runs.
#[derive(Default)]
struct Request<'a> {
    /// Numbers of the patches that are kept; none: all.
    kept: Option<&'a [usize]>,
    /// Rows and columns by which positions are counted; none: those of the clip.
    counted: Option<[usize; 2]>,
}

/// An encoder, ready to run. Work is divided over the threads of the current rayon pool; the result has the same bits
/// on any number of them.
#[derive(Debug, Clone)]
pub struct VitEncoder {
    config: EncoderConfig,
    kind: VitKind,
    patches: InferenceLinear,
    image_patches: Option<InferenceLinear>,
    /// Added positions of the class token and the patches it was trained on.
    table: Vec<f32>,
    class_token: Vec<f32>,
    registers: Vec<f32>,
    /// What is added to patches of an image, and to those of a clip.
    modality: Option<[Vec<f32>; 2]>,
    blocks: Blocks,
    norms: Vec<Norm>,
}

impl VitEncoder {
    pub(super) fn read(
        parameters: &mut dyn Parameters,
        kind: VitKind,
        config: &EncoderConfig,
        precision: Precision,
    ) -> Result<Self> {
        let named = |name: &str| format!("encoder.{name}");
        let table = match config.positions {
            Positions::Stored { .. } => parameters.values(&named("pos_embed"))?,
            _ => Vec::new(),
        };
        let image_patches = match config.image_patches {
            true => Some(linear(parameters, &named("patch_embed_img.proj"), Precision::F32)?),
            false => None,
        };
        let modality = match config.modality {
            true => {
                let image = parameters.values(&named("img_mod_embed"))?;
                Some([image, parameters.values(&named("video_mod_embed"))?])
            }
            false => None,
        };
        let norms = match &config.norms {
            Norms::Last => vec![Norm::read(parameters, &named("norm"))?],
            Norms::Levels(levels) => {
                let level = |level| Norm::read(parameters, &named(&format!("norms_block.{level}")));
                (0..levels.len()).map(level).collect::<Result<_>>()?
            }
        };
        Ok(Self {
            patches: linear(parameters, &named("patch_embed.proj"), Precision::F32)?,
            image_patches,
            table,
            class_token: if config.class_token { parameters.values(&named("cls_token"))? } else { Vec::new() },
            registers: if config.registers > 0 { parameters.values(&named("register_tokens"))? } else { Vec::new() },
            modality,
            blocks: Blocks::read(parameters, "encoder.", config.blocks, precision)?,
            norms,
            config: config.clone(),
            kind,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Width `D` of a token.
    pub fn width(&self) -> usize {
        self.config.blocks.width
    }

    /// Tokens before those of the patches: class token and registers.
    pub fn prefix(&self) -> usize {
        usize::from(self.config.class_token) + self.config.registers
    }

    /// The patches of `clip`. An image for an encoder of clips has one, whatever its tubelets.
    ///
    /// # Errors
    /// [`Error::Shape`] when the clip is smaller than a patch, or its sizes do not fit its values.
    pub fn grid(&self, clip: &Clip<'_>) -> Result<Grid> {
        let Clip { frames, height, width, values } = *clip;
        let sizes = [frames, self.config.channels, height, width];
        let expected = sizes.iter().try_fold(1_usize, |all, size| all.checked_mul(*size));
        match self.patches_of(frames, height, width) {
            Some(grid) if expected == Some(values.len()) => Ok(grid),
            _ => Err(self.no_grid(values.len().to_string(), sizes)),
        }
    }

    /// As [`VitEncoder::grid`], of a clip that is not there yet.
    ///
    /// # Errors
    /// As [`VitEncoder::grid`].
    pub fn grid_of(&self, frames: usize, height: usize, width: usize) -> Result<Grid> {
        let sizes = [frames, self.config.channels, height, width];
        self.patches_of(frames, height, width).ok_or_else(|| self.no_grid("as many".into(), sizes))
    }

    fn patches_of(&self, frames: usize, height: usize, width: usize) -> Option<Grid> {
        let patch = self.config.patch;
        let grid = Grid { frames: frames.div_ceil(self.tubelet(frames)), rows: height / patch, columns: width / patch };
        let sides = [grid.frames, grid.rows, grid.columns];
        let tokens = sides.iter().try_fold(1_usize, |all, side| all.checked_mul(*side))?;
        let takes_clip = self.kind.takes_clips() || frames == 1;
        (takes_clip && (1..=MAX_TOKENS).contains(&tokens)).then_some(grid)
    }

    fn no_grid(&self, values: String, [frames, channels, height, width]: [usize; 4]) -> Error {
        let (frames_wanted, patch) = (if self.kind.takes_clips() { "frames" } else { "one frame" }, self.config.patch);
        Error::Shape {
            operation: "encoding a clip",
            expected: format!("{frames_wanted} of {channels} channels, 1 to {MAX_TOKENS} patches of {patch} pixels"),
            got: format!("{values} values as {frames} x {channels} x {height} x {width}"),
        }
    }

    /// Frames of a tubelet of a clip of `frames`: an image may have a patch embedding of its own.
    fn tubelet(&self, frames: usize) -> usize {
        if frames == 1 && self.image_patches.is_some() { 1 } else { self.config.tubelet }
    }

    /// Whether `clip` is embedded as an image.
    fn is_image(&self, clip: &Clip<'_>) -> bool {
        clip.frames == 1 && self.image_patches.is_some()
    }

    /// The tokens of `clip` behind the last norm, `[prefix + N, D]`.
    ///
    /// # Errors
    /// As [`VitEncoder::grid`].
    pub fn encode(&self, clip: &Clip<'_>) -> Result<Vec<f32>> {
        self.encode_observed(clip, None, None, &mut |_, _| {})
    }

    /// The tokens of `clip` when only the patches `kept` enter the first block, as in training, in the order given,
    /// `[prefix + kept, D]`.
    ///
    /// # Errors
    /// As [`VitEncoder::grid`], and for a number that is no patch.
    pub fn encode_kept(&self, clip: &Clip<'_>, kept: &[usize]) -> Result<Vec<f32>> {
        self.encode_observed(clip, Some(kept), None, &mut |_, _| {})
    }

    /// The tokens of all levels side by side, `[N, levels x D]`; of an encoder with one norm, those of
    /// [`VitEncoder::encode`].
    ///
    /// # Errors
    /// As [`VitEncoder::encode_kept`].
    pub fn encode_levels(&self, clip: &Clip<'_>, kept: Option<&[usize]>) -> Result<Vec<f32>> {
        let mut levels: Vec<Vec<f32>> = Vec::new();
        let last = self.encode_observed(clip, kept, None, &mut |stage, values| {
            if let Stage::Level(_) = stage {
                levels.push(values.to_vec());
            }
        })?;
        if levels.len() < 2 {
            return Ok(last);
        }
        let width = self.width();
        let mut joined = Vec::with_capacity(last.len() * levels.len());
        for token in 0..last.len() / width {
            levels.iter().for_each(|level| joined.extend_from_slice(&level[token * width..(token + 1) * width]));
        }
        Ok(joined)
    }

    /// As [`VitEncoder::encode`] or, with `kept`, [`VitEncoder::encode_kept`]; `visit` gets the values of every stage.
    /// `counted` is the grid (rows, columns) by which rotary positions are counted, where it is not that of the clip:
    /// Hugging Face's library takes that of its config.
    ///
    /// # Errors
    /// As [`VitEncoder::encode_kept`].
    pub fn encode_observed(
        &self,
        clip: &Clip<'_>,
        kept: Option<&[usize]>,
        counted: Option<[usize; 2]>,
        visit: &mut dyn FnMut(Stage, &[f32]),
    ) -> Result<Vec<f32>> {
        let (grid, width) = (self.grid(clip)?, self.width());
        let request = Request { kept, counted };
        if let Some(wrong) = kept.and_then(|kept| kept.iter().find(|number| **number >= grid.tokens())) {
            let expected = format!("numbers of patches below {}", grid.tokens());
            return Err(Error::Shape { operation: "encoding a clip", expected, got: wrong.to_string() });
        }
        let mut patches = self.embed(clip, grid);
        visit(Stage::Patches, &patches);
        self.add_positions(&mut patches, grid, self.is_image(clip));
        if let Some(kept) = kept {
            let rows = kept.iter().flat_map(|number| patches[number * width..(number + 1) * width].iter().copied());
            patches = rows.collect();
        }
        let mut hidden = self.prefixed(patches);
        visit(Stage::Embedded, &hidden);
        let rotation = self.rotation(grid, &request);
        let (norms, epsilon) = (&self.norms, self.config.blocks.epsilon);
        let levels: &[usize] = match &self.config.norms {
            Norms::Last => &[],
            Norms::Levels(levels) => levels,
        };
        let mut last = Vec::new();
        self.blocks.run(&mut hidden, rotation.as_ref(), Visible::All, &mut |layer, values| {
            visit(Stage::Block(layer), values);
            for (level, norm) in levels.iter().zip(norms).enumerate().filter(|(_, (at, _))| **at == layer) {
                last = norm_rows(norm.1, epsilon, values);
                visit(Stage::Level(level), &last);
            }
        });
        match norms.as_slice() {
            [norm] if levels.is_empty() => Ok(norm_rows(norm, epsilon, &hidden)),
            _ => Ok(last),
        }
    }

    /// Embedded patches `[N, D]`, each a product with the flattened filter (channel, frame, row, column). The last
    /// frame is repeated where a tubelet is not full.
    fn embed(&self, clip: &Clip<'_>, grid: Grid) -> Vec<f32> {
        let (patch, tubelet, channels) = (self.config.patch, self.tubelet(clip.frames), self.config.channels);
        let map = self.image_patches.as_ref().filter(|_| self.is_image(clip)).unwrap_or(&self.patches);
        let (inputs, width) = (map.inputs(), self.width());
        let area = clip.height * clip.width;
        let mut output = vec![0.0; grid.tokens() * width];
        output.par_chunks_mut(ROWS * width).enumerate().for_each(|(group, output)| {
            let mut rows = Vec::with_capacity(output.len() / width * inputs);
            for token in group * ROWS..group * ROWS + output.len() / width {
                let (frame, within) = (token / (grid.rows * grid.columns), token % (grid.rows * grid.columns));
                let (top, left) = (within / grid.columns * patch, within % grid.columns * patch);
                for channel in 0..channels {
                    for step in 0..tubelet {
                        let frame = (frame * tubelet + step).min(clip.frames - 1);
                        let plane = &clip.values[(frame * channels + channel) * area..][..area];
                        for row in top..top + patch {
                            rows.extend_from_slice(&plane[row * clip.width + left..][..patch]);
                        }
                    }
                }
            }
            self.blocks.pool().lend(|scratch| map.apply(&rows, output, false, &mut scratch.rounded));
        });
        output
    }

    /// Adds positions and the vector of the modality.
    fn add_positions(&self, patches: &mut [f32], grid: Grid, is_image: bool) {
        let add = |patches: &mut [f32], values: &[f32]| {
            patches.iter_mut().zip(values).for_each(|(patch, value)| *patch += value);
        };
        if let Some([image, clip]) = &self.modality {
            let vector = if is_image { image } else { clip };
            patches.chunks_exact_mut(self.width()).for_each(|patch| add(patch, vector));
        }
        add(patches, &self.positions(grid));
    }

    /// Positions of the patches of `grid`, `[N, D]`; none: empty.
    fn positions(&self, grid: Grid) -> Vec<f32> {
        let width = self.width();
        let Grid { frames, rows, columns } = grid;
        let skipped = if self.config.class_token { width } else { 0 };
        let antialias = match self.config.positions {
            Positions::None => return Vec::new(),
            Positions::Computed(kind) => return sincos(kind, width, [frames, rows, columns]),
            Positions::Stored { antialias } => antialias,
        };
        let table = &self.table[skipped..];
        let [own_frames, own_rows, own_columns] = self.config.grid();
        if [own_frames, own_rows, own_columns] == [frames, rows, columns] {
            return table.to_vec();
        }
        if (own_rows, own_columns) == (rows, columns) && frames < own_frames {
            return table[..grid.tokens() * width].to_vec(); // V-JEPA's way with shorter clips
        }
        let filter = match (self.kind, antialias) {
            (VitKind::Vjepa, _) if own_frames > 1 => Filter::Linear,
            (_, true) => Filter::CubicAveraging,
            (_, false) => Filter::Cubic,
        };
        let by_frame = table.chunks_exact(own_rows * own_columns * width);
        let scaled = by_frame.flat_map(|frame| resized(frame, [own_rows, own_columns], [rows, columns], width, filter));
        let scaled: Vec<f32> = scaled.collect();
        if own_frames == frames { scaled } else { resized_in_time(&scaled, own_frames, frames) }
    }

    /// Class token (with its position), registers, then patches.
    fn prefixed(&self, patches: Vec<f32>) -> Vec<f32> {
        if self.prefix() == 0 {
            return patches;
        }
        let mut hidden = self.class_token.clone();
        hidden.iter_mut().zip(&self.table).for_each(|(value, position)| *value += position);
        hidden.extend_from_slice(&self.registers);
        hidden.extend(patches);
        hidden
    }

    fn rotation(&self, grid: Grid, request: &Request<'_>) -> Option<Rotation> {
        let rotary = self.config.blocks.rotary?;
        let counted = request.counted.unwrap_or([grid.rows, grid.columns]);
        let all: Vec<usize> = (0..grid.tokens()).collect();
        let numbers = request.kept.unwrap_or(&all).iter().copied();
        // Tokens before the patches stay as they are: a rotation by nothing.
        let prefix = std::iter::repeat_n([0.0; 3], self.prefix());
        let places = prefix.chain(places(rotary, counted, numbers));
        Some(Rotation::new(rotary, self.config.blocks.head(), places))
    }
}
