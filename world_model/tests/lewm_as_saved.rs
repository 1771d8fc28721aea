//! LeWorldModels as people save them: other names, wrappers, precisions and files are the same model, to the bit; what
//! is no list of weights is refused with what to do.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use mindseye_world_model::{AnyCheckpoint, Lewm, LoadOptions, values_of};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

fn fixture(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lewm_tiny").join(file)
}

/// A folder with the fixture's config, changed.
fn folder(change: impl FnOnce(serde_json::Value) -> serde_json::Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = serde_json::from_slice(&std::fs::read(fixture("config.json")).unwrap()).unwrap();
    std::fs::write(folder.path().join("config.json"), change(config).to_string()).unwrap();
    folder
}

/// Writes the fixture's `weights.pt` to `path`, with another list of tensors and other storages.
fn write_pickled(path: &Path, list: impl FnOnce(Vec<u8>) -> Vec<u8>, storage: impl Fn(Vec<u8>) -> Vec<u8>) {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(fixture("weights.pt")).unwrap()).unwrap();
    let mut written = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let mut list = Some(list);
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let (name, mut bytes) = (entry.name().unwrap().into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        let bytes = match name.as_str() {
            name if name.ends_with("data.pkl") => list.take().unwrap()(bytes),
            name if name.contains("/data/") => storage(bytes),
            _ => bytes,
        };
        written.start_file(name, SimpleFileOptions::default()).unwrap();
        written.write_all(&bytes).unwrap();
    }
    written.finish().unwrap();
}

/// A pickle in which every name of a tensor is `rename`d.
fn with_names(list: &[u8], rename: impl Fn(&str) -> String) -> Vec<u8> {
    let text = |name: &str| [&b"X"[..], &(name.len() as u32).to_le_bytes(), name.as_bytes()].concat();
    let mut renamed = list.to_vec();
    for name in tensors().keys() {
        let (from, to) = (text(name), text(&rename(name)));
        let at = renamed.windows(from.len()).position(|window| window == from).unwrap();
        renamed.splice(at..at + from.len(), to);
    }
    renamed
}

fn tensors() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture("model.safetensors"), &Device::Cpu).unwrap()
}

/// transformers 5's name of a tensor.
fn newer(name: &str) -> String {
    let name = name.replace("encoder.encoder.layer.", "encoder.layers.");
    let parts = ["query", "key", "value"].map(|part| (format!("attention.attention.{part}"), &part[..1]));
    let name = parts.iter().fold(name, |name, (old, new)| name.replace(old, &format!("attention.{new}_proj")));
    let name = name.replace("attention.output.dense", "attention.o_proj").replace("intermediate.dense", "mlp.fc1");
    name.replace("output.dense", "mlp.fc2")
}

fn bits(model: &Lewm) -> Vec<u32> {
    values_of(model.weights()).unwrap().into_iter().map(f32::to_bits).collect()
}

fn refusal(path: &Path) -> String {
    let refused = Lewm::load(path).unwrap_err().to_string();
    assert!(!refused.contains('\n'), "{refused}");
    refused
}

/// Symptom: whoever trains a LeWorldModel today gets a file that is refused, `expected a weight
/// encoder.encoder.layer.0..., got none`; so do those who compile, wrap or train it with Lightning.
/// Cause: names were those of transformers 4, without a wrapper's.
/// Fix: other names are read as the published ones.
#[test]
fn names_of_newer_libraries_and_of_wrappers_are_the_same_model() {
    let expected = bits(&Lewm::load(&fixture("")).unwrap());
    let renames: [fn(&str) -> String; 6] = [
        newer,
        |name| format!("_orig_mod.{name}"),
        |name| format!("module.{}", newer(name)),
        |name| format!("model.{name}"),
        |name| format!("model._orig_mod.module.{name}"),
        |name| name.replace("encoder.", "encoder._orig_mod."),
    ];
    for rename in renames {
        let folder = folder(|config| config);
        write_pickled(&folder.path().join("weights.pt"), |list| with_names(&list, rename), |bytes| bytes);
        assert_eq!(bits(&Lewm::load(folder.path()).unwrap()), expected, "{}", rename("encoder.layernorm.bias"));
        std::fs::remove_file(folder.path().join("weights.pt")).unwrap();
        let renamed: HashMap<String, Tensor> =
            tensors().into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect();
        candle_core::safetensors::save(&renamed, folder.path().join("model.safetensors")).unwrap();
        assert_eq!(bits(&Lewm::load(folder.path()).unwrap()), expected, "{}", rename("encoder.layernorm.bias"));
    }
}

/// A trainer's checkpoint has the state dict beside other things, the model under `model.`, and constants of the loss.
#[test]
fn the_state_dict_inside_a_trainers_checkpoint_is_read() {
    let folder = folder(|config| config);
    let inside = |list: Vec<u8>| {
        let renamed = with_names(&list, |name| format!("model.{name}"));
        let dict = renamed.strip_prefix(b"\x80\x02").unwrap().strip_suffix(b".").unwrap();
        let epoch = b"\x80\x02}(X\x05\x00\x00\x00epochK\x07X\x0a\x00\x00\x00state_dict";
        [epoch, dict, b"u."].concat()
    };
    write_pickled(&folder.path().join("last.ckpt"), inside, |bytes| bytes);
    assert_eq!(bits(&Lewm::load(folder.path()).unwrap()), bits(&Lewm::load(&fixture("")).unwrap()));
    let mut with_loss = tensors();
    for unused in ["sigreg.t", "sigreg.weights", "encoder.pooler.dense.bias", "encoder.embeddings.mask_token"] {
        with_loss.insert(unused.into(), Tensor::zeros(17, DType::F32, &Device::Cpu).unwrap());
    }
    candle_core::safetensors::save(&with_loss, folder.path().join("model.safetensors")).unwrap();
    assert_eq!(bits(&Lewm::load(folder.path()).unwrap()), bits(&Lewm::load(&fixture("")).unwrap()));
}

/// Symptom: `config.json: unknown field _target_`: the folder of the authors' own training was taken for a broken
/// checkpoint of mindseye, or its weights were not found.
/// Cause: only a `_target_` that ends with LeWM, and only `weights.pt`, were known.
/// Fix: a LeWM is known by its parts, its weights by their kind of file.
#[test]
fn the_folder_that_the_authors_training_leaves_is_a_lewm() {
    let expected = bits(&Lewm::load(&fixture("")).unwrap());
    let own = |mut config: serde_json::Value| {
        config["_target_"] = "jepa.JEPA".into();
        config["predictor"]["_target_"] = "module.ARPredictor".into();
        config["embed_dim"] = 48.into();
        config["history_size"] = 3.into();
        config
    };
    let whole = |config| serde_json::json!({"seed": 3072, "model": own(config), "data": {"num_steps": 4}});
    let unnamed = |mut config: serde_json::Value| {
        config.as_object_mut().unwrap().remove("_target_");
        config
    };
    for folder in [folder(own), folder(whole), folder(unnamed)] {
        std::fs::copy(fixture("weights.pt"), folder.path().join("weights_epoch_10.pt")).unwrap();
        assert!(Lewm::is_in(folder.path()));
        assert_eq!(bits(&Lewm::load(folder.path()).unwrap()), expected);
        // Of several, the path to one chooses.
        let another = folder.path().join("weights_epoch_5.pt");
        write_pickled(&another, |list| list, |bytes| if bytes.len() == 8 { bytes } else { vec![0; bytes.len()] });
        let refused = refusal(folder.path());
        assert!(refused.contains("weights_epoch_10.pt, weights_epoch_5.pt") && refused.contains("one of"), "{refused}");
        assert!(Lewm::is_in(&another));
        assert!(bits(&Lewm::load(&another).unwrap()).iter().all(|bits| *bits == 0));
        let options = LoadOptions { action_width: Some(2), ..LoadOptions::default() };
        let one = AnyCheckpoint::load_with(&folder.path().join("weights_epoch_10.pt"), &options).unwrap();
        assert_ne!(one.fingerprint(), AnyCheckpoint::load_with(&another, &options).unwrap().fingerprint());
    }
    let other = folder(|_| serde_json::json!({"_target_": "stable_worldmodel.wm.pldm.PLDM"}));
    let refused = mindseye_world_model::Checkpoint::load(other.path()).unwrap_err().to_string();
    assert!(refused.contains("pldm.PLDM") && refused.contains("action_encoder"), "{refused}");
}

#[test]
fn pickled_objects_are_refused_with_what_to_do() {
    let objects = folder(|config| config);
    let object = objects.path().join("lewm_object.ckpt");
    let class = b"\x80\x02cjepa\nJEPA\n)\x81}X\x08\x00\x00\x00trainingK\x00sb.";
    write_pickled(&object, |_| class.to_vec(), |bytes| bytes);
    for path in [objects.path(), object.as_path()] {
        assert!(Lewm::is_in(path));
        let refused = refusal(path);
        assert!(refused.contains("lewm_object.ckpt") && refused.contains("state_dict()"), "{refused}");
    }
    assert!(refusal(&object).contains("jepa.JEPA"));
    std::fs::copy(fixture("weights.pt"), objects.path().join("lewm_weight.ckpt")).unwrap();
    assert!(Lewm::load(objects.path()).is_ok(), "the weights beside the object");
    std::fs::remove_file(objects.path().join("config.json")).unwrap();
    assert!(refusal(objects.path()).contains("config.json: expected the model's config beside its weights, got none"));
    let old = folder(|config| config);
    std::fs::write(old.path().join("weights.pt"), b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.").unwrap();
    assert!(refusal(old.path()).contains("before 1.6"), "{}", refusal(old.path()));
}

#[test]
fn half_precision_is_read_as_the_numbers_it_stands_for() {
    let bfloat = |bytes: Vec<u8>| match bytes.len() {
        8 => bytes, // a counter of a batch norm
        _ => bytes.chunks_exact(4).flat_map(|float| [float[2], float[3]]).collect(),
    };
    let kind = |list: Vec<u8>| {
        let (from, to) = (&b"FloatStorage\n"[..], &b"BFloat16Storage\n"[..]);
        let at = list.windows(from.len()).position(|window| window == from).unwrap();
        [&list[..at], to, &list[at + from.len()..]].concat()
    };
    let folder = folder(|config| config);
    write_pickled(&folder.path().join("weights.pt"), kind, bfloat);
    let expected: Vec<u32> = bits(&Lewm::load(&fixture("")).unwrap()).iter().map(|bits| bits & 0xffff_0000).collect();
    assert_eq!(bits(&Lewm::load(folder.path()).unwrap()), expected);
    let half: HashMap<String, Tensor> =
        tensors().into_iter().map(|(name, tensor)| (name, tensor.to_dtype(DType::F16).unwrap())).collect();
    candle_core::safetensors::save(&half, folder.path().join("model.safetensors")).unwrap();
    for (name, var) in Lewm::load(folder.path()).unwrap().weights() {
        let expected = half[name].to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(var.as_tensor().flatten_all().unwrap().to_vec1::<f32>().unwrap(), expected, "{name}");
    }
}

#[test]
fn every_tensor_is_accounted_for() {
    let complaint = |change: &dyn Fn(&mut HashMap<String, Tensor>)| {
        let folder = folder(|config| config);
        let mut changed = tensors();
        change(&mut changed);
        candle_core::safetensors::save(&changed, folder.path().join("model.safetensors")).unwrap();
        refusal(folder.path())
    };
    let refused = complaint(&|tensors| {
        tensors.retain(|name, _| !name.starts_with("pred_proj"));
        tensors.insert("head.weight".into(), tensors["projector.net.0.weight"].clone());
    });
    for part in
        ["82 tensors there and 89 in the config", "8 missing (pred_proj.net.0.bias, ", "1 left over (head.weight)"]
    {
        assert!(refused.contains(part), "{refused}");
    }
    let refused = complaint(&|tensors| {
        let again = tensors["encoder.encoder.layer.0.intermediate.dense.bias"].clone();
        tensors.insert("encoder.layers.0.mlp.fc1.bias".into(), again);
    });
    assert!(refused.contains("expected one tensor encoder.encoder.layer.0.intermediate.dense.bias"), "{refused}");
}
