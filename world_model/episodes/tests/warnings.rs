//! What `validate` says of recordings that can be read: each warning is raised where its cause is, and none is raised
//! on a good recording.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::support::{DATA, fixture};
use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use mindseye_episodes::{
    DatasetSpec, DatasetWriter, EpisodeData, Mapping, Warning, WarningKind, WriteMode, open, open_with, validate,
};
use mindseye_interface::{Image, ImageSize, NoProgress, Seed};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::Rng as _;

const SIDE: usize = 16;
const EPISODES: usize = 25;
const LENGTH: usize = 80;

/// A soft spot at `x`, `y` in images of 16x16.
fn spot(x: f32, y: f32) -> Image {
    let value = |row: usize, column: usize| {
        let square = (column as f32 - x).powi(2) + (row as f32 - y).powi(2);
        (220.0 * (-square / 8.0).exp()) as u8
    };
    let pixels = (0..SIDE * SIDE).flat_map(|pixel| [value(pixel / SIDE, pixel % SIDE), 90, 40]);
    Image::new(ImageSize::square(SIDE).unwrap(), pixels.collect()).unwrap()
}

/// A spot that goes `length` steps as its actions say, which change every few steps.
fn episode(number: usize, length: usize) -> EpisodeData {
    let mut random = Seed::new(number as u64).rng();
    let (mut place, mut velocity) = ([8.0_f32; 2], [0.0_f32; 2]);
    let mut data = EpisodeData::default();
    for step in 0..length {
        if step % 3 == 0 {
            velocity = [0; 2].map(|_| random.random_range(-1.0..1.0));
        }
        for (place, velocity) in place.iter().zip(&mut velocity) {
            if !(2.0..14.0).contains(&(place + *velocity)) {
                *velocity = -*velocity;
            }
        }
        data.frames.push(spot(place[0], place[1]));
        data.proprioception.push(place.to_vec());
        data.states.push(place.to_vec());
        data.actions.push(velocity.to_vec());
        place.iter_mut().zip(velocity).for_each(|(place, velocity)| *place += velocity);
    }
    data
}

fn record(path: &Path, episodes: &[EpisodeData]) {
    let names = |prefix: &str| ["x", "y"].map(|name| format!("{prefix}{name}")).to_vec();
    let spec = DatasetSpec {
        image_size: ImageSize::square(SIDE).unwrap(),
        proprioception_names: names("own_"),
        state_names: names("at_"),
        action_names: names("go_"),
        episodes_per_file: 100,
        sidecar: None,
        ..crate::support::spec()
    };
    let mut writer = DatasetWriter::create(path, spec, WriteMode::Error).unwrap();
    episodes.iter().for_each(|episode| writer.add_episode(episode).unwrap());
    writer.finish().unwrap();
}

fn of(path: &Path, mapping: &str) -> Vec<Warning> {
    let mapping: Mapping = mindseye_interface::config::parse(mapping).unwrap();
    let report = validate(open_with(path, &mapping).unwrap().as_ref(), &NoProgress).unwrap();
    assert!(report.broken.is_empty(), "{:?}", report.broken);
    report.warnings
}

/// The warnings of `count` episodes of `length` steps, changed by `change`.
fn warnings_of(count: usize, length: usize, change: impl Fn(usize, &mut EpisodeData)) -> Vec<Warning> {
    let folder = tempfile::tempdir().unwrap();
    let changed = |number| {
        let mut data = episode(number, length);
        change(number, &mut data);
        data
    };
    record(folder.path(), &(0..count).map(changed).collect::<Vec<EpisodeData>>());
    of(folder.path(), "")
}

/// The only warning of a recording that is good but for `change`.
fn only(change: impl Fn(usize, &mut EpisodeData)) -> Warning {
    let warnings = warnings_of(EPISODES, LENGTH, change);
    let [warning] = &warnings[..] else { panic!("expected one warning, got {warnings:?}") };
    assert!(!warning.message.contains('\n'));
    warning.clone()
}

fn kinds(warnings: &[Warning]) -> Vec<WarningKind> {
    warnings.iter().map(|warning| warning.kind).collect()
}

#[test]
fn a_good_recording_has_no_warnings_and_small_ones_are_only_said_to_be_small() {
    assert_eq!(warnings_of(EPISODES, LENGTH, |_, _| ()), []);
    let small = [WarningKind::FewEpisodes, WarningKind::FewTimesteps, WarningKind::ShortEpisodes];
    for name in [
        "lerobot_v3_tiny",
        "lerobot_v3_tiny_h264",
        "lerobot_v3_tiny_image",
        "lerobot_v21_tiny",
        "swm_hdf5_tiny/toy_push.h5",
        "swm_folder_tiny",
        "swm_video_tiny",
        "video_cases/h264_full_range",
    ] {
        let warnings = of(&fixture(name), "");
        assert!(kinds(&warnings).iter().all(|kind| small.contains(kind)), "{name}: {warnings:?}");
        assert_eq!(kinds(&warnings)[..2], small[..2], "{name}");
    }
}

#[test]
fn too_few_and_too_short_episodes_are_said_with_what_a_training_needs() {
    let warnings = warnings_of(3, 12, |_, _| ());
    assert_eq!(
        kinds(&warnings),
        [WarningKind::FewEpisodes, WarningKind::FewTimesteps, WarningKind::ShortEpisodes],
        "{warnings:?}"
    );
    for (warning, words) in
        warnings.iter().zip(["3 episodes, fewer than 20", "36 timesteps", "fewer than 16 timesteps"])
    {
        assert!(warning.message.contains(words), "{}", warning.message);
    }
    assert_eq!(warnings[2].episodes, [0, 1, 2]);
    let one = warnings_of(1, LENGTH, |_, _| ());
    assert!(one[0].message.contains("at least 2, of which it holds out one"), "{one:?}");
}

#[test]
fn a_camera_that_never_or_hardly_changes_is_named_with_its_episodes() {
    let still = only(|number, data| {
        if [3, 7].contains(&number) {
            data.frames = vec![spot(8.0, 8.0); LENGTH];
        }
    });
    assert_eq!((still.kind, &still.episodes[..]), (WarningKind::FrozenCamera, &[3, 7][..]));
    assert_eq!(still.camera.as_deref(), Some("front"));
    assert!(still.message.contains("never change in 2 of 25 episodes (3, 7)"), "{}", still.message);
    let noise = only(|number, data| {
        let mut random = Seed::new(number as u64).rng();
        for frame in data.frames.iter_mut().filter(|_| number == 4) {
            let still = spot(8.0, 8.0);
            let noisy = still.pixels().iter().map(|value| value.saturating_add(random.random_range(0..6)));
            *frame = Image::new(frame.size(), noisy.collect()).unwrap();
        }
    });
    assert!(noise.kind == WarningKind::FrozenCamera && noise.episodes == [4], "{noise:?}");
    assert!(noise.message.contains("change by at most 8 of 255"), "{}", noise.message);
}

#[test]
fn a_camera_that_stalls_or_is_slower_than_the_recording_is_named_but_not_a_scene_that_rests() {
    let stalled = only(|number, data| {
        if number == 5 {
            let last = data.frames[30].clone();
            data.frames[31..45].fill(last);
        }
    });
    assert_eq!((stalled.kind, &stalled.episodes[..]), (WarningKind::RepeatedImages, &[5][..]));
    assert!(stalled.message.contains("up to 14 in a row"), "{}", stalled.message);
    let slow = warnings_of(EPISODES, LENGTH, |_, data| {
        (1..LENGTH).step_by(2).for_each(|frame| data.frames[frame] = data.frames[frame - 1].clone());
    });
    assert!(slow[0].kind == WarningKind::RepeatedImages && slow[0].episodes.len() == EPISODES, "{slow:?}");
    assert!(slow[0].message.contains("in all 25 episodes"), "{}", slow[0].message);
    let rests = warnings_of(EPISODES, LENGTH, |_, data| {
        for step in 30..50 {
            (data.frames[step], data.states[step]) = (data.frames[29].clone(), data.states[29].clone());
            (data.proprioception[step], data.actions[step]) = (data.proprioception[29].clone(), vec![0.0; 2]);
        }
    });
    assert_eq!(rests, []);
}

/// Symptom: images that were shifted against the actions trained without a word, to a model that predicts
/// nothing.
#[test]
fn images_that_lag_or_lead_are_found_with_the_number_of_frames() {
    for (late, words) in
        [(2_i64, "2 frames (0.2 s) after"), (-2, "2 frames (0.2 s) before"), (1, "1 frame (0.1 s) after")]
    {
        let shifted = only(|_, data| {
            if late > 0 {
                data.frames.rotate_right(late as usize);
            } else {
                data.frames.rotate_left(-late as usize);
            }
        });
        assert_eq!((shifted.kind, shifted.lag_frames), (WarningKind::ImageLag, Some(late)));
        assert!(shifted.message.contains(words) && shifted.message.contains("front"), "{}", shifted.message);
    }
    let actions = only(|_, data| data.actions.rotate_left(3));
    assert_eq!((actions.kind, actions.lag_frames), (WarningKind::ImageLag, Some(3)));
    assert!(actions.message.contains("3 frames (0.3 s) after the actions"), "{}", actions.message);
    let one_step = warnings_of(EPISODES, LENGTH, |_, data| data.actions.rotate_left(1));
    assert_eq!(one_step, [], "a step between command and motion is that of a motor");
}

#[test]
fn actions_that_say_nothing_are_named() {
    let zero = only(|number, data| {
        if number < 2 {
            data.actions.fill(vec![0.0; 2]);
        }
    });
    assert_eq!((zero.kind, &zero.episodes[..]), (WarningKind::ZeroActions, &[0, 1][..]));
    let all_zero = only(|_, data| data.actions.fill(vec![0.0; 2]));
    assert!(all_zero.message.contains("all actions are 0 in all 25 episodes"), "{}", all_zero.message);
    let held = only(|_, data| data.actions.iter_mut().for_each(|action| action[1] = 0.25));
    assert_eq!((held.kind, &held.dimensions[..]), (WarningKind::ConstantActionDimensions, &["go_y".to_owned()][..]));
    assert!(held.message.contains("1 of 2 dimensions of the actions never change: go_y at 0.25"), "{}", held.message);
    let constant = only(|_, data| data.actions.fill(vec![0.5, 0.25]));
    assert_eq!(constant.kind, WarningKind::ConstantActions);
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &(0..EPISODES).map(|number| episode(number, LENGTH)).collect::<Vec<_>>());
    assert_eq!(kinds(&of(folder.path(), "action = []")), [WarningKind::NoActions]);
}

#[test]
fn values_far_from_all_others_are_named_with_their_place() {
    let action = only(|number, data| {
        if number == 2 {
            data.actions[17][0] = 400_000.0;
        }
    });
    assert_eq!((action.kind, &action.episodes[..]), (WarningKind::OutlierAction, &[2][..]));
    assert!(action.message.contains("action go_x: far from all others (-"), "{}", action.message);
    assert!(action.message.contains("400000 in episode 2 frame 17"), "{}", action.message);
    let own = only(|number, data| {
        if number == 24 {
            data.proprioception[79][1] = -1e6;
        }
    });
    assert_eq!((own.kind, &own.dimensions[..]), (WarningKind::OutlierProprioception, &["own_y".to_owned()][..]));
    assert!(own.message.contains("episode 24 frame 79"), "{}", own.message);
    let state = only(|number, data| {
        if number == 0 {
            data.states[0][0] = 900.0;
        }
    });
    assert!(state.kind == WarningKind::OutlierState && state.message.contains("episode 0 frame 0"), "{state:?}");
}

/// A mapping's `fps` reads timestamps of the described rate as well: both may be in one recording.
#[test]
fn episodes_at_several_rates_are_named() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &(0..EPISODES).map(|number| episode(number, LENGTH)).collect::<Vec<_>>());
    let path = folder.path().join(DATA);
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let reader = reader.with_batch_size(EPISODES * LENGTH).build().unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    let rate = |row: usize| if row < 2 * LENGTH { 20.0 } else { 10.0 };
    let times = (0..EPISODES * LENGTH).map(|row| (row % LENGTH) as f32 / rate(row)).collect::<Vec<f32>>();
    let mut columns = batch.columns().to_vec();
    columns[batch.schema().index_of("timestamp").unwrap()] = Arc::new(Float32Array::from(times)) as ArrayRef;
    let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let report = validate(open(folder.path()).unwrap().as_ref(), &NoProgress).unwrap();
    assert_eq!(report.broken.len(), 2, "without a mapping, those of the other rate are broken");
    let warnings = of(folder.path(), "fps = 20.0");
    let rates = warnings.iter().find(|warning| warning.kind == WarningKind::SeveralRates).unwrap();
    assert!(rates.message.contains("20 a second in 2 of 25 episodes (0, 1)"), "{}", rates.message);
}
