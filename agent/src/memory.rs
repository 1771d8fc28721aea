//! Short-term memory: what happened, what was expected, what it cost (LeCun 2022, section 3).

mod associative;
mod forgetful;
mod ring;
mod soft;

pub use associative::AssociativeMemory;
pub use forgetful::Forgetful;
pub use ring::RingMemory;
pub use soft::{Recollection, Slot, SoftMemory, SoftMemoryConfig};

use mindseye_interface::Rng;
use mindseye_world_model::Experience;
use mindseye_world_model::critic::CostsThatCame;
use serde::{Deserialize, Serialize};

use crate::latent::{Latent, Plan};
use crate::perception::Sight;

/// One tick of a life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Number of the tick in this life.
    pub tick: u64,
    /// Index of the sub-goal that was pursued.
    pub sub_goal: usize,
    /// The state perceived (or, where nothing was seen, predicted).
    pub latent: Latent,
    /// The state that was wanted; memories of before have none.
    #[serde(default)]
    pub goal: Option<Latent>,
    /// Unweighted intrinsic energies of that state and of the block that led to it, by name.
    pub energies: Vec<(String, f32)>,
    /// The action block executed, `[A]`.
    pub block: Vec<f32>,
    /// The plan whose first block it is.
    pub plan: Plan,
    /// The state predicted for the next tick.
    pub predicted: Option<Latent>,
    /// Mean squared difference between this state and the prediction made for it a tick before.
    pub surprise: Option<f32>,
    /// How the state became known.
    #[serde(default)]
    pub sight: Sight,
}

impl Moment {
    /// The unweighted energy of the term `name`.
    pub fn energy(&self, name: &str) -> Option<f32> {
        self.energies.iter().find(|(known, _)| known == name).map(|(_, energy)| *energy)
    }
}

/// Remembers moments.
pub trait Memory: Send {
    /// Adds a moment; a bounded memory forgets its oldest.
    fn remember(&mut self, moment: Moment);

    /// Number of moments remembered.
    fn len(&self) -> usize;

    /// Whether nothing is remembered.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The newest `count` moments, newest first.
    fn recent(&self, count: usize) -> Vec<&Moment>;

    /// The moment of tick `tick`, if it is still remembered.
    fn at(&self, tick: u64) -> Option<&Moment>;

    /// The `count` moments whose latents are nearest to `latent`, nearest first; of equally near ones the older first.
    fn nearest(&self, latent: &Latent, count: usize) -> Vec<&Moment>;

    /// `count` moments drawn with replacement; none if nothing is remembered.
    fn sample(&self, count: usize, rng: &mut Rng) -> Vec<&Moment>;

    /// At most `count` transitions to learn from, those that were lived last first. By default those of the newest moments.
    fn experience(&self, count: usize) -> Experience {
        let mut experience = Experience::default();
        for pair in self.recent(count.saturating_add(1)).windows(2) {
            let (after, before) = (pair[0], pair[1]);
            // What was not seen is what had been predicted: nothing to learn from.
            if follows(before, after) && [before.sight, after.sight] == [Sight::Seen; 2] {
                experience.push(before.latent.values(), &before.block, after.latent.values());
            }
        }
        experience
    }

    /// What it cost by the terms `terms`, with `discount`, from each of the newest moments on until the pursuit that they belong to ended (what it cost at its end
    /// goes on): at most `count`, of what was seen. What is still pursued when the newest moment is of it counts as ended.
    fn costs_that_came(&self, terms: &[String], discount: f32, count: usize) -> CostsThatCame {
        let mut came = CostsThatCame::default();
        let mut to_come: Vec<f32> = Vec::new();
        let moments = self.recent(self.len());
        let (mut after, mut known) = (None::<&Moment>, 0);
        for moment in moments {
            let Some(goal) = &moment.goal else { break };
            let energies = terms.iter().map(|term| moment.energy(term)).collect::<Option<Vec<f32>>>();
            let Some(energies) = energies.filter(|_| known < count) else { break };
            match after.filter(|after| follows(moment, after) && after.goal.as_ref() == Some(goal)) {
                None => to_come = energies, // the end of a pursuit
                Some(_) if moment.sight == Sight::Seen => {
                    came.states.extend_from_slice(moment.latent.values());
                    came.goals.extend_from_slice(goal.values());
                    came.energies.extend_from_slice(&to_come);
                    known += 1;
                    next(&mut to_come, &energies, discount);
                }
                Some(_) => next(&mut to_come, &energies, discount),
            }
            after = Some(moment);
        }
        came
    }

    /// What the memory says would come of doing `block` where the state is `latent`; nothing where it keeps no such things.
    fn recall(&self, _latent: &Latent, _block: &[f32]) -> Option<Recollection> {
        None
    }
}

/// What is to come a moment earlier, where this one costs `energies`.
fn next(to_come: &mut [f32], energies: &[f32], discount: f32) {
    to_come.iter_mut().zip(energies).for_each(|(sum, energy)| *sum = (1.0 - discount) * energy + discount * *sum);
}

/// Whether `after` is the tick that came after `before`.
fn follows(before: &Moment, after: &Moment) -> bool {
    before.tick + 1 == after.tick
}
