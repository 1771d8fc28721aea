//! The one evaluator behind every claim (DESIGN.md, section 4).
//!
//! Starts and goals are states of held-out episodes, the same for every method; pairs that are solved at the start are dropped;
//! success is the task's predicate, at any step (moderate) or held at the end (strict); baselines run on the same pairs.

mod ablation;
mod ablation_chart;
mod course;
mod disturbance;
mod episode;
mod foresight;
pub mod interval;
mod pairs;
mod planner_chart;
mod report;
mod sheet;
mod success_chart;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use mindseye_agent::Task;
use mindseye_interface::Seed;
use mindseye_sim::SceneOptions;
use rayon::prelude::*;

pub use ablation::{AblationRow, Comparison, Score, Without, comparisons};
pub use ablation_chart::ablation_chart;
pub use course::{Course, Switch, Violations};
pub use disturbance::Disturbance;
pub use episode::{Episode, EpisodeResult, Glimpse, HOLD_STEPS, Method};
pub use foresight::{Foresight, r2};
pub use pairs::{Pair, PairKind, draw_allowed_pairs, draw_pairs, held_out_episode};
pub use planner_chart::planner_chart;
pub use report::{Baselines, ByRotation, EvaluationReport, MethodReport, MethodResults, PairReport, Rates, Settings};
pub use sheet::sheet;
pub use success_chart::success_chart;

/// What is evaluated, and how.
pub struct Evaluation {
    /// Name of the scene.
    pub scene: String,
    /// Picture size and factors of variation.
    pub options: SceneOptions,
    /// Who is under test.
    pub model: Method,
    /// What it is to do.
    pub task: Task,
    /// How starts and goals are chosen.
    pub pairs: PairKind,
    /// Control steps per episode.
    pub budget_steps: usize,
    /// Episodes per seed.
    pub episodes: usize,
    /// Root seeds of the held-out episodes.
    pub seeds: Vec<u64>,
    /// Episodes played at the same time; the results do not depend on it.
    pub threads: usize,
    /// Episodes that an agent lives through in the same world before each that counts; the baselines learn nothing from it.
    pub lived: usize,
    /// Whether the baselines run too.
    pub baselines: bool,
    /// How seeing is disturbed.
    pub disturbance: Disturbance,
}

/// Root seeds of episodes that are lived before are so far from those of the episodes that count.
const LIVES: u64 = 1_000_000;

impl Evaluation {
    /// Runs the protocol; `progress` hears of every finished episode: how many of how many. Gives the document, and how the
    /// model's episodes went one by one.
    ///
    /// # Errors
    /// When the scene cannot be built or an episode fails.
    pub fn run(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<(EvaluationReport, Vec<EpisodeResult>)> {
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(self.threads.max(1)).build().context("starting threads")?;
        let mut pairs = Vec::new();
        let allowed = course::allowed(&self.task, mindseye_sim::make(&self.scene, &self.options)?.as_ref())?;
        for &seed in &self.seeds {
            let drawn = draw_allowed_pairs(&self.scene, &self.options, self.pairs, self.episodes, seed, &allowed)?;
            pairs.extend(drawn);
        }
        let mut lives = BTreeMap::new();
        for &seed in self.seeds.iter().filter(|_| self.lived > 0) {
            let root = seed.wrapping_add(LIVES);
            let lived = draw_allowed_pairs(&self.scene, &self.options, self.pairs, self.lived, root, &allowed)?;
            lives.insert(seed, lived);
        }
        let methods = if self.baselines { 4 } else { 1 };
        let (done, total) = (AtomicUsize::new(0), methods * pairs.len());
        let play_all = |method: &Method, lives: &BTreeMap<u64, Vec<Pair>>| -> Result<Vec<EpisodeResult>> {
            let one = |pair: &Pair| {
                let episode = Episode {
                    scene: &self.scene,
                    options: &self.options,
                    method,
                    task: &self.task,
                    pair,
                    lived: lives.get(&pair.seed).map_or(&[], Vec::as_slice),
                    budget_steps: self.budget_steps,
                    seed: Seed::new(pair.seed).child("agent").index(pair.index as u64),
                    threads: 1,
                    real_time: false,
                    stop_when_held: false,
                    disturbance: self.disturbance,
                    switch: None,
                };
                let result = episode.play(&mut |_| Ok(()));
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
                result.with_context(|| format!("seed {}, pair {}", pair.seed, pair.index))
            };
            pool.install(|| pairs.par_iter().map(one).collect())
        };
        let action_block = self.model.action_block();
        let model = play_all(&self.model, &lives)?;
        let none = BTreeMap::new();
        let baselines = if self.baselines {
            Some([
                play_all(&Method::Random { action_block }, &none)?,
                play_all(&Method::Nothing { action_block }, &none)?,
                play_all(&Method::Oracle { action_block }, &none)?,
            ])
        } else {
            None
        };
        let results = MethodResults { model, baselines };
        Ok((EvaluationReport::new(self, &pairs, &results), results.model))
    }
}
