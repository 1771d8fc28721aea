//! `meta/episodes/chunk-000/file-000.parquet`: one row per episode.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};

use super::columns::uniform_list;
use super::episode_row::{EpisodeRow, VideoPlace};
use super::info::{Feature, FilePlace, Info};
use super::statistics::{Statistics, VECTORS};
use super::tables::{TableFile, write_table};
use super::v21;
use crate::cameras::RecordedCamera;
use crate::{Error, Result};

/// Bytes that a row of the table takes while it is read, about.
const ROW_BYTES: usize = 512;

fn episodes_folder(root: &Path) -> PathBuf {
    root.join("meta").join("episodes")
}

/// A file of the table of the data set in `root`.
pub(super) fn episodes_file(root: &Path, place: FilePlace) -> PathBuf {
    episodes_folder(root).join(format!("chunk-{:03}", place.chunk)).join(format!("file-{:03}.parquet", place.file))
}

/// Files of the table in order; unfinished (`.partial`) and foreign names are skipped.
fn table_files(root: &Path) -> Result<Vec<FilePlace>> {
    let number = |name: &str, start: &str, end: &str| -> Option<usize> {
        name.strip_prefix(start)?.strip_suffix(end)?.parse().ok() //
    };
    let names = |folder: &Path| -> Result<Vec<String>> {
        let failed = |error| Error::file(folder, "listing", error);
        let entries = std::fs::read_dir(folder).map_err(failed)?;
        let name = |entry: std::io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        entries.map(name).collect::<std::io::Result<_>>().map_err(failed)
    };
    let folder = episodes_folder(root);
    let mut places = Vec::new();
    for chunk_name in names(&folder)? {
        let Some(chunk) = number(&chunk_name, "chunk-", "") else {
            continue;
        };
        for name in names(&folder.join(&chunk_name))? {
            places.extend(number(&name, "file-", ".parquet").map(|file| FilePlace { chunk, file }));
        }
    }
    places.sort_unstable();
    Ok(places)
}

/// The committed rows, with the places of the videos of `cameras`, and the last file that they are in. Rows beyond
/// `info.total_episodes` belong to a segment that was interrupted before `info.json` was rewritten, and are ignored.
///
/// # Errors
/// [`Error::Content`] when the tables contradict `info`.
pub(crate) fn read_rows(
    root: &Path,
    info: &Info,
    cameras: &[RecordedCamera],
) -> Result<(Vec<EpisodeRow>, Option<FilePlace>)> {
    let (mut rows, mut last) = (Vec::new(), None);
    if info.is_v21() {
        rows = v21::read_rows(root, info)?;
    } else if info.total_episodes > 0 {
        for place in table_files(root)? {
            if rows.len() == info.total_episodes {
                break;
            }
            let path = episodes_file(root, place);
            read_file(&path, info, cameras, &mut rows)?;
            rows.truncate(info.total_episodes);
            last = Some(place);
        }
    }
    if rows.len() != info.total_episodes {
        let got = format!("{} rows", rows.len());
        return Err(Error::content(&episodes_folder(root), "episodes", info.total_episodes, got));
    }
    let frames: usize = rows.iter().map(|row| row.length).sum();
    if frames != info.total_frames {
        return Err(Error::content(&episodes_folder(root), "frames", info.total_frames, frames));
    }
    Ok((rows, last))
}

fn read_file(path: &Path, info: &Info, cameras: &[RecordedCamera], rows: &mut Vec<EpisodeRow>) -> Result<()> {
    let table = TableFile::open(path)?;
    let columns = [
        "episode_index",
        "length",
        "tasks",
        "data/chunk_index",
        "data/file_index",
        "dataset_from_index",
        "dataset_to_index",
    ];
    table.rows_in_memory(ROW_BYTES)?;
    let batch = table.read(&columns, 0, table.rows())?;
    let [index, length, chunk, file, from, to] =
        [columns[0], columns[1], columns[3], columns[4], columns[5], columns[6]].map(|name| batch.counts(name));
    let (index, length, chunk, file, from, to) = (index?, length?, chunk?, file?, from?, to?);
    let mut videos = vec![BTreeMap::new(); table.rows()];
    let is_video = |camera: &&RecordedCamera| info.features.get(&camera.column).is_some_and(Feature::is_video);
    for RecordedCamera { column: camera, .. } in cameras.iter().filter(is_video) {
        let names = ["chunk_index", "file_index", "from_timestamp"].map(|part| format!("videos/{camera}/{part}"));
        let batch = table.read(&[&names[0], &names[1], &names[2]], 0, table.rows())?;
        for (row, videos) in videos.iter_mut().enumerate() {
            // An episode without this camera has nulls here; it is refused when it is read.
            let one = batch.part(row..row + 1);
            if one.is_empty(&names[0])? && one.is_empty(&names[1])? {
                continue;
            }
            let (chunk, file) = (one.counts(&names[0])?[0], one.counts(&names[1])?[0]);
            let from_secs = one.vectors_f64(&names[2], 1)?[0];
            if !(from_secs.is_finite() && from_secs >= 0.0) {
                let field = format!("row {row} {}", names[2]);
                return Err(Error::content(path, field, "seconds from the start", from_secs));
            }
            videos.insert(camera.clone(), VideoPlace { file: FilePlace { chunk, file }, from_secs });
        }
    }
    for (row, tasks) in batch.text_lists("tasks")?.into_iter().enumerate() {
        let episode = rows.len();
        let expected_start = rows.last().map_or(0, |row| row.first_frame + row.length);
        let expect = |field: &str, expected: usize, got: usize| {
            let named = || format!("episode {episode} {field}");
            if expected == got { Ok(()) } else { Err(Error::content(path, named(), expected, got)) }
        };
        expect("episode_index", episode, index[row])?;
        expect("dataset_from_index", expected_start, from[row])?;
        expect("dataset_to_index", expected_start.saturating_add(length[row]), to[row])?;
        // Keeps the product of a frame count and an image size far from overflow.
        if length[row] == 0 || to[row] > u32::MAX as usize {
            let expected = format!("1 to {} frames", u32::MAX);
            return Err(Error::content(path, format!("episode {episode} length"), expected, length[row]));
        }
        let data = FilePlace { chunk: chunk[row], file: file[row] };
        let videos = std::mem::take(&mut videos[row]);
        rows.push(EpisodeRow { length: length[row], tasks, data, first_frame: from[row], videos });
    }
    Ok(())
}

/// Statistics of one episode, in the order of the features.
pub(crate) type EpisodeStatistics = Vec<Statistics>;

/// Number of elements of the statistics of `feature`, and whether further lists wrap them (cameras).
fn statistics_shape(feature: &Feature) -> (usize, bool) {
    if feature.has_images() { (3, true) } else { (feature.width(), false) }
}

/// Reads the statistics of all committed episodes, for a writer that appends.
pub(crate) fn read_statistics(root: &Path, info: &Info) -> Result<Vec<EpisodeStatistics>> {
    let mut all: Vec<EpisodeStatistics> = Vec::with_capacity(info.total_episodes);
    if info.total_episodes == 0 {
        return Ok(all);
    }
    for place in table_files(root)? {
        if all.len() >= info.total_episodes {
            break;
        }
        let table = TableFile::open(&episodes_file(root, place))?;
        let start = all.len();
        all.resize(start + table.rows_in_memory(ROW_BYTES)?, Vec::new());
        for (name, feature) in &info.features.0 {
            let width = statistics_shape(feature).0;
            let column = |statistic: &str, width: usize| -> Result<Vec<f64>> {
                let name = format!("stats/{name}/{statistic}");
                table.read(&[&name], 0, table.rows())?.vectors_f64(&name, width)
            };
            let counts = column("count", 1)?;
            let mut vectors = Vec::with_capacity(9);
            for statistic in VECTORS {
                vectors.push(column(statistic, width)?);
            }
            for (row, count) in counts.into_iter().enumerate() {
                let of_row = std::array::from_fn(|vector| vectors[vector][row * width..(row + 1) * width].to_vec());
                all[start + row].push(Statistics::from_vectors(count as u64, of_row));
            }
        }
    }
    all.truncate(info.total_episodes);
    Ok(all)
}

/// Writes one file of the table: `rows`, the first of which is episode `first_episode`, and their `statistics`.
pub(crate) fn write_rows(
    root: &Path,
    place: FilePlace,
    info: &Info,
    first_episode: usize,
    rows: &[EpisodeRow],
    statistics: &[EpisodeStatistics],
) -> Result<()> {
    let integers = |value: &dyn Fn(usize, &EpisodeRow) -> usize| -> ArrayRef {
        let values = rows.iter().enumerate().map(|(index, row)| value(index, row) as i64);
        Arc::new(Int64Array::from_iter_values(values))
    };
    let tasks: Vec<&String> = rows.iter().flat_map(|row| row.tasks.first()).collect();
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("episode_index".into(), integers(&|index, _| first_episode + index)),
        ("tasks".into(), uniform_list(Arc::new(StringArray::from_iter_values(tasks)), 1)),
        ("length".into(), integers(&|_, row| row.length)),
        ("data/chunk_index".into(), integers(&|_, row| row.data.chunk)),
        ("data/file_index".into(), integers(&|_, row| row.data.file)),
        ("dataset_from_index".into(), integers(&|_, row| row.first_frame)),
        ("dataset_to_index".into(), integers(&|_, row| row.first_frame + row.length)),
    ];
    for (camera, _) in info.features.0.iter().filter(|(_, feature)| feature.is_video()) {
        columns.extend(video_columns(camera, rows, info.fps));
    }
    for (number, (name, feature)) in info.features.0.iter().enumerate() {
        let of_feature: Vec<&Statistics> = statistics.iter().map(|episode| &episode[number]).collect();
        columns.extend(statistics_columns(name, feature, &of_feature));
    }
    columns.push(("meta/episodes/chunk_index".into(), integers(&|_, _| place.chunk)));
    columns.push(("meta/episodes/file_index".into(), integers(&|_, _| place.file)));

    let path = episodes_file(root, place);
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, column)| column).collect())
        .map_err(|error| Error::file(&path, "encoding", error))?;
    write_table(&path, schema, &[vec![batch]], &[], 0)
}

/// The four `videos/<camera>/<part>` columns of one camera.
fn video_columns(camera: &str, rows: &[EpisodeRow], fps: f64) -> Vec<(String, ArrayRef)> {
    let places = || rows.iter().map(|row| row.videos.get(camera));
    let integers = |of: fn(FilePlace) -> usize| -> ArrayRef {
        Arc::new(Int64Array::from_iter(places().map(|place| place.map(|place| of(place.file) as i64))))
    };
    let seconds = |of: &dyn Fn(&EpisodeRow, f64) -> f64| -> ArrayRef {
        let values = rows.iter().zip(places()).map(|(row, place)| place.map(|place| of(row, place.from_secs)));
        Arc::new(Float64Array::from_iter(values))
    };
    let name = |part: &str| format!("videos/{camera}/{part}");
    vec![
        (name("chunk_index"), integers(|place| place.chunk)),
        (name("file_index"), integers(|place| place.file)),
        (name("from_timestamp"), seconds(&|_, from| from)),
        (name("to_timestamp"), seconds(&|row, from| from + row.length as f64 / fps)),
    ]
}

/// The ten `stats/<feature>/<statistic>` columns of one feature.
fn statistics_columns(name: &str, feature: &Feature, rows: &[&Statistics]) -> Vec<(String, ArrayRef)> {
    let (width, is_image) = statistics_shape(feature);
    let counts = Int64Array::from_iter_values(rows.iter().map(|statistics| statistics.count as i64));
    let mut columns = Vec::with_capacity(10);
    for (number, statistic) in VECTORS.into_iter().enumerate() {
        if statistic == "q01" {
            let counts = Arc::new(counts.clone());
            columns.push((format!("stats/{name}/count"), uniform_list(counts, 1)));
        }
        let values = rows.iter().flat_map(|statistics| statistics.vectors()[number].iter().copied());
        let mut column: ArrayRef = Arc::new(Float64Array::from_iter_values(values));
        if is_image {
            column = uniform_list(uniform_list(column, 1), 1);
        }
        columns.push((format!("stats/{name}/{statistic}"), uniform_list(column, width)));
    }
    columns
}
