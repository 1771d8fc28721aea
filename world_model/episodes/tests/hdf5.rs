//! HDF5 files of stable-worldmodel's recorders, old and new, and broken ones.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::fs;
use std::path::Path;

use crate::support::fixture;
use mindseye_episodes::{CacheOptions, EpisodeData, EpisodeSource, FrameCache, open};
use mindseye_interface::ImageSize;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn expected(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(name).join("expected.json")).unwrap()).unwrap()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn episodes(source: &dyn EpisodeSource) -> mindseye_episodes::Result<Vec<EpisodeData>> {
    (0..source.len()).map(|index| source.read_episode(index)).collect()
}

fn rows(value: &Value) -> Vec<Vec<f32>> {
    let row = |row: &Value| row.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect();
    value.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn windows_are_those_of_the_official_reader() {
    let source = open(&fixture("swm_hdf5_tiny").join("toy_push.h5")).unwrap();
    let expected = expected("swm_hdf5_tiny");
    let (steps, skip) =
        (expected["num_steps"].as_u64().unwrap() as usize, expected["frameskip"].as_u64().unwrap() as usize);
    let lengths: Vec<usize> = (0..source.len()).map(|index| source.episode(index).unwrap().length).collect();
    assert_eq!((lengths.as_slice(), source.frames()), ([20, 14, 26].as_slice(), 60));
    let episodes = episodes(source.as_ref()).unwrap();
    let span = steps * skip;
    let starts = episodes.iter().flat_map(|episode| (0..episode.len() + 1 - span).map(move |start| (episode, start)));
    let starts: Vec<_> = starts.collect();
    assert_eq!(starts.len() as u64, expected["len"].as_u64().unwrap());
    let mut checked = 0;
    for item in expected["items"].as_array().unwrap() {
        let (episode, start) = starts[item["index"].as_u64().unwrap() as usize];
        let timesteps = || (0..steps).map(|step| start + step * skip);
        let chunks: Vec<Vec<f32>> =
            timesteps().map(|timestep| episode.actions[timestep..timestep + skip].concat()).collect();
        assert_eq!(chunks, rows(&item["action"]));
        let proprioception: Vec<Vec<f32>> =
            timesteps().map(|timestep| episode.proprioception[timestep].clone()).collect();
        assert_eq!(proprioception, rows(&item["proprio"]));
        let mut pixels = Vec::new();
        for image in timesteps().map(|timestep| episode.frames[timestep].pixels()) {
            (0..3).for_each(|channel| pixels.extend(image.iter().skip(channel).step_by(3)));
        }
        assert_eq!(hash(&pixels), item["pixels_tchw_sha256"]);
        checked += 1;
    }
    assert!(checked >= 3);
    assert!(episodes.iter().all(|episode| episode.states.iter().all(|state| state.len() == 3)));
}

#[test]
fn blosc_columns_are_decompressed_exactly() {
    let folder = fixture("swm_hdf5_blosc_tiny");
    let expected = &expected("swm_hdf5_blosc_tiny")["sha256_of_raw_column_bytes"];
    let source = open(&folder.join("toy_push_blosc.h5")).unwrap();
    let episodes = episodes(source.as_ref()).unwrap();
    let pixels: Vec<u8> =
        episodes.iter().flat_map(|episode| &episode.frames).flat_map(|frame| frame.pixels().to_vec()).collect();
    assert_eq!(hash(&pixels), expected["pixels"]);
    let bytes = |of: fn(&EpisodeData) -> &Vec<Vec<f32>>| -> Vec<u8> {
        episodes.iter().flat_map(of).flatten().flat_map(|value| value.to_le_bytes()).collect()
    };
    assert_eq!(hash(&bytes(|episode| &episode.actions)), expected["action"]);
    assert_eq!(hash(&bytes(|episode| &episode.proprioception)), expected["proprio"]);
    // Files of HDF5 2.0 are refused with that reason.
    let newest = open(&folder.join("toy_push_blosc_hdf5_2.h5")).and_then(|source| source.read_episode(0));
    let error = newest.unwrap_err().to_string();
    assert!(error.contains("toy_push_blosc_hdf5_2.h5") && error.contains("HDF5") && !error.contains('\n'), "{error}");
}

#[test]
fn hdf5_files_with_and_without_blosc_give_equal_caches() {
    let load = |name: &str, file: &str, stride| {
        let options =
            CacheOptions { image_size: Some(ImageSize::square(32).unwrap()), stride, ..CacheOptions::default() };
        let source = open(&fixture(name).join(file)).unwrap();
        FrameCache::load(source.as_ref(), &options, &|_, _| ()).unwrap()
    };
    for stride in [1, 5] {
        let new = load("swm_hdf5_tiny", "toy_push.h5", stride);
        let old = load("swm_hdf5_blosc_tiny", "toy_push_blosc.h5", stride);
        assert_eq!((new.episodes(), new.actions()), (old.episodes(), old.actions()));
        for timestep in (0..new.len()).filter(|&timestep| new.has_image(timestep)) {
            assert!(new.image(timestep).unwrap() == old.image(timestep).unwrap(), "timestep {timestep}");
        }
    }
}

#[test]
fn unsupported_files_and_folders_are_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = folder.path().join(name);
        fs::write(&path, b"nothing of the kind").unwrap();
        path
    };
    let directory = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    let refused = |path: &Path, part: &str| {
        let error = open(path).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{error}: expected {part}");
    };
    refused(&file("pusht.h5.zst"), "zstd -d");
    refused(&file("notes.txt"), "another file");
    refused(&directory("pusht.lance"), "stable_worldmodel.data.convert");
    refused(&directory("images"), "another folder");
    refused(&folder.path().join("nowhere"), "opening");
}

#[test]
fn broken_files_are_named_and_never_cause_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in [("swm_hdf5_tiny", "toy_push.h5"), ("swm_hdf5_blosc_tiny", "toy_push_blosc.h5")] {
        let good = fs::read(fixture(name).join(file)).unwrap();
        let path = folder.path().join(file);
        let read = || open(&path).and_then(|source| episodes(source.as_ref()));
        for length in [0, 8, 100, good.len() / 2, good.len() - 1] {
            fs::write(&path, &good[..length]).unwrap();
            let Err(error) = read() else { continue };
            assert!(error.to_string().contains(file) && !error.to_string().contains('\n'), "{error}");
        }
        let step = (good.len() / 200).max(1);
        for position in (0..good.len()).step_by(step).chain(0..512.min(good.len())) {
            let mut bad = good.clone();
            bad[position] ^= 0x5a;
            fs::write(&path, bad).unwrap();
            // The result is an error of one line, or values that differ.
            if let Err(error) = read() {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}
