//! The verbs that are broken, small enough to end within seconds, and what they read.

use std::path::Path;

use mindseye_episodes::image_codec::encode_png;
use mindseye_interface::{Image, ImageSize};

use crate::support::{assets, succeed};

/// A command whose output can be broken.
pub struct Verb {
    pub name: &'static str,
    /// The words after `mindseye`, run in a trial's folder; the output is `out`.
    words: &'static [&'static str],
    /// What is added where an unfinished output is there.
    go_on: &'static [&'static str],
    /// Files in `out` of which one says that an unfinished output is there.
    unfinished: &'static [&'static str],
    pub makes: Output,
}

/// What a verb makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A data set that grows episode by episode.
    Recording,
    /// A data set that appears whole.
    Dataset,
    /// Files in a folder, of which these follow from the inputs alone.
    Files(&'static [&'static str]),
    /// A JSON report in a folder, of which these fields follow from the inputs alone.
    Report(&'static str, &'static [&'static str]),
    /// A film.
    Film,
}

impl Verb {
    /// The words that begin the output in `folder` or go on with it.
    pub fn words(&self, folder: &Path) -> Vec<&'static str> {
        let is_begun = self.unfinished.iter().any(|file| folder.join("out").join(file).exists());
        self.words.iter().chain(if is_begun { self.go_on } else { &[] }).copied().collect()
    }

    /// Where the output is.
    pub fn out(&self) -> &'static str {
        if self.makes == Output::Film { "out.gif" } else { "out" }
    }
}

const TRAINED: [&str; 4] = ["--data", "../../inputs/data", "--out", "out"];

/// The words of the training of a head.
macro_rules! head {
    ($name:literal, $model:literal, $steps:literal, $state:literal, $made:literal $(, $more:literal)*) => {
        Verb {
            name: concat!("train ", $name),
            words: &[
                "train", $name, "--scene", "two_room", "--checkpoint", $model, "--steps", $steps,
                TRAINED[0], TRAINED[1], TRAINED[2], TRAINED[3] $(, $more)*
            ],
            go_on: &["--resume"],
            unfinished: &[$state],
            makes: Output::Files(&[$made, "model.safetensors"]),
        }
    };
}

pub static VERBS: [Verb; 20] = [
    Verb {
        name: "record",
        words: &[
            "record",
            "--steps",
            "30",
            "--image-side",
            "32",
            "--episodes",
            "60",
            "--episodes-per-file",
            "4",
            "--out",
            "out",
            "--append",
        ],
        go_on: &[],
        unfinished: &[],
        makes: Output::Recording,
    },
    Verb {
        name: "record --video",
        words: &[
            "record",
            "--steps",
            "20",
            "--image-side",
            "32",
            "--episodes",
            "8",
            "--episodes-per-file",
            "2",
            "--video",
            "--out",
            "out",
            "--append",
        ],
        go_on: &[],
        unfinished: &[],
        makes: Output::Recording,
    },
    Verb {
        name: "data convert",
        words: &["data", "convert", "../../inputs/data", "--out", "out", "--episodes-per-file", "2"],
        go_on: &[],
        unfinished: &[],
        makes: Output::Dataset,
    },
    Verb {
        name: "data convert --to hdf5",
        words: &["data", "convert", "../../inputs/data", "--out", "out", "--to", "hdf5"],
        go_on: &[],
        unfinished: &[],
        makes: Output::Dataset,
    },
    Verb {
        name: "data merge",
        words: &["data", "convert", "../../inputs/data", "../../inputs/more", "--out", "out"],
        go_on: &[],
        unfinished: &[],
        makes: Output::Dataset,
    },
    Verb {
        name: "train",
        words: &[
            "train",
            "--recipe",
            "../../inputs/recipe.toml",
            "--cache",
            "cache",
            TRAINED[0],
            TRAINED[1],
            TRAINED[2],
            TRAINED[3],
        ],
        go_on: &["--resume"],
        unfinished: &["state.safetensors", "config.json"],
        makes: Output::Files(&["model.safetensors", "decoder.safetensors"]),
    },
    head!("state-probe", "../../inputs/model", "600", "state_probe.training.safetensors", "state_probe.safetensors"),
    head!("policy", "../../inputs/model", "30", "policy.training.safetensors", "policy.safetensors"),
    head!("ensemble", "../../inputs/model", "30", "ensemble.training.safetensors", "ensemble.safetensors"),
    head!("stochastic", "../../inputs/model", "30", "stochastic.training.safetensors", "stochastic.safetensors"),
    head!("decoder", "../../inputs/model", "30", "decoder.training.safetensors", "decoder.safetensors"),
    head!(
        "critic",
        "../../inputs/with_policy",
        "100",
        "critic.training.safetensors",
        "critic.safetensors",
        "--targets",
        "300"
    ),
    Verb {
        name: "evaluate",
        words: &["evaluate", "--episodes", "8", "--seeds", "1", "--out", "out"],
        go_on: &[],
        unfinished: &[],
        makes: Output::Report("evaluation.json", &["results", "moderate", "strict", "baselines", "surprise"]),
    },
    Verb {
        name: "compare",
        words: &["compare", "--episodes", "2", "--seeds", "1", "--plans", "16", "--out", "out"],
        go_on: &[],
        unfinished: &[],
        makes: Output::Report("compare.json", &["rows", "goals", "task"]),
    },
    Verb {
        name: "ablate",
        words: &["ablate", "--episodes", "1", "--seeds", "1", "--out", "out"],
        go_on: &[],
        unfinished: &[],
        makes: Output::Report("ablation.json", &["rows"]),
    },
    Verb {
        name: "demo",
        words: &["demo", "two_room", "--episodes", "1", "--out", "out.gif"],
        go_on: &[],
        unfinished: &[],
        makes: Output::Film,
    },
    Verb {
        name: "record --policy agent",
        words: &[
            "record",
            "--policy",
            "agent",
            "--steps",
            "20",
            "--episodes",
            "4",
            "--episodes-per-file",
            "1",
            "--out",
            "out",
            "--append",
        ],
        go_on: &[],
        unfinished: &[],
        makes: Output::Recording,
    },
    Verb {
        name: "pretrain",
        words: &["pretrain", "../../inputs/pretraining.toml", TRAINED[0], TRAINED[1], TRAINED[2], TRAINED[3]],
        go_on: &["--resume"],
        unfinished: &["pretraining.state.safetensors"],
        makes: Output::Files(&["model.safetensors", "config.json"]),
    },
    Verb {
        name: "surprise-suite --make",
        words: &["surprise-suite", "--make", "30", "--image-side", "32", "--out", "out"],
        go_on: &[],
        unfinished: &[],
        makes: Output::Dataset,
    },
    Verb {
        name: "encode",
        words: &[
            "encode",
            "../../inputs/images",
            "--weights",
            "../../inputs/encoder",
            "--out",
            "out/tokens.safetensors",
        ],
        go_on: &[],
        unfinished: &[],
        makes: Output::Files(&["tokens.safetensors"]),
    },
];

/// Data and models that the verbs read.
pub fn prepare_inputs(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let record = |out: &str, seed: &str, episodes: &str| {
        let words = ["record", "--steps", "40", "--episodes", episodes, "--seed", seed, "--out", out];
        succeed(folder, &words);
    };
    record("data", "1", "10");
    record("more", "2", "4");
    let recipe = assets().join("recipes/two_room.toml");
    let mut recipe: toml::Table = std::fs::read_to_string(recipe).unwrap().parse().unwrap();
    let fields = [("steps", 20), ("decoder_steps", 10), ("validate_every", 10), ("report_every", 5), ("save_every", 5)];
    for (field, value) in fields {
        recipe.insert(field.into(), toml::Value::Integer(value));
    }
    std::fs::write(folder.join("recipe.toml"), toml::to_string(&recipe).unwrap()).unwrap();
    succeed(folder, &["train", "--recipe", "recipe.toml", "--data", "data", "--out", "model"]);
    prepare_pretraining(folder);
    let policy = ["train", "policy", "--scene", "two_room", "--checkpoint", "model", "--steps", "20"];
    succeed(folder, &[&policy[..], &["--data", "data", "--out", "with_policy"]].concat());
}

/// A small recipe of pretraining, the encoder that it gives, and images for it.
fn prepare_pretraining(folder: &Path) {
    let recipe = std::fs::read_to_string(assets().join("recipes/pretraining/vjepa.toml")).unwrap();
    let mut recipe: toml::Table = recipe.parse().unwrap();
    let mut set = |table: &str, fields: &[(&str, i64)]| {
        let place = if table.is_empty() { &mut recipe } else { recipe[table].as_table_mut().unwrap() };
        for (field, value) in fields {
            place.insert((*field).into(), toml::Value::Integer(*value)).unwrap();
        }
    };
    set("", &[("steps", 40), ("validate_every", 20), ("report_every", 5), ("save_every", 5)]);
    set("encoder", &[("image_side", 32), ("frames", 4), ("width", 24), ("layers", 1), ("heads", 2)]);
    set("predictor", &[("width", 12), ("layers", 1), ("heads", 2)]);
    set("data", &[("batch", 8)]);
    std::fs::write(folder.join("pretraining.toml"), toml::to_string(&recipe).unwrap()).unwrap();
    succeed(folder, &["pretrain", "pretraining.toml", "--data", "data", "--out", "encoder"]);
    std::fs::create_dir(folder.join("images")).unwrap();
    let (image, number) = (Image::filled(ImageSize::new(40, 30).unwrap(), [90, 40, 200]), 200);
    for index in 0..number {
        std::fs::write(folder.join(format!("images/{index:03}.png")), encode_png(&image).unwrap()).unwrap();
    }
}
