//! `data/chunk-000/file-000.parquet`: one row per timestep.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, Float32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use mindseye_interface::MemoryLimit;
use mindseye_interface::memory::product;
use mindseye_interface::text::printable_path;
use serde_json::{Value, json};

use super::columns::{element, image_column, image_type, vector_column};
use super::info::{ACTION, CAMERA_PREFIX, Feature, Info, PROPRIOCEPTION, STATE};
use super::named::Named;
use super::tables::{Rows, TableFile, write_table};
use crate::columns::{ColumnSlice, Columns, actions_side_by_side, side_by_side};
use crate::episode::EpisodeArrays;
use crate::rows;
use crate::{Error, Result};

/// Names of the default features, in LeRobot's order; `timestamp` is float32, the others are int64.
pub(crate) const DEFAULT_FEATURES: [&str; 5] = ["timestamp", "frame_index", "episode_index", "index", "task_index"];

/// Bytes of images in a batch of Arrow's, whose 32-bit offsets end at 2 GiB.
const BATCH_BYTES: usize = 1 << 30;

/// Largest difference of a timestamp from `frame_index / fps`, in durations of a frame.
const TIME_TOLERANCE: f64 = 0.1;

/// One episode with compressed images, ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct EncodedEpisode {
    /// Index of the episode.
    pub episode: usize,
    /// Index of the first timestep over the whole data set.
    pub first_frame: usize,
    /// Number of the task.
    pub task: usize,
    /// `T` images of the first camera as PNG, or as samples of a video.
    pub images: Vec<Vec<u8>>,
    /// `T` images as PNG of each further camera, by feature.
    pub more_images: Vec<(String, Vec<Vec<u8>>)>,
    /// `[T, P]`.
    pub proprioception: Vec<f32>,
    /// `[T, K]`.
    pub states: Vec<f32>,
    /// `[T, A]`.
    pub actions: Vec<f32>,
}

impl EncodedEpisode {
    /// Bytes that it takes in memory, about.
    pub fn memory_bytes(&self) -> usize {
        const PER_IMAGE: usize = 48;
        let further = self.more_images.iter().flat_map(|(_, images)| images);
        let images = self.images.iter().chain(further).map(|png| png.len() + PER_IMAGE).sum::<usize>();
        images + size_of::<f32>() * (self.proprioception.len() + self.states.len() + self.actions.len())
    }

    /// The default feature called `name`, `[T]`.
    pub fn default_feature(&self, name: &str, fps: f64) -> Vec<f64> {
        let frames = 0..self.images.len();
        let constant = |value: usize| vec![value as f64; self.images.len()];
        match name {
            "timestamp" => frames.map(|frame| frame as f64 / fps).collect(),
            "frame_index" => frames.map(|frame| frame as f64).collect(),
            "index" => frames.map(|frame| (self.first_frame + frame) as f64).collect(),
            "episode_index" => constant(self.episode),
            _ => constant(self.task),
        }
    }

    /// The timesteps in parts whose images have at most [`BATCH_BYTES`] together.
    fn batches(&self) -> Vec<Range<usize>> {
        let (mut batches, mut start, mut bytes) = (Vec::new(), 0, 0usize);
        for frame in 0..self.images.len() {
            let further = self.more_images.iter().map(|(_, images)| images[frame].len());
            let length = further.fold(self.images[frame].len(), usize::max); // each camera has a column of its own
            if frame > start && bytes + length > BATCH_BYTES {
                batches.push(start..frame);
                (start, bytes) = (frame, 0);
            }
            bytes += length;
        }
        batches.push(start..self.images.len());
        batches
    }

    /// The column of a feature; of images only those of `frames`.
    fn column(&self, name: &str, feature: &Feature, fps: f64, frames: &Range<usize>) -> ArrayRef {
        if feature.is_image() {
            let names = frames.clone().map(|frame| format!("frame-{frame:06}.png"));
            let further = self.more_images.iter().find(|(feature, _)| feature == name);
            let images = further.map_or(&self.images, |(_, images)| images);
            return image_column(&images[frames.clone()], names.collect());
        }
        match name {
            PROPRIOCEPTION => vector_column(self.proprioception.clone(), feature.width()),
            STATE => vector_column(self.states.clone(), feature.width()),
            ACTION => vector_column(self.actions.clone(), feature.width()),
            "timestamp" => {
                let seconds = self.default_feature(name, fps);
                Arc::new(Float32Array::from_iter_values(seconds.into_iter().map(|value| value as f32)))
            }
            _ => {
                let values = self.default_feature(name, fps);
                Arc::new(Int64Array::from_iter_values(values.into_iter().map(|value| value as i64)))
            }
        }
    }
}

/// The features of a data set whose cameras all have `images`, in LeRobot's order.
pub(crate) fn features<'a>(
    cameras: impl Iterator<Item = &'a String>,
    images: &Feature,
    proprioception: &[String],
    state: &[String],
    action: &[String],
) -> Named<Feature> {
    let mut features: Vec<(String, Feature)> =
        cameras.map(|camera| (format!("{CAMERA_PREFIX}{camera}"), images.clone())).collect();
    for (name, elements) in [(PROPRIOCEPTION, proprioception), (STATE, state), (ACTION, action)] {
        if !elements.is_empty() {
            features.push((name.into(), Feature::vector("float32", elements.len(), elements.into())));
        }
    }
    for name in DEFAULT_FEATURES {
        let dtype = if name == "timestamp" { "float32" } else { "int64" };
        features.push((name.into(), Feature::vector(dtype, 1, Value::Null)));
    }
    Named(features)
}

/// The features that have a column: videos have files of their own.
fn columns(features: &Named<Feature>) -> impl Iterator<Item = &(String, Feature)> {
    features.0.iter().filter(|(_, feature)| !feature.is_video())
}

/// Writes a data file with one row group per episode.
pub(crate) fn write_frames(path: &Path, info: &Info, episodes: &[EncodedEpisode]) -> Result<()> {
    let schema = schema(&info.features);
    let mut groups = Vec::with_capacity(episodes.len());
    for encoded in episodes {
        let mut group = Vec::new();
        for frames in encoded.batches() {
            let column = |(name, feature): &(String, Feature)| {
                let whole = encoded.column(name, feature, info.fps, &frames);
                if whole.len() == frames.len() { whole } else { whole.slice(frames.start, frames.len()) }
            };
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns(&info.features).map(column).collect());
            group.push(batch.map_err(|error| Error::file(path, "encoding", error))?);
        }
        groups.push(group);
    }
    let images = info.features.0.iter().filter(|(_, feature)| feature.is_image());
    let opaque: Vec<String> = images.map(|(name, _)| name.clone()).collect();
    let largest = episodes.iter().flat_map(|encoded| &encoded.images).map(Vec::len).max().unwrap_or(0);
    write_table(path, schema, &groups, &opaque, largest)
}

fn schema(features: &Named<Feature>) -> SchemaRef {
    let field = |(name, feature): &(String, Feature)| {
        let scalar = if feature.dtype == "int64" { DataType::Int64 } else { DataType::Float32 };
        let data_type = match feature.width() {
            _ if feature.is_image() => image_type(),
            1 => scalar,
            width => DataType::FixedSizeList(element(scalar), width as i32),
        };
        Field::new(name, data_type, true)
    };
    let fields: Vec<Field> = columns(features).map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, HashMap::from([("huggingface".into(), hugging_face(features))])))
}

/// Description of the columns for the `datasets` library.
fn hugging_face(features: &Named<Feature>) -> String {
    let describe = |(name, feature): &(String, Feature)| {
        let scalar = json!({ "dtype": feature.dtype, "_type": "Value" });
        let description = match feature.width() {
            _ if feature.is_image() => json!({ "_type": "Image" }),
            1 => scalar,
            width => json!({ "feature": scalar, "length": width, "_type": "List" }),
        };
        format!("{}: {description}", Value::from(name.as_str()))
    };
    let members: Vec<String> = columns(features).map(describe).collect();
    format!("{{\"info\": {{\"features\": {{{}}}}}}}", members.join(", "))
}

/// The episode whose numbers are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct EpisodePlace {
    pub episode: usize,
    /// Index of its first timestep over the data set.
    pub first_frame: usize,
    /// Its first row in the data file.
    pub start: usize,
    pub length: usize,
}

/// Reads the numbers of an episode from a data file. Its timestamps must run at the first or another one of `rates`, in
/// timesteps per second. A last action of NaN says that none followed, see
/// [`EpisodeArrays`].
///
/// # Errors
/// [`Error::Content`] that names the episode, the frame and the column; [`Error::Interface`] when the numbers need more
/// memory than there is.
pub(super) fn read_frames(
    table: &TableFile,
    columns: &Columns,
    rates: &[f64],
    EpisodePlace { episode, first_frame, start, length }: EpisodePlace,
) -> Result<EpisodeArrays> {
    let mut names = vec!["episode_index", "frame_index", "index", "timestamp"];
    for name in columns.slices().map(|slice| slice.column.as_str()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // As read, as a plain vector, and side by side.
    let width: usize = 4 + columns.slices().map(|slice| slice.width).sum::<usize>();
    let field = format!("{}: episode {episode}: {length} frames", printable_path(table.path()));
    MemoryLimit::of_this_machine().require(&field, product(&[length, width, 3, 8]))?;
    let rows = table.read(&names, start, length)?;
    for (name, first, step) in [("episode_index", episode, 0), ("frame_index", 0, 1), ("index", first_frame, 1)] {
        let values = rows.counts(name)?;
        if let Some((frame, got)) = values.iter().enumerate().find(|&(frame, got)| *got != first + frame * step) {
            let field = format!("episode {episode} frame {frame} {name}");
            return Err(Error::content(&rows.path, field, first + frame * step, got));
        }
    }
    let rate = check_rate(&rows, &rows.values_of("timestamp", 1, episode)?, rates, episode)?;
    let read = |slice: &ColumnSlice| rows.values_of(&slice.column, slice.width, episode);
    let column = |slice: &ColumnSlice| rows::finite(&rows.path, episode, (&slice.column, slice), length, read(slice)?);
    let action = |slice: &ColumnSlice| {
        let values = rows.vectors_but_last(&slice.column, slice.width, episode)?;
        rows::finite_but_last(&rows.path, episode, (&slice.column, slice), length, values)
    };
    Ok(EpisodeArrays {
        proprioception: side_by_side(&columns.proprioception, column)?,
        states: side_by_side(&columns.state, column)?,
        actions: actions_side_by_side(&columns.action, action)?,
        frames_per_second: Some(rate),
    })
}

/// The first of `rates` at which `timestamps` run; refuses those that run at none.
fn check_rate(rows: &Rows, timestamps: &[f32], rates: &[f64], episode: usize) -> Result<f64> {
    let stray = |rate: f64| {
        timestamps.iter().enumerate().find(|&(frame, got)| {
            let difference = (f64::from(*got) - frame as f64 / rate).abs();
            difference.is_nan() || difference > TIME_TOLERANCE / rate
        })
    };
    let mut first_stray = None;
    for &rate in rates {
        let Some((frame, got)) = stray(rate) else { return Ok(rate) };
        first_stray = first_stray.or(Some((frame, *got, rate)));
    }
    let (frame, got, rate) = first_stray.unwrap_or((0, f32::NAN, f64::NAN));
    let expected = format!("{:.4} seconds (frame_index / fps)", frame as f64 / rate);
    Err(Error::content(&rows.path, format!("episode {episode} frame {frame} timestamp"), expected, got))
}
