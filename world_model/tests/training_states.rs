//! The state of a training: one that does not fit its run is refused, and names what differs.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::support::{PATCH, data, origin, recipe, run, run_from};
use mindseye_interface::{FolderLock, MemoryLimit, Seed};
use mindseye_world_model::Checkpoint;
use mindseye_world_model::Head;
use mindseye_world_model::heads::policy::{Policy, PolicyConfig};
use mindseye_world_model::training::{RunOptions, STATE_FILE, TrainedModel, train};
use mindseye_world_model::{WeightSource, values_of};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// Tensors of a state by name: their values.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Rewrites the state in `folder`, its step too.
fn change_state(folder: &Path, step: Option<usize>, change: impl FnOnce(&mut Tensors)) {
    let path = folder.join(STATE_FILE);
    let bytes = std::fs::read(&path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut header: HashMap<String, String> = metadata.metadata().clone().unwrap();
    let mut fields: serde_json::Value = serde_json::from_str(&header["mindseye"]).unwrap();
    if let Some(step) = step {
        fields["step"] = step.into();
    }
    header.insert("mindseye".into(), fields.to_string());
    let values = |view: &TensorView<'_>| {
        view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Tensors =
        stored.iter().map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), values(&view)))).collect();
    change(&mut tensors);
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, (shape, values))| (name, shape, values.into_iter().flat_map(f32::to_le_bytes).collect()))
        .collect();
    let views =
        bytes.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    std::fs::write(path, safetensors::serialize(views, Some(header)).unwrap()).unwrap();
}

/// Symptom: a state whose moments had another length, were missing or too many was resumed, and gave other weights; one
/// of step 2^63 was reported as stopped beyond its end.
/// Cause: moments were compared with nothing, and the step neither.
/// Fix: names, shapes and values of all tensors, and the step, are checked before anything is set.
#[test]
fn a_state_that_does_not_fit_is_refused_by_its_tensor() {
    let config = recipe(8, PATCH, false, "sigreg = 0.02");
    let data = data(&config, 6);
    let folder = tempfile::tempdir().unwrap();
    run(&config, &data, folder.path(), false, Some(4)).unwrap();
    let good = std::fs::read(folder.path().join(STATE_FILE)).unwrap();
    const WEIGHT: &str = "predictor.input.bias";
    let [weight, first, second] = ["weights", "first", "second"].map(|kind| format!("{kind}.{WEIGHT}"));
    type Change<'a> = Box<dyn Fn(&mut Tensors) + 'a>;
    let cases: Vec<(Change<'_>, String)> = vec![
        (Box::new(|tensors| drop(tensors.remove(&weight))), format!("{weight}: expected it, got none")),
        (Box::new(|tensors| tensors.get_mut(&weight).unwrap().0.insert(0, 1)), format!("{weight}: expected shape")),
        (Box::new(|tensors| drop(tensors.remove(&first))), format!("{first}: expected it beside")),
        (Box::new(|tensors| drop(tensors.remove(&second))), format!("{second}: expected it beside")),
        (
            Box::new(|tensors| [&first, &second].into_iter().for_each(|name| drop(tensors.remove(name)))),
            format!("the moments {first} and {second}"),
        ),
        (
            Box::new(|tensors| {
                let (shape, values) = tensors.get_mut(&first).unwrap();
                values.pop();
                shape[0] -= 1;
            }),
            format!("{first}: expected ["),
        ),
        (Box::new(|tensors| tensors.get_mut(&second).unwrap().1[0] = -1.0), format!("{second}: expected squares")),
        (Box::new(|tensors| tensors.get_mut(&first).unwrap().1[0] = f32::NAN), format!("{first}: expected finite")),
        (
            Box::new(|tensors| drop(tensors.insert("first.other".into(), (vec![1], vec![0.0])))),
            "first.other: expected a moment".into(),
        ),
        (
            Box::new(|tensors| drop(tensors.insert("weights.other".into(), (vec![1], vec![0.0])))),
            "weights.other: expected a weight of the run".into(),
        ),
        (
            Box::new(|tensors| drop(tensors.insert(format!("third.{WEIGHT}"), tensors[&first].clone()))),
            format!("third.{WEIGHT}: expected a first or second moment"),
        ),
    ];
    for (change, expected) in cases {
        std::fs::write(folder.path().join(STATE_FILE), &good).unwrap();
        change_state(folder.path(), None, |tensors| change(tensors));
        let refused = run(&config, &data, folder.path(), true, None).unwrap_err().to_string();
        assert!(refused.contains(&expected) && !refused.contains('\n'), "{refused}");
    }
    for step in [9, 1 << 62] {
        std::fs::write(folder.path().join(STATE_FILE), &good).unwrap();
        change_state(folder.path(), Some(step), |_| ());
        let refused = run(&config, &data, folder.path(), true, None).unwrap_err().to_string();
        assert!(refused.contains(&format!("step: expected at most 8, the run's, got {step}")), "{refused}");
    }
    std::fs::write(folder.path().join(STATE_FILE), &good).unwrap();
    change_state(folder.path(), None, |_| ());
    assert!(run(&config, &data, folder.path(), true, None).unwrap().1.finished, "the state itself is resumed");
}

/// Symptom: heads were deleted when a finished run was resumed.
/// Cause: a checkpoint was saved without the heads that lay beside it, and saving removed their files.
/// Fix: saving leaves heads alone; those that no longer fit are named.
#[test]
fn heads_stay_beside_a_resumed_run_and_those_of_other_weights_are_named() {
    let config = recipe(2, PATCH, false, "sigreg = 0.02");
    let data = data(&config, 6);
    let folder = tempfile::tempdir().unwrap();
    let save = |resume: bool, start: Option<&Checkpoint>| {
        let (model, report) = run_from(start, &config, &data, folder.path(), resume, None).unwrap();
        let checkpoint = Checkpoint::of_run(model, report, config.clone(), &data, origin()).unwrap();
        checkpoint.save(folder.path()).unwrap();
        checkpoint
    };
    let first = save(false, None);
    let head = PolicyConfig { hidden: 16, layers: 1, ..PolicyConfig::for_model(&first.config.model, 2) };
    let policy = Policy::build(head, WeightSource::fresh(Seed::new(1))).unwrap();
    first.save_head(folder.path(), &policy).unwrap();
    let written = std::fs::read(folder.path().join(Policy::FILE)).unwrap();

    let resumed = save(true, None);
    assert_eq!(resumed.fingerprint(), first.fingerprint());
    assert!(resumed.unfit_heads(folder.path()).is_empty() && resumed.has_head_in::<Policy>(folder.path()));
    let loaded = Checkpoint::load(folder.path()).unwrap().policy.unwrap();
    assert_eq!(values_of(loaded.weights()).unwrap(), values_of(policy.weights()).unwrap());

    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(Checkpoint::load(folder.path()).unwrap().give_heads_to(&first, elsewhere.path()).unwrap(), [""; 0]);
    assert_eq!(std::fs::read(elsewhere.path().join(Policy::FILE)).unwrap(), written, "of equal weights they go along");

    let continued = save(false, Some(&first));
    assert_ne!(continued.fingerprint(), first.fingerprint());
    assert_eq!(std::fs::read(folder.path().join(Policy::FILE)).unwrap(), written, "it stays");
    let unfit: Vec<String> = continued.unfit_heads(folder.path()).iter().map(ToString::to_string).collect();
    assert!(unfit.len() == 1 && !continued.has_head_in::<Policy>(folder.path()), "{unfit:?}");
    // Symptom: the policy could not be trained again: beside the old one, the checkpoint could not be read.
    assert!(Checkpoint::load(folder.path()).is_err());
    let (again, left_out) = Checkpoint::load_without_unfit_heads(folder.path(), &continued.config.scene).unwrap();
    assert!(again.policy.is_none() && left_out.len() == 1);
    assert_eq!(again.give_heads_to(&first, elsewhere.path()).unwrap(), [Policy::FILE], "other weights: named only");
    again.save_with_head(folder.path(), &policy).unwrap();
    assert!(Checkpoint::load(folder.path()).unwrap().policy.is_some());
    first.save_head(folder.path(), &policy).unwrap();
    for part in [Policy::FILE, "model_fingerprint", first.fingerprint(), continued.fingerprint()] {
        assert!(unfit[0].contains(part) && !unfit[0].contains('\n'), "{unfit:?}");
    }
}

#[test]
fn a_recipe_beyond_the_limit_is_refused_before_anything_is_written() {
    let mut config = recipe(8, PATCH, false, "sigreg = 0.02");
    let data = data(&config, 6);
    config.data.batch = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let (run, memory) = (folder.path().join("run"), MemoryLimit::from_bytes(1 << 30));
    let lock = FolderLock::acquire(&run, "train").unwrap();
    let options = RunOptions { folder: Some(&lock), memory, ..RunOptions::new(Seed::new(1)) };
    let refused = train(&config, &data, None, &options, &|_, _| ()).map(|TrainedModel { .. }| ()).unwrap_err();
    let refused = refused.to_string();
    assert!(refused.starts_with("data.batch: expected at most 1.0 GiB of memory"), "{refused}");
    drop(lock);
    assert!(!run.exists());
}

#[test]
fn the_shipped_recipes_ask_for_less_than_a_gibibyte() {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/recipes");
    let found = std::fs::read_dir(shipped).unwrap().map(|file| file.unwrap().path());
    let recipes: Vec<_> = found.filter(|path| path.is_file()).collect(); // beside the folder of pretraining
    assert!(recipes.len() >= 3);
    for path in recipes {
        let recipe: mindseye_world_model::training::TrainingConfig = mindseye_interface::config::load(&path).unwrap();
        recipe.require_memory(MemoryLimit::from_bytes(1 << 30)).unwrap();
    }
}

/// Symptom: a named pipe as a head's file was waited for without end.
/// Cause: files were opened whatever they are.
/// Fix: only regular files are read.
#[test]
#[cfg(unix)]
fn a_pipe_or_device_beside_the_model_is_refused() {
    let config = recipe(2, PATCH, false, "sigreg = 0.02");
    let data = data(&config, 6);
    let folder = tempfile::tempdir().unwrap();
    let (model, report) = run(&config, &data, folder.path(), false, None).unwrap();
    Checkpoint::of_run(model, report, config, &data, origin()).unwrap().save(folder.path()).unwrap();
    let policy = folder.path().join(Policy::FILE);
    assert!(std::process::Command::new("mkfifo").arg(&policy).status().unwrap().success());
    let refused = |named: &str, kind: &str| {
        let error = Checkpoint::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains(&format!("expected a regular file, got {kind}")), "{error}");
    };
    refused(Policy::FILE, "a named pipe");
    for file in ["model.safetensors", "config.json"] {
        std::fs::remove_file(folder.path().join(file)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join(file)).unwrap();
        refused(file, "a device");
    }
}
