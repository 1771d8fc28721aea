//! Data sets with video files that the official library wrote, and broken ones.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{fixture, official};
use mindseye_episodes::Yuv;
use mindseye_episodes::{CacheOptions, Dataset, EpisodeData, EpisodeSource, FrameCache, Video};
use mindseye_interface::ImageSize;
use serde_json::Value;
use sha2::{Digest, Sha256};

const WITH_VIDEO: [&str; 3] = ["lerobot_v3_tiny", "lerobot_v3_tiny_h264", "lerobot_v21_tiny"];
const V3_VIDEO: &str = "videos/observation.images.front/chunk-000/file-000.mp4";

fn expected(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(name).join("expected.json")).unwrap()).unwrap()
}

fn episodes(root: &Path) -> mindseye_episodes::Result<Vec<EpisodeData>> {
    let dataset = Dataset::open(root)?;
    (0..dataset.len()).map(|index| dataset.read_episode(index)).collect()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, target) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}

/// A copy of a fixture, changed by `change`.
fn changed(name: &str, change: impl FnOnce(&Path)) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    copy(&fixture(name), &root);
    change(&root);
    (folder, root)
}

#[test]
fn every_video_frame_is_the_one_of_the_official_reader() {
    for name in WITH_VIDEO {
        let expected = expected(name);
        let mut frames = expected["frames"].as_array().unwrap().iter();
        let dataset = Dataset::open(&fixture(name)).unwrap();
        assert_eq!((dataset.len(), dataset.frames(), dataset.fps()), (3, 60, 10), "{name}");
        assert_eq!(dataset.tasks(), ["push the block to the right"]);
        for episode in episodes(&fixture(name)).unwrap() {
            for frame in 0..episode.len() {
                let expected = frames.next().unwrap();
                assert_eq!(episode.actions[frame], numbers(&expected["action"]));
                assert_eq!(episode.proprioception[frame], numbers(&expected["observation.state"]));
                let image = &expected["observation.images.front"];
                let pixels = episode.frames[frame].pixels();
                for (channel, mean) in numbers(&image["rgb_mean"]).into_iter().enumerate() {
                    let sum: u64 = pixels.iter().skip(channel).step_by(3).map(|&value| u64::from(value)).sum();
                    let got = sum as f32 / (pixels.len() / 3) as f32;
                    assert!((got - mean).abs() < 3.0, "{name} frame {frame} channel {channel}: {got} for {mean}");
                }
                // The width of a bar, which grows with the frame number, identifies the frame.
                let row = |column: usize| episode.frames[frame].rgb(62, column);
                let green = |rgb: [u8; 3]| rgb[1] > rgb[0].saturating_add(40) && rgb[1] > rgb[2].saturating_add(40);
                let bar = (0..64).take_while(|&column| green(row(column))).count();
                let expected_bar = image["green_bar_px"].as_u64().unwrap() as usize;
                assert!(
                    bar.abs_diff(expected_bar) <= 2,
                    "{name} frame {frame}: a bar of {bar} pixels for {expected_bar}"
                );
            }
        }
        assert!(frames.next().is_none());
    }
}

#[test]
fn every_decoded_plane_has_the_bits_of_the_reference_decoder() {
    let mut checked = 0;
    for name in WITH_VIDEO {
        for (file, video) in expected(name)["videos"].as_object().unwrap() {
            let frames = video["decoded"].as_array().unwrap();
            let opened = Video::open(&fixture(name).join(file)).unwrap();
            assert_eq!(opened.len(), frames.len(), "{file}");
            let hash = |planes: &Yuv| -> String {
                let digest = Sha256::digest([&planes.y[..], &planes.u, &planes.v].concat());
                digest.iter().map(|byte| format!("{byte:02x}")).collect()
            };
            let check = |range: std::ops::Range<usize>| {
                let mut next = range.start;
                let mut visit = |number: usize, planes: Yuv| {
                    assert_eq!(number, next, "in their order");
                    assert_eq!(hash(&planes), frames[number]["yuv420p_sha256"], "{name} {file} frame {number}");
                    next += 1;
                    Ok(())
                };
                opened.decode(range.clone(), &mut visit).unwrap();
                assert_eq!(next, range.end);
                range.len()
            };
            checked += check(0..frames.len());
            // From the middle, between two key frames.
            check(3..frames.len().min(9));
            check(frames.len() - 1..frames.len());
        }
    }
    assert_eq!(checked, 180);
}

#[test]
fn v2_1_and_v3_0_of_one_content_are_read_equally() {
    let (old, new) = (episodes(&fixture("lerobot_v21_tiny")).unwrap(), episodes(&fixture("lerobot_v3_tiny")).unwrap());
    let exact = episodes(&official()).unwrap();
    assert_eq!(old.len(), new.len());
    for ((old, new), exact) in old.iter().zip(&new).zip(&exact) {
        assert_eq!((&old.actions, &old.proprioception, old.len()), (&new.actions, &new.proprioception, new.len()));
        // Lossy images are close to each other and to the lossless ones.
        for (frame, image) in old.frames.iter().enumerate() {
            for other in [&new.frames[frame], &exact.frames[frame]] {
                let off = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b));
                let mean = image.pixels().iter().zip(other.pixels()).map(off).sum::<f64>() / 12_288.0;
                assert!(mean < 6.0, "frame {frame}: {mean} off on average");
            }
        }
    }
}

#[test]
fn a_cache_of_videos_holds_the_images_of_its_stride() {
    let size = ImageSize::square(32).unwrap();
    for name in WITH_VIDEO {
        let dataset = Dataset::open(&fixture(name)).unwrap();
        let load = |stride| {
            let options = CacheOptions { image_size: Some(size), stride, ..CacheOptions::default() };
            FrameCache::load(&dataset, &options, &|_, _| ()).unwrap()
        };
        let (all, some) = (load(1), load(5));
        assert_eq!((all.len(), some.len()), (60, 60));
        for timestep in (0..60).step_by(5) {
            assert!(all.image(timestep).unwrap() == some.image(timestep).unwrap(), "{name} timestep {timestep}");
        }
        assert_eq!(all.actions(), some.actions());
    }
}

#[test]
fn broken_videos_are_named() {
    let refused = |name: &str, change: &dyn Fn(&Path), parts: &[&str]| {
        let (_folder, root) = changed(name, |root| change(root));
        let error = episodes(&root).unwrap_err().to_string();
        assert!(!error.contains('\n') && parts.iter().all(|part| error.contains(part)), "{error}: expected {parts:?}");
    };
    let cut = |length: usize| {
        move |root: &Path| {
            let bytes = fs::read(root.join(V3_VIDEO)).unwrap();
            fs::write(root.join(V3_VIDEO), &bytes[..length.min(bytes.len() - 1)]).unwrap();
        }
    };
    for name in ["lerobot_v3_tiny", "lerobot_v3_tiny_h264"] {
        refused(name, &|root| fs::remove_file(root.join(V3_VIDEO)).unwrap(), &["file-000.mp4", "opening"]);
        refused(name, &cut(0), &["file-000.mp4"]);
        refused(name, &cut(100), &["file-000.mp4"]);
        refused(name, &cut(usize::MAX), &["file-000.mp4", "bytes within the file"]);
        let rate = |root: &Path| {
            let path = root.join("meta/info.json");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace("\"fps\": 10,", "\"fps\": 15,")).unwrap();
        };
        refused(name, &rate, &["timestamp", "episode 0 frame 1"]);
        let out = |root: &Path| {
            let path = root.join("meta/info.json");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace("\"videos/{video_key}", "\"../videos/{video_key}")).unwrap();
        };
        refused(name, &out, &["info.json", "video_path"]);
    }
    let other = |root: &Path| {
        fs::copy(
            fixture("lerobot_v21_tiny").join("videos/chunk-000/observation.images.front/episode_000000.mp4"),
            root.join(V3_VIDEO),
        )
        .unwrap();
    };
    refused("lerobot_v3_tiny", &other, &["file-000.mp4", "episode 1", "from_timestamp", "20 frames for 60 timesteps"]);
    let lines = |root: &Path| {
        fs::write(root.join("meta/episodes.jsonl"), "{\"episode_index\": 0, \"length\": 20}\nno\n").unwrap()
    };
    refused("lerobot_v21_tiny", &lines, &["episodes.jsonl", "line 2"]);
}

#[test]
fn flipped_bytes_never_cause_a_panic() {
    for name in ["lerobot_v3_tiny", "lerobot_v3_tiny_h264"] {
        let (_folder, root) = changed(name, |_| ());
        let path = root.join(V3_VIDEO);
        let good = fs::read(&path).unwrap();
        let step = (good.len() / 250).max(1);
        for position in (0..good.len()).step_by(step) {
            let mut bad = good.clone();
            bad[position] ^= 0x5a;
            fs::write(&path, bad).unwrap();
            // The result is an error of one line, or pixels that differ.
            if let Err(error) = episodes(&root) {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}
