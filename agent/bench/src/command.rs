//! The arguments of `mindseye bench`, and what they run.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use mindseye_agent::Task;
use mindseye_interface::config::require_range;
use mindseye_interface::{Seed, config};
use mindseye_plots::report::FILE;
use mindseye_world_model::{Checkpoint, Precision};
use serde::Serialize;

use crate::vit::Encoder;
use crate::{
    DataBench, DataSource, EncodingBench, Error, LewmBench, PlanningBench, Result, ScalingBench, SimulationBench,
    TrainingBench, VitBench, surprise,
};

/// The error of whoever supplies files.
type Supplied<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Files that come with a scene, for measurements whose arguments name none.
pub trait ShippedFiles {
    /// The trained model of `scene`.
    ///
    /// # Errors
    /// When there is none.
    fn checkpoint(&self, scene: &str) -> Supplied<PathBuf>;

    /// The training recipe of `scene`.
    ///
    /// # Errors
    /// When there is none.
    fn recipe(&self, scene: &str) -> Supplied<PathBuf>;

    /// The task in the file that a person named, or that of `scene`.
    ///
    /// # Errors
    /// When there is none, or it makes no sense.
    fn task(&self, named: Option<&Path>, scene: &str) -> Supplied<Task>;
}

/// Measure speed. The best of several rounds counts, so that other work of the machine counts little; plan gives
/// percentiles over all ticks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye bench sim\n  \
    mindseye bench plan --scene push_t --threads 2 --rounds 20\n  \
    mindseye bench scaling --out speed\n\n\
    Example: mindseye bench train --help lists the options of one measurement.")]
pub struct BenchArguments {
    /// What to measure.
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Physics and camera on one core: control steps per second.
    #[command(after_help = "Example: mindseye bench sim --scene push_t")]
    Sim {
        #[command(flatten)]
        scene: Scene,
        #[command(flatten)]
        run: Run,
    },
    /// Optimiser steps per second with the recipe of a scene, on scripted episodes.
    #[command(after_help = "Example: mindseye bench train --scene push_t --threads 2")]
    Train {
        #[command(flatten)]
        scene: Scene,
        #[command(flatten)]
        threads: Threads,
        #[command(flatten)]
        run: Run,
    },
    /// Ticks of the shipped agent: percentiles of its planning time, predicted states, memory.
    #[command(after_help = "Examples:\n  \
        mindseye bench plan --scene push_t --threads 2 --rounds 20\n  \
        mindseye bench plan --scene push_t --deadline-ms 30\n  \
        mindseye bench plan --deadline-ms 20 --samples 100000 --horizon 50 --rounds 100")]
    Plan {
        #[command(flatten)]
        scene: Scene,
        /// Task file (TOML); by default the shipped one of the scene.
        #[arg(long)]
        task: Option<PathBuf>,
        /// How the world model's weights are kept.
        #[arg(long, value_enum, default_value_t = Weights::F32)]
        precision: Weights,
        /// Stop planning after so many milliseconds, as on a robot, and count what came too late. By default nothing
        /// is cut short.
        #[arg(long)]
        deadline_ms: Option<f64>,
        /// Samples of the planner, in place of the task's.
        #[arg(long)]
        samples: Option<usize>,
        /// Planning horizon in action chunks, in place of the task's.
        #[arg(long)]
        horizon: Option<usize>,
        #[command(flatten)]
        threads: Threads,
        #[command(flatten)]
        run: Run,
    },
    /// How the time of a rollout grows with the number of plans, their length, and the number of threads.
    #[command(after_help = "Example: mindseye bench scaling --scene push_t --out speed")]
    Scaling {
        #[command(flatten)]
        scene: Scene,
        /// Task file (TOML); by default the shipped one of the scene.
        #[arg(long)]
        task: Option<PathBuf>,
        /// Folder for scaling.png and report.html: the charts, all times, the machine, every setting.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        threads: Threads,
        #[command(flatten)]
        run: Run,
    },
    /// Milliseconds from image to latent with the shipped checkpoint, on one thread.
    #[command(after_help = "Example: mindseye bench encode --scene push_t --batch 8")]
    Encode {
        #[command(flatten)]
        scene: Scene,
        /// Images at a time.
        #[arg(long, default_value_t = 1)]
        batch: usize,
        #[command(flatten)]
        run: Run,
    },
    /// Frames decoded per second, and windows out of decoded frames.
    #[command(after_help = "Example: mindseye bench data --data my_recording --rounds 3")]
    Data {
        /// A data set; by default a fresh recording of the scene.
        #[arg(long)]
        data: Option<PathBuf>,
        /// Name of the scene that is recorded.
        #[arg(long, default_value = "two_room", conflicts_with = "data")]
        scene: String,
        #[command(flatten)]
        threads: Threads,
        #[command(flatten)]
        run: Run,
    },
    /// Surprise of a model in a scene: false alarms in normal episodes, and changes that are found within a second.
    #[command(after_help = "Example: mindseye bench surprise --scene push_t --episodes 200 --trials 100 --seed 7")]
    Surprise {
        #[command(flatten)]
        scene: Scene,
        /// Normal episodes, of 100 control steps; without a calibration beside the model, as many others for that.
        #[arg(long, default_value_t = 100)]
        episodes: usize,
        /// Calibrate anew on as many other episodes, for alarms of so many ticks (above the band) of so many.
        #[arg(long, num_args = 2, value_names = ["TICKS", "OF"])]
        rule: Option<Vec<usize>>,
        /// Episodes with each change.
        #[arg(long, default_value_t = 50)]
        trials: usize,
        /// Root of every random choice.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Print one JSON document on stdout.
        #[arg(long)]
        json: bool,
    },
    /// LeWorldModel in its published size, with random weights: what planning, training and encoding take.
    #[command(after_help = "Examples:\n  \
        mindseye bench lewm plan --rounds 1\n  \
        mindseye bench lewm train --batch 8")]
    Lewm {
        /// What to measure.
        #[command(subcommand)]
        work: LewmWork,
        #[command(flatten)]
        threads: Threads,
        #[command(flatten)]
        run: Run,
    },
    /// A published encoder in its size, with random weights: what one clip or image takes.
    #[command(after_help = "Example: mindseye bench vit --model vjepa2-large --threads 2 --rounds 1")]
    Vit {
        /// Which.
        #[arg(long, value_enum, default_value_t = Encoder::Dinov2Small)]
        model: Encoder,
        /// How the weights are kept.
        #[arg(long, value_enum, default_value_t = Weights::F32)]
        precision: Weights,
        #[command(flatten)]
        threads: Threads,
        #[command(flatten)]
        run: Run,
    },
}

#[derive(Debug, Subcommand)]
enum LewmWork {
    /// A plan as its authors make it: CEM, 300 samples, 30 iterations, 5 chunks.
    Plan {
        /// How the weights are kept.
        #[arg(long, value_enum, default_value_t = Weights::F32)]
        precision: Weights,
    },
    /// An optimiser step.
    Train {
        /// Windows of four images at a time.
        #[arg(long, default_value_t = 8)]
        batch: usize,
    },
    /// Images to embeddings.
    Encode {
        /// Images at a time.
        #[arg(long, default_value_t = 1)]
        batch: usize,
    },
}

/// Arguments of every measurement.
#[derive(Debug, Args)]
struct Run {
    /// Rounds; of plan: episodes.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Root of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

impl Run {
    /// The rounds, the seed, and whether to print JSON.
    fn settings(&self) -> Result<(usize, Seed, bool)> {
        require_range("--rounds", self.rounds, 1, 1000)?;
        Ok((self.rounds, Seed::new(self.seed), self.json))
    }
}

#[derive(Debug, Args)]
struct Scene {
    /// Name of the scene.
    #[arg(long, default_value = "two_room")]
    scene: String,
}

impl Scene {
    fn folder(&self, files: &dyn ShippedFiles) -> Result<PathBuf> {
        files.checkpoint(&self.scene).map_err(Error::Files)
    }

    fn checkpoint(&self, files: &dyn ShippedFiles) -> Result<Checkpoint> {
        Ok(Checkpoint::load_for_scene(&self.folder(files)?, &self.scene)?)
    }
}

#[derive(Debug, Args)]
struct Threads {
    /// Threads.
    #[arg(long, default_value_t = default_threads())]
    threads: usize,
}

impl Threads {
    fn count(&self) -> Result<usize> {
        Ok(require_range("--threads", self.threads, 1, 1024).map(|()| self.threads)?)
    }
}

/// How weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weights {
    /// As they were trained.
    F32,
    /// In sixteen bits.
    Bf16,
}

impl From<Weights> for Precision {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::F32 => Self::F32,
            Weights::Bf16 => Self::Bf16,
        }
    }
}

impl BenchArguments {
    /// Measures, and gives what is to be printed: a report for people, or one JSON document.
    ///
    /// # Errors
    /// When an argument makes no sense or a shipped file is missing.
    pub fn run(&self, files: &dyn ShippedFiles) -> Result<String> {
        match &self.measurement {
            Measurement::Sim { scene: Scene { scene }, run } => {
                let (rounds, seed, json) = run.settings()?;
                printed("sim", &SimulationBench { scene: scene.clone(), rounds, seed }.measure()?, json)
            }
            Measurement::Train { scene: Scene { scene }, threads, run } => {
                let ((rounds, seed, json), threads) = (run.settings()?, threads.count()?);
                let (scene, recipe) = (scene.clone(), config::load(&files.recipe(scene).map_err(Error::Files)?)?);
                printed("train", &TrainingBench { scene, recipe, threads, rounds, seed }.measure()?, json)
            }
            Measurement::Plan { scene, task, precision, deadline_ms, samples, horizon, threads, run } => {
                let ((episodes, seed, json), threads) = (run.settings()?, threads.count()?);
                let checkpoint = Arc::new(scene.checkpoint(files)?);
                let (scene, deadline_ms) = (scene.scene.clone(), *deadline_ms);
                let mut task = files.task(task.as_deref(), &scene).map_err(Error::Files)?;
                if *precision != Weights::F32 {
                    task.precision = (*precision).into();
                }
                let (samples, horizon_chunks, task) = (*samples, *horizon, &task);
                let bench = PlanningBench {
                    scene,
                    checkpoint,
                    task,
                    samples,
                    horizon_chunks,
                    deadline_ms,
                    threads,
                    episodes,
                    seed,
                };
                printed("plan", &bench.measure()?, json)
            }
            Measurement::Scaling { scene, task, out, threads, run } => {
                let ((rounds, seed, json), threads) = (run.settings()?, threads.count()?);
                let task = &files.task(task.as_deref(), &scene.scene).map_err(Error::Files)?;
                let (checkpoint, model) = (&scene.checkpoint(files)?, scene.folder(files)?);
                let scene = scene.scene.clone();
                let bench = ScalingBench { scene, checkpoint, task, threads, rounds, seed };
                let scaling = bench.measure()?;
                if let Some(folder) = out {
                    scaling.write(folder, &bench.settings(&model)?)?;
                }
                let report = out.iter().filter(|_| !json).map(|out| format!("\nreport: {}", out.join(FILE).display()));
                Ok(printed("scaling", &scaling, json)? + &report.collect::<String>())
            }
            Measurement::Encode { scene, batch, run } => {
                let ((rounds, _, json), batch) = (run.settings()?, batch_size(*batch)?);
                let (scene, checkpoint) = (scene.scene.clone(), &scene.checkpoint(files)?);
                printed("encode", &EncodingBench { scene, checkpoint, batch, rounds }.measure()?, json)
            }
            Measurement::Data { data, scene, threads, run } => {
                let ((rounds, seed, json), threads) = (run.settings()?, threads.count()?);
                let source = data.clone().map_or_else(|| DataSource::Scene(scene.clone()), DataSource::Dataset);
                printed("data", &DataBench { source, threads, rounds, seed }.measure()?, json)
            }
            Measurement::Surprise { scene: Scene { scene }, episodes, rule, trials, seed, json } => {
                require_range("--episodes", *episodes, 4, 100_000)?;
                require_range("--trials", *trials, 1, 100_000)?;
                let folder = files.checkpoint(scene).map_err(Error::Files)?;
                let counts = [*episodes, *trials];
                let report = surprise::measured(&folder, scene, rule.as_deref(), counts, Seed::new(*seed))?;
                printed("surprise", &report, *json)
            }
            Measurement::Vit { model, precision, threads, run } => {
                let ((rounds, seed, json), threads) = (run.settings()?, threads.count()?);
                let (model, config) = model.named();
                let precision = (*precision).into();
                printed("vit", &VitBench { model, config, precision, threads, rounds, seed }.measure()?, json)
            }
            Measurement::Lewm { work, threads, run } => {
                let ((rounds, seed, json), threads) = (run.settings()?, threads.count()?);
                let bench = LewmBench { threads, rounds, seed };
                match *work {
                    LewmWork::Plan { precision } => printed("lewm_plan", &bench.planning(precision.into())?, json),
                    LewmWork::Train { batch } => printed("lewm_speed", &bench.training(batch_size(batch)?)?, json),
                    LewmWork::Encode { batch } => printed("lewm_speed", &bench.encoding(batch_size(batch)?)?, json),
                }
            }
        }
    }
}

fn batch_size(batch: usize) -> Result<usize> {
    Ok(require_range("--batch", batch, 1, 10_000).map(|()| batch)?)
}

/// `report` as it is printed.
fn printed<R: Serialize + Display>(bench: &'static str, report: &R, json: bool) -> Result<String> {
    /// A report with the name of its measurement.
    #[derive(Serialize)]
    struct Named<'a, R> {
        bench: &'static str,
        #[serde(flatten)]
        report: &'a R,
    }
    Ok(if json { serde_json::to_string_pretty(&Named { bench, report })? } else { report.to_string() })
}

/// Threads used by default: as many as there are cores.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
