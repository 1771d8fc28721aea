//! Folders of published LeWMs: both kinds of weights, what a broken folder reports, and the folder as a checkpoint.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use mindseye_interface::{Frame, Image, ImageSize, Observation};
use mindseye_world_model::{AnyCheckpoint, Lewm, LoadOptions, PublishedLewm};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lewm_tiny")
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
}

/// The model of a folder that has only this weights file.
fn model(weights: &str) -> Lewm {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", weights] {
        std::fs::copy(fixture().join(file), folder.path().join(file)).unwrap();
    }
    assert!(Lewm::is_in(folder.path()));
    Lewm::load(folder.path()).unwrap()
}

#[test]
fn both_kinds_of_weights_are_the_same_model() {
    let [one, other] = ["weights.pt", "model.safetensors"].map(model);
    for ((name, one), (_, other)) in one.weights().iter().zip(other.weights()) {
        assert_eq!(values(one), values(other), "{name}");
    }
    assert_eq!(one.weights().len(), 89, "91 tensors without two counters");
}

#[test]
fn a_width_that_is_a_product_beyond_all_numbers_is_refused_by_its_field() {
    // Symptom: mlp_scale = 2^63 + 4 was taken for 4. Cause: the product with emb_dim wrapped round. Fix: it saturates.
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixture().join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let mut config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture().join("config.json")).unwrap()).unwrap();
    config["action_encoder"]["mlp_scale"] = ((1u64 << 63) + 4).into();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let error = Lewm::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("action_encoder.mlp_scale x emb_dim: expected 1 to 65536"), "{error}");
}

#[test]
fn a_published_folder_is_a_checkpoint_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture().join(file), folder.path().join(file)).unwrap();
    }
    let refused = AnyCheckpoint::load(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("mindseye.json") && refused.contains("action_width"), "{refused}");
    let options = LoadOptions { action_width: Some(2), action_statistics: None };
    let plain = AnyCheckpoint::load_with(folder.path(), &options).unwrap();
    assert_eq!((plain.spec().action_chunk, plain.origin.is_none(), plain.statistics.is_none()), (5, true, true));
    assert!(plain.jepa().is_err());
    let sidecar = r#"{"action_width": 2, "actions": {"mean": [0.1], "std": [0.5, 0.4]}}"#;
    std::fs::write(folder.path().join("mindseye.json"), sidecar).unwrap();
    let standardised = AnyCheckpoint::load(folder.path()).unwrap();
    assert_eq!(plain.fingerprint(), standardised.fingerprint());
    let gain = |checkpoint: &AnyCheckpoint| {
        checkpoint.model.as_any().downcast_ref::<PublishedLewm>().unwrap().gain[..2].to_vec()
    };
    assert_eq!((gain(&plain), gain(&standardised)), (vec![1.0; 2], vec![2.0, 2.5]));
    // The encoder behind the seam is the network's.
    let image = Image::filled(ImageSize::square(42).unwrap(), [10, 200, 90]);
    let expected = model("model.safetensors").encode(image.pixels(), 1).unwrap();
    let observation = Observation { frames: vec![Frame::new(&Arc::from("top"), image, 0.0)], ..Observation::default() };
    assert_eq!(plain.model.encode(&[observation]).unwrap()[0].values(), expected);
    for (sidecar, named) in [(r#"{"action_widths": 2}"#, "action_widths"), (r#"{"action_width": 3}"#, "divides 10")] {
        std::fs::write(folder.path().join("mindseye.json"), sidecar).unwrap();
        let refused = AnyCheckpoint::load(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("mindseye.json") && refused.contains(named), "{refused}");
    }
}

/// A folder like the fixture's, with changes, and what loading it says.
fn complaint(change: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture().join(file), folder.path().join(file)).unwrap();
    }
    change(folder.path());
    Lewm::load(folder.path()).unwrap_err().to_string()
}

fn with_tensors(folder: &Path, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let path = folder.join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, path).unwrap();
}

fn with_config(folder: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = folder.join("config.json");
    let mut config = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(path, config.to_string()).unwrap();
}

#[test]
fn a_broken_folder_is_refused_by_name() {
    const NAME: &str = "predictor.transformer.layers.1.attn.to_qkv.weight";
    let missing = complaint(|folder| with_tensors(folder, |tensors| drop(tensors.remove(NAME))));
    assert!(missing.contains(NAME) && missing.contains("model.safetensors"), "{missing}");
    let renamed = complaint(|folder| {
        with_tensors(folder, |tensors| {
            let tensor = tensors["projector.net.0.bias"].clone();
            tensors.insert("projector.net.9.bias".into(), tensor);
        });
    });
    assert!(renamed.contains("projector.net.9.bias"), "{renamed}");
    let reshaped = complaint(|folder| {
        with_tensors(folder, |tensors| {
            let transposed = tensors[NAME].t().unwrap().contiguous().unwrap();
            tensors.insert(NAME.into(), transposed);
        });
    });
    assert!(reshaped.contains(NAME) && reshaped.contains("[192, 48]") && reshaped.contains("[48, 192]"), "{reshaped}");
    let poisoned = complaint(|folder| {
        with_tensors(folder, |tensors| {
            let tensor = (&tensors["encoder.layernorm.bias"] * f64::NAN).unwrap();
            tensors.insert("encoder.layernorm.bias".into(), tensor);
        });
    });
    assert!(poisoned.contains("encoder.layernorm.bias") && poisoned.contains("finite"), "{poisoned}");
    let narrow = complaint(|folder| with_config(folder, |config| config["predictor"]["hidden_dim"] = 47.into()));
    assert!(narrow.contains("predictor.hidden_dim") && narrow.contains("48") && narrow.contains("47"), "{narrow}");
    let absurd = complaint(|folder| with_config(folder, |config| config["encoder"]["image_size"] = 1_000_000.into()));
    assert!(absurd.contains("encoder.image_size") && absurd.contains("1000000"), "{absurd}");
    let headless = complaint(|folder| {
        with_config(folder, |config| drop(config["predictor"].as_object_mut().unwrap().remove("heads")))
    });
    assert!(headless.contains("config.json") && headless.contains("heads"), "{headless}");
    let cut = complaint(|folder| {
        let path = folder.join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(cut.contains("model.safetensors"), "{cut}");
    let without_weights = complaint(|folder| std::fs::remove_file(folder.join("model.safetensors")).unwrap());
    assert!(without_weights.contains("weights.pt"), "{without_weights}");
    let cut_pickle = complaint(|folder| {
        std::fs::remove_file(folder.join("model.safetensors")).unwrap();
        let bytes = std::fs::read(fixture().join("weights.pt")).unwrap();
        std::fs::write(folder.join("weights.pt"), &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(cut_pickle.contains("weights.pt"), "{cut_pickle}");
}
