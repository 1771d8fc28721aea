//! One recording in every container and encoding, made by independent writers, gives equal windows: actions and
//! proprioception exactly, pixels as the writer's own reader has them.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::path::{Path, PathBuf};

use crate::support::{DATA, copy, fixture};
use mindseye_episodes::{CacheOptions, FrameCache, Mapping, WindowBatch, Windows, image_codec, open_with};
use serde_json::Value;

const COMPRESSIONS: [&str; 6] = ["none", "snappy", "gzip", "lz4", "brotli", "zstd"];

fn root() -> PathBuf {
    fixture("one_recording")
}

/// All windows of two frames, two steps apart.
fn windows(path: &Path, camera: &str) -> WindowBatch {
    let mapping: Mapping = mindseye_interface::config::parse(&format!("cameras = ['{camera}']")).unwrap();
    let source = open_with(path, &mapping).unwrap_or_else(|error| panic!("{camera}: {error}"));
    let cache = FrameCache::load(source.as_ref(), &CacheOptions::default(), &|_, _| ()).unwrap();
    let windows = Windows::new(&cache, &[0, 1], 2, 2);
    windows.gather(&cache, &(0..windows.len() as u32).collect::<Vec<u32>>()).unwrap()
}

/// The windows that the writer's reader gives: of its numbers, and of the images in `expected/NAME.png`.
fn expected(name: &str) -> WindowBatch {
    let read = |file: &str| std::fs::read(root().join("expected").join(file)).unwrap();
    let png = read(&format!("{name}.png"));
    let images = image_codec::decode_image(&png, image_codec::encoded_image_size(&png).unwrap()).unwrap();
    let numbers: Value = serde_json::from_slice(&read("numbers.json")).unwrap();
    let rows = |key: &str| -> Vec<Vec<f32>> { serde_json::from_value(numbers[key].clone()).unwrap() };
    let lengths: Vec<usize> = serde_json::from_value(numbers["lengths"].clone()).unwrap();
    let (actions, own) = (rows("actions"), rows("proprioception"));
    let image_bytes = images.pixels().len() / actions.len();
    let image = |timestep: usize| &images.pixels()[timestep * image_bytes..(timestep + 1) * image_bytes];
    let mut batch = WindowBatch {
        windows: 0,
        frames: 2,
        images: Vec::new(),
        chunks: Vec::new(),
        states: Vec::new(),
        proprioception: Vec::new(),
    };
    let mut first = 0;
    for length in lengths {
        for start in first..first + length - 2 {
            batch.windows += 1;
            batch.images.extend([image(start), image(start + 2)].concat());
            batch.chunks.extend(actions[start..start + 2].concat());
            batch.proprioception.extend([&own[start][..], &own[start + 2]].concat());
        }
        first += length;
    }
    batch
}

fn compare(path: &Path, camera: &str, name: &str) {
    let (got, expected) = (windows(path, camera), expected(name));
    let what = format!("{} {camera}", path.display());
    assert_eq!((got.windows, got.frames), (5, 2), "{what}");
    assert!(got.chunks == expected.chunks && got.proprioception == expected.proprioception, "{what}: numbers");
    assert_eq!(got.images.len(), expected.images.len(), "{what}");
    let differences = got.images.iter().zip(&expected.images).map(|(got, expected)| got.abs_diff(*expected));
    assert_eq!(differences.max(), Some(0), "{what}: largest difference of a pixel");
}

#[test]
fn lerobot_folders_of_both_versions_and_of_every_compression_and_encoding_give_the_same_windows() {
    for compression in COMPRESSIONS {
        let folder = tempfile::tempdir().unwrap();
        copy(&root().join("lerobot_v3"), folder.path());
        std::fs::create_dir_all(folder.path().join(DATA).parent().unwrap()).unwrap();
        let table = folder.path().join("tables").join(compression).with_extension("parquet");
        std::fs::rename(table, folder.path().join(DATA)).unwrap();
        for (camera, name) in [("png", "exact"), ("jpeg", "jpeg"), ("h264", "v3_h264"), ("av1", "v3_av1")] {
            compare(folder.path(), &format!("observation.images.{camera}"), name);
        }
    }
    for (camera, name) in [("png", "exact"), ("jpeg", "jpeg"), ("h264", "v21_h264"), ("av1", "v21_av1")] {
        compare(&root().join("lerobot_v21"), &format!("observation.images.{camera}"), name);
    }
}

#[test]
fn hdf5_files_of_every_layout_and_filter_and_folders_give_the_same_windows() {
    let new = ["gzip", "lzf", "zstd", "lz4", "bitshuffle", "blosc", "checked", "first", "float", "linked"];
    let old = ["plain", "cut", "lzf", "linked"];
    let robomimic = ["obs/rgb_image", "obs/first_image", "obs/float_image", "obs/linked_image"];
    for (file, cameras) in [("swm.h5", &new[..]), ("swm_old.h5", &old), ("robomimic.hdf5", &robomimic)] {
        cameras.iter().for_each(|camera| compare(&root().join(file), camera, "exact"));
    }
    compare(&root().join("swm_folder"), "pixels", "exact");
    compare(&root().join("swm_video"), "pixels", "swm_video");
}
