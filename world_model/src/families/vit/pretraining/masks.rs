//! Which tokens are hidden. Masks of places span the whole clip: a hidden place is hidden in every frame, so that
//! nothing can be copied from the frame before. The mask of the future hides all of the last frames.

use mindseye_interface::config::require_range;
use mindseye_interface::{Rng, Seed};
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};

use super::target::PretrainingObjective;
use crate::families::vit::encoder::Grid;

/// Aspect of a block, height over width.
const ASPECT: [f64; 2] = [0.75, 1.5];
/// I-JEPA: shares of an image that a target block has, and the context block.
const IJEPA_TARGET: [f64; 2] = [0.15, 0.2];
const IJEPA_CONTEXT: [f64; 2] = [0.85, 1.0];
/// Target blocks of I-JEPA.
const IJEPA_BLOCKS: usize = 4;
/// Draws of a clip's places before single cells are given back to the context.
const TRIES: usize = 20;
/// Share of the cells that the context has at least.
const LEAST_CONTEXT: f64 = 1.0 / 16.0;
/// Weight of a place where nothing moves, in units of the mean motion.
const STILL: f32 = 0.2;

/// How hidden places are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskKind {
    /// The recipe's blocks: with clips short-range and long-range ones, both in every step; with I-JEPA four targets.
    #[default]
    Blocks,
    /// The same, at places drawn by how much moves there.
    Motion,
    /// Single places, each for itself: the ablation, which is too easy where neighbours tell.
    Tubes,
}

/// Settings of masks. With I-JEPA the kind alone counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskConfig {
    /// How places are drawn.
    pub kind: MaskKind,
    /// Short-range blocks; 0: no such mask.
    pub short_blocks: usize,
    /// Share of the image that each of them has.
    pub short_share: f64,
    /// Long-range blocks; 0: no such mask.
    pub long_blocks: usize,
    /// Share of the image that each of them has.
    pub long_share: f64,
    /// Share of the places that tubes hide.
    pub hidden: f64,
    /// A further mask in every step: all tokens from some tubelet on are predicted from all before it. What is to be
    /// surprised by what happens must have learnt to expect (`mindseye surprise-suite`).
    pub future: bool,
}

impl Default for MaskConfig {
    fn default() -> Self {
        Self {
            kind: MaskKind::Blocks,
            short_blocks: 8,
            short_share: 0.15,
            long_blocks: 2,
            long_share: 0.7,
            hidden: 0.75,
            future: false,
        }
    }
}

impl MaskConfig {
    /// Mask sets of a step.
    pub(super) fn sets(&self, objective: PretrainingObjective) -> usize {
        let places = match (objective, self.kind) {
            (PretrainingObjective::Ijepa, _) | (_, MaskKind::Tubes) => 1,
            _ => usize::from(self.short_blocks > 0) + usize::from(self.long_blocks > 0),
        };
        places + usize::from(self.has_future(objective))
    }

    fn has_future(&self, objective: PretrainingObjective) -> bool {
        self.future && objective != PretrainingObjective::Ijepa
    }

    pub(super) fn validate(&self, grid: Grid) -> mindseye_interface::Result<()> {
        require_range("encoder patches of an image", grid.rows * grid.columns, 4, 1 << 14)?;
        require_range("masks.short_blocks", self.short_blocks, 0, 1000)?;
        require_range("masks.long_blocks", self.long_blocks, 0, 1000)?;
        let least = usize::from(!self.future);
        require_range("masks.short_blocks + masks.long_blocks", self.short_blocks + self.long_blocks, least, 2000)?;
        require_range(
            "encoder tubelets of a clip with masks.future",
            grid.frames,
            1 + usize::from(self.future),
            1 << 14,
        )?;
        require_range("masks.short_share", self.short_share, 0.001, 1.0)?;
        require_range("masks.long_share", self.long_share, 0.001, 1.0)?;
        require_range("masks.hidden", self.hidden, 0.01, 0.99)
    }
}

/// Seen and hidden tokens of every clip of a batch, ascending; each list has the same length in all clips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskSet {
    /// The context, by clip.
    pub context: Vec<Vec<u32>>,
    /// What is predicted, by block (each predicted by itself) and clip.
    pub targets: Vec<Vec<Vec<u32>>>,
}

/// Draws the mask sets of `clips` clips. Sizes of blocks are drawn once, places for every clip. `motion` has, for each
/// clip, how much moves in each cell of the image, `[rows * columns]`.
pub fn draw_masks(
    config: &MaskConfig,
    objective: PretrainingObjective,
    grid: Grid,
    motion: &[Vec<f32>],
    seed: Seed,
) -> Vec<MaskSet> {
    let by_motion = config.kind == MaskKind::Motion;
    let clips: Vec<Option<&[f32]>> = motion.iter().map(|motion| by_motion.then_some(motion.as_slice())).collect();
    let draw = Draw { grid, clips: &clips };
    // The future first: the first mask token stands for it, whatever other masks there are.
    let mut sets = Vec::new();
    if config.has_future(objective) {
        sets.push(draw.future(seed.child("future")));
    }
    match (objective, config.kind) {
        (_, MaskKind::Tubes) => sets.push(draw.tubes(config.hidden, seed)),
        (PretrainingObjective::Ijepa, _) => sets.push(draw.targets_and_context(seed)),
        _ => {
            let kinds = [(config.short_blocks, config.short_share), (config.long_blocks, config.long_share)];
            let used = kinds.into_iter().enumerate().filter(|(_, (blocks, _))| *blocks > 0);
            sets.extend(used.map(|(index, (blocks, share))| draw.union(blocks, share, seed.index(index as u64))));
        }
    }
    sets
}

/// A batch whose masks are drawn.
struct Draw<'a> {
    grid: Grid,
    /// Motion of the cells of each clip, if places are drawn by it.
    clips: &'a [Option<&'a [f32]>],
}

impl Draw<'_> {
    fn cells(&self) -> usize {
        self.grid.rows * self.grid.columns
    }

    fn least(&self) -> usize {
        ((self.cells() as f64 * LEAST_CONTEXT).ceil() as usize).max(1)
    }

    /// Short- or long-range masks: what none of `blocks` blocks covers is the context.
    fn union(&self, blocks: usize, share: f64, seed: Seed) -> MaskSet {
        let size = self.size(share, ASPECT, 0, &mut seed.child("size").rng());
        let hidden = self.clips.iter().enumerate().map(|(clip, motion)| {
            let mut rng = seed.child("places").index(clip as u64).rng();
            let mut hidden = Vec::new();
            for _ in 0..TRIES {
                hidden = vec![false; self.cells()];
                for _ in 0..blocks {
                    self.cover(size, *motion, &mut hidden, &mut rng);
                }
                if hidden.iter().filter(|hidden| !**hidden).count() >= self.least() {
                    break;
                }
            }
            self.give_back(&mut hidden, &mut rng);
            hidden
        });
        let hidden: Vec<Vec<bool>> = hidden.collect();
        let numbers = |wanted: bool| -> Vec<Vec<usize>> { hidden.iter().map(|hidden| those(hidden, wanted)).collect() };
        let mut rng = seed.child("cut").rng();
        let context = self.through_time(equal_lengths(numbers(false), &mut rng));
        MaskSet { context, targets: vec![self.through_time(equal_lengths(numbers(true), &mut rng))] }
    }

    /// All tokens before some tubelet, and those from it on; the same tubelet in all clips.
    fn future(&self, seed: Seed) -> MaskSet {
        let begins = seed.rng().random_range(1..self.grid.frames.max(2));
        let at = (begins * self.cells()) as u32;
        let clips = self.clips.len();
        MaskSet {
            context: vec![(0..at).collect(); clips],
            targets: vec![vec![(at..self.grid.tokens() as u32).collect(); clips]],
        }
    }

    fn tubes(&self, share: f64, seed: Seed) -> MaskSet {
        let count = (self.cells() as f64 * share).round() as usize;
        let count = count.clamp(1, self.cells() - self.least().min(self.cells() - 1));
        let (mut context, mut targets) = (Vec::new(), Vec::new());
        for clip in 0..self.clips.len() {
            let mut order: Vec<usize> = (0..self.cells()).collect();
            order.shuffle(&mut seed.child("tubes").index(clip as u64).rng());
            let mut hidden = order.split_off(self.cells() - count);
            hidden.sort_unstable();
            order.sort_unstable();
            context.push(order);
            targets.push(hidden);
        }
        MaskSet { context: self.through_time(context), targets: vec![self.through_time(targets)] }
    }

    /// I-JEPA: four target blocks, and a context block without their cells.
    fn targets_and_context(&self, seed: Seed) -> MaskSet {
        let mut sizes = seed.child("size").rng();
        let share = |range: [f64; 2], rng: &mut Rng| rng.random_range(range[0]..=range[1]);
        let target = self.size(share(IJEPA_TARGET, &mut sizes), ASPECT, 1, &mut sizes);
        let whole = self.size(share(IJEPA_CONTEXT, &mut sizes), [1.0, 1.0], 0, &mut sizes);
        let (mut contexts, mut targets) = (Vec::new(), vec![Vec::new(); IJEPA_BLOCKS]);
        for (clip, motion) in self.clips.iter().enumerate() {
            let mut rng = seed.child("places").index(clip as u64).rng();
            let (mut blocks, mut seen) = (Vec::new(), Vec::new());
            for _ in 0..TRIES {
                blocks = (0..IJEPA_BLOCKS).map(|_| self.block(target, *motion, &mut rng)).collect::<Vec<_>>();
                seen = self.block(whole, None, &mut rng);
                for block in &blocks {
                    seen.iter_mut().zip(block).for_each(|(seen, hidden)| *seen &= !hidden);
                }
                if seen.iter().filter(|seen| **seen).count() >= self.least() {
                    break;
                }
            }
            let mut hidden: Vec<bool> = seen.iter().map(|seen| !seen).collect();
            self.give_back(&mut hidden, &mut rng);
            contexts.push(those(&hidden, false));
            targets.iter_mut().zip(&blocks).for_each(|(targets, block)| targets.push(those(block, true)));
        }
        let context = self.through_time(equal_lengths(contexts, &mut seed.child("cut").rng()));
        MaskSet { context, targets: targets.into_iter().map(|block| self.through_time(block)).collect() }
    }

    /// Height and width of a block with this share of the image, smaller than the grid by `margin`.
    fn size(&self, share: f64, aspect: [f64; 2], margin: usize, rng: &mut Rng) -> [usize; 2] {
        let aspect = if aspect[0] < aspect[1] { rng.random_range(aspect[0]..=aspect[1]) } else { aspect[0] };
        let area = (self.cells() as f64 * share).floor();
        let side = |value: f64, most: usize| (value.sqrt().round() as usize).clamp(1, (most - margin).max(1));
        [side(area * aspect, self.grid.rows), side(area / aspect, self.grid.columns)]
    }

    fn block(&self, size: [usize; 2], motion: Option<&[f32]>, rng: &mut Rng) -> Vec<bool> {
        let mut cells = vec![false; self.cells()];
        self.cover(size, motion, &mut cells, rng);
        cells
    }

    /// Marks a block at a random place.
    fn cover(&self, [height, width]: [usize; 2], motion: Option<&[f32]>, cells: &mut [bool], rng: &mut Rng) {
        let Grid { rows, columns, .. } = self.grid;
        let (tops, lefts) = (rows - height + 1, columns - width + 1);
        let within = |place: usize| {
            let (top, left) = (place / lefts, place % lefts);
            (top..top + height).flat_map(move |row| (left..left + width).map(move |column| row * columns + column))
        };
        let place = match motion {
            None => rng.random_range(0..tops * lefts),
            Some(motion) => {
                let still = STILL * motion.iter().sum::<f32>() / motion.len().max(1) as f32 + 1e-6;
                let weigh = |place| within(place).map(|cell| motion[cell] + still).sum::<f32>();
                let weights: Vec<f32> = (0..tops * lefts).map(weigh).collect();
                let mut left = rng.random_range(0.0..1.0) * weights.iter().sum::<f32>();
                let found = weights.iter().position(|weight| {
                    left -= weight;
                    left < 0.0
                });
                found.unwrap_or(weights.len() - 1)
            }
        };
        within(place).for_each(|cell| cells[cell] = true);
    }

    /// Gives random hidden cells back where the context would have too few.
    fn give_back(&self, hidden: &mut [bool], rng: &mut Rng) {
        let mut covered = those(hidden, true);
        covered.shuffle(rng);
        let seen = hidden.len() - covered.len();
        for &cell in covered.iter().take(self.least().saturating_sub(seen)) {
            hidden[cell] = false;
        }
    }

    /// Token numbers of the cells, in every frame.
    fn through_time(&self, cells: Vec<Vec<usize>>) -> Vec<Vec<u32>> {
        let all = self.cells();
        let frames = 0..self.grid.frames;
        let tokens = |cells: Vec<usize>| {
            frames.clone().flat_map(|frame| cells.iter().map(move |cell| (frame * all + cell) as u32)).collect()
        };
        cells.into_iter().map(tokens).collect()
    }
}

/// Numbers of the cells that are hidden, or that are not.
fn those(hidden: &[bool], wanted: bool) -> Vec<usize> {
    (0..hidden.len()).filter(|&cell| hidden[cell] == wanted).collect()
}

/// Cuts all lists to the length of the shortest, by dropping random cells: a batch is one tensor. (The authors drop the
/// last ones, which are those of the latest frames.)
fn equal_lengths(mut lists: Vec<Vec<usize>>, rng: &mut Rng) -> Vec<Vec<usize>> {
    let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
    for list in &mut lists {
        if list.len() > shortest {
            list.shuffle(rng);
            list.truncate(shortest);
            list.sort_unstable();
        }
    }
    lists
}
