//! Demonstrators: one pushes through random points of the block, one brings the block into random poses, an explorer
//! acts at random, a mixture of them, the mixture at variable speed with rests, and one that moves from anywhere to
//! anywhere on and beside the block.

mod pusher;
mod pushes;
mod random_contact;

use mindseye_interface::{Action, Seed};
use rand::Rng as _;

use super::Layout;
use crate::demonstration::{Demonstrator, Explorer, NamedDemonstrator, VariableSpeed};
use crate::factors::Factors;
use pusher::{Aim, Pusher};
use random_contact::RandomContact;

/// The scene's demonstrators; the first is the default for recording.
pub(super) static DEMONSTRATORS: [NamedDemonstrator; 6] = [
    NamedDemonstrator::new("mixture", |factors| mixture(factors, SHARES)),
    NamedDemonstrator::new("random_point", |factors| mixture(factors, [1.0, 0.0, 0.0])).formerly("through"),
    NamedDemonstrator::new("goal_pose", |factors| mixture(factors, [0.0, 1.0, 0.0])).formerly("poser"),
    NamedDemonstrator::new("explorer", |factors| mixture(factors, [0.0, 0.0, 1.0])),
    NamedDemonstrator::new("variable_speed", |factors| Box::new(VariableSpeed::new(mixture(factors, SHARES), 2)))
        .formerly("paced"),
    NamedDemonstrator::new("random_contact", |factors| Box::new(RandomContact::new(factors.clone())))
        .formerly("prodder"),
];

/// Shares of the mixture's episodes: random point, goal pose, explorer.
const SHARES: [f64; 3] = [0.45, 0.45, 0.1];

fn mixture(factors: &Factors, shares: [f64; 3]) -> Box<dyn Demonstrator> {
    Box::new(Mixture { factors: factors.clone(), shares, playing: None })
}

/// Chooses random point, goal pose or explorer for every episode.
struct Mixture {
    factors: Factors,
    shares: [f64; 3],
    playing: Option<Box<dyn Demonstrator>>,
}

impl Demonstrator for Mixture {
    fn begin(&mut self, seed: Seed) {
        let layout = Layout::of_episode(seed, &self.factors);
        let mut rng = seed.child("demonstrator").rng();
        let draw: f64 = rng.random();
        self.playing = Some(if draw < self.shares[0] {
            Box::new(Pusher::new(layout, rng, Aim::RandomPoint))
        } else if draw < self.shares[0] + self.shares[1] {
            Box::new(Pusher::new(layout, rng, Aim::GoalPose))
        } else {
            Box::new(Explorer::<2>::new(rng))
        });
    }

    fn act(&mut self, state: &[f64]) -> Action {
        self.playing.as_mut().map_or_else(|| Action::zeros(2), |playing| playing.act(state))
    }
}
