//! Published vision transformers: parity with what their authors' or Hugging Face's code computes (see the fixtures'
//! READMEs).

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mindseye_interface::{Frame, Image, ImageSize, Observation};
use mindseye_world_model::families::check_parity;
use mindseye_world_model::families::vit::{Clip, FrozenEncoder, Vit, VitKind, VitOptions};
use mindseye_world_model::{InferenceOptions, Model, Precision};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Every output of the fixture agrees, and is compared with the value of its own name.
fn agrees(name: &str, outputs: usize) {
    let report = check_parity(&fixture(name), &VitOptions::default()).unwrap();
    println!("{name}: {report}");
    assert!(report.agrees(), "{name}: {report}");
    assert_eq!(report.outputs.len(), outputs, "{name}");
    for output in &report.outputs {
        assert_eq!(output.compared_with.as_ref(), Some(&output.name), "{name}");
    }
}

#[test]
fn v_jepa_2_agrees_in_every_block_with_masks_and_in_its_loss() {
    agrees("vjepa2_tiny", 9);
}

#[test]
fn the_video_classifier_agrees() {
    agrees("vjepa2_probe_tiny", 3);
}

#[test]
fn the_predictor_conditioned_on_actions_agrees_in_one_pass_and_rolled_out() {
    agrees("vjepa2_ac_tiny", 4);
}

#[test]
fn dinov2_agrees_at_its_own_size_and_at_another() {
    agrees("dinov2_tiny", 4);
    agrees("dinov2_swiglu_tiny", 4);
}

#[test]
fn fixed_positions_agree() {
    agrees("jepa_sincos", 8);
}

/// These were computed by a second implementation, in `fixtures/published_encoders.py`.
#[test]
fn further_recipes_and_layouts_agree() {
    agrees("vjepa_tiny", 5);
    agrees("ijepa_tiny", 2);
    agrees("ijepa_hf_tiny", 1);
    agrees("vjepa2_1_tiny", 6);
    agrees("dinov2_registers_tiny", 4);
}

#[test]
fn a_leworldmodel_agrees_from_its_tokens_to_its_gradients() {
    agrees("lewm_tiny", 43);
}

#[test]
fn a_folder_that_is_something_else_and_wrong_weights_do_not_pass() {
    let options = VitOptions::default();
    let folder = tempfile::tempdir().unwrap();
    let missing = check_parity(folder.path(), &options).unwrap_err().to_string();
    assert!(missing.contains("io.safetensors: expected inputs"), "{missing}");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture("dinov2_tiny").join(file), folder.path().join(file)).unwrap();
    }
    std::fs::copy(fixture("ijepa_hf_tiny").join("io.safetensors"), folder.path().join("io.safetensors")).unwrap();
    let report = check_parity(folder.path(), &options).unwrap();
    assert!(!report.agrees(), "{report}");
    let kind = Some(VitKind::Ijepa);
    let other = Vit::load(&fixture("vjepa2_tiny"), &VitOptions { kind, ..options }).unwrap_err().to_string();
    assert!(other.contains("config.json"), "{other}");
}

/// A clip of nine hundred tokens: several groups of rows.
fn tokens(vit: &Vit, threads: usize) -> Vec<f32> {
    let (frames, height, width) = (6, 16 * 16, 16 * 18);
    let values: Vec<f32> = (0..frames * 3 * height * width).map(|index| (index as f32 * 0.37).sin()).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| vit.encoder().unwrap().encode(&Clip { values: &values, frames, height, width })).unwrap()
}

#[test]
fn the_bits_are_equal_on_one_two_and_four_threads() {
    for precision in [Precision::F32, Precision::Bf16] {
        let options = VitOptions { precision, ..VitOptions::default() };
        let vit = Vit::load(&fixture("vjepa2_tiny"), &options).unwrap();
        let alone = tokens(&vit, 1);
        assert_eq!(alone.len(), 3 * 16 * 18 * 48);
        assert!(alone.iter().all(|value| value.is_finite()));
        for threads in [2, 4] {
            assert!(alone == tokens(&vit, threads), "{threads} threads, {precision:?}");
        }
    }
}

/// With every token kept, dropping tokens after the embedding is the same as encoding all; with fewer it is not, since
/// tokens attend to each other.
#[test]
fn keeping_all_tokens_is_encoding_all_and_keeping_some_is_not_gathering() {
    let vit = Vit::load(&fixture("vjepa2_tiny"), &VitOptions::default()).unwrap();
    let encoder = vit.encoder().unwrap();
    let values: Vec<f32> = (0..6 * 3 * 48 * 48).map(|index| (index as f32 * 0.37).sin()).collect();
    let clip = Clip { values: &values, frames: 6, height: 48, width: 48 };
    let (all, numbers) = (encoder.encode(&clip).unwrap(), (0..27).collect::<Vec<_>>());
    assert_eq!(encoder.encode_kept(&clip, &numbers).unwrap(), all);
    let some = encoder.encode_kept(&clip, &[4, 2]).unwrap();
    let worst = some[..48].iter().zip(&all[4 * 48..]).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst > 1e-3, "{worst}");
    assert!(encoder.encode_kept(&clip, &[27]).unwrap_err().to_string().contains("numbers of patches below 27"));
    let short = Clip { frames: 5, ..clip };
    assert!(encoder.encode(&short).unwrap_err().to_string().contains("encoding a clip"));
}

/// Behind the seam of models: an observation becomes the tokens that the encoder gives for the normalised image.
#[test]
fn observations_become_tokens_through_the_seam_of_models() {
    let model = FrozenEncoder::load(&fixture("dinov2_tiny")).unwrap();
    assert_eq!((model.spec().latent.tokens, model.spec().latent.width), (5, 32));
    let pixels: Vec<u8> = (0..28 * 28 * 3).map(|index| (index * 7 % 251) as u8).collect();
    let image = Image::new(ImageSize::square(28).unwrap(), pixels).unwrap();
    let frame = Frame { camera: "top".into(), image: Arc::new(image.clone()), captured_secs: 0.0 };
    let observation = Observation { frames: vec![frame], proprioception: vec![], tick: 0, time_secs: 0.0 };
    let states = model.encode(&[observation.clone(), observation]).unwrap();
    let values = model.vit().preprocessing().normalised(&image);
    let clip = Clip { values: &values, frames: 1, height: 28, width: 28 };
    assert_eq!(states.len(), 2);
    assert_eq!(states[1].values(), model.vit().encoder().unwrap().encode(&clip).unwrap());
    let none = model.dynamics(&InferenceOptions::default()).unwrap_err().to_string();
    assert!(none.contains("a world model trained on its tokens"), "{none}");
}
