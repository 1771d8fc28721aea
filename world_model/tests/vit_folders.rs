//! Folders and files of published vision transformers: other layouts are the same model, to the bit, and what is broken
//! or does not fit is refused with what is wrong.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use mindseye_interface::{Image, ImageSize, MemoryLimit};
use mindseye_world_model::families::check_parity;
use mindseye_world_model::families::vit::{Clip, Preprocessing, Scaling, Vit, VitOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

type Tensors = HashMap<String, Tensor>;

fn tensors(name: &str) -> Tensors {
    candle_core::safetensors::load(fixture(name).join("model.safetensors"), &Device::Cpu).unwrap()
}

/// A folder with a fixture's files, its config and tensors changed.
fn folder(name: &str, config: impl FnOnce(&mut Value), weights: impl FnOnce(Tensors) -> Tensors) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut value = serde_json::from_slice(&std::fs::read(fixture(name).join("config.json")).unwrap()).unwrap();
    config(&mut value);
    std::fs::write(folder.path().join("config.json"), value.to_string()).unwrap();
    candle_core::safetensors::save(&weights(tensors(name)), folder.path().join("model.safetensors")).unwrap();
    std::fs::copy(fixture(name).join("io.safetensors"), folder.path().join("io.safetensors")).unwrap();
    folder
}

fn load(folder: &Path) -> Result<Vit, String> {
    Vit::load(folder, &VitOptions::default()).map_err(|error| error.to_string())
}

/// Why a changed fixture is refused.
fn complaint(name: &str, config: impl FnOnce(&mut Value), weights: impl FnOnce(Tensors) -> Tensors) -> String {
    load(folder(name, config, weights).path()).unwrap_err()
}

fn with(name: &str, values: Vec<f32>, shape: &[usize]) -> impl FnOnce(Tensors) -> Tensors {
    let (name, tensor) = (name.to_owned(), Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
    move |mut tensors| {
        tensors.insert(name, tensor);
        tensors
    }
}

/// The tokens of a fixed clip.
fn tokens(vit: &Vit) -> Vec<f32> {
    let values: Vec<f32> = (0..6 * 3 * 48 * 48).map(|index| (index as f32 * 0.37).sin()).collect();
    vit.encoder().unwrap().encode(&Clip { values: &values, frames: 6, height: 48, width: 48 }).unwrap()
}

/// Symptom: elsewhere a predictor of 24 blocks is loaded half from a file of 12, and nothing says so.
/// Cause: a config that disagrees with the weights was built, and what was missing stayed random.
/// Fix: sizes are measured in the weights; a config that says otherwise is refused.
#[test]
fn a_config_that_disagrees_with_the_weights_is_refused_naming_both() {
    for (field, value, expected) in [
        ("pred_num_hidden_layers", json!(24), "expected 3 as the weights have (blocks of the predictor), got 24"),
        ("num_hidden_layers", json!(1), "expected 2 as the weights have (blocks of the encoder), got 1"),
        ("hidden_size", json!(64), "expected 48 as the weights have (rows of the patch embedding), got 64"),
        ("pred_hidden_size", json!(384), "expected 32 as the weights have"),
        ("patch_size", json!(14), "expected 16 as the weights have"),
        ("tubelet_size", json!(1), "expected 2 as the weights have"),
        ("mlp_ratio", json!(2.0), "expected a ratio that gives 192, the hidden width of the weights, got 2"),
        ("pred_num_mask_tokens", json!(10), "expected 2 as the weights have"),
        ("num_attention_heads", json!(5), "encoder.width % heads"),
        ("hidden_act", json!("gelu_new"), "expected gelu"),
        ("hidden_size", json!(-1), "expected a number of 0 or more"),
        ("crop_size", json!(1e9), "encoder.image_size"),
        ("num_hidden_layers", json!("two"), "expected a number"),
    ] {
        let error = complaint("vjepa2_tiny", |config| config[field] = value.clone(), |tensors| tensors);
        let named = error.contains(field) || expected.starts_with("encoder.");
        assert!(error.contains("config.json") && named && error.contains(expected), "{field}: {error}");
    }
    let labels = complaint("vjepa2_probe_tiny", |config| config["id2label"] = json!({"0": "one"}), |tensors| tensors);
    assert!(labels.contains("id2label: expected 5 labels"), "{labels}");
}

/// Symptom: `use_swiglu_ffn`, `qkv_bias` and `model_type` against the weights were taken, and integers for weights.
/// Cause: what is measured in the weights was never held against these fields, nor against what kind of numbers it has.
/// Fix: each is compared where the field is there, and weights are floats.
#[test]
fn a_config_of_other_blocks_or_another_family_and_weights_of_integers_are_refused() {
    for (fixture, field, value, expected) in [
        ("dinov2_tiny", "use_swiglu_ffn", json!(true), "use_swiglu_ffn: expected false as the weights have"),
        ("dinov2_swiglu_tiny", "use_swiglu_ffn", json!(false), "use_swiglu_ffn: expected true as the weights have"),
        ("dinov2_tiny", "use_swiglu_ffn", json!("yes"), "use_swiglu_ffn: expected true or false"),
        ("dinov2_tiny", "qkv_bias", json!(false), "qkv_bias: expected true as the weights have"),
        ("vjepa2_tiny", "qkv_bias", json!(false), "qkv_bias: expected true as the weights have"),
        ("dinov2_tiny", "model_type", json!("vjepa2"), "model_type: expected dinov2 as the weights have a class token"),
        ("dinov2_tiny", "model_type", json!("ijepa"), "model_type: expected dinov2 as the weights have a class token"),
        ("vjepa2_tiny", "model_type", json!("dinov2"), "model_type: expected another family"),
        ("vjepa2_tiny", "model_type", json!(2), "model_type: expected a text, got 2"),
        ("ijepa_hf_tiny", "model_type", json!("vjepa2"), "model_type: expected a family of images"),
    ] {
        let error = complaint(fixture, |config| config[field] = value.clone(), |tensors| tensors);
        assert!(error.contains("config.json") && error.contains(expected), "{fixture} {field}: {error}");
    }
    let name = "embeddings.cls_token";
    let integers = complaint(
        "dinov2_tiny",
        |_| {},
        |mut tensors| {
            let whole = tensors[name].to_dtype(DType::I64).unwrap();
            tensors.insert(name.into(), whole);
            tensors
        },
    );
    assert!(integers.contains("embeddings.cls_token: expected floats, got I64"), "{integers}");
}

#[test]
fn tensors_that_are_missing_left_over_reshaped_or_not_finite_are_named() {
    let unchanged = |_: &mut Value| {};
    let missing = complaint("vjepa2_tiny", unchanged, |mut tensors| {
        tensors.remove("encoder.layer.1.mlp.fc1.bias").unwrap();
        tensors
    });
    assert!(missing.contains("1 missing (encoder.blocks.1.mlp.fc1.bias)"), "{missing}");
    let left_over = complaint("vjepa2_tiny", unchanged, with("encoder.layer.0.gate", vec![0.0; 4], &[4]));
    assert!(left_over.contains("1 unexpected (encoder.layer.0.gate)"), "{left_over}");
    let reshaped = complaint("vjepa2_tiny", unchanged, with("encoder.layernorm.bias", vec![0.0; 47], &[47]));
    assert!(reshaped.contains("encoder.norm.bias expected [48] got [47]"), "{reshaped}");
    let filter = "encoder.embeddings.patch_embeddings.proj.weight";
    let nothing = complaint("vjepa2_tiny", unchanged, with(filter, vec![], &[48, 3, 0, 16, 16]));
    assert!(nothing.contains("expected sizes of 1 or more"), "{nothing}");
    let mut values = vec![0.0; 48];
    values[7] = f32::NAN;
    let nan = complaint("vjepa2_tiny", unchanged, with("encoder.layernorm.bias", values, &[48]));
    assert!(nan.contains("encoder.layernorm.bias: expected finite values, got NaN"), "{nan}");
    let piece = complaint("vjepa2_tiny", unchanged, |mut tensors| {
        tensors.remove("encoder.layer.0.attention.value.weight").unwrap();
        tensors
    });
    assert!(piece.contains("encoder.blocks.0.attn.qkv.weight") && piece.contains("[96, 48]"), "{piece}");
    let short = MemoryLimit::from_bytes(100_000);
    let options = VitOptions { memory: Some(short), ..VitOptions::default() };
    let memory = Vit::load(&fixture("vjepa2_tiny"), &options).unwrap_err().to_string();
    assert!(memory.contains("weights: expected at most"), "{memory}");
}

#[test]
fn files_that_are_cut_off_or_lie_about_their_lengths_are_refused() {
    let whole = std::fs::read(fixture("vjepa2_tiny").join("model.safetensors")).unwrap();
    let refused = |bytes: &[u8]| {
        let folder = folder("vjepa2_tiny", |_| {}, |tensors| tensors);
        std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        load(folder.path()).unwrap_err()
    };
    for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        let error = refused(&whole[..length]);
        assert!(error.contains("model.safetensors") && error.contains("got"), "{length}: {error}");
    }
    let huge = [&u64::MAX.to_le_bytes()[..], &whole[8..]].concat();
    assert!(refused(&huge).contains("expected a list of tensors of at most"));
    let header = r#"{"encoder.a": {"dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 4]}}"#;
    let lying = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    assert!(refused(&lying).contains("model.safetensors"));
    let empty = load(tempfile::tempdir().unwrap().path()).unwrap_err();
    assert!(empty.contains("expected weights here"), "{empty}");
}

/// Splits a fixture's tensors into shards with an index.
#[test]
fn shards_are_one_model_and_cannot_name_files_elsewhere() {
    let expected = tokens(&load(&fixture("vjepa2_tiny")).unwrap());
    let folder = folder("vjepa2_tiny", |_| {}, |tensors| tensors);
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let (mut shards, mut map) = (vec![Tensors::new(); 3], serde_json::Map::new());
    let mut all: Vec<_> = tensors("vjepa2_tiny").into_iter().collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    for (index, (name, tensor)) in all.into_iter().enumerate() {
        map.insert(name.clone(), json!(format!("model-{}.safetensors", index % 3)));
        shards[index % 3].insert(name, tensor);
    }
    for (index, shard) in shards.iter().enumerate() {
        candle_core::safetensors::save(shard, folder.path().join(format!("model-{index}.safetensors"))).unwrap();
    }
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, json!({"metadata": {}, "weight_map": map}).to_string()).unwrap();
    assert_eq!(tokens(&load(folder.path()).unwrap()), expected);
    std::fs::remove_file(folder.path().join("model-1.safetensors")).unwrap();
    assert!(load(folder.path()).unwrap_err().contains("model-1.safetensors"));
    map.values_mut().for_each(|file| *file = json!("../model-0.safetensors"));
    std::fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
    assert!(load(folder.path()).unwrap_err().contains("expected names of files beside it"));
}

/// The names of the authors' V-JEPA 2 files.
fn original(tensors: Tensors) -> Tensors {
    let mut renamed = Tensors::new();
    let joined = |name: &str, part: &str| {
        let pieces = ["query", "key", "value"].map(|piece| tensors[&name.replace("query", piece)].clone());
        let start = name.replace(&format!("attention.query.{part}"), "attn.qkv").replace("layer.", "blocks.");
        (format!("{start}.{part}"), Tensor::cat(&pieces, 0).unwrap())
    };
    for (name, tensor) in &tensors {
        if name.contains("attention.key") || name.contains("attention.value") {
            continue;
        }
        let (name, tensor) = match name.contains("attention.query") {
            true => joined(name, if name.ends_with("bias") { "bias" } else { "weight" }),
            false => (name.clone(), tensor.clone()),
        };
        if name == "predictor.embeddings.mask_tokens" {
            for number in 0..tensor.dims()[0] {
                renamed.insert(format!("predictor.mask_tokens.{number}"), tensor.get(number).unwrap());
            }
            continue;
        }
        let name = name.replace("embeddings.patch_embeddings", "patch_embed").replace("attention.proj", "attn.proj");
        let name = match name.strip_prefix("predictor.") {
            None => name.replace("layer.", "blocks.").replace("encoder.layernorm", "encoder.norm"),
            Some(rest) => {
                let rest = rest.replace("embeddings.predictor_embeddings", "predictor_embed");
                let rest = rest.replace("layer.", "blocks.").replace("blocks.", "predictor_blocks.");
                let rest = if rest.starts_with("proj.") { format!("predictor_{rest}") } else { rest };
                format!("predictor.{}", rest.replace("layernorm", "predictor_norm"))
            }
        };
        renamed.insert(name, tensor);
    }
    renamed
}

/// A pickle of a state dict of `tensors`, each a storage of its own, under `state_dict`'s nested keys.
fn pickled(tensors: &[(String, Tensor)]) -> Vec<u8> {
    let text = |text: &str| [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let number = |number: usize| [&b"J"[..], &(number as i32).to_le_bytes()].concat();
    let tuple = |sizes: &[usize]| {
        let items: Vec<u8> = sizes.iter().flat_map(|size| number(*size)).collect();
        [&b"("[..], &items, b"t"].concat()
    };
    let mut list = b"\x80\x02}(".to_vec();
    let mut parts: Vec<&str> = tensors.iter().map(|(name, _)| name.split('.').next().unwrap()).collect();
    parts.dedup();
    for part in parts {
        list.extend([text(part), b"}(".to_vec()].concat());
        for (index, (name, tensor)) in tensors.iter().enumerate().filter(|(_, (name, _))| name.starts_with(part)) {
            let (dims, count) = (tensor.dims(), tensor.elem_count());
            let strides: Vec<usize> = (0..dims.len()).map(|at| dims[at + 1..].iter().product()).collect();
            let name = format!("module.backbone.{}", name.split_once('.').unwrap().1);
            list.extend(text(&name));
            list.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            list.extend([text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text(&index.to_string())].concat());
            list.extend([text("cpu"), number(count), b"tQ".to_vec(), number(0), tuple(dims), tuple(&strides)].concat());
            list.extend(b"\x89}tR");
        }
        list.extend(b"u");
    }
    list.extend([text("epoch"), number(300)].concat());
    list.extend(b"u.");
    list
}

fn write_archive(path: &Path, list: &[u8], tensors: &[(String, Tensor)]) {
    let mut written = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    written.start_file("archive/data.pkl", options).unwrap();
    written.write_all(list).unwrap();
    for (index, (_, tensor)) in tensors.iter().enumerate() {
        written.start_file(format!("archive/data/{index}"), options).unwrap();
        for value in tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap() {
            written.write_all(&value.to_le_bytes()).unwrap();
        }
    }
    written.finish().unwrap();
}

#[test]
fn the_authors_own_file_is_the_same_model_to_the_bit() {
    let expected = tokens(&load(&fixture("vjepa2_tiny")).unwrap());
    let mut all: Vec<(String, Tensor)> = original(tensors("vjepa2_tiny")).into_iter().collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"encoder": {"num_heads": 2}, "predictor": {"num_heads": 2}, "crop_size": 48, "num_frames": 6});
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let list = pickled(&all);
    write_archive(&folder.path().join("vitt.pt"), &list, &all);
    assert_eq!(tokens(&load(folder.path()).unwrap()), expected);
    assert_eq!(tokens(&load(&folder.path().join("vitt.pt")).unwrap()), expected, "the file itself");
    // Clips of the authors' layout have channels before frames; the outputs are those of the fixture.
    let mut io = candle_core::safetensors::load(fixture("vjepa2_tiny").join("io.safetensors"), &Device::Cpu).unwrap();
    let clip = io.remove("in.pixel_values_videos").unwrap().transpose(1, 2).unwrap().contiguous().unwrap();
    io.insert("in.clip".into(), clip);
    candle_core::safetensors::save(&io, folder.path().join("io.safetensors")).unwrap();
    let report = check_parity(folder.path(), &VitOptions::default()).unwrap();
    assert!(report.agrees() && report.outputs.len() == 9, "{report}");
}

/// A pickle is a program: one that names a function to call is refused by that name, and nothing is called.
#[test]
fn a_pickle_that_would_run_code_is_refused_by_name_and_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof");
    let command = format!("touch {}", proof.display());
    let text = [&b"X"[..], &(command.len() as u32).to_le_bytes(), command.as_bytes()].concat();
    let list = [&b"\x80\x02cposix\nsystem\n("[..], &text, b"tR."].concat();
    write_archive(&folder.path().join("vitl.pt"), &list, &[]);
    let error = load(folder.path()).unwrap_err();
    assert!(error.contains("posix.system") && error.contains("is not run"), "{error}");
    assert!(!proof.exists());
}

/// A dict that holds itself many times over is a small file and a huge tree.
#[test]
fn a_tree_of_shared_dicts_is_bounded() {
    let mut list = b"\x80\x02}q\x00".to_vec();
    for level in 0..5u8 {
        list.extend(b"}(");
        for key in 0..200u32 {
            list.extend([&b"X\x04\x00\x00\x00"[..], format!("{key:04}").as_bytes(), &[b'h', level]].concat());
        }
        list.extend([b'u', b'q', level + 1]);
    }
    list.extend(b"}(X\x07\x00\x00\x00encoderh\x05u.");
    let folder = tempfile::tempdir().unwrap();
    write_archive(&folder.path().join("vitl.pt"), &list, &[]);
    let error = load(folder.path()).unwrap_err();
    assert!(error.contains("expected at most"), "{error}");
}

#[test]
fn a_cut_off_archive_is_refused() {
    let path = fixture("vjepa_tiny").join("vitt16.pth.tar");
    let mut whole = Vec::new();
    std::fs::File::open(&path).unwrap().read_to_end(&mut whole).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for length in [10, whole.len() / 2, whole.len() - 30] {
        std::fs::write(folder.path().join("vitt16.pth.tar"), &whole[..length]).unwrap();
        assert!(load(folder.path()).unwrap_err().contains("vitt16.pth.tar"), "{length}");
    }
}

/// Images are scaled as Pillow scales them (`fixtures/pillow_resized.py`): every value within one step of 255, and
/// nearly all equal.
#[test]
fn images_are_scaled_as_pillow_scales_them() {
    let text = std::fs::read(fixture("pillow_resized.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    let (height, width) = (30, 44);
    let value = |at: usize| {
        let (row, column, channel) = (at / (width * 3), at / 3 % width, at % 3);
        ((row * 7 + column * 13 + channel * 40 + row * column) % 256) as u8
    };
    let pixels = (0..height * width * 3).map(value).collect();
    let image = Image::new(ImageSize::new(height, width).unwrap(), pixels).unwrap();
    for case in expected["cases"].as_array().unwrap() {
        let side = |at: usize| usize::try_from(case["size"][at].as_u64().unwrap()).unwrap();
        let (cubic, size) = (case["filter"] == "cubic", [side(0), side(1)]);
        let scaling = Scaling::Exact(size);
        let (mean, std) = ([0.0; 3], [1.0; 3]);
        let preprocessing = Preprocessing { scaling, cubic, averaging: true, crop: None, mean, std };
        let prepared = preprocessing.apply(&image).unwrap();
        let area = size[0] * size[1];
        let mut different = 0;
        for (at, pixel) in case["pixels"].as_array().unwrap().iter().enumerate() {
            let got = (prepared.values[at % 3 * area + at / 3] * 255.0).round();
            let error = (f64::from(got) - pixel.as_f64().unwrap()).abs();
            assert!(error <= 1.0, "{case}: {at}: {got}", case = case["filter"]);
            different += usize::from(error > 0.0);
        }
        assert!(different * 50 < area * 3, "{different} of {} values differ", area * 3);
    }
}
