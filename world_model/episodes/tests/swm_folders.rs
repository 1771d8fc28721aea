//! stable-worldmodel's folders of npz files with videos or images, and broken ones.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::support::{copy, fixture};
use image::{ExtendedColorType, ImageFormat};
use mindseye_episodes::{CacheOptions, EpisodeData, EpisodeSource, FrameCache, open};
use mindseye_interface::ImageSize;
use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const VIDEO: &str = "swm_video_tiny";
const FOLDER: &str = "swm_folder_tiny";

fn episodes(source: &dyn EpisodeSource) -> mindseye_episodes::Result<Vec<EpisodeData>> {
    (0..source.len()).map(|index| source.read_episode(index)).collect()
}

/// The same content without loss.
fn original() -> Vec<EpisodeData> {
    episodes(open(&fixture("swm_hdf5_tiny").join("toy_push.h5")).unwrap().as_ref()).unwrap()
}

/// Average difference of all bytes, and the largest.
fn difference(one: &[u8], other: &[u8]) -> (f64, u8) {
    assert_eq!(one.len(), other.len());
    let differences = || one.iter().zip(other).map(|(one, other)| one.abs_diff(*other));
    (differences().map(f64::from).sum::<f64>() / one.len() as f64, differences().max().unwrap())
}

/// An npz file whose only array has the header `text` and the values `bytes`.
fn write_npz(path: &Path, member: &str, method: CompressionMethod, text: &str, bytes: &[u8]) {
    let mut archive = ZipWriter::new(fs::File::create(path).unwrap());
    archive.start_file(member, SimpleFileOptions::default().compression_method(method)).unwrap();
    archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
    archive.write_all(&(text.len() as u16).to_le_bytes()).unwrap();
    archive.write_all(text.as_bytes()).unwrap();
    archive.write_all(bytes).unwrap();
    archive.finish().unwrap();
}

fn plain(path: &Path, descr: &str, shape: &str, bytes: &[u8]) {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    write_npz(path, "arr_0.npy", CompressionMethod::Stored, &text, bytes);
}

fn wholes(path: &Path, values: &[i64]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    plain(path, "<i8", &format!("({},)", values.len()), &bytes);
}

/// Checks that the error of reading a copy of `name`, broken by `change`, contains all of `parts`.
fn refused(name: &str, change: impl Fn(&Path), parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(name), folder.path());
    change(folder.path());
    let error = open(folder.path()).and_then(|source| episodes(source.as_ref())).unwrap_err().to_string();
    assert!(!error.contains('\n') && parts.iter().all(|part| error.contains(part)), "{error}: expected {parts:?}");
}

/// A copy of `name`, changed, that can still be read.
fn accepted(name: &str, change: impl Fn(&Path)) -> Vec<EpisodeData> {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(name), folder.path());
    change(folder.path());
    episodes(open(folder.path()).unwrap().as_ref()).unwrap()
}

#[test]
fn videos_are_close_to_the_lossless_recording() {
    let source = open(&fixture(VIDEO)).unwrap();
    assert_eq!((source.format().as_str(), source.len(), source.frames()), ("stable-worldmodel video", 3, 60));
    assert_eq!((source.shape().action, source.shape().proprioception, source.shape().state), (2, 2, 3));
    assert_eq!(source.frames_per_second(), None);
    let (ours, original) = (episodes(source.as_ref()).unwrap(), original());
    for (ours, original) in ours.iter().zip(&original) {
        assert_eq!(ours.actions, original.actions);
        assert_eq!(ours.proprioception, original.proprioception);
        assert_eq!(ours.states, original.states);
        assert_eq!(ours.len(), original.len());
        for (ours, original) in ours.frames.iter().zip(&original.frames) {
            let (mean, _) = difference(ours.pixels(), original.pixels());
            assert!(mean < 4.0, "{mean}");
        }
    }
    let summary = source.summary().unwrap();
    let names: Vec<&str> = summary.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!((names[0], summary.features[0].dtype.as_str()), ("pixels", "video"));
    assert!(["action", "ep_len", "success"].iter().all(|name| names.contains(name)), "{names:?}");
    assert_eq!((summary.episode_frames, summary.bytes_on_disk > 10_000), ([14, 26], true));
}

#[test]
fn images_of_steps_are_decoded_as_pillow_does() {
    let source = open(&fixture(FOLDER)).unwrap();
    assert_eq!((source.format().as_str(), source.len(), source.frames()), ("stable-worldmodel folder", 3, 12));
    let expected: Value = serde_json::from_slice(&fs::read(fixture(FOLDER).join("expected.json")).unwrap()).unwrap();
    let (ours, original) = (episodes(source.as_ref()).unwrap(), original());
    for frame in expected["frames"].as_array().unwrap() {
        let place = |name: &str| frame[name].as_u64().unwrap() as usize;
        let (episode, step) = (place("episode"), place("step"));
        let image = ours[episode].frames[step].pixels();
        let sum: u64 = image.iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(Some(sum), frame["sum"].as_u64(), "episode {episode} step {step}");
        for (channel, value) in frame["corner_rgb"].as_array().unwrap().iter().enumerate() {
            assert_eq!(Some(u64::from(image[channel])), value.as_u64());
        }
        let (mean, _) = difference(image, original[episode].frames[step].pixels());
        assert!(mean < 6.0, "{mean}");
        assert_eq!(ours[episode].actions[step], original[episode].actions[step]);
        assert_eq!(ours[episode].states[step], original[episode].states[step]);
        assert_eq!(ours[episode].proprioception[step], original[episode].proprioception[step]);
    }
}

#[test]
fn a_cache_with_a_stride_keeps_every_strideth_image() {
    for name in [VIDEO, FOLDER] {
        let source = open(&fixture(name)).unwrap();
        let whole = episodes(source.as_ref()).unwrap();
        let size = ImageSize::square(64).unwrap();
        let options = CacheOptions { image_size: Some(size), stride: 3, ..CacheOptions::default() };
        let cache = FrameCache::load(source.as_ref(), &options, &|_, _| ()).unwrap();
        let frames = whole.iter().flat_map(|episode| episode.frames.iter().enumerate());
        for (timestep, (step, frame)) in frames.enumerate() {
            assert_eq!(cache.has_image(timestep), step % 3 == 0);
            if step % 3 == 0 {
                assert!(cache.image(timestep).unwrap() == frame.pixels(), "{name} timestep {timestep}");
            }
        }
    }
}

#[test]
fn npz_arrays_of_any_compression_name_and_order_are_read() {
    let good = accepted(FOLDER, |_| ());
    let numbers: Vec<f32> = good.iter().flat_map(|episode| episode.actions.concat()).collect();
    let bytes: Vec<u8> = numbers.iter().flat_map(|value| value.to_le_bytes()).collect();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (12, 2), }\n";
    // Compressed, and under another name.
    let packed =
        |root: &Path| write_npz(&root.join("action.npz"), "arr_0.npy", CompressionMethod::Deflated, header, &bytes);
    assert!(accepted(FOLDER, packed) == good);
    let named =
        |root: &Path| write_npz(&root.join("action.npz"), "moves.npy", CompressionMethod::Stored, header, &bytes);
    assert!(accepted(FOLDER, named) == good);
    // The first index runs fastest.
    let columns: Vec<u8> = (0..2)
        .flat_map(|column| numbers.iter().skip(column).step_by(2))
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let fortran = header.replace("False", "True");
    let turned =
        |root: &Path| write_npz(&root.join("action.npz"), "arr_0.npy", CompressionMethod::Stored, &fortran, &columns);
    assert!(accepted(FOLDER, turned) == good);
    // The largest values come first.
    let big: Vec<u8> = numbers.iter().flat_map(|value| value.to_be_bytes()).collect();
    assert!(accepted(FOLDER, |root| plain(&root.join("action.npz"), ">f4", "(12, 2)", &big)) == good);
}

#[test]
fn images_may_be_png_and_their_column_may_have_any_name() {
    let good = accepted(FOLDER, |_| ());
    let as_png = |root: &Path| {
        fs::rename(root.join("pixels"), root.join("front_camera")).unwrap();
        for (episode, data) in good.iter().enumerate() {
            for (step, frame) in data.frames.iter().enumerate() {
                let path = root.join(format!("front_camera/ep_{episode}_step_{step}"));
                let png = path.with_extension("png");
                image::save_buffer_with_format(png, frame.pixels(), 64, 64, ExtendedColorType::Rgb8, ImageFormat::Png)
                    .unwrap();
                fs::remove_file(path.with_extension("jpeg")).unwrap();
            }
        }
    };
    assert!(accepted(FOLDER, as_png) == good);
    let short = |root: &Path| {
        let path = root.join("pixels/ep_1_step_2");
        fs::rename(path.with_extension("jpeg"), path.with_extension("jpg")).unwrap();
    };
    assert!(accepted(FOLDER, short) == good);
}

#[test]
fn missing_files_of_a_folder_are_named() {
    let gone = |name: &'static str| move |root: &Path| fs::remove_file(root.join(name)).unwrap();
    for name in [VIDEO, FOLDER] {
        let without = accepted(name, gone("action.npz"));
        assert!(without.iter().all(|episode| episode.actions.iter().all(Vec::is_empty)), "episodes without actions");
        refused(name, gone("ep_offset.npz"), &["ep_offset.npz", "opening"]);
        refused(name, gone("ep_len.npz"), &["another folder"]);
        refused(
            name,
            |root| fs::remove_dir_all(root.join("pixels")).unwrap(),
            &["pixels or", "ep_0.mp4", "folders []"],
        );
    }
    refused(VIDEO, gone("pixels/ep_1.mp4"), &["ep_1.mp4", "opening"]);
    refused(FOLDER, gone("pixels/ep_1_step_2.jpeg"), &["pixels", "episode 1 frame 2", "no file ep_1_step_2"]);
    // The other episodes can be read without the missing video.
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(VIDEO), folder.path());
    fs::remove_file(folder.path().join("pixels/ep_0.mp4")).unwrap();
    let source = open(folder.path()).unwrap();
    assert!(source.read_episode(0).is_err() && source.read_episode(1).is_ok());
}

#[test]
fn contradictory_npz_columns_are_named() {
    let name = FOLDER;
    let set = |file: &'static str, values: &'static [i64]| move |root: &Path| wholes(&root.join(file), values);
    refused(name, set("ep_len.npz", &[5, 4, 4]), &["ep_len.npz", "episode 2", "below 12", "4 rows from 9"]);
    refused(name, set("ep_len.npz", &[5, 4]), &["ep_offset", "expected 2 episodes, got 3"]);
    refused(name, set("ep_len.npz", &[5, 0, 3]), &["episode 1", "0 rows from 5"]);
    refused(name, set("ep_len.npz", &[5, -4, 3]), &["episode 1"]);
    refused(name, set("ep_offset.npz", &[0, 5, i64::MAX]), &["episode 2", "rows from 9223372036854775807"]);
    refused(name, set("ep_len.npz", &[4, 4, 3]), &["ep_0_step_4.jpeg", "4 images"]);
    refused(VIDEO, set("ep_len.npz", &[19, 14, 26]), &["ep_0.mp4", "19 frames", "got 20"]);
    let floats = |root: &Path| plain(&root.join("ep_len.npz"), "<f4", "(3,)", &[0; 12]);
    refused(name, floats, &["ep_len.npz", "whole numbers", "f32"]);
    let few = |root: &Path| plain(&root.join("state.npz"), "<f8", "(11, 3)", &[0; 11 * 24]);
    refused(name, few, &["state.npz", "[12, width]", "[11, 3]"]);
    let mut poisoned = [0; 12 * 8];
    poisoned[7 * 8 + 4..7 * 8 + 8].copy_from_slice(&f32::NAN.to_le_bytes());
    let poisoned = |root: &Path| plain(&root.join("proprio.npz"), "<f4", "(12, 2)", &poisoned);
    refused(name, poisoned, &["proprio.npz", "episode 1 frame 2 proprio[1]", "finite", "NaN"]);
    let small = |root: &Path| {
        let png = root.join("pixels/ep_2_step_1.jpeg");
        image::save_buffer_with_format(png, &[0; 12], 2, 2, ExtendedColorType::Rgb8, ImageFormat::Png).unwrap();
    };
    refused(name, small, &["ep_2_step_1.jpeg", "episode 2 frame 1", "2x2", "64x64"]);
}

#[test]
fn npz_bombs_and_false_shapes_are_refused_before_memory_is_allocated() {
    let action = |descr: &'static str, shape: &'static str, bytes: &'static [u8]| {
        move |root: &Path| plain(&root.join("action.npz"), descr, shape, bytes)
    };
    for shape in ["(1099511627776, 2)", "(4294967296, 4294967296, 4294967296)", "(0, 2)", "(12, 99999999999)"] {
        refused(FOLDER, action("<f4", shape, &[0; 96]), &["action.npz"]);
    }
    refused(FOLDER, action("|O", "(12, 2)", &[0; 96]), &["action.npz", "values of type |O"]);
    refused(FOLDER, action("<U9999999999999999999", "(12, 2)", &[0; 96]), &["action.npz", "the header"]);
    refused(FOLDER, action("<f4", "(12, 3)", &[0; 96]), &["action.npz", "[12, 3] values of 4 bytes in 96 bytes"]);
    // Found by fuzzing: forty brackets that do not end were parsed for ever, and quotes must not hide them.
    let shapes = ["({".repeat(1500), "[".repeat(40), "[']', ".repeat(40), format!("[{}", "[[[[1]]]],".repeat(12))];
    for shape in shapes {
        let nested = |root: &Path| {
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            write_npz(&root.join("action.npz"), "arr_0.npy", CompressionMethod::Stored, &text, &[]);
        };
        refused(FOLDER, nested, &["action.npz", "the header"]);
    }
    // A small file that decompresses to many bytes, with a shape that does not announce them.
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (12, 2), }";
    let bomb = |root: &Path| {
        let path = root.join("action.npz");
        write_npz(&path, "arr_0.npy", CompressionMethod::Deflated, text, &vec![0; 64 << 20]);
        assert!(fs::metadata(path).unwrap().len() < 1 << 20);
    };
    refused(FOLDER, bomb, &["action.npz", "[12, 2] values of 4 bytes in 67108864 bytes"]);
    // A member's name is not used as a path.
    let escape = |root: &Path| {
        write_npz(&root.join("action.npz"), "../../escaped.npy", CompressionMethod::Stored, text, &[0; 96]);
    };
    assert_eq!(accepted(FOLDER, escape).len(), 3);
}

#[test]
fn broken_files_are_named_and_never_cause_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    for (name, files) in [
        (VIDEO, ["action.npz", "ep_len.npz", "state.npz", "pixels/ep_1.mp4"]),
        (FOLDER, ["action.npz", "ep_offset.npz", "success.npz", "pixels/ep_1_step_0.jpeg"]),
    ] {
        let root = folder.path().join(name);
        copy(&fixture(name), &root);
        let read = || open(&root).and_then(|source| source.summary().and_then(|_| episodes(source.as_ref())));
        for file in files {
            let path = root.join(file);
            let good = fs::read(&path).unwrap();
            for length in [0, 8, 30, good.len() / 2, good.len() - 1] {
                fs::write(&path, &good[..length]).unwrap();
                let Err(error) = read() else { continue };
                let file = path.file_name().unwrap().to_str().unwrap();
                assert!(error.to_string().contains(file) && !error.to_string().contains('\n'), "{error}");
            }
            for position in (0..good.len()).step_by((good.len() / 100).max(1)) {
                let mut bad = good.clone();
                bad[position] ^= 0x5a;
                fs::write(&path, bad).unwrap();
                // The result is an error of one line, or images that differ.
                if let Err(error) = read() {
                    assert!(!error.to_string().contains('\n'), "{error}");
                }
            }
            fs::write(&path, &good).unwrap();
        }
    }
}
