//! Published encoders from the command line: parity and its exit code, tokens of images and clips, classes.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::path::{Path, PathBuf};

use mindseye_episodes::image_codec::encode_png;
use mindseye_interface::{Image, ImageSize};
use support::{json, mindseye, refuse, succeed, tree};

fn fixture(name: &str) -> String {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../world_model/tests/fixtures").join(name);
    folder.display().to_string()
}

fn video(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../world_model/episodes/tests/fixtures/videos");
    folder.join(name).display().to_string()
}

fn write_image(path: &Path, height: usize, width: usize) {
    let pixels = (0..height * width * 3).map(|index| (index * 7 % 251) as u8).collect();
    let image = Image::new(ImageSize::new(height, width).unwrap(), pixels).unwrap();
    std::fs::write(path, encode_png(&image).unwrap()).unwrap();
}

/// The shape in an `.npy` file's header.
fn npy_shape(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let header = String::from_utf8_lossy(&bytes[10..bytes.len().min(128)]).into_owned();
    assert!(bytes.starts_with(b"\x93NUMPY") && header.contains("'<f4'"), "{header}");
    header.split("'shape':").nth(1).unwrap().split(')').next().unwrap().trim().to_owned()
}

#[test]
fn parity_lists_every_output_and_its_exit_code_tells() {
    let folder = tempfile::tempdir().unwrap();
    let good = succeed(folder.path(), &["check-parity", &fixture("vjepa2_tiny"), "--threads", "2"]);
    assert!(good.contains("encoder.block1") && good.contains("9 of 9 outputs agree"), "{good}");
    let report = json(folder.path(), &["check-parity", &fixture("vjepa2_ac_tiny"), "--json"]);
    assert_eq!(report["outputs"].as_array().unwrap().len(), 4);
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(Path::new(&fixture("dinov2_tiny")).join(file), folder.path().join(file)).unwrap();
    }
    let io = folder.path().join("io.safetensors");
    std::fs::copy(Path::new(&fixture("ijepa_hf_tiny")).join("io.safetensors"), io).unwrap();
    let bad = mindseye(folder.path(), &["check-parity", "."]);
    let (said, errors) = (String::from_utf8_lossy(&bad.stdout), String::from_utf8_lossy(&bad.stderr));
    assert_eq!(bad.status.code(), Some(1), "{said}{errors}");
    assert!(said.contains("DIFFERS") || said.contains("nothing of this size"), "{said}");
    assert!(errors.contains("expected all outputs to agree, got 1 of 1 that differ"), "{errors}");
}

#[test]
fn images_folders_and_clips_become_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    std::fs::create_dir(&images).unwrap();
    for (name, height, width) in [("a.png", 60, 90), ("b.png", 300, 256)] {
        write_image(&images.join(name), height, width);
    }
    std::fs::write(images.join("notes.txt"), "no image").unwrap();
    let (weights, clips) = (fixture("dinov2_tiny"), fixture("vjepa2_tiny"));
    let said = succeed(
        folder.path(),
        &["encode", "images", "--weights", &weights, "--pool", "class", "--out", "tokens/images.npy"],
    );
    assert!(said.contains("tokens of 2 images or clips, [2, 32]"), "{said}");
    assert_eq!(npy_shape(&folder.path().join("tokens/images.npy")), "(2, 32,");
    // Six frames at the video's own rate, and an image repeated to six.
    let video = video("plain.mp4");
    let arguments = ["encode", &video, "images/a.png", "--weights", &clips, "--frames", "6", "--fps", "10"];
    let said = succeed(folder.path(), &[&arguments[..], &["--out", "clips.safetensors"]].concat());
    assert!(said.contains(", 27, 48]"), "{said}");
    let bytes = std::fs::read(folder.path().join("clips.safetensors")).unwrap();
    let header = String::from_utf8_lossy(&bytes[8..600]).into_owned();
    assert!(header.contains("\"tokens\"") && header.contains("plain.mp4") && header.contains("a.png"), "{header}");
}

#[test]
fn a_clip_is_classified_with_the_names_of_the_config() {
    let folder = tempfile::tempdir().unwrap();
    let (video, weights) = (video("plain.mp4"), fixture("vjepa2_probe_tiny"));
    let scores = json(folder.path(), &["classify", &video, "--weights", &weights, "--json"]);
    let scores = scores.as_array().unwrap();
    assert_eq!(scores.len(), 5);
    let total: f64 = scores.iter().map(|score| score["probability"].as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-5 && scores[0]["label"].as_str().unwrap().starts_with("LABEL_"), "{scores:?}");
    let top = succeed(folder.path(), &["classify", &video, "--weights", &weights, "--top", "2"]);
    assert!(top.lines().count() == 2 && top.contains("LABEL_"), "{top}");
}

#[test]
fn what_does_not_fit_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    write_image(&folder.path().join("a.png"), 32, 32);
    let (vjepa2, dinov2, lewm) = (fixture("vjepa2_tiny"), fixture("dinov2_tiny"), fixture("lewm_tiny"));
    let encode = ["encode", "a.png", "--weights"];
    for (arguments, expected) in [
        (&["classify", "a.png", "--weights", &vjepa2][..], "expected a classifier"),
        (&[&encode[..], &[&vjepa2, "--pool", "class", "--out", "a.npy"]].concat(), "a class token"),
        (&[&encode[..], &[&dinov2, "--frames", "4", "--out", "a.npy"]].concat(), "--frames"),
        (&[&encode[..], &[&dinov2, "--out", "a.csv"]].concat(), ".safetensors or .npy"),
        (&[&encode[..], &["missing", "--out", "a.npy"]].concat(), "missing"),
        (&["encode", "none.png", "--weights", &dinov2, "--out", "a.npy"], "none.png"),
        (&["inspect", &vjepa2], "expected a world model, got an encoder"),
        // Symptom: a LeWorldModel lacked a weight. Cause: it was read as an encoder. Fix: it is named for what it is.
        (&[&encode[..], &[&lewm, "--out", "a.npy"]].concat(), "got a LeWorldModel, which is no encoder here"),
        (&["classify", "a.png", "--weights", &lewm], "got a LeWorldModel, which is no encoder here"),
    ] {
        refuse(folder.path(), arguments, &[expected]);
        assert!(!folder.path().join("a.npy").exists());
    }
}

/// A fixture's config and weights, copied into a folder that may be changed.
fn copied(name: &str, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(Path::new(&fixture(name)).join(file), folder.join(file)).unwrap();
    }
}

/// Symptom: `encode --weights dinov2 --out dinov2/model.safetensors` replaced the model by the tokens.
/// Cause: nothing compared the place of the tokens with what they are made from.
/// Fix: a file of the model, or an input, is refused, links included, before anything is read.
#[test]
fn tokens_never_take_the_place_of_the_model_or_an_input() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    copied("dinov2_tiny", &at("model"));
    write_image(&at("a.png"), 32, 32);
    std::os::unix::fs::symlink(at("model/model.safetensors"), at("link.safetensors")).unwrap();
    std::os::unix::fs::symlink(at("model"), at("same")).unwrap();
    std::os::unix::fs::symlink(at("a.png"), at("image.npy")).unwrap();
    let before = tree(folder.path());
    for (weights, out, named) in [
        ("model", "model/model.safetensors", "folder of the model"),
        ("model", "model/tokens.npy", "folder of the model"),
        ("model", "model/new/../tokens.npy", "folder of the model"),
        ("same", "model/tokens.npy", "folder of the model"),
        ("model", "same/deeper/tokens.npy", "folder of the model"),
        ("model", "link.safetensors", "folder of the model"),
        ("model/model.safetensors", "link.safetensors", "weights of the model"),
        ("model/model.safetensors", "model/../model/model.safetensors", "weights of the model"),
        ("model", "image.npy", "the input a.png"),
    ] {
        refuse(folder.path(), &["encode", "a.png", "--weights", weights, "--out", out], &[out, named]);
        assert_eq!(tree(folder.path()), before, "{out}");
    }
    succeed(folder.path(), &["encode", "a.png", "--weights", "model", "--out", "model_tokens/a.npy"]);
}

/// Symptom: a model whose values overflow gave a file of NaN, with exit code 0.
/// Cause: weights were checked, and what came of them was not.
/// Fix: tokens that are not finite are an error that names the input, and nothing is written.
#[test]
fn tokens_that_are_not_finite_are_refused_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    copied("dinov2_tiny", &folder.path().join("model"));
    write_image(&folder.path().join("a.png"), 32, 32);
    let file = folder.path().join("model/model.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let values = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[values..].chunks_exact_mut(4).for_each(|value| value.copy_from_slice(&f32::MAX.to_le_bytes()));
    std::fs::write(&file, bytes).unwrap();
    for out in ["tokens.npy", "tokens.safetensors"] {
        let encode = ["encode", "a.png", "--weights", "model", "--out", out];
        refuse(folder.path(), &encode, &["a.png", "expected finite tokens"]);
        assert!(!folder.path().join(out).exists());
    }
}

/// Symptom: 70 bytes of preprocessor_config.json took 5 GB and a minute, with `--memory-gib 1`.
/// Cause: patches and memory were counted after images had been scaled.
/// Fix: both follow from sizes, and are counted before an image is decoded.
#[test]
fn what_preparing_images_takes_is_known_before_they_are_scaled() {
    let folder = tempfile::tempdir().unwrap();
    copied("dinov2_tiny", &folder.path().join("model"));
    write_image(&folder.path().join("a.png"), 32, 32);
    for (config, named) in [
        (r#"{"crop_size": 16384, "size": {"shortest_edge": 16384}}"#, "1 to 65536 patches of 14 pixels"),
        (r#"{"crop_size": 28, "size": {"shortest_edge": 16384}}"#, "preparing images: expected at most 1.0 GiB"),
    ] {
        std::fs::write(folder.path().join("model/preprocessor_config.json"), config).unwrap();
        let encode = ["encode", "a.png", "--weights", "model", "--memory-gib", "1", "--out", "a.npy"];
        refuse(folder.path(), &encode, &["a.png", named]);
    }
}
