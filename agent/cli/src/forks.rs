//! Forks of the true world: plans that end here or there by what nobody can see, and what imagination knows of them.

use anyhow::{Context, Result};
use mindseye_agent::world_model::WorldModel;
use mindseye_agent::{Latent, Plans};
use mindseye_interface::{Action, Seed};
use mindseye_sim::SceneOptions;
use mindseye_world_model::{Checkpoint, LatentMetric};

use crate::evaluation::held_out_episode;

/// Worlds that look the same in which a plan is played.
const WORLDS: usize = 16;
/// Control steps of an episode.
const EPISODE_STEPS: usize = 100;
/// Ends are apart beyond this energy; 1 is the mean energy of one action block.
const APART: f32 = 1.0;
/// A future ends near a branch within this share of the way from it to the nearest other one.
const NEAR: f32 = 1.0 / 3.0;

/// A plan with more ends than one.
#[derive(Debug, Clone, PartialEq)]
pub struct Fork {
    /// Latent of what is seen at the start, `[D]`.
    pub start: Vec<f32>,
    /// The plan, `[1, H, A]`.
    pub plan: Plans,
    /// Latents of its ends, `[D]` each, and the share of the worlds that end there.
    pub branches: Vec<(Vec<f32>, f64)>,
    /// A factor of the latent metric, `[D, D]`.
    factor: Vec<f32>,
}

/// What a world model knows of a fork.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Of every branch: the share of the futures that end near it, and the share of the worlds that do.
    pub branches: Vec<(f64, f64)>,
}

/// The forks of held-out episode `index` under `root`: at every action block, what the script does over the next `blocks` blocks is done in several worlds.
/// Beside them the number of starts that were tried.
///
/// # Errors
/// When the scene cannot be built or fails, or its pictures do not fit the checkpoint.
pub fn find_forks(
    scene: &str,
    options: &SceneOptions,
    checkpoint: &Checkpoint,
    blocks: usize,
    root: Seed,
    index: u64,
) -> Result<(usize, Vec<Fork>)> {
    let model = &checkpoint.config.model;
    let factor = checkpoint.statistics.factor(LatentMetric::StepWhitened { power: 1.0 });
    let mut simulator = mindseye_sim::make(scene, options)?;
    let mut demonstrator = mindseye_sim::demonstrator(scene, "mixture", options)?;
    let episode = held_out_episode(root, index);
    // First what the script does, with a copy of the world at every block.
    let observation = simulator.reset(episode)?;
    demonstrator.begin(episode);
    let (mut starts, mut actions) = (Vec::new(), Vec::new());
    let mut picture = observation.image.context("start: expected a picture, got none")?;
    for step in 0..EPISODE_STEPS {
        let action = demonstrator.act(&simulator.state());
        if step % model.action_block == 0 {
            starts.push((simulator.snapshot()?, picture));
        }
        simulator.step_blind(&action)?;
        actions.push(action);
        picture = simulator.render();
    }
    starts.truncate((EPISODE_STEPS / model.action_block + 1).saturating_sub(blocks));
    let mut forks = Vec::new();
    let tried = starts.len();
    for (number, (snapshot, picture)) in starts.into_iter().enumerate() {
        let plan = &actions[number * model.action_block..(number + blocks) * model.action_block];
        let mut worlds = Vec::with_capacity(WORLDS);
        for world in 0..WORLDS {
            simulator.restore(&snapshot)?;
            simulator.redraw_hidden(episode.child("worlds").index((number * WORLDS + world) as u64));
            plan.iter().try_for_each(|action: &Action| simulator.step_blind(action))?;
            worlds.push((simulator.state(), simulator.snapshot()?));
        }
        if worlds.iter().all(|(state, _)| *state == worlds[0].0) {
            continue;
        }
        let mut branches: Vec<(Vec<f32>, f64)> = Vec::new();
        for (_, world) in &worlds {
            simulator.restore(world)?;
            let end = checkpoint.model.encode_image(&simulator.render())?;
            match branches.iter_mut().find(|(branch, _)| energy(&factor, branch, &end) < APART) {
                Some((_, share)) => *share += 1.0 / WORLDS as f64,
                None => branches.push((end, 1.0 / WORLDS as f64)),
            }
        }
        if branches.len() > 1 {
            let values: Vec<f32> = plan.iter().flat_map(Action::values).copied().collect();
            forks.push(Fork {
                start: checkpoint.model.encode_image(&picture)?,
                plan: Plans::new(1, blocks, model.block_width(), values)?,
                branches,
                factor: factor.clone(),
            });
        }
    }
    Ok((tried, forks))
}

/// `|L (a - b)|²` with a factor `L [D, D]`, row-major.
fn energy(factor: &[f32], a: &[f32], b: &[f32]) -> f32 {
    let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let row = |row: &[f32]| row.iter().zip(&difference).map(|(factor, value)| factor * value).sum::<f32>();
    factor.chunks_exact(difference.len().max(1)).map(|values| row(values).powi(2)).sum()
}

impl Fork {
    /// What `world` knows of it.
    ///
    /// # Errors
    /// The world model's.
    pub fn known_to(&self, world: &dyn WorldModel) -> Result<Known> {
        let rollouts = world.imagine(&Latent::global(self.start.clone()), &self.plan)?;
        let ends: Vec<Latent> =
            (0..rollouts.futures()).map(|future| rollouts.state(0, future, rollouts.horizon() - 1)).collect();
        let known = |(index, (branch, truth)): (usize, &(Vec<f32>, f64))| {
            let others = self.branches.iter().enumerate().filter(|(other, _)| *other != index);
            let nearest =
                others.map(|(_, (other, _))| energy(&self.factor, branch, other)).fold(f32::INFINITY, f32::min);
            // Energies are squares of distances.
            let is_near = |end: &&Latent| energy(&self.factor, branch, end.values()) < NEAR * NEAR * nearest;
            (ends.iter().filter(is_near).count() as f64 / ends.len() as f64, *truth)
        };
        Ok(Known { branches: self.branches.iter().enumerate().map(known).collect() })
    }
}
