//! Small files that promise a lot: they are refused, or read within bounds.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use crate::support::{DATA, copy, episode, fixture, read_error, spec};
use arrow::array::{ArrayRef, BinaryArray, DictionaryArray, Int32Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use mindseye_episodes::{Dataset, DatasetWriter, EpisodeSource, WriteMode};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

/// Symptom: a video of 5 kB took all memory. Cause: its table of sizes said "10^8 samples of one byte", which needs no
/// entries, and the parser of the container made an entry for each. Fix: counts are added up before.
#[test]
fn a_video_that_promises_more_samples_than_it_has_bytes_is_refused() {
    for (size, count) in [(1u32, 100_000_000u32), (1, u32::MAX), (1 << 31, 20)] {
        let folder = tempfile::tempdir().unwrap();
        copy(&fixture("lerobot_v3_tiny"), folder.path());
        let video = folder.path().join("videos/observation.images.front/chunk-000/file-000.mp4");
        let mut bytes = fs::read(&video).unwrap();
        let table = bytes.windows(4).position(|name| name == b"stsz").unwrap() + 8;
        bytes[table..table + 4].copy_from_slice(&size.to_be_bytes());
        bytes[table + 4..table + 8].copy_from_slice(&count.to_be_bytes());
        fs::write(&video, bytes).unwrap();
        let error = read_error(folder.path());
        assert!(error.contains("file-000.mp4: video samples: expected"), "{error}");
    }
}

/// Symptom: a video of 13 kB ended the process: "memory allocation of 1152921504606846936 bytes failed". Cause: the
/// parser of the container takes memory for the boxes of `meta` by their stated sizes, and memory that is refused is no
/// panic that could be caught. Fix: boxes that exceed their parent are refused before.
#[test]
fn a_video_whose_metadata_promise_more_bytes_than_there_are_is_refused() {
    let handler = [&1u32.to_be_bytes()[..], b"hdlr", &(1u64 << 60).to_be_bytes(), &[0; 20]].concat();
    let meta = [&(12 + handler.len() as u32).to_be_bytes()[..], b"meta", &[0; 4], &handler].concat();
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture("lerobot_v3_tiny"), folder.path());
    let video = folder.path().join("videos/observation.images.front/chunk-000/file-000.mp4");
    let mut bytes = fs::read(&video).unwrap();
    let movie = bytes.windows(4).position(|name| name == b"moov").unwrap() - 4;
    let size = u32::from_be_bytes(*bytes[movie..].first_chunk().unwrap());
    bytes[movie..movie + 4].copy_from_slice(&(size + meta.len() as u32).to_be_bytes());
    bytes.splice(movie + 8..movie + 8, meta);
    fs::write(&video, bytes).unwrap();
    let error = read_error(folder.path());
    assert!(error.contains("file-000.mp4: video"), "{error}"); // such boxes are passed over; the frames have moved
}

/// Symptom: a table with four changed bytes was read without end. Cause: the levels of a list ended before its page,
/// for which the library waits when it skips rows. Fix: where rows are skipped, lists are read whole first.
#[test]
fn a_list_whose_levels_end_before_its_page_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture("lerobot_v3_tiny_image"), folder.path());
    let mut bytes = fs::read(folder.path().join(DATA)).unwrap();
    for (place, value) in [(2516, 0x77), (3402, 0x5d), (5015, 0x07), (10814, 0x6e)] {
        bytes[place] = value;
    }
    fs::write(folder.path().join(DATA), bytes).unwrap();
    let error = read_error(folder.path());
    assert!(error.contains("file-000.parquet: reading"), "{error}");
}

/// A PNG of `image` with an additional chunk that nobody reads.
fn padded_png(image: &mindseye_interface::Image, padding: usize) -> Vec<u8> {
    let png = mindseye_episodes::image_codec::encode_png(image).unwrap();
    let (header, rest) = png.split_at(33); // signature and IHDR
    let mut chunk = (padding as u32).to_be_bytes().to_vec();
    chunk.extend(b"prVt");
    chunk.resize(8 + padding, 0);
    let mut table: Vec<u32> = (0..256u32).collect();
    table.iter_mut().for_each(|value| {
        (0..8).for_each(|_| *value = if *value & 1 == 1 { 0xedb8_8320 ^ (*value >> 1) } else { *value >> 1 });
    });
    let crc =
        chunk[4..].iter().fold(u32::MAX, |crc, byte| table[((crc ^ u32::from(*byte)) & 255) as usize] ^ (crc >> 8));
    chunk.extend((!crc).to_be_bytes());
    [header, &chunk, rest].concat()
}

/// Gives all rows of the data file the same image, which is in the file once: in the dictionary of its column.
fn with_one_image(root: &Path, png: &[u8]) {
    let path = root.join(DATA);
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let (mut fields, mut changed) = (Vec::new(), Vec::new());
    for batch in &batches {
        let rows = batch.num_rows();
        let one: ArrayRef = Arc::new(BinaryArray::from_iter_values([png]));
        let bytes: ArrayRef = Arc::new(DictionaryArray::new(Int32Array::from(vec![0; rows]), one));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["x"; rows]));
        let inside = Fields::from(vec![
            Field::new("bytes", bytes.data_type().clone(), true),
            Field::new("path", DataType::Utf8, true),
        ]);
        let images: ArrayRef = Arc::new(StructArray::new(inside.clone(), vec![bytes, names], None));
        fields = batch.schema().fields().iter().cloned().collect();
        let column = fields.iter().position(|field| field.name().starts_with("observation.images")).unwrap();
        let images_field = Field::new(fields[column].name(), DataType::Struct(inside), true);
        fields[column] = Arc::new(images_field);
        let mut columns = batch.columns().to_vec();
        columns[column] = images;
        changed.push(RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), columns).unwrap());
    }
    let properties = WriterProperties::builder().set_dictionary_page_size_limit(1 << 30).build();
    let schema = Arc::new(Schema::new(fields));
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, Some(properties)).unwrap();
    changed.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

/// Symptom: a table of 400 kB took 5 GB and ended in "index overflow decoding byte array"; so did every honest episode
/// with more than 2 GiB of images. Cause: all images of an episode were copied into one array with 32-bit offsets, also
/// those that the file has once. Fix: a few rows at a time, as views of the pages.
#[test]
fn an_episode_with_more_than_two_gibibytes_of_images_is_read_a_few_rows_at_a_time() {
    const ROWS: usize = 1500;
    let folder = tempfile::tempdir().unwrap();
    let recorded = episode(0, ROWS);
    let mut writer = DatasetWriter::create(folder.path(), spec(), WriteMode::Error).unwrap();
    writer.add_episode(&recorded).unwrap();
    writer.finish().unwrap();
    let png = padded_png(&recorded.frames[7], 1_500_000);
    assert!(png.len() * ROWS > i32::MAX as usize);
    with_one_image(folder.path(), &png);
    assert!(fs::metadata(folder.path().join(DATA)).unwrap().len() < 4 << 20);
    let read = Dataset::open(folder.path()).unwrap().read_episode(0).unwrap();
    assert!(read.frames.iter().all(|frame| *frame == recorded.frames[7]));
    assert_eq!(read.actions, recorded.actions);
}

/// Symptom: none yet. Codecs of the library write as much as the bytes of a page say, whatever its header promised: of
/// gzip, brotli and LZ4 a few kilobytes could fill the memory. Fix: the bytes are counted before.
#[test]
fn a_page_that_unpacks_to_more_than_it_promises_is_refused() {
    for compression in ["gzip", "brotli"] {
        let folder = tempfile::tempdir().unwrap();
        copy(&fixture(&format!("as_people_have_it/tables_{compression}")), folder.path());
        let path = folder.path().join(DATA);
        let metadata = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let column = metadata.metadata().row_group(0).columns().iter();
        let column = column.clone().find(|column| column.column_path().string() == "timestamp").unwrap();
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset()) as usize;
        let mut bytes = fs::read(&path).unwrap();
        // The kind of the page, and its size: fields 1 and 2, numbers of one byte.
        assert!(bytes[start] == 0x15 && bytes[start + 2] == 0x15 && bytes[start + 3] < 128);
        bytes[start + 3] = 2;
        fs::write(&path, bytes).unwrap();
        let error = read_error(folder.path());
        assert!(error.contains("timestamp: expected whole pages, got a page of more than the 1 bytes"), "{error}");
    }
}
