//! Pretraining without labels: what is saved is what was trained, equal seeds give equal bits, nothing collapses.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::atomic::AtomicBool;

use mindseye_episodes::{EpisodeData, FrameCache};
use mindseye_interface::{FolderLock, Image, ImageSize, Seed};
use mindseye_world_model::families::vit::pretraining::{
    ClipConfig, ClipData, EncoderSizes, MaskConfig, MaskKind, MomentumConfig, PredictorSizes, PretrainingConfig,
    PretrainingLoss, PretrainingObjective, draw_masks, pretrain,
};
use mindseye_world_model::families::vit::{Clip, Grid, Masked, Vit, VitOptions};
use mindseye_world_model::testing::trained_forward;
use mindseye_world_model::training::RunOptions;
use mindseye_world_model::{Error, OptimiserConfig, Result};

/// Side of all images, pixels.
pub const SIDE: usize = 16;

/// Episodes of a bright square that moves by one pixel a step, each at a place and in a direction of its own.
fn clips(config: &PretrainingConfig) -> Result<ClipData> {
    let size = ImageSize::square(SIDE)?;
    let mut cache = FrameCache::new(size, 0, 0, 0);
    for episode in 0..24_usize {
        let frame = |step: usize| -> Result<Image> {
            let (top, left) = (episode * 5 % 12, (episode * 7 + step * (1 + episode % 2)) % 12);
            let pixels = (0..SIDE * SIDE).flat_map(|at| {
                let inside = (top..top + 4).contains(&(at / SIDE)) && (left..left + 4).contains(&(at % SIDE));
                if inside { [250, (episode * 10) as u8, 30] } else { [40, 50, 60] }
            });
            Ok(Image::new(size, pixels.collect())?)
        };
        let frames = (0..8).map(frame).collect::<Result<Vec<Image>>>()?;
        let empty = vec![vec![]; 8];
        cache.push(&EpisodeData { frames, proprioception: empty.clone(), states: empty.clone(), actions: empty })?;
    }
    ClipData::new(cache, config)
}

fn config(objective: PretrainingObjective) -> PretrainingConfig {
    let images = objective == PretrainingObjective::Ijepa;
    let (frames, tubelet) = if images { (1, 1) } else { (4, 2) };
    PretrainingConfig {
        objective,
        steps: 6,
        micro_batches: 2,
        report_every: 1,
        validate_every: 1000,
        save_every: 1000,
        encoder: EncoderSizes { image_side: SIDE, frames, tubelet, patch: 4, width: 24, layers: 2, heads: 2 },
        predictor: PredictorSizes { width: 12, layers: 1, heads: 2 },
        data: ClipConfig { batch: 8, stride: 1, validation_fraction: 0.2, smallest_crop: 1.0, flip: false },
        masks: MaskConfig { short_blocks: 3, ..MaskConfig::default() },
        loss: PretrainingLoss::default(),
        momentum: MomentumConfig { start: 0.9, end: 0.99 },
        optimiser: OptimiserConfig { learning_rate: 3e-3, warmup_steps: 2, ..OptimiserConfig::default() },
    }
}

/// Writes a small encoder of images to `folder`.
///
/// # Errors
/// When it cannot be trained or written.
pub fn write_encoder(folder: &std::path::Path) -> Result<()> {
    let config = config(PretrainingObjective::Ijepa);
    let lock = FolderLock::acquire(folder, "pretrain")?;
    let options = RunOptions { folder: Some(&lock), ..RunOptions::new(Seed::new(4)) };
    pretrain(&config, &clips(&config)?, &options, &|_, _| ())?;
    Ok(())
}

/// Bytes of the file of weights that a run writes.
fn weights_of(config: &PretrainingConfig, options: &RunOptions<'_>) -> Result<Vec<u8>> {
    let folder = options.folder.map(FolderLock::folder).unwrap_or("".as_ref());
    pretrain(config, &clips(config)?, options, &|_, _| ())?;
    let path = folder.join("model.safetensors");
    std::fs::read(&path).map_err(|error| Error::file(&path, error))
}

fn lock() -> (tempfile::TempDir, FolderLock) {
    let folder = tempfile::tempdir().unwrap();
    let lock = FolderLock::acquire(folder.path(), "pretrain").unwrap();
    (folder, lock)
}

#[test]
fn the_folder_computes_what_training_computed() -> Result<()> {
    for objective in [PretrainingObjective::Vjepa, PretrainingObjective::Ijepa, PretrainingObjective::Levjepa] {
        let (folder, lock) = lock();
        let mut config = config(objective);
        config.loss.context = if objective == PretrainingObjective::Vjepa { 0.5 } else { 0.0 };
        config.loss.sigreg = 0.1;
        pretrain(
            &config,
            &clips(&config)?,
            &RunOptions { folder: Some(&lock), ..RunOptions::new(Seed::new(3)) },
            &|_, _| (),
        )?;
        let vit = Vit::load(folder.path(), &VitOptions::default())?;
        assert_eq!((vit.config(), vit.preprocessing().output_size(7, 9)), (&config.vit(), [SIDE; 2]));
        let encoder = vit.encoder().unwrap();
        let (frames, tubelet, patch) = (config.encoder.frames, config.encoder.tubelet, config.encoder.patch);
        let values: Vec<f32> = (0..frames * 3 * SIDE * SIDE).map(|at| ((at * 37 % 101) as f32 * 0.02).sin()).collect();
        let clip = Clip { values: &values, frames, height: SIDE, width: SIDE };
        let grid = encoder.grid(&clip)?;
        let mut tubelets = Vec::new();
        for token in 0..grid.tokens() {
            let (time, cell) = (token / (grid.rows * grid.columns), token % (grid.rows * grid.columns));
            for channel in 0..3 {
                for frame in time * tubelet..(time + 1) * tubelet {
                    for row in 0..patch {
                        let (top, left) = (cell / grid.columns * patch + row, cell % grid.columns * patch);
                        let start = ((frame * 3 + channel) * SIDE + top) * SIDE + left;
                        tubelets.extend_from_slice(&values[start..start + patch]);
                    }
                }
            }
        }
        let (kept, hidden) = ([0_u32, 3, 5, 9], [1_u32, 2, 11]);
        let (tokens, predicted) = trained_forward(folder.path(), &tubelets, &kept, &hidden)?;
        let [kept, hidden] =
            [kept.map(|number| number as usize).to_vec(), hidden.map(|number| number as usize).to_vec()];
        let inferred = encoder.encode_kept(&clip, &kept)?;
        let close = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(close(&tokens, &inferred), "{objective:?}: tokens");
        let masked = Masked {
            context: &inferred,
            context_numbers: &kept,
            target_numbers: &hidden,
            grid,
            mask_token: 0,
            is_image: frames == 1,
        };
        assert!(close(&predicted, &vit.predictor().unwrap().predict(&masked)?.targets), "{objective:?}: predictions");
        assert!(predicted.iter().any(|value| value.abs() > 1e-3));
    }
    Ok(())
}

#[test]
fn any_number_of_threads_and_any_interruption_give_the_same_bytes() -> Result<()> {
    let config = config(PretrainingObjective::Vjepa);
    let (_kept, first) = lock();
    let whole = weights_of(&config, &RunOptions { folder: Some(&first), ..RunOptions::new(Seed::new(5)) })?;
    let (_kept, second) = lock();
    let options = RunOptions { folder: Some(&second), threads: 3, ..RunOptions::new(Seed::new(5)) };
    let stopped = pretrain(&config, &clips(&config)?, &RunOptions { stop_after: Some(3), ..options }, &|_, _| ())?;
    assert!(!stopped.finished && !second.folder().join("config.json").exists());
    assert_eq!(whole, weights_of(&config, &RunOptions { resume: true, ..options })?);
    let (_kept, third) = lock();
    let other = RunOptions { folder: Some(&third), ..RunOptions::new(Seed::new(6)) };
    assert_ne!(whole, weights_of(&config, &other)?);
    let mut wider = config.clone();
    wider.data.stride = 2;
    let refused = pretrain(&wider, &clips(&wider)?, &RunOptions { resume: true, ..options }, &|_, _| ());
    assert!(refused.unwrap_err().to_string().contains("config"));
    Ok(())
}

#[test]
fn every_objective_fits_the_same_clips_better_and_better_and_keeps_them_apart() -> Result<()> {
    for (objective, loss) in [
        (PretrainingObjective::Vjepa, PretrainingLoss { variance: 0.25, ..PretrainingLoss::default() }),
        (PretrainingObjective::Ijepa, PretrainingLoss { variance: 0.25, ..PretrainingLoss::default() }),
        (PretrainingObjective::Levjepa, PretrainingLoss { sigreg: 2.0, ..PretrainingLoss::default() }),
        (PretrainingObjective::Pixels, PretrainingLoss::default()),
    ] {
        let config = PretrainingConfig {
            steps: 150,
            loss,
            momentum: MomentumConfig { start: 0.99, end: 1.0 },
            ..config(objective)
        };
        let report = pretrain(&config, &clips(&config)?, &RunOptions::new(Seed::new(1)), &|_, _| ())?;
        let (before, after) = (report.before.unwrap(), report.validation.unwrap());
        assert!(!after.collapsed && after.std > 0.15, "{objective:?}: {after}");
        assert!(after.prediction < 0.9 * before.prediction, "{objective:?}: {before}; {after}");
    }
    Ok(())
}

#[test]
fn an_encoder_without_anything_against_it_collapses_and_the_validation_says_so() -> Result<()> {
    // Without SIGReg the encoder is its own target: giving every clip the same tokens is the easiest.
    let config = PretrainingConfig { steps: 200, ..config(PretrainingObjective::Levjepa) };
    let report = pretrain(&config, &clips(&config)?, &RunOptions::new(Seed::new(1)), &|_, _| ())?;
    let (before, after) = (report.before.unwrap(), report.validation.unwrap());
    assert!(after.std < 0.5 * before.std && after.prediction < before.prediction, "{before}; {after}");
    Ok(())
}

#[test]
fn masks_span_all_frames_hide_what_they_predict_and_are_equally_long_in_all_clips() {
    let grid = Grid { frames: 3, rows: 8, columns: 8 };
    let motion: Vec<Vec<f32>> =
        (0..6).map(|clip| (0..64).map(|cell| f32::from(u8::from(cell == clip * 9))).collect()).collect();
    for kind in [MaskKind::Blocks, MaskKind::Motion, MaskKind::Tubes] {
        for objective in [PretrainingObjective::Vjepa, PretrainingObjective::Ijepa] {
            for step in 0..20 {
                let config = MaskConfig { kind, ..MaskConfig::default() };
                let sets = draw_masks(&config, objective, grid, &motion, Seed::new(2).index(step));
                let expected = if objective == PretrainingObjective::Vjepa && kind != MaskKind::Tubes { 2 } else { 1 };
                assert_eq!(sets.len(), expected);
                for set in &sets {
                    for (clip, context) in set.context.iter().enumerate() {
                        assert!(context.is_sorted() && context.len() == set.context[0].len() && context.len() >= 3 * 4);
                        let first: Vec<u32> = context.iter().copied().filter(|number| *number < 64).collect();
                        let later: Vec<u32> = first.iter().map(|number| number + 128).collect();
                        assert!(later.iter().all(|number| context.contains(number)), "the same places in every frame");
                        for block in &set.targets {
                            assert!(block[clip].len() == block[0].len() && !block[clip].is_empty());
                            assert!(block[clip].iter().all(|number| !context.contains(number) && *number < 192));
                        }
                    }
                }
                assert_eq!(sets, draw_masks(&config, objective, grid, &motion, Seed::new(2).index(step)));
            }
        }
    }
}

#[test]
fn the_mask_of_the_future_hides_all_that_comes_after_and_leaves_the_others_as_they_are() {
    let grid = Grid { frames: 4, rows: 8, columns: 8 };
    let motion = vec![vec![1.0f32; 64]; 3];
    let plain = MaskConfig::default();
    let draw = |config: &MaskConfig, step| {
        draw_masks(config, PretrainingObjective::Vjepa, grid, &motion, Seed::new(5).index(step))
    };
    let mut begins = Vec::new();
    for step in 0..60 {
        let sets = draw(&MaskConfig { future: true, ..plain.clone() }, step);
        assert_eq!(sets[1..], draw(&plain, step));
        let (context, target) = (&sets[0].context, &sets[0].targets[0]);
        assert!(context.iter().all(|clip| clip == &context[0]) && context.len() == 3);
        let whole: Vec<u32> = context[0].iter().chain(&target[0]).copied().collect();
        assert_eq!(whole, (0..256).collect::<Vec<u32>>());
        begins.push(context[0].len());
    }
    begins.sort_unstable();
    begins.dedup();
    assert_eq!(begins, [64, 128, 192], "after each tubelet but the last");
    let alone = MaskConfig { future: true, short_blocks: 0, long_blocks: 0, ..plain };
    assert_eq!(draw(&alone, 0).len(), 1);
}

#[test]
fn masks_by_motion_hide_what_moves() {
    let grid = Grid { frames: 1, rows: 8, columns: 8 };
    let motion: Vec<Vec<f32>> = vec![(0..64).map(|cell| if cell == 9 { 1.0 } else { 0.0 }).collect(); 1];
    let hides = |kind: MaskKind| {
        let config = MaskConfig { kind, short_blocks: 2, long_blocks: 0, ..MaskConfig::default() };
        let draw = |step| draw_masks(&config, PretrainingObjective::Vjepa, grid, &motion, Seed::new(4).index(step));
        (0..100).filter(|step| draw(*step)[0].targets[0][0].contains(&9)).count()
    };
    assert!(
        hides(MaskKind::Motion) > hides(MaskKind::Blocks) + 20,
        "{} {}",
        hides(MaskKind::Motion),
        hides(MaskKind::Blocks)
    );
}

#[test]
fn what_makes_no_sense_is_named_and_nothing_is_written() {
    let (folder, lock) = lock();
    let never = AtomicBool::new(false);
    let options = RunOptions { folder: Some(&lock), stop: &never, ..RunOptions::new(Seed::new(0)) };
    let base = config(PretrainingObjective::Vjepa);
    let data = clips(&base).unwrap();
    let mut wrong: Vec<(PretrainingConfig, &str)> = Vec::new();
    let mut add = |change: &dyn Fn(&mut PretrainingConfig), field| {
        let mut config = base.clone();
        change(&mut config);
        wrong.push((config, field));
    };
    add(&|config| config.encoder.patch = 5, "encoder.image_side % encoder.patch");
    add(&|config| config.encoder.frames = 5, "encoder.frames % encoder.tubelet");
    add(&|config| config.encoder.heads = 7, "encoder.width % heads");
    add(&|config| config.data.batch = 1, "data.batch");
    add(&|config| config.momentum.start = 1.5, "momentum.start");
    add(&|config| config.data.batch = 100_000, "pretraining");
    add(&|config| config.objective = PretrainingObjective::Ijepa, "encoder.frames (of I-JEPA)");
    for (config, field) in wrong {
        let memory = mindseye_interface::MemoryLimit::from_bytes(64 << 20);
        let error = pretrain(&config, &data, &RunOptions { memory, ..options }, &|_, _| ()).unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
    for file in ["metrics.jsonl", "config.json", "pretraining.state.safetensors"] {
        assert!(!folder.path().join(file).exists(), "{file}");
    }
    let long = PretrainingConfig { data: ClipConfig { stride: 3, ..base.data.clone() }, ..base };
    assert!(clips(&long).unwrap_err().to_string().contains("at least 10 timesteps"));
}
