//! Bad input gives an error of one line that names the file and the field, and never a panic.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::support::{DATA, EPISODES, copy, official, read_error, record, tree};
use arrow::array::{ArrayRef, AsArray, FixedSizeListArray, Float32Array, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field, Float32Type, Schema};
use mindseye_episodes::{CacheOptions, Dataset, EpisodeSource, FrameCache};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A new copy of the synthetic data set, changed by `change`.
fn broken(change: impl Fn(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    change(folder.path());
    folder
}

fn expect_error(change: impl Fn(&Path), named: &[&str]) {
    let folder = broken(change);
    let error = read_error(folder.path());
    assert!(named.iter().all(|name| error.contains(name)), "{error} should name {named:?}");
}

fn replace(file: &'static str, from: &'static str, to: &'static str) -> impl Fn(&Path) {
    move |root| {
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(root.join(file), text.replace(from, to)).unwrap();
    }
}

/// Rewrites a table with `change` applied to its first column called `column` (`None` drops it).
fn change_column(root: &Path, file: &str, column: &str, change: impl Fn(&ArrayRef) -> Option<ArrayRef>) {
    let path = root.join(file);
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap().build().unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    let schema = batch.schema();
    let kept = schema.fields().iter().zip(batch.columns()).filter_map(|(field, array)| {
        let array = if field.name() == column { change(array)? } else { Arc::clone(array) };
        let field = field.as_ref().clone().with_data_type(array.data_type().clone());
        Some((field, array))
    });
    let (fields, columns): (Vec<_>, Vec<_>) = kept.unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// `array` `[N, 2]` with `value` in row 5, element 1.
fn poisoned(array: &ArrayRef, value: f32) -> ArrayRef {
    let list = array.as_fixed_size_list();
    let mut values = list.values().as_primitive::<Float32Type>().values().to_vec();
    values[5 * 2 + 1] = value;
    let DataType::FixedSizeList(field, width) = array.data_type() else { panic!("not a list") };
    Arc::new(FixedSizeListArray::new(Arc::clone(field), *width, Arc::new(Float32Array::from(values)), None))
}

/// The same numbers in a plain list whose elements are called `item`.
fn as_list(array: &ArrayRef) -> ArrayRef {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    arrow::compute::cast(array, &DataType::List(item)).unwrap()
}

#[test]
fn truncated_files_are_named() {
    for file in [DATA, EPISODES, "meta/tasks.parquet"] {
        for share in [0, 1, 2, 3] {
            let cut = |root: &Path| {
                let bytes = fs::read(root.join(file)).unwrap();
                fs::write(root.join(file), &bytes[..bytes.len() * share / 4]).unwrap();
            };
            expect_error(cut, &[file.rsplit('/').next().unwrap(), "Parquet"]);
        }
    }
    for file in ["meta/info.json", "meta/mindseye.json"] {
        let cut = |root: &Path| fs::write(root.join(file), &fs::read(root.join(file)).unwrap()[..100]).unwrap();
        expect_error(cut, &[file]);
    }
}

#[test]
fn missing_files_are_named() {
    for file in [DATA, EPISODES, "meta/tasks.parquet", "meta/info.json"] {
        let file_name = file.rsplit('/').next().unwrap();
        let named = if file == EPISODES { "episode" } else { file_name };
        expect_error(|root| fs::remove_file(root.join(file)).unwrap(), &[named]);
    }
}

#[test]
fn values_that_are_not_finite_are_located() {
    for value in [f32::NAN, f32::INFINITY] {
        let poison = |root: &Path| change_column(root, DATA, "action", |array| Some(poisoned(array, value)));
        expect_error(poison, &["file-000.parquet", "episode 0 frame 5 action[1]", "finite"]);
    }
    let folder = broken(|root| change_column(root, DATA, "action", |array| Some(poisoned(array, f32::NAN))));
    let dataset = Dataset::open(folder.path()).unwrap();
    let error = FrameCache::load(&dataset, &CacheOptions::default(), &|_, _| ()).unwrap_err().to_string();
    assert!(error.contains("episode 0 frame 5 action[1]"), "{error}");
}

#[test]
fn missing_columns_and_columns_of_another_shape_are_named() {
    let drop_column = |file: &'static str, column: &'static str| {
        move |root: &Path| change_column(root, file, column, |_| None) //
    };
    for column in ["action", "observation.state", "observation.images.front", "index", "frame_index"] {
        expect_error(drop_column(DATA, column), &["file-000.parquet", column]);
    }
    expect_error(drop_column(EPISODES, "length"), &["file-000.parquet", "length"]);
    // A plain list instead of a fixed-size one, as in old files, is accepted.
    let plain_list = |root: &Path| change_column(root, DATA, "action", |array| Some(as_list(array)));
    assert_eq!(crate::support::read_all(broken(plain_list).path()), crate::support::episodes());
    let without_bytes = |array: &ArrayRef| -> Option<ArrayRef> {
        let images: &StructArray = array.as_struct();
        Some(Arc::clone(images.column(1)))
    };
    let strip = |root: &Path| change_column(root, DATA, "observation.images.front", without_bytes);
    expect_error(strip, &["observation.images.front", "struct"]);
    let widen = replace("meta/mindseye.json", "\"scene\"", "\"colour\": 3, \"scene\"");
    expect_error(widen, &["mindseye.json", "colour"]);
}

#[test]
fn contradictions_between_files_are_named() {
    expect_error(replace("meta/info.json", "\"total_episodes\": 5", "\"total_episodes\": 6"), &["expected 6"]);
    expect_error(replace("meta/info.json", "\"total_frames\": 27", "\"total_frames\": 28"), &["expected 28", "27"]);
    let swapped = |root: &Path| {
        fs::copy(root.join(DATA.replace("000.p", "001.p")), root.join(DATA)).unwrap();
    };
    expect_error(swapped, &["file-000.parquet", "episode 0 frame 0 episode_index", "expected 0", "got 2"]);
    expect_error(
        replace(
            "meta/info.json",
            "                3\n            ],\n            \"names\": [\n                \"x_m\"",
            "                4\n            ],\n            \"names\": [\n                \"x_m\"",
        ),
        &["observation.environment_state", "4"],
    );
}

#[test]
fn unsupported_versions_and_invalid_descriptions_are_refused() {
    let info = "meta/info.json";
    expect_error(replace(info, "v3.0", "v2.0"), &["info.json", "codebase_version", "v3.0 or v2.1", "v2.0"]);
    expect_error(replace(info, "v3.0", "v2.1"), &["info.json", "data_path", "{episode_index:06d}"]);
    expect_error(replace(info, "\"dtype\": \"image\"", "\"dtype\": \"video\""), &["video_path", "front"]);
    expect_error(replace(info, "\"fps\"", "\"storage_format\": \"lance\", \"fps\""), &["lance", "LeRobot's own tools"]);
    expect_error(replace(info, "\"fps\": 10", "\"fps\": 0"), &["fps"]);
    expect_error(replace(info, "data/chunk-{", "../data/chunk-{"), &["data_path"]);
    expect_error(
        replace(info, "                6,\n", "                60000,\n"),
        &["observation.images.front", "60000"],
    );
    expect_error(replace(info, "                6,\n", "                7,\n"), &["episode 0 frame 0", "6x8", "7x8"]);
    // Unknown keys are ignored.
    let folder = broken(replace(info, "\"fps\": 10", "\"unknown\": 1, \"fps\": 10.0"));
    assert_eq!(crate::support::read_all(folder.path()).len(), 5);
}

#[test]
fn flipped_bytes_never_cause_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    copy(&official(), folder.path());
    for file in [DATA, EPISODES, "meta/tasks.parquet"] {
        let path = folder.path().join(file);
        let good = fs::read(&path).unwrap();
        let step = (good.len() / 150).max(1);
        for position in (0..good.len()).step_by(step) {
            let mut bad = good.clone();
            bad[position] ^= 0x5a;
            fs::write(&path, bad).unwrap();
            // The result is an error of one line, or pixels that differ.
            let read = || -> mindseye_episodes::Result<()> {
                let dataset = Dataset::open(folder.path())?;
                (0..dataset.len()).try_for_each(|index| dataset.read_episode(index).map(drop))
            };
            if let Err(error) = read() {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
        fs::write(&path, good).unwrap();
    }
    assert!(tree(folder.path()) == tree(&official()));
}

/// `array` of whole numbers or of seconds with `change` applied to row `row`.
fn changed<T: arrow::datatypes::ArrowPrimitiveType>(
    array: &ArrayRef,
    row: usize,
    change: impl Fn(T::Native) -> T::Native,
) -> Option<ArrayRef> {
    let mut values = array.as_primitive::<T>().values().to_vec();
    values[row] = change(values[row]);
    Some(Arc::new(arrow::array::PrimitiveArray::<T>::from_iter_values(values)))
}

#[test]
fn timestamps_that_contradict_the_rate_are_refused() {
    let info = "meta/info.json";
    expect_error(replace(info, "\"fps\": 10", "\"fps\": 20"), &["episode 0 frame 1 timestamp", "frame_index / fps"]);
    let late = |array: &ArrayRef| changed::<Float32Type>(array, 3, |seconds| seconds + 0.05);
    expect_error(|root| change_column(root, DATA, "timestamp", late), &["episode 0 frame 3 timestamp", "0.3500"]);
    let never = |array: &ArrayRef| changed::<Float32Type>(array, 2, |_| f32::NAN);
    expect_error(|root| change_column(root, DATA, "timestamp", never), &["episode 0 frame 2 timestamp", "NaN"]);
}

#[test]
fn a_missing_chunk_folder_is_named() {
    expect_error(|root| fs::remove_dir_all(root.join("data/chunk-000")).unwrap(), &["data/chunk-000/file-000.parquet"]);
}

#[test]
fn absurd_row_counts_are_refused_without_allocating() {
    use arrow::datatypes::Int64Type;
    let many = 1i64 << 40;
    let long = |array: &ArrayRef| changed::<Int64Type>(array, 0, |_| many);
    expect_error(|root| change_column(root, EPISODES, "length", long), &["episodes", "file-000.parquet"]);
    expect_error(
        replace("meta/info.json", "\"total_frames\": 27", "\"total_frames\": 1099511627776"),
        &["1099511627776"],
    );
    expect_error(
        replace("meta/info.json", "\"total_episodes\": 5", "\"total_episodes\": 1099511627776"),
        &["1099511627776"],
    );
}

#[test]
fn a_png_decompression_bomb_is_refused() {
    // A few hundred kilobytes of PNG that decode to 64 million pixels.
    let side = 8000;
    let bomb = {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let image = image::GrayImage::new(side, side);
        image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    };
    assert!(bomb.len() < 500_000, "{} bytes", bomb.len());
    let plant = |array: &ArrayRef| -> Option<ArrayRef> {
        let images: &StructArray = array.as_struct();
        let old = images.column_by_name("bytes")?.as_binary::<i32>();
        let bytes = old.iter().enumerate().map(|(row, old)| if row == 4 { Some(bomb.as_slice()) } else { old });
        let bytes: ArrayRef = Arc::new(arrow::array::BinaryArray::from_iter(bytes));
        let columns = images.fields().iter().zip(images.columns());
        let columns = columns.map(|(field, column)| {
            let column = if field.name() == "bytes" { Arc::clone(&bytes) } else { Arc::clone(column) };
            (Arc::clone(field), column)
        });
        Some(Arc::new(StructArray::from(columns.collect::<Vec<_>>())))
    };
    let planted = |root: &Path| change_column(root, DATA, "observation.images.front", plant);
    expect_error(planted, &["episode 0 frame 4", "limit"]);
}
